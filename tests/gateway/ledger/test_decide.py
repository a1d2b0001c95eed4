"""Once, sign-on, records; and whole random days, of which no step may break the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.allocation import owed_on
from gateway.ledger.decide import decide
from gateway.ledger.model import NOTHING, PostingKind, SettledLine, SignEvent
from gateway.ledger.rules import CrossYearMode, Rules
from gateway.operations import (
    BillEnquiry,
    CustomerOperation,
    OperationKind,
    OriginalReference,
    Payment,
    Reversal,
    SameDayCancel,
    StatusEnquiry,
)
from gateway.outcomes import Approved, Declined, OutcomeClass, Reason, Receipt, Undo, class_of
from protocols.money import Money

from .worlds import BANK, CUSTOMER, NOW, World, bill, by_trace, customer, day, three_bills

SIGNED = Rules(sign_on_required=frozenset({BANK}))

# --- once


def test_a_resend_gets_the_stored_outcome_and_changes_nothing() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    first = world.answer(payment)
    world.cut_off("2024-05-21")
    assert world.do(payment) == (first, NOTHING)


def test_a_resend_of_a_refused_payment_stays_refused_when_it_would_pass_now() -> None:
    world = World.of()
    payment = world.payment(31_500, "R04")
    first = world.answer(payment)
    world.state.receivables[CUSTOMER] = {"R04": three_bills()[1]}
    assert world.do(payment) == (first, NOTHING)
    assert isinstance(first, Declined)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda p: replace(p, amount=Money(31_501)), id="amount"),
        pytest.param(lambda p: replace(p, customer_no="2"), id="customer"),
        pytest.param(lambda p: replace(p, paid_at=p.paid_at.replace(minute=31)), id="time of payment"),
        pytest.param(lambda p: replace(p, outlet="0202"), id="outlet"),
    ],
)
def test_other_content_under_a_used_key_is_a_duplicate_trace(change: Callable[[Payment], Payment]) -> None:
    world = World.of(three_bills(), [customer(), customer("2")])
    payment = world.payment(31_500, "R04")
    world.do(payment)
    outcome = Declined(Reason.DUPLICATE_TRACE, clearing_date=day("2024-05-20"))
    assert world.do(change(payment)) == (outcome, NOTHING)


def test_the_kind_is_part_of_the_key() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04", trace="000123")
    world.do(payment)
    key = replace(payment.key, kind=OperationKind.REVERSAL)
    outcome = world.answer(Reversal(key, CUSTOMER, by_trace(payment), payment.amount))
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, Undo)


def test_another_bank_may_use_the_same_trace() -> None:
    world = World.of(three_bills())
    assert isinstance(world.answer(world.payment(31_500, "R04", trace="1")), Approved)
    assert isinstance(world.answer(world.payment(55_600, "R03", trace="1", bank="CCB")), Approved)


def test_idempotence_comes_before_sign_on() -> None:
    world = World.of(three_bills(), rules=SIGNED)
    world.do(world.sign_on())
    payment = world.payment(31_500, "R04")
    first = world.answer(payment)
    world.do(world.sign_off())
    assert world.do(payment) == (first, NOTHING)


# --- sign-on


def ask_payment(world: World) -> CustomerOperation:
    return world.payment(0, owner="9")  # would be refused for two other reasons


def ask_enquiry(world: World) -> CustomerOperation:
    return world.enquiry(owner="9")


def ask_cancel(world: World) -> CustomerOperation:
    return world.cancel(OriginalReference(reference_no="1"), 1, owner="9")


@pytest.mark.parametrize("ask", [ask_payment, ask_enquiry, ask_cancel])
def test_business_waits_for_sign_on_and_keeps_its_key(ask: Callable[[World], CustomerOperation]) -> None:
    world = World.of(three_bills(), rules=SIGNED)
    operation = ask(world)
    refused = Declined(Reason.NOT_SIGNED_ON, clearing_date=day("2024-05-20"))
    assert world.do(operation) == (refused, NOTHING)
    world.do(world.sign_on())
    assert world.answer(operation) != refused
    other_bank = replace(operation, key=replace(operation.key, bank="CCB"))
    assert world.answer(other_bank) != refused


def test_sign_on_and_off_are_events_and_happen_once() -> None:
    world = World.of(rules=SIGNED)
    on, off = world.sign_on(), world.sign_off()
    outcome, effects = world.do(on)
    assert outcome == Approved(day("2024-05-20"))
    assert effects.sign_event == SignEvent(on.key, signed_on=True)
    assert [(record.key, record.customer_no) for record in effects.records] == [(on.key, "")]
    _, effects = world.do(off)
    assert effects.sign_event == SignEvent(off.key, signed_on=False)
    assert world.do(on) == (outcome, NOTHING)
    assert world.state.signed_on == {BANK: False}


def test_decide_leaves_the_state_as_it_is() -> None:
    world = World.of(three_bills())
    before = deepcopy(world.state)
    decide(world.state, world.payment(31_500, "R04"), world.rules, NOW)
    assert world.state == before


# --- random days

_BILLS = [
    bill("A1", 202311, 20_000, "2023-12-20"),
    bill("A2", 202403, 50_000, "2024-03-25", partial=False),
    bill("A3", 202404, 30_000, "2024-04-25"),
    bill("A4", 202405, 40_000, "2024-05-25"),
]
_DAYS = [day(text) for text in ("2024-05-10", "2024-05-20", "2024-06-10", "2025-02-01")]
_PAID = st.sampled_from(["2024-05-18", "2024-05-19", "2024-05-20"])
_EXTRA = st.sampled_from([-30_000, -100, -1, 0, 0, 0, 0, 1, 2_900])
_rules = st.builds(
    Rules,
    cross_year_mode=st.sampled_from(CrossYearMode),
    prepayment_enabled=st.booleans(),
    cap_at_principal=st.booleans(),
)


def _owed(world: World, named: tuple[str, ...], paid: str) -> int:
    bills = world.state.receivables[CUSTOMER]
    chosen = [bills[name] for name in named] or list(bills.values())
    return sum(one.owed_fen for one in owed_on(chosen, world.state.customers[CUSTOMER], day(paid), world.rules))


def _draw_payment(data: st.DataObject, world: World) -> Payment:
    """A payment that is often right: what is owed, sometimes less the balance, or somewhat off."""
    named = tuple(data.draw(st.lists(st.sampled_from(["A1", "A2", "A3", "A4"]), max_size=2, unique=True)))
    paid = data.draw(_PAID)
    amount_fen = _owed(world, named, paid) + data.draw(_EXTRA)
    if data.draw(st.booleans()):
        amount_fen -= world.state.customers[CUSTOMER].prepayment_balance_fen
    trace = data.draw(st.none() | st.sampled_from(["P1", "P2"]))
    return world.payment(amount_fen, *named, paid=paid, trace=trace)


def _draw_operation(data: st.DataObject, world: World, asked: list[Payment]) -> CustomerOperation:
    """A new payment, or something about one that was asked for, or that is not there yet."""
    what = data.draw(st.sampled_from(["pay", "pay", "pay", "cancel", "reverse", "reverse", "status", "fence", "look"]))
    if what == "pay" or not asked:
        asked.append(_draw_payment(data, world))
        return asked[-1]
    target = data.draw(st.sampled_from(asked))
    absent = OriginalReference(
        trace_date=target.key.trace_date, trace_no=data.draw(st.sampled_from(["P1", "P2", "P3"]))
    )
    original = data.draw(st.sampled_from([by_trace(target), by_trace(target), absent]))
    match what:
        case "cancel":
            return world.cancel(original, target.amount.minor)
        case "reverse":
            return world.reversal(original, target.amount.minor)
        case "look":
            return world.enquiry()
        case _:
            return world.status(original, fence=what == "fence")


def _check_resend(world: World, operation: CustomerOperation, answer: tuple[object, object]) -> None:
    """Asked at once again, everything is answered the same and changes nothing; only final answers used their key."""
    outcome, effects = answer
    assert world.do(operation) == (outcome, NOTHING)
    stored = operation.key in world.state.records
    if isinstance(operation, BillEnquiry) or (isinstance(operation, StatusEnquiry) and effects is NOTHING):
        assert not stored or isinstance(operation, StatusEnquiry)
    else:
        assert stored == (class_of(outcome) in (OutcomeClass.SUCCESS, OutcomeClass.FINAL_REFUSAL))  # type: ignore[arg-type]


def _standing_twin(world: World, opening: World) -> World:
    """The world as it would be had only the payments that stand ever happened."""
    twin = World.of(_BILLS, opening.state.customers.values(), world.rules)
    balance_fen = opening.state.customers[CUSTOMER].prepayment_balance_fen
    for posting in world.state.postings.values():
        if posting.kind is not PostingKind.PAYMENT or posting.payment_id in world.state.undone_by:
            continue
        balance_fen += posting.prepayment_movement_fen
        for line in posting.lines:
            row = twin.bill(line.receivable_id)
            twin.change_bill(
                line.receivable_id,
                received_principal_fen=row.received_principal_fen + line.principal_fen,
                received_penalty_fen=row.received_penalty_fen + line.penalty_fen,
                settled=(*row.settled, SettledLine(posting.paid_date, line.principal_fen, line.penalty_fen)),
            )
    twin.change_customer(prepayment_balance_fen=balance_fen)
    return twin


def _what_is_owed(world: World) -> list[list[tuple[str, int, int]]]:
    bills, one = world.state.receivables[CUSTOMER].values(), world.state.customers[CUSTOMER]
    return [
        [
            (owed.bill.receivable_id, owed.bill.outstanding_principal_fen, owed.penalty_fen)
            for owed in owed_on(bills, one, asked, world.rules)
        ]
        for asked in _DAYS
    ]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), rules=_rules, balance_fen=st.sampled_from([0, 0, 5_000, 200_000]))
def test_whatever_the_banks_send(data: st.DataObject, rules: Rules, balance_fen: int) -> None:
    """Payments, cancels, reversals, enquiries and fences in any order, over a cut-off; `World.do` checks each step."""
    world = World.of(_BILLS, [customer(prepayment_fen=balance_fen)], rules)
    opening = World.of(_BILLS, [customer(prepayment_fen=balance_fen)], rules)
    asked: list[Payment] = []
    for _ in range(data.draw(st.integers(1, 14))):
        operation = _draw_operation(data, world, asked)
        _check_resend(world, operation, world.do(operation))
        if data.draw(st.integers(0, 9)) == 0:
            world.cut_off("2024-05-21")
    twin = _standing_twin(world, opening)
    assert _what_is_owed(world) == _what_is_owed(twin)
    assert world.state.customers[CUSTOMER] == twin.state.customers[CUSTOMER]
    keys = Counter(posting.key for posting in world.state.postings.values())
    assert all(count == 1 for count in keys.values())
    fenced = [key for key, record in world.state.records.items() if record.fence]
    assert not set(fenced) & set(world.state.payment_id_by_key)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), rules=_rules)
def test_an_undone_payment_leaves_the_customer_as_an_untouched_twin(data: st.DataObject, rules: Rules) -> None:
    """Both worlds get the same payments; one also gets payments that are undone at once. Nobody can tell them apart."""
    world, twin = World.of(_BILLS, rules=rules), World.of(_BILLS, rules=rules)
    for _ in range(data.draw(st.integers(1, 6))):
        payment = replace(_draw_payment(data, world), key=world.key(OperationKind.PAYMENT))
        outcome = world.answer(payment)
        if data.draw(st.booleans()):
            kind, undoing = data.draw(
                st.sampled_from([(OperationKind.SAME_DAY_CANCEL, SameDayCancel), (OperationKind.REVERSAL, Reversal)])
            )
            undone = world.answer(undoing(world.key(kind), CUSTOMER, by_trace(payment), payment.amount))
            assert isinstance(undone, Approved) or isinstance(outcome, Declined)
        else:
            expected = twin.answer(payment)
            assert _receipt(outcome) == _receipt(expected)
        assert _what_is_owed(world) == _what_is_owed(twin)
        assert world.state.customers == twin.state.customers


def _receipt(outcome: object) -> Receipt | None:
    """What was settled, None if nothing: the reasons may differ, as a stale amount is one that was once right."""
    return outcome.detail if isinstance(outcome, Approved) and isinstance(outcome.detail, Receipt) else None
