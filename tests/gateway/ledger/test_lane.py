"""The lane on a store in memory: order, deadlines, faults at every step, and nobody answered before the commit."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.database import ConnectionLost, RetryTransaction
from gateway.ledger.decide import decide
from gateway.ledger.lane import Lane, LaneLimits
from gateway.ledger.model import Effects, PostingKind, State
from gateway.ledger.store import Decide
from gateway.ledger.store_memory import MemoryDatabase
from gateway.operations import OperationKind, Payment, SignOn
from gateway.outcomes import Approved, Declined, Outcome, Reason, Unknown
from protocols.money import Money

from .installations import (
    FIRST_DAY,
    NEXT_DAY,
    NOW,
    RULES,
    bill,
    cancel,
    customer,
    evidence,
    key,
    of_trace,
    payment,
    reversal,
    status,
    with_posting,
)

QUICK = LaneLimits(retry_pause_seconds=0.001, reconnect_first_seconds=0.001, reconnect_most_seconds=0.002)
STEPS = ["begin", "lock", "load", "write", "commit", "committed"]

Fault = Exception | asyncio.Event | Callable[[], Awaitable[None]] | None


class Faults:
    """A hook that counts steps, and fails or waits at chosen ones."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.plan: dict[str, list[Fault]] = {}

    def at(self, step: str, *what: Fault) -> None:
        """What happens the next times that `step` is reached; an event is waited for, a function called."""
        self.plan.setdefault(step, []).extend(what)

    async def __call__(self, step: str) -> None:
        self.seen[step] += 1
        await asyncio.sleep(0)
        planned = self.plan.get(step)
        fault = planned.pop(0) if planned else None
        if isinstance(fault, asyncio.Event):
            await fault.wait()
        elif callable(fault):
            await fault()
        elif fault is not None:
            raise fault


class Bench:
    """A partition with customers C0…, each with a bill of 100.00, and one lane."""

    def __init__(self, decide_with: Decide = decide, limits: LaneLimits = QUICK, customers: int = 10) -> None:
        self.faults = Faults()
        self.database = MemoryDatabase(0, FIRST_DAY, self.faults)
        for n in range(customers):
            self.database.customers[f"C{n}"] = customer(f"C{n}")
            self.database.receivables[f"R{n}"] = bill(f"R{n}", f"C{n}")
        self.decide_with = decide_with
        self.limits = limits
        self.lane = self.new_lane()

    def new_lane(self) -> Lane:
        return Lane("test", self.database.open, self.decide_with, rules=RULES, clock=lambda: NOW, limits=self.limits)

    async def __aenter__(self) -> Bench:
        await self.lane.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lane.stop(1)

    def submit(self, operation: Any, deadline: float | None = None) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.lane.submit(operation, evidence(), deadline))

    def payments_of(self, trace_no: str) -> int:
        return sum(
            one.key.trace_no == trace_no and one.kind is PostingKind.PAYMENT for one in self.database.postings.values()
        )


async def hold(bench: Bench, *customer_nos: str) -> Any:
    """Another session holds customers until it is rolled back."""
    other = await bench.database.open()
    await other.begin()
    assert await other.lock(list(customer_nos)) == frozenset()
    return other


def approved(outcome: Outcome) -> Approved:
    assert isinstance(outcome, Approved), outcome
    return outcome


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Declined | Unknown), outcome
    return outcome.reason


async def test_what_waits_shares_a_commit() -> None:
    async with Bench() as bench:
        outcomes = await asyncio.gather(*(bench.submit(payment(f"T{n}", f"C{n}")) for n in range(10)))
        assert all(isinstance(outcome, Approved) for outcome in outcomes)
        assert bench.faults.seen["commit"] <= 2
        assert len(bench.database.postings) == 10


async def test_a_batch_is_bounded() -> None:
    async with Bench(limits=replace(QUICK, batch_operations=4)) as bench:
        await asyncio.gather(*(bench.submit(payment(f"T{n}", f"C{n}")) for n in range(10)))
        assert bench.faults.seen["commit"] >= 3


@pytest.mark.parametrize("step", ["begin", "lock", "load", "write", "commit", "committed"])
async def test_nobody_is_answered_before_the_commit(step: str) -> None:
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at(step, gate)
        task = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.02)
        assert not task.done()
        gate.set()
        approved(await task)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        *((step, ConnectionLost("gone")) for step in STEPS),
        *((step, RetryTransaction("again")) for step in STEPS if not step.startswith("commit")),
    ],
)
async def test_a_fault_at_any_step_books_once(step: str, error: Exception) -> None:
    async with Bench() as bench:
        bench.faults.at(step, error, error, error)
        tasks = [bench.submit(payment(f"T{n}", f"C{n}")) for n in range(3)]
        outcomes = [approved(outcome) for outcome in await asyncio.gather(*tasks)]
        assert [bench.payments_of(f"T{n}") for n in range(3)] == [1, 1, 1]
        booked = {one.reference_no for one in bench.database.postings.values()}
        assert {outcome.reference_no for outcome in outcomes} == booked


async def test_a_resend_in_the_same_batch_gets_the_same_answer() -> None:
    async with Bench() as bench:
        first, second = bench.submit(payment("T1", "C1")), bench.submit(payment("T1", "C1"))
        assert await first == await second
        assert bench.payments_of("T1") == 1
        assert bench.faults.seen["commit"] == 1


async def test_other_content_under_the_same_key_is_refused() -> None:
    async with Bench() as bench:
        first, second = bench.submit(payment("T1", "C1")), bench.submit(payment("T1", "C2"))
        approved(await first)
        assert reason(await second) is Reason.DUPLICATE_TRACE


async def test_a_held_customer_does_not_stop_the_others() -> None:
    async with Bench() as bench:
        other = await hold(bench, "C1")
        held = bench.submit(payment("T1", "C1"))
        outcomes = await asyncio.gather(*(bench.submit(payment(f"T{n}", f"C{n}")) for n in range(2, 8)))
        assert all(isinstance(outcome, Approved) for outcome in outcomes)
        assert not held.done()
        await other.roll_back()
        approved(await held)


async def test_a_held_customer_is_in_progress_at_the_deadline() -> None:
    async with Bench() as bench:
        other = await hold(bench, "C1")
        outcome = await bench.submit(payment("T1", "C1"), asyncio.get_running_loop().time() + 0.05)
        assert outcome == Unknown(Reason.IN_PROGRESS)
        await other.roll_back()
        approved(await bench.submit(payment("T1", "C1")))


async def test_operations_of_a_held_customer_keep_their_order() -> None:
    """A reversal that overtook its payment would leave a tombstone, and the payment would be refused."""
    async with Bench() as bench:
        other = await hold(bench, "C1")
        pay = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.01)
        undo = bench.submit(reversal("U1", "C1", of_trace("T1")))
        await asyncio.sleep(0.01)
        again = bench.submit(payment("T2", "C1"))
        await asyncio.sleep(0.01)
        await other.roll_back()
        for task in (pay, undo, again):
            approved(await task)
        kinds = [one.kind for one in bench.database.postings.values()]
        assert kinds == [PostingKind.PAYMENT, PostingKind.REVERSAL, PostingKind.PAYMENT]


async def test_nobody_overtakes_an_operation_that_a_batch_had_no_room_for() -> None:
    async with Bench(limits=replace(QUICK, skipped_in_batch=1, retry_pause_seconds=0.02)) as bench:
        other = await hold(bench, "C1")
        pays = [bench.submit(payment(f"T{n}", "C1", 100)) for n in (1, 2)]
        reached = asyncio.Event()

        async def tell() -> None:
            reached.set()

        bench.faults.at("lock", None, None, tell)
        await reached.wait()
        undo = bench.submit(reversal("U2", "C1", of_trace("T2"), 100))
        await asyncio.sleep(0)
        await other.roll_back()
        for task in (*pays, undo):
            approved(await task)
        assert [one.kind.value for one in bench.database.postings.values()] == ["PAYMENT", "PAYMENT", "REVERSAL"]


async def test_nobody_overtakes_while_a_culprit_is_looked_for() -> None:
    """The customer is held when the payment's turn comes, and free again when its reversal's does."""
    async with Bench(failing_for("T0", break_a_rule)) as bench:
        other = await hold(bench, "C1")
        bench.faults.at("lock", None, None, None, other.roll_back)
        tasks = [bench.submit(one) for one in (payment("T0", "C0"), payment("T1", "C1"))]
        tasks.append(bench.submit(reversal("U1", "C1", of_trace("T1"))))
        culprit, pay, undo = await asyncio.gather(*tasks)
        assert reason(culprit) is Reason.SYSTEM_ERROR
        assert (approved(pay).amount, approved(undo).amount) == (Money(10_000), Money(10_000))


async def test_many_operations_of_held_customers_leave_room() -> None:
    limits = replace(QUICK, batch_operations=8, skipped_in_batch=4)
    async with Bench(limits=limits) as bench:
        other = await hold(bench, "C1", "C2")
        held = [bench.submit(payment(f"H{n}", f"C{1 + n % 2}", 100)) for n in range(40)]
        await asyncio.sleep(0.01)
        approved(await bench.submit(payment("T3", "C3")))
        await other.roll_back()
        for outcome in await asyncio.gather(*held):
            approved(outcome)


async def test_expired_before_the_first_attempt_is_not_booked_and_its_evidence_is_kept() -> None:
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("begin", gate)
        slow = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.005)
        late = bench.submit(payment("T2", "C2"), asyncio.get_running_loop().time() + 0.01)
        await asyncio.sleep(0.03)
        gate.set()
        assert reason(await late) is Reason.DEADLINE_PASSED
        approved(await slow)
        await bench.lane.stop()
        assert bench.payments_of("T2") == 0
        kept = {one.key.trace_no: one.outcome for one in bench.database.evidence}
        assert kept["T2"] == Declined(Reason.DEADLINE_PASSED)


async def test_after_an_unknown_commit_a_deadline_counts_no_more() -> None:
    """It may be booked: "not processed" would be a lie."""
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("committed", ConnectionLost("gone"))
        bench.faults.at("open", None, gate)
        bench.faults.plan["open"] = [gate]
        task = bench.submit(payment("T1", "C1"), asyncio.get_running_loop().time() + 0.02)
        await asyncio.sleep(0.05)
        assert not task.done()
        gate.set()
        approved(await task)
        assert bench.payments_of("T1") == 1


async def test_without_a_database_operations_expire_unbooked() -> None:
    async with Bench() as bench:
        bench.faults.at("begin", ConnectionLost("gone"))
        bench.faults.at("open", *[ConnectionLost("still gone")] * 50)
        outcome = await bench.submit(payment("T1", "C1"), asyncio.get_running_loop().time() + 0.01)
        assert outcome == Declined(Reason.DEADLINE_PASSED)
        assert not bench.lane.is_connected
        approved(await bench.submit(payment("T1", "C1")))
        assert bench.lane.is_connected


async def test_a_full_queue_is_overloaded() -> None:
    async with Bench(limits=replace(QUICK, queue_operations=3)) as bench:
        gate = asyncio.Event()
        bench.faults.at("begin", gate)
        tasks = [bench.submit(payment(f"T{n}", f"C{n}")) for n in range(6)]
        await asyncio.sleep(0.01)
        refused = [task for task in tasks if task.done()]
        assert [reason(task.result()) for task in refused] == [Reason.OVERLOADED] * 3
        gate.set()
        assert sum(isinstance(outcome, Approved) for outcome in await asyncio.gather(*tasks)) == 3


def failing_for(trace_no: str, fail: Callable[[Outcome, Effects], tuple[Outcome, Effects]]) -> Decide:
    def decide_badly(state: State, operation: Any, rules: Any, now: Any, trace_id: str) -> tuple[Outcome, Effects]:
        outcome, effects = decide(state, operation, rules, now, trace_id)
        return fail(outcome, effects) if operation.key.trace_no == trace_no else (outcome, effects)

    return decide_badly


def explode(_outcome: Outcome, _effects: Effects) -> tuple[Outcome, Effects]:
    raise KeyError("6222020200112233445")


def break_a_rule(outcome: Outcome, effects: Effects) -> tuple[Outcome, Effects]:
    return outcome, with_posting(effects, amount_fen=-1)


def take_a_wrong_number(outcome: Outcome, effects: Effects) -> tuple[Outcome, Effects]:
    return outcome, with_posting(effects, payment_id=999_999)


@pytest.mark.parametrize("fail", [explode, break_a_rule, take_a_wrong_number])
async def test_only_the_culprit_is_refused_and_its_evidence_is_kept(fail: Any, capsys: Any) -> None:
    async with Bench(failing_for("T4", fail)) as bench:
        tasks = {n: bench.submit(payment(f"T{n}", f"C{n}")) for n in range(8)}
        outcomes = {n: await task for n, task in tasks.items()}
        assert reason(outcomes.pop(4)) is Reason.SYSTEM_ERROR
        assert all(isinstance(outcome, Approved) for outcome in outcomes.values())
        assert bench.payments_of("T4") == 0
        assert len(bench.database.postings) == 7
        kept = [one.outcome for one in bench.database.evidence if one.key.trace_no == "T4"]
        assert kept == [Declined(Reason.SYSTEM_ERROR)]
        assert payment("T4", "C4").key not in bench.database.records, "the key may be used again"
    logged = capsys.readouterr()
    assert "operation failed" in logged.out + logged.err
    assert "6222020200112233445" not in logged.out + logged.err


async def test_a_culprit_is_found_although_the_database_goes_away_meanwhile() -> None:
    async with Bench(failing_for("T4", break_a_rule)) as bench:
        bench.faults.at("write", None, None, ConnectionLost("gone"), None, RetryTransaction("again"))
        outcomes = await asyncio.gather(*(bench.submit(payment(f"T{n}", f"C{n}")) for n in range(8)))
        assert [isinstance(outcome, Approved) for outcome in outcomes] == [n != 4 for n in range(8)]
        assert Counter(one.key.trace_no for one in bench.database.postings.values()).most_common(1)[0][1] == 1


async def test_a_caller_that_goes_away_changes_nothing() -> None:
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("commit", gate)
        task = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        approved(await bench.submit(payment("T1", "C1")))
        assert bench.payments_of("T1") == 1


async def test_stop_finishes_what_waits_and_takes_no_more() -> None:
    async with Bench() as bench:
        tasks = [bench.submit(payment(f"T{n}", f"C{n}")) for n in range(5)]
        await asyncio.sleep(0)
        await bench.lane.stop()
        for task in tasks:
            approved(await task)
        assert reason(await bench.lane.submit(payment("T9", "C9"), None)) is Reason.OVERLOADED


async def test_stop_is_bounded_and_leaves_nobody_waiting() -> None:
    async with Bench() as bench:
        bench.faults.at("commit", asyncio.Event())
        tasks = [bench.submit(payment("T1", "C1"))]
        await asyncio.sleep(0.01)
        tasks.append(bench.submit(payment("T2", "C2")))
        await asyncio.sleep(0)
        await bench.lane.stop(0.02)
        assert [await task for task in tasks] == [Unknown(Reason.TIMEOUT)] * 2


async def test_a_database_that_is_not_there_at_the_start_is_told() -> None:
    bench = Bench()
    bench.faults.at("open", ConnectionLost("nobody there"))
    with pytest.raises(ConnectionLost):
        await bench.lane.start()


async def test_sign_on_needs_no_customer() -> None:
    async with Bench() as bench:
        approved(await bench.submit(SignOn(key(OperationKind.SIGN_ON, "1"))))
        assert bench.database.signed_on == {"GZB": True}


async def test_an_enquiry_after_a_payment_in_flight_sees_it() -> None:
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("commit", gate)
        pay = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.01)
        ask = bench.submit(status("S1", "C1", of_trace("T1")))
        gate.set()
        paid = approved(await pay)
        detail = approved(await ask).detail
        assert getattr(detail, "reference_no", None) == paid.reference_no


async def test_the_cut_off_waits_for_a_batch_and_the_next_one_for_it() -> None:
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("commit", gate)
        before = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.01)
        moving = asyncio.create_task(bench.database.open_clearing_day(NEXT_DAY))
        after = bench.submit(payment("T2", "C2"))
        await asyncio.sleep(0.01)
        gate.set()
        await moving
        assert approved(await before).clearing_date == FIRST_DAY
        assert approved(await after).clearing_date == NEXT_DAY


async def test_a_fenced_lane_can_not_write() -> None:
    """After a crash the abandoned lane wakes up; a new one has done its work."""
    async with Bench() as bench:
        gate = asyncio.Event()
        bench.faults.at("commit", gate)
        old = bench.submit(payment("T1", "C1"))
        await asyncio.sleep(0.01)
        bench.database.crash()
        lane = bench.new_lane()
        await lane.start()
        new = approved(await lane.submit(payment("T1", "C1"), evidence()))
        gate.set()
        assert approved(await old).reference_no == new.reference_no
        assert bench.payments_of("T1") == 1
        await lane.stop()


def story(chooser: random.Random, customers: int) -> list[Any]:
    """Payments, resends, cancels and reversals of a few customers, some of things that were never sent."""
    operations: list[Any] = []
    for n in range(chooser.randint(5, 25)):
        who = f"C{chooser.randrange(customers)}"
        sent = [one for one in operations if isinstance(one, Payment)]
        match chooser.randrange(5):
            case 0 if sent:
                operations.append(chooser.choice(sent))
            case 1 if sent:
                target = chooser.choice(sent)
                operations.append(reversal(f"U{n}", target.customer_no, of_trace(target.key.trace_no), 2_000))
            case 2 if sent:
                target = chooser.choice(sent)
                operations.append(cancel(f"D{n}", target.customer_no, of_trace(target.key.trace_no), 2_000))
            case 3:
                operations.append(reversal(f"U{n}", who, of_trace(f"T{n + 1}"), 2_000))
            case _:
                operations.append(payment(f"T{n}", who, 2_000))
    return operations


async def played(seed: int) -> tuple[list[Outcome], MemoryDatabase]:
    chooser = random.Random(seed)
    bench = Bench(customers=3)
    errors: list[Exception | None] = [ConnectionLost("gone"), RetryTransaction("again"), None, None, None]
    for step in ("begin", "lock", "load", "write"):
        bench.faults.at(step, *(chooser.choice(errors) for _ in range(10)))
    for step in ("commit", "committed", "open"):
        bench.faults.at(step, *(chooser.choice([ConnectionLost("gone"), None, None]) for _ in range(10)))
    bench.faults.plan["open"].insert(0, None)
    async with bench, asyncio.timeout(60):
        tasks = []
        for operation in story(chooser, 3):
            tasks.append(bench.submit(operation))
            if chooser.random() < 0.4:
                await asyncio.sleep(0)
        return await asyncio.gather(*tasks), bench.database


@given(st.integers(min_value=0, max_value=2**32))
@settings(max_examples=60, deadline=None)
def test_whatever_breaks_every_answer_is_true(seed: int) -> None:
    outcomes, database = asyncio.run(played(seed))
    booked = {one.reference_no for one in database.postings.values()}
    told = {one.reference_no for one in outcomes if isinstance(one, Approved) and one.reference_no is not None}
    assert told == booked, "what is told is booked, and what is booked was told"
    assert not any(isinstance(outcome, Unknown) for outcome in outcomes)
    assert max(Counter(one.key for one in database.postings.values()).values(), default=1) == 1
    assert all(sum(entry.amount_fen for entry in entries) == 0 for entries in database.entries.values())
    for receivable in database.receivables.values():
        lines = [
            line.principal_fen
            for posting in database.postings.values()
            for line in posting.lines
            if line.receivable_id == receivable.receivable_id
        ]
        assert receivable.received_principal_fen == sum(lines)
