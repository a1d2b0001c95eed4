"""Faults planted in the production's parts, each of which the simulation must find.

Strategy: a mutant is the production's part with one rule taken out, by wrapping a function or overriding one step, and
the words by which the auditor must name what came of it. A rule whose loss no seed notices is a rule that the
simulation does not test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from gateway.database import ConnectionLost
from gateway.ledger.decide import decide
from gateway.ledger.lane import Lane
from gateway.ledger.model import Effects, State
from gateway.ledger.rules import Rules
from gateway.ledger.store import CommitResult, Decided, LedgerOperation, Store, Wanted, wanted_by
from gateway.ledger.store_memory import MemoryDatabase, MemoryStore
from gateway.outcomes import Declined, Outcome, Reason

from .auditor import Auditor
from .store import Session
from .wires import Order
from .world import Parts


@dataclass(frozen=True, slots=True)
class Mutant:
    """`found_as`: one of these texts stands in the violation."""

    parts: Parts
    found_as: tuple[str, ...]


# --- lanes


class EarlyLane(Lane):
    """Answers what was decided, before its commit."""

    def _decide_one(self, state: State, one: Any) -> Decided:
        decided = super()._decide_one(state, one)
        self._answer([(one, decided.outcome)])
        return decided


class TrustingLane(Lane):
    """Takes a commit of unknown result for done."""

    async def _commit(self, store: Store, ready: Sequence[Any]) -> CommitResult:
        result = await super()._commit(store, ready)
        return CommitResult.COMMITTED if result is CommitResult.UNKNOWN else result


class ReadingLane(Lane):
    """After a commit of unknown result it looks whether it is there, and answers what it sees."""

    async def _commit(self, store: Store, ready: Sequence[Any]) -> CommitResult:
        result = await super()._commit(store, ready)
        if result is CommitResult.UNKNOWN:
            reader = await self._connected_store()
            await reader.begin()
            state = await reader.load(wanted_by(one.operation for one in ready))
            await reader.roll_back()
            for one in ready:
                record = state.records.get(one.operation.key)
                self._answer([(one, Declined(Reason.SYSTEM_ERROR) if record is None else record.outcome)])
        return result


class ForgetfulLane(Lane):
    """Lets an operation expire as "not processed" although a commit with it had no known result."""

    async def _commit(self, store: Store, ready: Sequence[Any]) -> CommitResult:
        result = await super()._commit(store, ready)
        for one in ready:
            one.uncertain = False
        return result


# --- decisions


def without_fences(
    state: State, operation: LedgerOperation, rules: Rules, now: datetime, trace_id: str
) -> tuple[Outcome, Effects]:
    """No tombstone is left."""
    outcome, effects = decide(state, operation, rules, now, trace_id)
    return outcome, replace(effects, records=tuple(record for record in effects.records if not record.fence))


def without_refusals(
    state: State, operation: LedgerOperation, rules: Rules, now: datetime, trace_id: str
) -> tuple[Outcome, Effects]:
    """A final refusal does not consume its key."""
    outcome, effects = decide(state, operation, rules, now, trace_id)
    return outcome, Effects() if isinstance(outcome, Declined) else effects


def without_idempotency(
    state: State, operation: LedgerOperation, rules: Rules, now: datetime, trace_id: str
) -> tuple[Outcome, Effects]:
    """The key is not looked up: every resend is a new operation."""
    records = {key: record for key, record in state.records.items() if key != operation.key or record.fence}
    return decide(replace(state, records=records), operation, rules, now, trace_id)


def undoing_again(
    state: State, operation: LedgerOperation, rules: Rules, now: datetime, trace_id: str
) -> tuple[Outcome, Effects]:
    """Nobody looks whether the payment was undone before."""
    return decide(replace(state, undone_by={}), operation, rules, now, trace_id)


# --- stores


class KeysTwiceDatabase(MemoryDatabase):
    """The table of operations has no primary key."""

    def check(self, decided: Sequence[Decided]) -> None:
        super().check([replace(one, effects=replace(one.effects, records=())) for one in decided])


class HastyCutOffDatabase(MemoryDatabase):
    """The cut-off does not wait for batches in flight: no clearing lock."""

    async def enter(self, store: MemoryStore) -> None:
        """Nobody is told that a transaction has begun."""


class UnlockedDatabase(MemoryDatabase):
    """Customers are not locked."""

    def lock(self, store: MemoryStore, customer_no: str) -> bool:
        return True


class UnfencedStore(MemoryStore):
    """What a session wrote before the server ended it, or before a crash, may still be committed."""

    async def commit(self) -> CommitResult:
        try:
            self.check_connected()
        except ConnectionLost:
            self._database.apply(self._written)
        return await super().commit()


class UnfencedSession(Session):
    """A commit is sent although the connection is gone."""

    async def commit(self) -> CommitResult:
        if self._world.happens(self._world.weather.stall_at_commit):
            self._world.stall(self.machine)
        await self._world.pause(self._world.weather.step_seconds)
        if self.is_lost:
            return await self._inner.commit()
        return await super().commit()


class EarlyReadSession(Session):
    """Reads before the customers are locked: what another process commits meanwhile is not seen."""

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        nothing = wanted_by(())
        everything = replace(nothing, customer_nos=tuple(customer_nos), ids_needed=128)
        early = await self._inner.load(everything)
        self._early = {bill.receivable_id: bill for bills in early.receivables.values() for bill in bills.values()}
        return await super().lock(customer_nos)

    async def load(self, wanted: Wanted) -> State:
        state = await super().load(wanted)
        state.receivables = {
            customer_no: {identity: self._early.get(identity, bill) for identity, bill in bills.items()}
            for customer_no, bills in state.receivables.items()
        }
        return state


# --- the auditor


class LateAuditor(Auditor):
    """Does not look for what keeps a payment out: only a payment that is really booked counts."""

    def is_kept_out(self, order: Order) -> bool:
        return True


_LOST = ("but it is not booked", "but it stands")
_CAME_AFTER_ALL = ("booked after the bank was told",)
_SUMS = ("running sums", "of its principal", "prepayment balance", "undone twice", "booked twice")
MUTANTS = MappingProxyType(
    {
        "acknowledge before the commit": Mutant(Parts(lane=EarlyLane, auditor=LateAuditor), _LOST),
        "take an unknown commit for done": Mutant(Parts(lane=TrustingLane, auditor=LateAuditor), _LOST),
        "answer an unknown commit from a read": Mutant(
            Parts(lane=ReadingLane), (*_CAME_AFTER_ALL, "nothing booked, but it is booked")
        ),
        "let an uncertain operation expire": Mutant(
            Parts(lane=ForgetfulLane), (*_CAME_AFTER_ALL, "nothing booked, but it is booked")
        ),
        "skip the fence": Mutant(Parts(decide=without_fences), ("nothing keeps it from being booked",)),
        "skip the fence, and wait": Mutant(Parts(decide=without_fences, auditor=LateAuditor), _CAME_AFTER_ALL),
        "keep no refusals": Mutant(Parts(decide=without_refusals), ("nothing keeps it from being booked",)),
        "drop the idempotency check": Mutant(Parts(decide=without_idempotency), ("fault of its own",)),
        "drop the idempotency check and the key": Mutant(
            Parts(decide=without_idempotency, database=KeysTwiceDatabase), ("booked twice",)
        ),
        "undo what is undone": Mutant(Parts(decide=undoing_again), ("undone twice", "under-settled")),
        "book in the closed day": Mutant(Parts(database=HastyCutOffDatabase), ("the open day is",)),
        "lock no customers": Mutant(Parts(database=UnlockedDatabase), _SUMS),
        "read before the locks": Mutant(Parts(session=EarlyReadSession), _SUMS),
        "forget the generation fence": Mutant(
            Parts(store=UnfencedStore, session=UnfencedSession), (*_SUMS, "the open day is", *_CAME_AFTER_ALL)
        ),
    }
)
