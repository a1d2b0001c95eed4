"""A `Store` in memory, for tests and for the simulation: same contract as PostgreSQL's, no I/O, no clock.

Strategy: `MemoryDatabase` is what is committed; a `MemoryStore` buffers one transaction and folds it in at commit.
Faults are injected at named steps: an awaited hook may delay (on a simulated loop's time) or raise ConnectionLost; at
"committed" (the rows are in) that makes the result unknown. `crash` fences every store of before by generation: a lane
of an abandoned loop that wakes up later can't write any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from gateway.database import CheckViolation, ConnectionLost, DatabaseError, UniqueViolation
from gateway.ledger.evidence import moves_money
from gateway.ledger.model import Customer, Entry, OperationRecord, Posting, PostingKind, Receivable, State
from gateway.ledger.store import CommitResult, Decided, Wanted
from gateway.operations import Evidence, OperationKey, OperationKind
from gateway.outcomes import Outcome

Hook = Callable[[str], Awaitable[None]]


async def no_fault(_step: str) -> None:
    """The hook that lets everything pass."""


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    key: OperationKey
    evidence: Evidence
    outcome: Outcome


class MemoryDatabase:
    """One partition's committed rows, its locks and its clearing day."""

    def __init__(self, partition: int, clearing_date: date, hook: Hook = no_fault) -> None:
        self.partition = partition
        self.clearing_days = [clearing_date]
        self.customers: dict[str, Customer] = {}
        self.receivables: dict[str, Receivable] = {}
        self.records: dict[OperationKey, OperationRecord] = {}
        self.postings: dict[int, Posting] = {}
        self.entries: dict[int, tuple[Entry, ...]] = {}
        self.evidence: list[StoredEvidence] = []
        self.signed_on: dict[str, bool] = {}
        self.hook = hook
        self.generation = 0
        self._locked_by: dict[str, MemoryStore] = {}
        self._in_transaction: set[MemoryStore] = set()
        self._waiting: list[asyncio.Future[None]] = []  # for a transaction to end, or for a cut-off
        self._cutting_off = False
        self._next_id = 1

    async def open(self) -> MemoryStore:
        await self.hook("open")
        return MemoryStore(self)

    def crash(self) -> None:
        """Every open transaction is gone, every store of before is fenced; what was committed stays."""
        self.generation += 1
        self._locked_by.clear()
        self._in_transaction.clear()
        self._cutting_off = False
        self._wake()

    async def open_clearing_day(self, clearing_date: date) -> None:
        """The cut-off: waits for the batches in flight, keeps new ones waiting meanwhile.

        Cancelling it, or a crash (ConnectionLost), leaves the day as it was and lets the batches go on.
        """
        if clearing_date <= self.clearing_days[-1]:
            raise ValueError("a clearing day can only move forwards")
        generation = self.generation
        self._cutting_off = True
        try:
            while self._in_transaction:
                await self._change()
                if generation != self.generation:
                    raise ConnectionLost("connection to the database lost: fenced")
            self.clearing_days.append(clearing_date)
        finally:
            if generation == self.generation:
                self._cutting_off = False
                self._wake()

    async def enter(self, store: MemoryStore) -> None:
        if store in self._in_transaction:
            raise DatabaseError("the transaction of before was not ended", sqlstate="25001")
        while self._cutting_off:
            await self._change()
            store.check_connected()
        self._in_transaction.add(store)

    async def leave(self, store: MemoryStore) -> None:
        self.release(store)
        self._wake()

    async def _change(self) -> None:
        """Wait until something has changed; the caller looks again. No lock that an abandoned waiter could keep."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done() and not future.get_loop().is_closed():
                future.set_result(None)

    def release(self, store: MemoryStore) -> None:
        self._in_transaction.discard(store)
        self._locked_by = {customer_no: by for customer_no, by in self._locked_by.items() if by is not store}

    def lock(self, store: MemoryStore, customer_no: str) -> bool:
        """True where `store` has the customer now, or where there is no such customer."""
        if customer_no not in self.customers:
            return True
        return self._locked_by.setdefault(customer_no, store) is store

    def reserve_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def check(self, decided: Sequence[Decided]) -> None:
        """What PostgreSQL's constraints refuse."""
        for one in decided:
            for record in one.effects.records:
                if record.key in self.records:
                    raise UniqueViolation("row exists already", sqlstate="23505", constraint="operation_once")
            if any(booking.posting.amount_fen <= 0 for booking in one.effects.bookings):
                raise CheckViolation("row breaks a rule", sqlstate="23514", constraint="payment_amount_positive")
            for receivable in one.effects.receivables:
                if not 0 <= receivable.received_principal_fen <= receivable.principal_fen:
                    constraint = "receivable_received_within_principal"
                    raise CheckViolation("row breaks a rule", sqlstate="23514", constraint=constraint)

    def apply(self, decided: Sequence[Decided]) -> None:
        for one in decided:
            effects = one.effects
            self.records.update((record.key, record) for record in effects.records)
            self.receivables.update((receivable.receivable_id, receivable) for receivable in effects.receivables)
            if effects.customer is not None:
                self.customers[effects.customer.customer_no] = effects.customer
            if effects.sign_event is not None:
                self.signed_on[effects.sign_event.key.bank] = effects.sign_event.signed_on
            for booking in effects.bookings:
                self.postings[booking.posting.payment_id] = booking.posting
                self.entries[booking.posting.payment_id] = booking.entries
            if one.evidence is not None and moves_money(one.operation):
                self.evidence.append(StoredEvidence(one.operation.key, one.evidence, one.outcome))


class MemoryStore:
    """See `Store`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._generation = database.generation
        self._free_ids: deque[int] = deque()
        self._written: tuple[Decided, ...] = ()
        self._closed = False

    async def begin(self) -> None:
        await self._step("begin")
        await self._database.enter(self)
        self._written = ()

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        await self._step("lock")
        return frozenset(customer_no for customer_no in customer_nos if not self._database.lock(self, customer_no))

    async def load(self, wanted: Wanted) -> State:
        await self._step("load")
        while len(self._free_ids) < wanted.ids_needed:
            self._free_ids.append(self._database.reserve_id())
        state = state_of(self._database, wanted)
        state.free_payment_ids = self._free_ids.copy()
        return state

    async def write(self, decided: Sequence[Decided], state: State, recorded_at: datetime) -> None:  # noqa: ARG002 - the protocol's
        await self._step("write")
        self._database.check(decided)
        self._written = tuple(decided)

    async def commit(self) -> CommitResult:
        try:
            await self._step("commit")
        except ConnectionLost:
            return CommitResult.UNKNOWN
        try:
            self._database.check(self._written)
        except UniqueViolation:  # another store committed the key meanwhile; PostgreSQL finds that while it writes
            await self._database.leave(self)
            return CommitResult.ABORTED
        self._database.apply(self._written)
        used = {booking.posting.payment_id for one in self._written for booking in one.effects.bookings}
        self._free_ids = deque(free for free in self._free_ids if free not in used)
        await self._database.leave(self)
        try:
            await self._step("committed")
        except ConnectionLost:
            return CommitResult.UNKNOWN
        return CommitResult.COMMITTED

    async def roll_back(self) -> None:
        if self._generation == self._database.generation:
            await self._database.leave(self)

    async def close(self) -> None:
        self._closed = True
        await self.roll_back()

    async def _step(self, name: str) -> None:
        await self._database.hook(name)
        self.check_connected()

    def check_connected(self) -> None:
        """Raises ConnectionLost where the session was ended: closed, or fenced by a crash."""
        if self._closed or self._generation != self._database.generation:
            raise ConnectionLost("connection to the database lost: fenced")


def state_of(database: MemoryDatabase, wanted: Wanted) -> State:
    """What `wanted` names, chosen as PostgreSQL's statements choose it."""
    state = State(database.partition, database.clearing_days[-1])
    state.signed_on = {bank: True for bank in wanted.banks if database.signed_on.get(bank)}
    state.records = {key: database.records[key] for key in wanted.keys if key in database.records}
    _add_originals(database, wanted, state)
    named = {line.receivable_id for posting in state.postings.values() for line in posting.lines}
    named.update(wanted.receivable_ids)
    named.update(_reopened(database, wanted))
    for customer_no in wanted.customer_nos:
        if customer_no in database.customers:
            state.customers[customer_no] = database.customers[customer_no]
    for receivable in database.receivables.values():
        is_named = receivable.receivable_id in named or receivable.billing_month in wanted.billing_months
        if receivable.customer_no in wanted.customer_nos and (receivable.outstanding_principal_fen or is_named):
            touched = receivable.received_principal_fen or receivable.received_penalty_fen
            row = receivable if touched else replace(receivable, settled=())
            state.receivables.setdefault(row.customer_no, {})[row.receivable_id] = row
    return state


def _reopened(database: MemoryDatabase, wanted: Wanted) -> set[str]:
    """The bills that something undone has opened again: they may owe penalty alone."""
    undoing = (one for one in database.postings.values() if one.original_payment_id is not None)
    return {line.receivable_id for one in undoing if one.customer_no in wanted.customer_nos for line in one.lines}


def _add_originals(database: MemoryDatabase, wanted: Wanted, state: State) -> None:
    payment_keys, references = set(wanted.payment_keys), set(wanted.references)
    undone_by = {
        one.original_payment_id: one.payment_id
        for one in database.postings.values()
        if one.kind is not PostingKind.PREPAYMENT_WITHDRAWN
    }
    for posting in database.postings.values():
        by_key = posting.key.kind is OperationKind.PAYMENT and posting.key in payment_keys
        reference = (posting.key.bank, posting.reference_no)
        if not by_key and reference not in references:
            continue
        state.postings[posting.payment_id] = posting
        state.payment_id_by_key[posting.key] = posting.payment_id
        state.payment_id_by_reference[reference] = posting.payment_id
        if posting.payment_id in undone_by:
            state.undone_by[posting.payment_id] = undone_by[posting.payment_id]
