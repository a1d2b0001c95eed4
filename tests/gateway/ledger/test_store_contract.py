"""The contract of `Store`, proved for PostgreSQL and for memory by the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gateway.database import CheckViolation, ConnectionLost, DatabaseError, UniqueViolation
from gateway.ledger import evidence as proof
from gateway.ledger.cutoff import cut_off
from gateway.ledger.decide import decide
from gateway.ledger.model import Customer, Effects, PostingKind, Receivable, SettledLine, State, reference_number
from gateway.ledger.store import CommitResult, Store, wanted_by
from gateway.ledger.store_memory import MemoryDatabase
from gateway.ledger.store_postgres import IDS_IN_BLOCK, PostgresStore, open_postgres_store
from gateway.operations import (
    BillEnquiry,
    BillSelection,
    OperationKind,
    OriginalReference,
    SignOff,
    SignOn,
)
from gateway.outcomes import (
    Approved,
    BillsFound,
    Declined,
    Outcome,
    PaymentState,
    PaymentStatus,
    Reason,
    Undo,
    UndoResult,
)
from protocols.money import Money

from .installations import (
    BANK,
    FIRST_DAY,
    NEXT_DAY,
    NOW,
    PAID_AT,
    PARTITIONS,
    RULES,
    Installation,
    at_home,
    bill,
    cancel,
    customer,
    deposit,
    evidence,
    key,
    of_trace,
    payment,
    reversal,
    run_batch,
    status,
    with_posting,
    write_batch,
)

HOME = 1
ALICE, BOB, NOBODY, CAROL = (at_home(HOME, n) for n in range(4))


class MemoryWorld:
    def __init__(self) -> None:
        self.database = MemoryDatabase(HOME, FIRST_DAY)

    async def open(self) -> Store:
        return await self.database.open()

    async def seed(self, customers: list[Customer], receivables: list[Receivable]) -> None:
        self.database.customers.update((one.customer_no, one) for one in customers)
        self.database.receivables.update((one.receivable_id, one) for one in receivables)

    async def open_day(self, day: date) -> None:
        await self.database.open_clearing_day(day)

    async def requests(self) -> list[tuple[OperationKind, bytes]]:
        return [(one.key.kind, one.evidence.request) for one in self.database.evidence]

    async def close(self) -> None:
        pass


class PostgresWorld:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.stores: list[PostgresStore] = []

    async def open(self) -> Store:
        self.stores.append(await open_postgres_store(self.installation.gateway_dsn, HOME, PARTITIONS, "CNY"))
        return self.stores[-1]

    async def seed(self, customers: list[Customer], receivables: list[Receivable]) -> None:
        await self.installation.seed(customers, receivables)

    async def open_day(self, day: date) -> None:
        await cut_off(self.installation.gateway_dsn, PARTITIONS, day)

    async def requests(self) -> list[tuple[OperationKind, bytes]]:
        rows = await self.installation.admin.fetch("SELECT kind, request FROM ledger_01.evidence ORDER BY evidence_id")
        return [(OperationKind(row["kind"]), proof.unpack(row["request"])) for row in rows]

    async def close(self) -> None:
        for store in self.stores:
            await store.close()


World = MemoryWorld | PostgresWorld


@pytest.fixture(params=["memory", "postgresql"])
async def world(request: pytest.FixtureRequest, installation: Installation) -> AsyncIterator[World]:
    made: World = MemoryWorld() if request.param == "memory" else PostgresWorld(installation)
    await made.seed(
        [customer(ALICE), customer(BOB, prepayment_fen=500)],
        [
            bill("A1", ALICE, month=202610),
            bill("A2", ALICE, 20_000),
            bill("B1", BOB),
        ],
    )
    yield made
    await made.close()


async def state_for(store: Store, *operations: Any) -> State:
    """What a batch of these operations sees; nothing is written."""
    await store.begin()
    wanted = wanted_by(operations)
    await store.lock(wanted.customer_nos)
    state = await store.load(wanted)
    await store.roll_back()
    return state


def named(*receivable_ids: str) -> BillSelection:
    return BillSelection(receivable_ids)


def enquiry(selection: BillSelection, customer_no: str = ALICE) -> BillEnquiry:
    return BillEnquiry(key(OperationKind.BILL_ENQUIRY, "Q"), customer_no, selection, PAID_AT)


async def test_what_is_committed_is_seen_by_the_next_batch(world: World) -> None:
    store = await world.open()
    first = payment("T1", ALICE, 10_000, named("A1"))
    (outcome,) = await run_batch(store, [first])
    assert isinstance(outcome, Approved)
    assert outcome.clearing_date == FIRST_DAY
    state = await state_for(await world.open(), payment("T1", ALICE, 10_000, named("A1")))
    assert state.partition == HOME
    assert state.clearing_date == FIRST_DAY
    assert state.customers == {ALICE: customer(ALICE)}
    paid = state.receivables[ALICE]["A1"]
    assert (paid.received_principal_fen, paid.received_penalty_fen) == (10_000, 0)
    assert paid.settled == (SettledLine(PAID_AT.date(), 10_000, 0),)
    record = state.records[first.key]
    assert (record.outcome, record.customer_no, record.fence) == (outcome, ALICE, False)
    assert outcome.reference_no == reference_number(HOME, record.payment_id or 0)


@pytest.mark.parametrize(
    ("selection", "loaded"),
    [
        (BillSelection(), {"A2"}),
        (named("A1"), {"A1", "A2"}),
        (named("A2"), {"A2"}),
        (BillSelection(billing_month=202610), {"A1", "A2"}),
        (named("B1"), {"A2"}),
        (named("nothing"), {"A2"}),
    ],
)
async def test_open_bills_and_named_ones_are_loaded(world: World, selection: BillSelection, loaded: set[str]) -> None:
    store = await world.open()
    await run_batch(store, [payment("T1", ALICE, 10_000, named("A1"))])
    state = await state_for(store, enquiry(selection))
    assert set(state.receivables[ALICE]) == loaded
    assert set(state.receivables) == {ALICE}


async def test_a_bill_that_an_undoing_left_open_in_its_penalty_alone_is_loaded(world: World) -> None:
    """Overdue by 36 days, penalty 3.60: 1.00 of it, then the rest with the principal; then the 1.00 is reversed."""
    await world.seed([], [replace(bill("A0", ALICE), due_date=date(2026, 10, 20))])
    store = await world.open()
    await run_batch(store, [payment("T1", ALICE, 100, named("A0")), payment("T2", ALICE, 10_260, named("A0"))])
    assert "A0" not in (await state_for(store, enquiry(BillSelection()))).receivables[ALICE]
    await run_batch(store, [reversal("U1", ALICE, of_trace("T1"), 100)])
    ask = enquiry(BillSelection())
    state = await state_for(store, ask)
    assert (state.receivables[ALICE]["A0"].outstanding_principal_fen, len(state.receivables[ALICE]["A0"].settled)) == (
        0,
        3,
    )
    outcome, _ = decide(state, ask, RULES, NOW)
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, BillsFound)
    assert [(one.receivable_id, one.penalty) for one in outcome.detail.bills if not one.principal.minor] == [
        ("A0", Money(100))
    ]


async def test_originals_are_loaded_by_trace_and_by_reference(world: World) -> None:
    store = await world.open()
    first, second = payment("T1", ALICE, 10_000, named("A1")), payment("T2", ALICE, 20_000, named("A2"))
    outcomes = await run_batch(store, [first, second])
    (undone,) = await run_batch(store, [reversal("U1", ALICE, of_trace("T1"))])
    assert isinstance(undone, Approved)
    references = [outcome.reference_no for outcome in outcomes if isinstance(outcome, Approved)]
    assert None not in references
    by_reference = OriginalReference(reference_no=references[1])
    state = await state_for(
        store,
        status("S1", ALICE, of_trace("T1")),
        status("S2", ALICE, by_reference),
        status("S3", ALICE, of_trace("X")),
    )
    by_trace = state.postings[state.payment_id_by_key[first.key]]
    other = state.postings[state.payment_id_by_reference[BANK, str(references[1])]]
    assert len(state.postings) == 2
    assert [(line.receivable_id, line.principal_fen) for line in by_trace.lines] == [("A1", 10_000)]
    assert [(line.receivable_id, line.principal_fen) for line in other.lines] == [("A2", 20_000)]
    assert by_trace.paid_at == PAID_AT
    assert by_trace.key == first.key
    assert set(state.undone_by) == {by_trace.payment_id}
    assert state.records[first.key].payment_id == by_trace.payment_id
    assert set(state.receivables[ALICE]) == {"A1", "A2"}, "what an original settled is loaded although it is paid"


async def test_a_deposit_is_found_under_a_payments_key(world: World) -> None:
    await world.seed([customer(CAROL)], [])
    store = await world.open()
    first = deposit("D1", CAROL, 5_000)
    (outcome,) = await run_batch(store, [first])
    assert isinstance(outcome, Approved)
    state = await state_for(store, reversal("U1", CAROL, of_trace("D1"), 5_000))
    posting = state.postings[state.payment_id_by_key[first.key]]
    assert (posting.kind, posting.key, posting.prepayment_movement_fen, posting.lines) == (
        PostingKind.PREPAYMENT_DEPOSIT,
        first.key,
        5_000,
        (),
    )
    assert state.customers[CAROL].prepayment_balance_fen == 5_000
    (undone,) = await run_batch(store, [reversal("U1", CAROL, of_trace("D1"), 5_000)])
    assert isinstance(undone, Approved)
    state = await state_for(store, status("S1", CAROL, of_trace("D1")))
    assert (state.customers[CAROL].prepayment_balance_fen, set(state.undone_by)) == (0, {posting.payment_id})
    assert [kind for kind, _ in await world.requests()] == [OperationKind.PAYMENT, OperationKind.REVERSAL]


async def test_another_banks_reference_finds_nothing(world: World) -> None:
    store = await world.open()
    (outcome,) = await run_batch(store, [payment("T1", ALICE, 10_000, named("A1"), bank="OTHER")])
    assert isinstance(outcome, Approved)
    state = await state_for(store, status("S1", ALICE, OriginalReference(reference_no=outcome.reference_no)))
    assert state.postings == {}


async def test_history_is_in_the_order_of_booking(world: World) -> None:
    """Two sessions have reserved ids of their own, so that the later posting has the smaller number."""
    first, second = await world.open(), await world.open()
    await run_batch(first, [payment("T0", BOB, 1_000)])
    await run_batch(second, [payment("T1", ALICE, 3_000, named("A2"))])
    await run_batch(first, [payment("T2", ALICE, 2_000, named("A2"))])
    await run_batch(second, [reversal("U1", ALICE, of_trace("T1"), 3_000)])
    await run_batch(second, [payment("T3", ALICE, 1_000, named("A2"))])
    state = await state_for(second, enquiry(BillSelection()))
    assert [line.principal_fen for line in state.receivables[ALICE]["A2"].settled] == [3_000, 2_000, -3_000, 1_000]
    assert state.receivables[ALICE]["A1"].settled == ()


async def test_a_held_customer_is_told_and_not_waited_for(world: World) -> None:
    first, second = await world.open(), await world.open()
    await first.begin()
    assert await first.lock([ALICE, NOBODY]) == frozenset()
    await second.begin()
    assert await second.lock(sorted([ALICE, BOB, NOBODY])) == {ALICE}
    await second.roll_back()
    await first.roll_back()
    await second.begin()
    assert await second.lock(sorted([ALICE, BOB])) == frozenset()
    await second.roll_back()


@pytest.mark.parametrize("end", ["commit", "roll_back", "close"])
async def test_the_end_of_a_transaction_frees_its_customers(world: World, end: str) -> None:
    first, second = await world.open(), await world.open()
    await first.begin()
    await first.lock([ALICE])
    await getattr(first, end)()
    async with asyncio.timeout(10):
        while True:  # a session that was cut off ends a moment later
            await second.begin()
            held = await second.lock([ALICE])
            await second.roll_back()
            if not held:
                break
            assert end == "close"
            await asyncio.sleep(0.01)


async def test_state_is_read_after_the_lock(world: World) -> None:
    """What another session committed between our begin and our lock is seen."""
    first, second = await world.open(), await world.open()
    operation = payment("T1", ALICE, 10_000, named("A1"))
    await first.begin()
    await run_batch(second, [operation])
    wanted = wanted_by([operation])
    assert await first.lock(wanted.customer_nos) == frozenset()
    state = await first.load(wanted)
    assert operation.key in state.records
    assert state.receivables[ALICE]["A1"].received_principal_fen == 10_000
    await first.roll_back()


async def test_what_is_rolled_back_never_was_and_wastes_no_number(world: World) -> None:
    store = await world.open()
    (gone,) = await write_batch(store, [payment("T1", ALICE, 10_000, named("A1"))])
    await store.roll_back()
    (outcome,) = await run_batch(store, [payment("T2", ALICE, 10_000, named("A1"))])
    assert isinstance(outcome, Approved)
    assert isinstance(gone.outcome, Approved)
    assert outcome.reference_no == gone.outcome.reference_no
    assert (await state_for(store, payment("T1", ALICE))).records == {}


async def test_a_session_keeps_its_numbers_for_the_next_batch(world: World) -> None:
    store = await world.open()
    numbers = []
    for trace in range(3):
        (outcome,) = await run_batch(store, [payment(f"T{trace}", ALICE, 100, named("A2"))])
        assert isinstance(outcome, Approved)
        numbers.append(int(outcome.reference_no or 0))
    assert [number - numbers[0] for number in numbers] == [0, 1, 2]


async def test_a_batch_larger_than_a_block_has_numbers_enough(world: World) -> None:
    store = await world.open()
    many = [payment(f"T{n:04d}", ALICE, 10, named("A2")) for n in range(IDS_IN_BLOCK + 10)]
    outcomes = await run_batch(store, many)
    assert all(isinstance(outcome, Approved) for outcome in outcomes)
    assert len({outcome.reference_no for outcome in outcomes if isinstance(outcome, Approved)}) == len(many)


async def test_a_key_goes_in_once(world: World) -> None:
    """A customer who does not exist can't be locked: there the key itself keeps two sessions apart."""
    first, second = await world.open(), await world.open()
    operation = payment("T1", NOBODY)
    decided = await write_batch(first, [operation])
    assert isinstance(decided[0].outcome, Declined)
    other = asyncio.create_task(write_batch(second, [operation]))
    await asyncio.sleep(0.05)
    assert await first.commit() is CommitResult.COMMITTED
    result = (await asyncio.gather(other, return_exceptions=True))[0]
    if isinstance(result, UniqueViolation):
        assert result.constraint == "operation_once"
        await second.roll_back()
    else:
        assert await second.commit() is CommitResult.ABORTED
    assert await run_batch(second, [operation]) == [decided[0].outcome]


async def test_the_clearing_day_stands_still_during_a_batch(world: World) -> None:
    store, other = await world.open(), await world.open()
    decided = await write_batch(store, [payment("T1", ALICE, 10_000, named("A1"))])
    moving = asyncio.create_task(world.open_day(NEXT_DAY))
    await asyncio.sleep(0.1)
    assert not moving.done()
    assert await store.commit() is CommitResult.COMMITTED
    await moving
    assert isinstance(decided[0].outcome, Approved)
    assert decided[0].outcome.clearing_date == FIRST_DAY
    for one in (store, other):
        assert (await state_for(one, payment("T2", ALICE))).clearing_date == NEXT_DAY


async def test_the_latest_sign_event_wins(world: World) -> None:
    store = await world.open()
    on, off = key(OperationKind.SIGN_ON, "1"), key(OperationKind.SIGN_OFF, "2")
    again = key(OperationKind.SIGN_ON, "3")
    expected = {}
    for event, signed_on in ((SignOn(on), True), (SignOff(off), False), (SignOn(again), True)):
        await run_batch(store, [event])
        state = await state_for(await world.open(), payment("T1", ALICE), payment("T2", ALICE, bank="OTHER"))
        expected[signed_on] = state.signed_on.get(BANK, False)
        assert not state.signed_on.get("OTHER", False)
    assert expected == {True: True, False: False}


async def test_a_fence_is_kept_with_who_left_it(world: World) -> None:
    store = await world.open()
    (outcome,) = await run_batch(store, [reversal("U1", ALICE, of_trace("T1"))])
    assert isinstance(outcome, Approved)
    assert outcome.detail == Undo(UndoResult.NOTHING_TO_UNDO, None)
    late = payment("T1", ALICE, 10_000, named("A1"))
    fence = (await state_for(store, late)).records[late.key]
    assert fence.fence
    assert fence.fenced_by == key(OperationKind.REVERSAL, "U1")
    (refused,) = await run_batch(store, [late])
    assert isinstance(refused, Declined)
    assert refused.reason is Reason.FENCED
    (found,) = await run_batch(store, [status("S1", ALICE, of_trace("T1"), fence=True)])
    assert isinstance(found, Approved)
    assert isinstance(found.detail, PaymentStatus)
    assert found.detail.state is PaymentState.FENCED


async def test_a_payment_and_its_cancel_in_one_batch(world: World) -> None:
    store = await world.open()
    operations = [
        payment("T1", ALICE, 10_000, named("A1")),
        cancel("C1", ALICE, of_trace("T1")),
        payment("T2", ALICE, 10_000, named("A1")),
    ]
    outcomes = await run_batch(store, operations)
    assert all(isinstance(outcome, Approved) for outcome in outcomes)
    state = await state_for(await world.open(), status("S1", ALICE, of_trace("T1")), enquiry(named("A1")))
    assert len(state.undone_by) == 1
    assert [line.principal_fen for line in state.receivables[ALICE]["A1"].settled] == [10_000, -10_000, 10_000]
    assert await run_batch(store, operations) == outcomes, "a repetition is answered from the records"


async def test_prepayment_moves_the_balance(world: World) -> None:
    store = await world.open()
    (outcome,) = await run_batch(store, [payment("T1", BOB, 12_345)])
    assert isinstance(outcome, Approved)
    state = await state_for(store, enquiry(BillSelection(), BOB))
    assert state.customers[BOB].prepayment_balance_fen == 500 + 2_345


def spoilt(constraint: str) -> Callable[..., tuple[Outcome, Effects]]:
    """A `decide` with a fault that only the database's constraints catch."""

    def decide_badly(state: State, operation: Any, rules: Any, now: Any, trace_id: str = "") -> tuple[Outcome, Effects]:
        outcome, effects = decide(state, operation, rules, now, trace_id)
        if constraint == "payment_amount_positive":
            return outcome, with_posting(effects, amount_fen=0)
        (row,) = effects.receivables
        return outcome, replace(effects, receivables=(replace(row, received_principal_fen=row.principal_fen + 1),))

    return decide_badly


@pytest.mark.parametrize("constraint", ["payment_amount_positive", "receivable_received_within_principal"])
async def test_a_broken_row_is_refused_and_the_session_lives(world: World, constraint: str) -> None:
    store = await world.open()
    operation = payment("T1", ALICE, 10_000, named("A1"))
    with pytest.raises(CheckViolation) as caught:
        await write_batch(store, [operation], decide_with=spoilt(constraint))
    assert caught.value.constraint == constraint
    await store.roll_back()
    (outcome,) = await run_batch(store, [operation])
    assert isinstance(outcome, Approved)


async def test_only_requests_that_move_money_are_kept_refused_ones_too(world: World) -> None:
    store = await world.open()
    await run_batch(
        store,
        [
            payment("T1", ALICE, 10_000, named("A1")),
            payment("T2", NOBODY),
            status("S1", ALICE, of_trace("T1")),
            status("S2", ALICE, of_trace("T9"), fence=True),
            reversal("U1", ALICE, of_trace("T1")),
            SignOn(key(OperationKind.SIGN_ON, "1")),
        ],
    )
    kept = await world.requests()
    assert [kind.value for kind, _ in kept] == ["PAYMENT", "PAYMENT", "STATUS_ENQUIRY", "REVERSAL"]
    assert {request for _, request in kept} == {evidence().request}


async def test_a_closed_session_is_lost(world: World) -> None:
    store = await world.open()
    await store.begin()
    await store.close()
    with pytest.raises(ConnectionLost):
        await store.lock([ALICE])
    assert await store.commit() is CommitResult.UNKNOWN
    await store.roll_back()


async def test_a_customer_in_a_foreign_partition_is_not_served(installation: Installation) -> None:
    """Home is permanent and checked inside the transaction, here on PostgreSQL where a mistake could put a row."""
    stray = at_home(0)
    await installation.admin.execute(
        "INSERT INTO ledger_01.customer SELECT $1::text, $1::text, '', '', 'O', '03', '201', false, 0, now()", stray
    )
    store = await open_postgres_store(installation.gateway_dsn, HOME, PARTITIONS, "CNY")
    with pytest.raises(Exception, match="not the home"):
        await write_batch(store, [payment("T1", stray)])
    await store.close()


async def test_a_failed_transaction_does_not_commit(installation: Installation) -> None:
    store = await open_postgres_store(installation.gateway_dsn, HOME, PARTITIONS, "CNY")
    await store.begin()
    with pytest.raises(DatabaseError):
        await store.connection.execute("SELECT 1 / 0")
    assert await store.commit() is CommitResult.ABORTED
    await store.close()
