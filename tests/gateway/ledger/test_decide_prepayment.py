"""Prepayment deposits: every refusal, the entries of the success, and that a deposit is undone and asked about like a
payment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.ledger.model import NOTHING, Account, Entry, PostingKind
from gateway.ledger.rules import DepositWithArrears, Rules
from gateway.operations import OperationKind, PrepaymentDeposit
from gateway.outcomes import (
    Approved,
    Declined,
    PaymentState,
    PaymentStatus,
    Reason,
    Receipt,
    ReceiptLine,
    Undo,
    UndoResult,
)
from protocols.money import Money

from .worlds import BANK, CUSTOMER, World, bill, by_trace, customer, day, three_bills

APPLY_FIRST = Rules(deposit_with_arrears=DepositWithArrears.APPLY_FIRST)


def balance_of(world: World) -> int:
    return world.state.customers[CUSTOMER].prepayment_balance_fen


def test_a_deposit_goes_to_prepayment() -> None:
    world = World.of(customers=[customer(prepayment_fen=1_000)])
    outcome, effects = world.do(world.deposit(5_000))
    assert outcome == Approved(day("2024-05-20"), "030000000001", Money(5_000), Receipt((), Money(5_000)))
    assert effects.entries == (Entry(Account.DUE_FROM_BANK, 5_000), Entry(Account.PREPAYMENT, -5_000))
    posting = effects.posting
    assert posting is not None
    assert (posting.kind, posting.signed_fen, posting.lines) == (PostingKind.PREPAYMENT_DEPOSIT, 5_000, ())
    assert (posting.prepayment_opening_fen, posting.prepayment_closing_fen) == (1_000, 6_000)
    assert balance_of(world) == 6_000


@pytest.mark.parametrize(
    ("deposit", "rules", "bills", "reason"),
    [
        ({"amount_fen": 0}, Rules(), True, Reason.AMOUNT_INVALID),
        ({"amount_fen": -1}, Rules(), True, Reason.AMOUNT_INVALID),
        ({"owner": "9"}, Rules(prepayment_enabled=False), True, Reason.BAD_OPERATION),
        ({"owner": "9"}, Rules(), True, Reason.CUSTOMER_NOT_FOUND),
        ({}, Rules(), True, Reason.ARREARS_EXIST),
        ({}, replace(APPLY_FIRST, prepayment_enabled=False), True, Reason.BAD_OPERATION),
    ],
)
def test_refusals_in_their_order(deposit: dict[str, object], rules: Rules, bills: bool, reason: Reason) -> None:
    world = World.of(three_bills() if bills else [], rules=rules)
    operation = world.deposit(**{"amount_fen": 100, **deposit})  # type: ignore[arg-type]
    outcome, effects = world.do(operation)
    assert isinstance(outcome, Declined)
    assert outcome.reason is reason
    assert not effects.bookings
    assert [record.key for record in effects.records] == [operation.key], "a final refusal uses the key up"


def test_another_currency_is_refused() -> None:
    world = World.of()
    outcome = world.answer(replace(world.deposit(100), amount=Money(100, "USD")))
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.AMOUNT_INVALID


@pytest.mark.parametrize("locked", [False, True])
def test_any_open_bill_is_arrears_due_or_not(locked: bool) -> None:
    world = World.of([bill("R05", 202405, 40_000, "2024-05-25", locked=locked)])
    outcome = world.answer(world.deposit(100))
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.ARREARS_EXIST


@pytest.mark.parametrize(
    ("amount_fen", "settled", "prepayment_fen"),
    [
        (5_000, [("R03", 0, 5_000)], 0),
        (55_600, [("R03", 50_000, 5_600)], 0),
        (80_000, [("R03", 50_000, 5_600), ("R04", 22_900, 1_500)], 0),
        (130_000, [("R03", 50_000, 5_600), ("R04", 30_000, 1_500), ("R05", 40_000, 0)], 2_900),
    ],
)
def test_arrears_first(amount_fen: int, settled: list[tuple[str, int, int]], prepayment_fen: int) -> None:
    world = World.of(three_bills(), rules=APPLY_FIRST)
    outcome, effects = world.do(world.deposit(amount_fen))
    lines = tuple(
        ReceiptLine(name, 202400 + int(name[1:]), Money(principal), Money(penalty))
        for name, principal, penalty in settled
    )
    assert outcome == Approved(
        day("2024-05-20"), "030000000001", Money(amount_fen), Receipt(lines, Money(prepayment_fen))
    )
    assert effects.posting is not None
    assert effects.posting.kind is PostingKind.PREPAYMENT_DEPOSIT
    assert balance_of(world) == prepayment_fen


def test_arrears_first_passes_by_bills_in_a_batch() -> None:
    world = World.of(three_bills(), rules=APPLY_FIRST)
    world.change_bill("R03", locked=True)
    _, effects = world.do(world.deposit(31_500 + 40_000 + 700))
    assert effects.posting is not None
    assert [line.receivable_id for line in effects.posting.lines] == ["R04", "R05"]
    assert balance_of(world) == 700


def test_arrears_first_leaves_a_bill_that_must_be_paid_whole() -> None:
    world = World.of(three_bills(partial=False), rules=APPLY_FIRST)
    _, effects = world.do(world.deposit(80_000))
    assert effects.posting is not None
    assert [line.receivable_id for line in effects.posting.lines] == ["R03"]
    assert balance_of(world) == 80_000 - 55_600


def test_a_deposit_has_the_key_of_a_payment() -> None:
    world = World.of(customers=[customer(), customer("2")])
    deposit = world.deposit(5_000, trace="000123")
    first = world.answer(deposit)
    assert world.do(deposit) == (first, NOTHING)
    duplicate = Declined(Reason.DUPLICATE_TRACE, clearing_date=day("2024-05-20"))
    assert world.do(world.payment(5_000, trace="000123")) == (duplicate, NOTHING)
    assert world.do(replace(deposit, amount=Money(5_001))) == (duplicate, NOTHING)
    with pytest.raises(ValueError, match="kind"):
        PrepaymentDeposit(
            replace(deposit.key, kind=OperationKind.REVERSAL),
            CUSTOMER,
            deposit.amount,
            deposit.paid_at,
            deposit.channel,
            deposit.settle_method,
        )


def test_a_deposit_needs_sign_on() -> None:
    world = World.of(rules=Rules(sign_on_required=frozenset({BANK})))
    assert world.do(world.deposit(1)) == (Declined(Reason.NOT_SIGNED_ON, clearing_date=day("2024-05-20")), NOTHING)


@pytest.mark.parametrize(
    ("verb", "clearing", "result"),
    [
        ("cancel", "2024-05-20", UndoResult.DONE_SAME_DAY),
        ("reversal", "2024-05-20", UndoResult.DONE_SAME_DAY),
        ("reversal", "2024-05-21", UndoResult.DONE_NEXT_DAY),
    ],
)
def test_a_deposit_is_undone_like_a_payment(verb: str, clearing: str, result: UndoResult) -> None:
    world = World.of(three_bills(), rules=APPLY_FIRST)
    before = dict(world.state.receivables[CUSTOMER])
    deposit = world.deposit(130_000)
    booked = world.answer(deposit)
    assert isinstance(booked, Approved)
    world.cut_off(clearing)
    undone, effects = world.do(getattr(world, verb)(by_trace(deposit), 130_000))
    assert isinstance(undone, Approved)
    assert undone.detail == Undo(result, booked.reference_no)
    assert sum(entry.amount_fen for entry in effects.entries if entry.account is Account.DUE_FROM_BANK) == -130_000
    assert balance_of(world) == 0
    for receivable_id, row in before.items():
        now = world.bill(receivable_id)
        assert (now.received_principal_fen, now.received_penalty_fen) == (0, 0)
        assert replace(now, settled=()) == row
    again = world.answer(getattr(world, verb)(by_trace(deposit), 130_000))
    assert isinstance(again, Declined)
    assert again.reason is Reason.ALREADY_REVERSED


def test_a_deposit_is_asked_about_like_a_payment() -> None:
    world = World.of()
    deposit = world.deposit(5_000)
    booked = world.answer(deposit)
    assert isinstance(booked, Approved)
    status = PaymentStatus(PaymentState.BOOKED, booked.reference_no, day("2024-05-20"), Money(5_000))
    assert world.answer(world.status(by_trace(deposit))) == Approved(day("2024-05-20"), detail=status)


def test_a_late_deposit_meets_its_fence() -> None:
    world = World.of()
    deposit = world.deposit(5_000)
    undone = world.answer(world.reversal(by_trace(deposit), 5_000))
    assert isinstance(undone, Approved)
    assert undone.detail == Undo(UndoResult.NOTHING_TO_UNDO, None)
    refused = world.answer(deposit)
    assert isinstance(refused, Declined)
    assert refused.reason is Reason.FENCED


def test_a_deposit_that_was_used_is_not_cancelled_by_a_teller() -> None:
    world = World.of()
    deposit = world.deposit(5_000)
    world.do(deposit)
    world.change_customer(prepayment_balance_fen=4_999)
    refused = world.answer(world.cancel(by_trace(deposit), 5_000))
    assert isinstance(refused, Declined)
    assert refused.reason is Reason.PREPAYMENT_USED
