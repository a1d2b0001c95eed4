"""Same-day cancel, reversal and status enquiry: what they undo, what they fence, and one row for every refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.ledger.allocation import owed_on
from gateway.ledger.booking import BrokenLedgerError
from gateway.ledger.model import NOTHING, OperationRecord, Posting, PostingKind
from gateway.ledger.rules import Rules
from gateway.operations import (
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    Reversal,
    SameDayCancel,
    StatusEnquiry,
)
from gateway.outcomes import (
    Approved,
    Declined,
    Outcome,
    PaymentState,
    PaymentStatus,
    Reason,
    Undo,
    UndoResult,
    Unknown,
)
from protocols.money import Money

from .worlds import CUSTOMER, World, bill, by_reference, by_trace, customer, day, three_bills

TODAY = day("2024-05-20")
NOWHERE = OriginalReference(trace_date=TODAY, trace_no="NEVER")
Undoing = SameDayCancel | Reversal
Ask = Callable[[World, OriginalReference, int], Undoing]


def cancel(world: World, original: OriginalReference, amount_fen: int) -> Undoing:
    return world.cancel(original, amount_fen)


def reversal(world: World, original: OriginalReference, amount_fen: int) -> Undoing:
    return world.reversal(original, amount_fen)


def paid(world: World, amount_fen: int = 31_500, *named: str) -> tuple[Payment, str]:
    """A booked payment (of R04 unless bills are named) and its reference number."""
    payment = world.payment(amount_fen, *(named or ("R04",)))
    outcome = world.answer(payment)
    assert isinstance(outcome, Approved)
    assert outcome.reference_no is not None
    return payment, outcome.reference_no


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Declined)
    return outcome.reason


BOTH = pytest.mark.parametrize("ask", [cancel, reversal])


# --- undoing


@BOTH
def test_an_undo_is_the_original_with_its_sign_turned(ask: Ask) -> None:
    world = World.of(three_bills(), [customer(prepayment_fen=500)])
    payment = world.payment(130_000)
    _, booked = world.do(payment)
    original = booked.posting
    assert original is not None
    outcome, effects = world.do(ask(world, by_trace(payment), 130_000))
    undo = Undo(UndoResult.DONE_SAME_DAY, original.reference_no)
    assert outcome == Approved(TODAY, "030000000002", Money(130_000), undo)
    turned = [(entry.account, -entry.amount_fen, entry.receivable_id) for entry in booked.entries]
    assert [(entry.account, entry.amount_fen, entry.receivable_id) for entry in effects.entries] == turned
    posting = effects.posting
    assert isinstance(posting, Posting)
    assert posting.kind is (PostingKind.SAME_DAY_CANCEL if ask is cancel else PostingKind.REVERSAL)
    assert (posting.amount_fen, posting.signed_fen, posting.original_payment_id) == (130_000, -130_000, 1)
    assert (posting.paid_date, posting.channel, posting.trace_id) == (TODAY, payment.channel, "trace-1")
    assert (posting.prepayment_opening_fen, posting.prepayment_closing_fen) == (3_400, 500)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 500
    assert effects.records[0].payment_id == 2


@BOTH
def test_a_bill_undone_owes_what_it_owed(ask: Ask) -> None:
    world, twin = World.of(three_bills()), World.of(three_bills())
    payment, _ = paid(world, 24_400)
    world.do(ask(world, by_trace(payment), 24_400))
    for text in ("2024-05-19", "2024-05-20", "2024-06-30", "2025-01-31"):
        one = world.state.customers[CUSTOMER]
        after = owed_on(world.state.receivables[CUSTOMER].values(), one, day(text), Rules())
        before = owed_on(twin.state.receivables[CUSTOMER].values(), one, day(text), Rules())
        assert [(o.bill.receivable_id, o.owed_fen) for o in after] == [
            (o.bill.receivable_id, o.owed_fen) for o in before
        ]


@BOTH
def test_the_original_is_found_by_trace_by_reference_or_by_both(ask: Ask) -> None:
    world = World.of(three_bills())
    for name in ("trace", "reference", "both"):
        payment, reference_no = paid(world)
        original = {
            "trace": by_trace(payment),
            "reference": by_reference(reference_no),
            "both": OriginalReference(payment.key.trace_date, payment.key.trace_no, reference_no),
        }[name]
        assert isinstance(world.answer(ask(world, original, 31_500)), Approved), name


@BOTH
def test_drawn_prepayment_comes_back(ask: Ask) -> None:
    world = World.of(three_bills(), [customer(prepayment_fen=1_500)])
    payment, _ = paid(world, 30_000)
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 0
    world.do(ask(world, by_trace(payment), 30_000))
    assert world.state.customers[CUSTOMER].prepayment_balance_fen == 1_500


def test_a_bill_may_be_paid_again_after_its_cancel_and_cancelled_again() -> None:
    world = World.of(three_bills())
    for _ in range(3):
        payment, _ = paid(world)
        assert isinstance(world.answer(world.cancel(by_trace(payment), 31_500)), Approved)
    assert world.bill("R04").received_principal_fen == 0


def test_a_cancel_looks_only_at_what_came_after() -> None:
    world = World.of(three_bills())
    first, _ = paid(world, 5_000)
    second, _ = paid(world, 5_000)
    assert reason_of(world.answer(world.cancel(by_trace(first), 5_000))) is Reason.CANCEL_NOT_ALLOWED
    assert isinstance(world.answer(world.cancel(by_trace(second), 5_000)), Approved)
    assert isinstance(world.answer(world.cancel(by_trace(first), 5_000)), Approved)


def test_of_equal_payments_the_last_counts_as_undone() -> None:
    world = World.of(three_bills())
    paid(world, 5_000, "R05")
    middle, _ = paid(world, 6_000, "R05")
    equal, _ = paid(world, 5_000, "R05")
    world.do(world.reversal(by_trace(equal), 5_000))
    assert isinstance(world.answer(world.cancel(by_trace(middle), 6_000)), Approved)


# --- a reversal goes further than a cancel


def test_a_reversal_after_the_cut_off_is_booked_on_the_new_date() -> None:
    world = World.of(three_bills())
    payment, reference_no = paid(world)
    world.cut_off("2024-05-21")
    outcome, effects = world.do(world.reversal(by_trace(payment), 31_500))
    undo = Undo(UndoResult.DONE_NEXT_DAY, reference_no)
    assert outcome == Approved(day("2024-05-21"), "030000000002", Money(31_500), undo)
    assert effects.posting is not None
    assert effects.posting.kind is PostingKind.NEXT_DAY_REVERSAL
    assert (effects.posting.clearing_date, effects.posting.paid_date) == (day("2024-05-21"), TODAY)


def test_a_reversal_asks_for_no_sign_on() -> None:
    world = World.of(three_bills(), rules=Rules(sign_on_required=frozenset({"ICBC"})))
    world.do(world.sign_on())
    payment, _ = paid(world)
    world.do(world.sign_off())
    assert reason_of(world.answer(world.cancel(by_trace(payment), 31_500))) is Reason.NOT_SIGNED_ON
    assert isinstance(world.answer(world.reversal(by_trace(payment), 31_500)), Approved)


def test_a_reversal_is_not_stopped_by_a_lock_or_a_later_payment() -> None:
    world = World.of(three_bills())
    first, _ = paid(world, 10_000)
    paid(world, 21_500)
    world.change_bill("R04", locked=True)
    assert isinstance(world.answer(world.reversal(by_trace(first), 10_000)), Approved)
    # First: penalty 15.00 + principal 85.00; second: principal 215.00. What is left: principal 85.00, penalty 15.00.
    assert world.bill("R04").outstanding_principal_fen == 8_500
    world.change_bill("R04", locked=False)
    assert isinstance(world.answer(world.payment(10_000, "R04")), Approved)


# --- refusals, in order of precedence


def undone_already(world: World, ask: Ask) -> Undoing:
    payment, _ = paid(world)
    world.do(world.cancel(by_trace(payment), 31_500))
    return ask(world, by_trace(payment), 99)  # the amount differs too


def other_amount(world: World, ask: Ask) -> Undoing:
    payment, _ = paid(world)
    world.cut_off("2024-05-21")  # and it is too late for a cancel
    return ask(world, by_trace(payment), 31_499)


def prepayment_used(world: World, ask: Ask) -> Undoing:
    payment = world.payment(130_000)
    world.do(payment)
    world.change_customer(prepayment_balance_fen=2_899)
    world.change_bill("R03", locked=True)
    return ask(world, by_trace(payment), 130_000)


def other_customers(world: World, ask: Ask) -> Undoing:
    payment, _ = paid(world)
    undoing = ask(world, by_trace(payment), 31_500)
    return type(undoing)(undoing.key, "2", undoing.original, undoing.amount)


def other_banks(world: World, ask: Ask) -> Undoing:
    _, reference_no = paid(world)
    undoing = ask(world, by_reference(reference_no), 31_500)
    key = OperationKey("CCB", undoing.key.kind, undoing.key.trace_date, undoing.key.trace_no)
    return type(undoing)(key, CUSTOMER, undoing.original, undoing.amount)


def contradiction(world: World, ask: Ask) -> Undoing:
    payment, _ = paid(world)
    return ask(world, OriginalReference(payment.key.trace_date, payment.key.trace_no, "030000000099"), 31_500)


def unknown_reference(world: World, ask: Ask) -> Undoing:
    return ask(world, by_reference("030000000099"), 31_500)


def reference_of_a_cancel(world: World, ask: Ask) -> Undoing:
    payment, _ = paid(world)
    outcome = world.answer(world.cancel(by_trace(payment), 31_500))
    assert isinstance(outcome, Approved)
    assert outcome.reference_no is not None
    return ask(world, by_reference(outcome.reference_no), 31_500)


@BOTH
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (other_customers, Reason.ORIGINAL_NOT_FOUND),
        (other_banks, Reason.ORIGINAL_NOT_FOUND),
        (contradiction, Reason.ORIGINAL_NOT_FOUND),
        (unknown_reference, Reason.ORIGINAL_NOT_FOUND),
        (reference_of_a_cancel, Reason.ORIGINAL_NOT_FOUND),
        (undone_already, Reason.ALREADY_REVERSED),
        (other_amount, Reason.AMOUNT_DIFFERS),
        (prepayment_used, Reason.PREPAYMENT_USED),
    ],
)
def test_refused_to_both(ask: Ask, prepare: Callable[[World, Ask], Undoing], reason: Reason) -> None:
    world = World.of(three_bills(), [customer(), customer("2")])
    undoing = prepare(world, ask)
    postings = len(world.state.postings)
    outcome, effects = world.do(undoing)
    assert reason_of(outcome) is reason
    assert len(world.state.postings) == postings
    assert [record.key for record in effects.records] == [undoing.key]


def test_another_currency_is_another_amount() -> None:
    world = World.of(three_bills())
    payment, _ = paid(world)
    key = world.key(OperationKind.REVERSAL)
    outcome = world.answer(Reversal(key, CUSTOMER, by_trace(payment), Money(31_500, "USD")))
    assert reason_of(outcome) is Reason.AMOUNT_DIFFERS


def no_customer(world: World) -> SameDayCancel:
    return world.cancel(NOWHERE, 1, owner="9")


def no_original(world: World) -> SameDayCancel:
    return world.cancel(NOWHERE, 1)


def refused_original(world: World) -> SameDayCancel:
    payment = world.payment(1, "R99")
    world.do(payment)
    return world.cancel(by_trace(payment), 1)


def past_day(world: World) -> SameDayCancel:
    payment, _ = paid(world)
    world.cut_off("2024-05-21")
    return world.cancel(by_trace(payment), 31_500)


def paid_again(world: World) -> SameDayCancel:
    payment, _ = paid(world, 10_000)
    paid(world, 21_500)
    world.change_bill("R04", locked=True)
    return world.cancel(by_trace(payment), 10_000)


def locked_since(world: World) -> SameDayCancel:
    payment, _ = paid(world)
    world.change_bill("R04", locked=True)
    return world.cancel(by_trace(payment), 31_500)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (no_customer, Reason.CUSTOMER_NOT_FOUND),
        (no_original, Reason.ORIGINAL_NOT_FOUND),
        (refused_original, Reason.ORIGINAL_NOT_FOUND),
        (past_day, Reason.CANCEL_NOT_ALLOWED),
        (paid_again, Reason.CANCEL_NOT_ALLOWED),
        (locked_since, Reason.LOCKED_IN_BATCH),
    ],
)
def test_refused_to_a_cancel_alone(prepare: Callable[[World], SameDayCancel], reason: Reason) -> None:
    world = World.of(three_bills())
    asked = prepare(world)
    outcome, effects = world.do(asked)
    assert reason_of(outcome) is reason
    assert [(record.key, record.fence) for record in effects.records] == [(asked.key, False)]


# --- nothing to undo, and the tombstone


def test_a_reversal_that_overtakes_its_payment_keeps_it_out() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    asked = world.reversal(by_trace(payment), 31_500)
    outcome, effects = world.do(asked)
    assert outcome == Approved(TODAY, detail=Undo(UndoResult.NOTHING_TO_UNDO, None))
    fence, own = effects.records
    assert fence == OperationRecord(payment.key, CUSTOMER, b"", Declined(Reason.FENCED), None, True, asked.key)
    assert (own.key, own.outcome, own.fence) == (asked.key, outcome, False)
    assert world.do(payment) == (Declined(Reason.FENCED), NOTHING)
    assert world.do(asked) == (outcome, NOTHING)


def test_a_reversal_of_what_is_fenced_or_refused_undoes_nothing_and_fences_nothing_more() -> None:
    world = World.of(three_bills())
    refused = world.payment(1, "R99")
    world.do(refused)
    fenced = world.payment(31_500, "R04")
    world.do(world.reversal(by_trace(fenced), 31_500))
    for payment in (refused, fenced):
        asked = world.reversal(by_trace(payment), payment.amount.minor)
        outcome, effects = world.do(asked)
        assert outcome == Approved(TODAY, detail=Undo(UndoResult.NOTHING_TO_UNDO, None))
        assert [record.key for record in effects.records] == [asked.key]


def test_a_reversal_needs_no_customer_to_fence() -> None:
    world = World.of(three_bills())
    asked = world.reversal(NOWHERE, 1, owner="9")
    assert world.answer(asked) == Approved(TODAY, detail=Undo(UndoResult.NOTHING_TO_UNDO, None))


def test_a_contradicting_reversal_still_fences_its_unused_trace() -> None:
    world = World.of(three_bills())
    _, reference_no = paid(world)
    late = world.payment(55_600, "R03")
    asked = world.reversal(OriginalReference(late.key.trace_date, late.key.trace_no, reference_no), 55_600)
    outcome, effects = world.do(asked)
    assert reason_of(outcome) is Reason.ORIGINAL_NOT_FOUND
    assert [(record.key, record.fence) for record in effects.records] == [(late.key, True), (asked.key, False)]
    assert reason_of(world.answer(late)) is Reason.FENCED


def test_a_payment_not_booked_for_now_can_be_fenced() -> None:
    world = World.of(three_bills(), rules=Rules(sign_on_required=frozenset({"ICBC"})))
    payment = world.payment(31_500, "R04")
    assert reason_of(world.answer(payment)) is Reason.NOT_SIGNED_ON
    world.do(world.reversal(by_trace(payment), 31_500))
    world.do(world.sign_on())
    assert reason_of(world.answer(payment)) is Reason.FENCED


# --- status enquiry


def status_of(outcome: Outcome) -> PaymentStatus:
    assert isinstance(outcome, Approved)
    assert isinstance(outcome.detail, PaymentStatus)
    return outcome.detail


@pytest.mark.parametrize("fence", [False, True])
def test_the_status_is_what_is_true_now(fence: bool) -> None:
    world = World.of(three_bills())
    payment, reference_no = paid(world)
    asked = world.status(by_trace(payment), fence=fence)
    booked = PaymentStatus(PaymentState.BOOKED, reference_no, TODAY, Money(31_500))
    outcome, effects = world.do(asked)
    assert (status_of(outcome), effects) == (booked, NOTHING)
    assert status_of(world.answer(world.status(by_reference(reference_no), fence=fence))) == booked
    world.do(world.reversal(by_trace(payment), 31_500))
    cancelled = PaymentStatus(PaymentState.CANCELLED, reference_no, TODAY, Money(31_500))
    assert (status_of(world.answer(asked)), world.do(asked)[1]) == (cancelled, NOTHING)


@pytest.mark.parametrize("fence", [False, True])
def test_the_status_of_what_was_refused_or_fenced(fence: bool) -> None:
    world = World.of(three_bills())
    refused = world.payment(1, "R99")
    world.do(refused)
    fenced = world.payment(31_500, "R04")
    world.do(world.reversal(by_trace(fenced), 31_500))
    one, effects = world.do(world.status(by_trace(refused), fence=fence))
    assert (status_of(one), effects) == (
        PaymentStatus(PaymentState.REFUSED, refusal=Reason.BILL_NOT_FOUND),
        NOTHING,
    )
    other, effects = world.do(world.status(by_trace(fenced), fence=fence))
    assert (status_of(other), effects) == (PaymentStatus(PaymentState.FENCED), NOTHING)


def test_not_found_is_unknown_and_consumes_no_key() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    asked = world.status(by_trace(payment))
    assert world.do(asked) == (Unknown(Reason.STATUS_UNKNOWN), NOTHING)
    assert isinstance(world.answer(payment), Approved)
    assert status_of(world.answer(asked)).state is PaymentState.BOOKED


def test_found_or_fenced() -> None:
    world = World.of(three_bills())
    payment = world.payment(31_500, "R04")
    asked = world.status(by_trace(payment), fence=True)
    outcome, effects = world.do(asked)
    assert status_of(outcome) == PaymentStatus(PaymentState.FENCED)
    assert [(record.key, record.fence, record.fenced_by) for record in effects.records] == [
        (payment.key, True, asked.key),
        (asked.key, False, None),
    ]
    assert reason_of(world.answer(payment)) is Reason.FENCED
    assert world.do(asked) == (outcome, NOTHING)
    again = world.status(by_trace(payment), fence=True)
    assert world.do(again) == (outcome, NOTHING)
    reused = StatusEnquiry(asked.key, CUSTOMER, NOWHERE, fence=True)
    assert reason_of(world.answer(reused)) is Reason.DUPLICATE_TRACE


@pytest.mark.parametrize("fence", [False, True])
@pytest.mark.parametrize("which", ["reference absent", "other customer", "contradiction", "other bank"])
def test_what_can_not_be_said_stays_unknown(which: str, fence: bool) -> None:
    world = World.of(three_bills(), [customer(), customer("2")])
    payment, reference_no = paid(world)
    asked = {
        "reference absent": lambda: world.status(by_reference("030000000099"), fence=fence),
        "other customer": lambda: world.status(by_trace(payment), fence=fence, owner="2"),
        "contradiction": lambda: world.status(OriginalReference(TODAY, "NEVER", reference_no), fence=fence),
        "other bank": lambda: world.status(by_reference(reference_no), fence=fence, bank="CCB"),
    }[which]()
    outcome, effects = world.do(asked)
    assert isinstance(outcome, Unknown)
    assert (outcome.reason, effects) == (Reason.STATUS_UNKNOWN, NOTHING)


# --- broken states are faults, not answers


def lose_posting(world: World) -> None:
    world.state.postings.clear()


def lose_index(world: World) -> None:
    world.state.postings.clear()
    world.state.payment_id_by_key.clear()
    world.state.payment_id_by_reference.clear()


def lose_bill(world: World) -> None:
    del world.state.receivables[CUSTOMER]["R04"]


def lose_customer(world: World) -> None:
    world.state.customers.clear()


def under_settle(world: World) -> None:
    world.state.receivables[CUSTOMER]["R04"] = bill("R04", 202404, 30_000, "2024-04-25")


@pytest.mark.parametrize("lose", [lose_posting, lose_index, lose_bill, lose_customer, under_settle])
def test_a_state_that_lacks_what_it_names_is_a_fault(lose: Callable[[World], None]) -> None:
    world = World.of(three_bills())
    payment, _ = paid(world)
    lose(world)
    with pytest.raises(BrokenLedgerError) as caught:
        world.do(world.reversal(by_trace(payment), 31_500))
    assert CUSTOMER not in str(caught.value)
