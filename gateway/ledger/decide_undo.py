"""What undoes a payment (same-day cancel, reversal), and what asks for its fate (status enquiry).

Strategy: all three first find their original; then a table of checks in order of precedence; an undo is the original's
posting with its sign turned. Rules:

- a same-day cancel (当日抹账) is a teller's: same clearing date, nothing booked on its bills since, none locked;
- a reversal (冲正) is a system's, after a lost answer: accepted in any session state and after the cut-off (then a
  next-day reversal on the present date), whatever happened to the bills since. Turning the sign only ever lowers what
  a bill has received, so it can't over-settle; the bill owes again what its other payments leave open;
- a reversal or fencing enquiry whose original is not there leaves a tombstone on the *payment's* key: what comes late
  is refused. Without a tombstone, "not found" is an unknown outcome and never a refusal, as the payment may still be in
  a queue;
- an original of another customer or bank, or a trace and a reference number that name different payments, is no
  original. If such a reversal's trace is still unused it is fenced all the same, since banks read "not found" as done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.ledger.booking import BrokenLedgerError, Decision, book, next_number, refuse
from gateway.ledger.model import (
    NOTHING,
    Effects,
    OperationRecord,
    PostedLine,
    Posting,
    PostingKind,
    Receivable,
    SettledLine,
    State,
)
from gateway.operations import OperationKey, OperationKind, Reversal, SameDayCancel, StatusEnquiry
from gateway.outcomes import (
    Approved,
    Declined,
    PaymentState,
    PaymentStatus,
    Reason,
    Undo,
    UndoResult,
    Unknown,
)
from protocols.money import Money

Undoing = SameDayCancel | Reversal
_UNDO_RESULT = {
    PostingKind.SAME_DAY_CANCEL: UndoResult.DONE_SAME_DAY,
    PostingKind.REVERSAL: UndoResult.DONE_SAME_DAY,
    PostingKind.NEXT_DAY_REVERSAL: UndoResult.DONE_NEXT_DAY,
}


@dataclass(frozen=True, slots=True)
class Original:
    """What an operation's reference leads to: a posting, or the record of a refusal or a fence, or neither.

    `key` is the payment's key where the operation names its trace. `is_mistaken`: what is there is another customer's,
    or trace and reference number name different payments.
    """

    key: OperationKey | None
    posting: Posting | None
    record: OperationRecord | None
    is_mistaken: bool

    @property
    def unused_key(self) -> OperationKey | None:
        """The payment's key if nothing stands on it: the key that a tombstone goes to."""
        return self.key if self.posting is None and self.record is None else None


def find_original(state: State, operation: Undoing | StatusEnquiry) -> Original:
    """The payment that `operation` is about, by the bank's trace, our reference number, or both."""
    named, bank = operation.original, operation.key.bank
    by_reference = _posting(state, state.payment_id_by_reference.get((bank, named.reference_no or "")))
    if named.trace_date is None or named.trace_no is None:
        is_payment = by_reference is not None and by_reference.takes_money
        key, posting, record, agrees = None, by_reference if is_payment else None, None, True
    else:
        key = OperationKey(bank, OperationKind.PAYMENT, named.trace_date, named.trace_no)
        posting, record = _posting(state, state.payment_id_by_key.get(key)), state.records.get(key)
        agrees = by_reference is None if posting is None else named.reference_no in (None, posting.reference_no)
    if posting is None and record is not None and record.payment_id is not None:
        raise BrokenLedgerError(f"record of {record.key.trace_date}: its posting {record.payment_id} is not loaded")
    owner = posting or record
    return Original(key, posting, record, not agrees or (owner or operation).customer_no != operation.customer_no)


def decide_cancel(state: State, cancel: SameDayCancel, trace_id: str) -> Decision:
    """当日抹账: undoes a payment of this clearing date that nothing has followed."""
    if cancel.customer_no not in state.customers:
        return refuse(state, Reason.CUSTOMER_NOT_FOUND)
    original = find_original(state, cancel)
    if original.posting is None or original.is_mistaken:
        return refuse(state, Reason.ORIGINAL_NOT_FOUND)
    return _undo(state, cancel, original.posting, PostingKind.SAME_DAY_CANCEL, trace_id)


def decide_reversal(state: State, reversal: Reversal, trace_id: str) -> Decision:
    """冲正: undoes a payment, or makes sure that it can't be booked any more."""
    original = find_original(state, reversal)
    if original.is_mistaken or (original.posting is None and original.key is None):
        outcome = Declined(Reason.ORIGINAL_NOT_FOUND, clearing_date=state.clearing_date)
        return outcome, _fence(original.unused_key, reversal)
    if original.posting is None:
        nothing = Approved(state.clearing_date, detail=Undo(UndoResult.NOTHING_TO_UNDO, None))
        return nothing, _fence(original.unused_key, reversal)
    same_day = original.posting.clearing_date == state.clearing_date
    kind = PostingKind.REVERSAL if same_day else PostingKind.NEXT_DAY_REVERSAL
    return _undo(state, reversal, original.posting, kind, trace_id)


def decide_status(state: State, enquiry: StatusEnquiry) -> Decision:
    """The fate of a payment as it is now; with `fence`, a payment that is not there is fenced by the answer."""
    original = find_original(state, enquiry)
    if original.is_mistaken:
        return Unknown(Reason.STATUS_UNKNOWN, "the reference names another payment"), NOTHING
    if original.posting is not None:
        return _status(state, _status_of_posting(state, original.posting)), NOTHING
    if original.record is not None:
        return _status(state, _status_of_record(original.record)), NOTHING
    if not enquiry.fence or original.key is None:
        note = "name the payment by its trace to fence it" if enquiry.fence else ""
        return Unknown(Reason.STATUS_UNKNOWN, note), NOTHING
    return _status(state, PaymentStatus(PaymentState.FENCED)), _fence(original.key, enquiry)


def _status(state: State, status: PaymentStatus) -> Approved:
    return Approved(state.clearing_date, detail=status)


def _status_of_posting(state: State, posting: Posting) -> PaymentStatus:
    undone = posting.payment_id in state.undone_by
    return PaymentStatus(
        PaymentState.CANCELLED if undone else PaymentState.BOOKED,
        posting.reference_no,
        posting.clearing_date,
        Money(posting.amount_fen),
    )


def _status_of_record(record: OperationRecord) -> PaymentStatus:
    if record.fence:
        return PaymentStatus(PaymentState.FENCED)
    if not isinstance(record.outcome, Declined):
        raise BrokenLedgerError(f"record of {record.key.trace_date}: an approved payment without a posting")
    return PaymentStatus(PaymentState.REFUSED, refusal=record.outcome.reason)


def _fence(key: OperationKey | None, by: Reversal | StatusEnquiry) -> Effects:
    """The tombstone on a payment's key; nothing where there is no key to fence."""
    if key is None:
        return NOTHING
    outcome = Declined(Reason.FENCED)
    return Effects(records=(OperationRecord(key, by.customer_no, b"", outcome, fence=True, fenced_by=by.key),))


def _is_undone(state: State, _undoing: Undoing, original: Posting) -> bool:
    return original.payment_id in state.undone_by


def _amount_differs(_state: State, undoing: Undoing, original: Posting) -> bool:
    return undoing.amount != Money(original.amount_fen)


def _is_past_or_followed(state: State, _undoing: Undoing, original: Posting) -> bool:
    """Not of this clearing date, or one of its bills has been paid again since."""
    if original.clearing_date != state.clearing_date:
        return True
    return any(
        not _is_last(
            _bill(state, original, line), SettledLine(original.paid_date, line.principal_fen, line.penalty_fen)
        )
        for line in original.lines
    )


def _prepayment_is_used(state: State, _undoing: Undoing, original: Posting) -> bool:
    customer = state.customers.get(original.customer_no)
    if customer is None:
        raise BrokenLedgerError(f"posting {original.reference_no}: its customer is not loaded")
    return customer.prepayment_balance_fen < original.prepayment_movement_fen


def _is_locked(state: State, _undoing: Undoing, original: Posting) -> bool:
    return any(_bill(state, original, line).locked for line in original.lines)


_Check = tuple[Callable[[State, Undoing, Posting], bool], Reason]
_REVERSAL_CHECKS: tuple[_Check, ...] = (
    (_is_undone, Reason.ALREADY_REVERSED),
    (_amount_differs, Reason.AMOUNT_DIFFERS),
    (_prepayment_is_used, Reason.PREPAYMENT_USED),
)
_CHECKS: dict[PostingKind, tuple[_Check, ...]] = {
    PostingKind.SAME_DAY_CANCEL: (
        (_is_undone, Reason.ALREADY_REVERSED),
        (_amount_differs, Reason.AMOUNT_DIFFERS),
        (_is_past_or_followed, Reason.CANCEL_NOT_ALLOWED),
        (_prepayment_is_used, Reason.PREPAYMENT_USED),
        (_is_locked, Reason.LOCKED_IN_BATCH),
    ),
    PostingKind.REVERSAL: _REVERSAL_CHECKS,
    PostingKind.NEXT_DAY_REVERSAL: _REVERSAL_CHECKS,
}


def _is_last(bill: Receivable, line: SettledLine) -> bool:
    """Whether `line` is the last of the bill's history, pairs of a line and its undoing left out."""
    standing: list[SettledLine] = []
    for settled in bill.settled:
        undone = SettledLine(settled.paid_date, -settled.principal_fen, -settled.penalty_fen)
        if undone in standing:
            # Equal lines of one day leave equal bills, so it doesn't matter which of them goes.
            standing.reverse()
            standing.remove(undone)
            standing.reverse()
        else:
            standing.append(settled)
    return bool(standing) and standing[-1] == line


def _undo(state: State, undoing: Undoing, original: Posting, kind: PostingKind, trace_id: str) -> Decision:
    for applies, reason in _CHECKS[kind]:
        if applies(state, undoing, original):
            return refuse(state, reason)
    posting = _turned(state, undoing, original, kind, trace_id)
    undo = Undo(_UNDO_RESULT[kind], original.reference_no)
    approved = Approved(state.clearing_date, posting.reference_no, Money(posting.amount_fen), undo)
    return approved, book(state, posting)


def _turned(state: State, undoing: Undoing, original: Posting, kind: PostingKind, trace_id: str) -> Posting:
    """The original with its sign turned. It keeps the payer's day, so that the bill's history loses the pair."""
    payment_id, reference_no = next_number(state)
    lines = tuple(
        PostedLine(
            line.receivable_id,
            line.billing_month,
            line.charge_kind,
            line.org_code,
            -line.principal_fen,
            -line.penalty_fen,
        )
        for line in original.lines
    )
    return Posting(
        payment_id=payment_id,
        kind=kind,
        key=undoing.key,
        customer_no=original.customer_no,
        org_code=original.org_code,
        amount_fen=original.amount_fen,
        channel=original.channel,
        settle_method=original.settle_method,
        outlet=original.outlet,
        operator=original.operator,
        paid_at=original.paid_at,
        paid_date=original.paid_date,
        clearing_date=state.clearing_date,
        reference_no=reference_no,
        original_payment_id=original.payment_id,
        prepayment_opening_fen=state.customers[original.customer_no].prepayment_balance_fen,
        prepayment_movement_fen=-original.prepayment_movement_fen,
        lines=lines,
        trace_id=trace_id,
    )


def _bill(state: State, original: Posting, line: PostedLine) -> Receivable:
    bill = state.receivables.get(original.customer_no, {}).get(line.receivable_id)
    if bill is None:
        raise BrokenLedgerError(f"posting {original.reference_no}: bill {line.receivable_id} is not loaded")
    return bill


def _posting(state: State, payment_id: int | None) -> Posting | None:
    """The posting of an id; a known id whose posting is not loaded is a broken state, not an absent payment."""
    if payment_id is None:
        return None
    posting = state.postings.get(payment_id)
    if posting is None:
        raise BrokenLedgerError(f"posting {payment_id} is known by its key or number but not loaded")
    return posting
