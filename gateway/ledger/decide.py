"""The ledger's mind: from what is loaded and what is asked to the answer and all that changes. Pure.

Strategy: `decide` looks for the operation's key first (a resend gets its stored outcome and changes nothing), then
whether the bank must have signed on, then hands over to the rules of the operation, and last puts the record of a final
outcome beside the effects. The caller folds the effects into the state and writes them. Rules:

- a key is used once: same content gets the same answer, other content is a duplicate trace, a fenced payment stays out;
- only final outcomes leave a record, refusals too; `retry_later` and `unknown_outcome` don't consume the key;
- a question consumes no key, as its answer may change: a bill enquiry, and a status enquiry unless it leaves a
  tombstone. Asked again, a status enquiry tells what is true then; a fencing one finds its own tombstone;
- nothing is raised but `BrokenLedgerError`, for a state that can't be, and `ValueError` for a naive `now`.

`now` decides nothing today: penalties follow the payer's day, booking follows the clearing date. It is handed in
because rules with deadlines of their own must not read a clock.
"""

from __future__ import annotations

from datetime import datetime

from gateway.ledger.booking import Decision, refuse
from gateway.ledger.decide_payment import decide_enquiry, decide_payment
from gateway.ledger.decide_prepayment import decide_deposit
from gateway.ledger.decide_undo import decide_cancel, decide_reversal, decide_status
from gateway.ledger.model import NOTHING, Effects, OperationRecord, SignEvent, State
from gateway.ledger.rules import Rules
from gateway.operations import (
    BillEnquiry,
    CustomerOperation,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SessionOperation,
    SignOff,
    SignOn,
    StatusEnquiry,
    canonical_digest,
)
from gateway.outcomes import Approved, Declined, Outcome, OutcomeClass, Reason, class_of

_FINAL = (OutcomeClass.SUCCESS, OutcomeClass.FINAL_REFUSAL)
_NEEDS_SIGN_ON = (BillEnquiry, Payment, PrepaymentDeposit, SameDayCancel)


def decide(
    state: State,
    operation: CustomerOperation | SessionOperation,
    rules: Rules,
    now: datetime,
    trace_id: str = "",
) -> Decision:
    """The outcome of one operation on `state`, and its effects; `state` itself is left as it is.

    Raises `BrokenLedgerError` where the state breaks an invariant, and the caller answers "system error" for this one.
    """
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    if _is_question(operation):
        return _judge(state, operation, rules, trace_id)
    digest = canonical_digest(operation)
    seen = state.records.get(operation.key)
    if seen is not None:
        return _seen_before(state, seen, digest), NOTHING
    outcome, effects = _judge(state, operation, rules, trace_id)
    if class_of(outcome) not in _FINAL or (isinstance(operation, StatusEnquiry) and effects is NOTHING):
        return outcome, effects
    return outcome, _with_record(operation, digest, outcome, effects)


def _is_question(operation: CustomerOperation | SessionOperation) -> bool:
    return isinstance(operation, BillEnquiry) or (isinstance(operation, StatusEnquiry) and not operation.fence)


def _seen_before(state: State, seen: OperationRecord, digest: bytes) -> Outcome:
    if seen.fence or seen.digest == digest:
        return seen.outcome
    return Declined(Reason.DUPLICATE_TRACE, clearing_date=state.clearing_date)


def _judge(state: State, operation: CustomerOperation | SessionOperation, rules: Rules, trace_id: str) -> Decision:
    if isinstance(operation, _NEEDS_SIGN_ON) and not _may_do_business(state, operation.key.bank, rules):
        return refuse(state, Reason.NOT_SIGNED_ON)
    match operation:
        case Payment():
            return decide_payment(state, operation, rules, trace_id)
        case PrepaymentDeposit():
            return decide_deposit(state, operation, rules, trace_id)
        case BillEnquiry():
            return decide_enquiry(state, operation, rules)
        case SameDayCancel():
            return decide_cancel(state, operation, trace_id)
        case Reversal():
            return decide_reversal(state, operation, trace_id)
        case StatusEnquiry():
            return decide_status(state, operation)
        case SignOn() | SignOff():
            return _sign(state, operation)


def _may_do_business(state: State, bank: str, rules: Rules) -> bool:
    return bank not in rules.sign_on_required or state.signed_on.get(bank, False)


def _sign(state: State, operation: SessionOperation) -> Decision:
    """签到, 签退: one event for each key; signing on twice is no mistake."""
    event = SignEvent(operation.key, isinstance(operation, SignOn))
    return Approved(state.clearing_date), Effects(sign_event=event)


def _with_record(
    operation: CustomerOperation | SessionOperation, digest: bytes, outcome: Outcome, effects: Effects
) -> Effects:
    """The effects with the operation's own record behind the tombstone, if there is one."""
    customer_no = "" if isinstance(operation, SignOn | SignOff) else operation.customer_no
    payment_id = effects.posting.payment_id if effects.posting is not None else None
    record = OperationRecord(operation.key, customer_no, digest, outcome, payment_id)
    return Effects(
        records=(*effects.records, record),
        bookings=effects.bookings,
        receivables=effects.receivables,
        customer=effects.customer,
        sign_event=effects.sign_event,
    )
