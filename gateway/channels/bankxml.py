"""The XML profile: message to operation, outcome to message. Pure: no clock, no key, no socket.

Strategy: the server parses, verifies and stamps; this file translates. A request becomes an operation or is not done,
never an exception (`refusal_of` sees to errors of `protocols.bankxml`). The reply repeats trace and customer number,
so that a bank finds its entry without our message ids. Codes are in `bankxml_codes`.

- Trace date and number in the body are the key of the operation. A retry has a new MsgId, Nonce and SndTm in its
  header and the same body; none of the header's three reaches the operation.
- The sender was chosen by the claim of the unsigned header; here the signed header must say the same.
- `paid_at` is put into the bank's time zone, so that one instant has one calendar day whatever offset was written.
- Texts from the billing system (names, addresses) are made fit for XML: a control character must not cost a reply.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar

from gateway.banks.profile import BankProfile, BankXmlWire
from gateway.channels.bankxml_codes import CODES, SUCCESS_CODE
from gateway.operations import (
    BillEnquiry,
    BillSelection,
    Channel,
    CustomerOperation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    StatusEnquiry,
)
from gateway.outcomes import (
    Approved,
    BillOwed,
    BillsFound,
    Declined,
    Detail,
    NotDone,
    Outcome,
    OutcomeClass,
    PaymentStatus,
    Reason,
    Receipt,
    ReceiptLine,
    Undo,
    Unknown,
    class_of,
    not_done,
)
from protocols.bankxml import messages as wire_messages
from protocols.bankxml.codec import MessageTypeError
from protocols.bankxml.kinds import sendable
from protocols.bankxml.messages import BankXmlMessage, Header
from protocols.bankxml.tables import MAX_LINES, REPLY_OF, VERSION
from protocols.errors import DateError, MoneyError, ProtocolError, SignatureError
from protocols.money import Money

STORE_AND_FORWARD = frozenset(("reversal.req",))
"""Message types that the replay guard exempts from its window: they wait in the bank until the line is back."""

_REASON_OF_ERROR: tuple[tuple[type[ProtocolError], Reason], ...] = (
    (SignatureError, Reason.SIGNATURE_INVALID),
    (MoneyError, Reason.AMOUNT_INVALID),
    (DateError, Reason.DATE_INVALID),
    (MessageTypeError, Reason.BAD_OPERATION),
    (ProtocolError, Reason.FORMAT_ERROR),
)
_NOTE_LENGTH = 280


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes a reply a message of its own; given by the server, which has the clock and the randomness."""

    message_id: str
    nonce: str
    sent_at: datetime


def code_of(outcome: Outcome) -> str:
    """The response code of this profile."""
    return SUCCESS_CODE if isinstance(outcome, Approved) else CODES[outcome.reason]


def refusal_of(error: ProtocolError) -> NotDone:
    """What a request is answered with that is badly signed, or malformed though signed well; the note says where."""
    reason = next(reason for kind, reason in _REASON_OF_ERROR if isinstance(error, kind))
    return not_done(reason, str(error))


# --- request to operation ---------------------------------------------------------------------------------------


def to_operation(message: BankXmlMessage, profile: BankProfile, received_at: datetime) -> CustomerOperation | NotDone:
    """The operation that a verified request asks for, or why it is not done; `received_at` is aware.

    Raises ValueError if the profile is not of this protocol (a mistake of ours).
    """
    refused = _check_header(message.header, _wire(profile))
    if refused is not None:
        return refused
    make = _OPERATIONS.get(message.header.message_type)
    if make is None:
        return Declined(Reason.BAD_OPERATION, "/Msg/Hdr/MsgTp: a request is expected")
    return make(_Context(profile, received_at.astimezone(profile.zone)), message.body)


@dataclass(frozen=True, slots=True)
class _Context:
    profile: BankProfile
    received_at: datetime

    def key(self, kind: OperationKind, trace_date: date, trace_no: str) -> OperationKey:
        return OperationKey(self.profile.code, kind, trace_date, trace_no)


def _wire(profile: BankProfile) -> BankXmlWire:
    if not isinstance(profile.wire, BankXmlWire):
        raise ValueError(f"bank {profile.code} does not speak bankxml")
    return profile.wire


def _check_header(header: Header, wire: BankXmlWire) -> NotDone | None:
    if header.sender != wire.sender:
        return Unknown(Reason.SIGNATURE_INVALID, "/Msg/Hdr/Sndr: not the bank whose key signed the message")
    if header.key_id not in wire.verify_keys:
        return Unknown(Reason.SIGNATURE_INVALID, "/Msg/Hdr/KeyId: no key of this bank")
    if header.receiver != wire.receiver:
        return Declined(Reason.FORMAT_ERROR, "/Msg/Hdr/Rcvr: the message is not for this utility")
    return None


def _bill_enquiry(context: _Context, body: wire_messages.BillEnquiryRequest) -> CustomerOperation | Declined:
    return BillEnquiry(
        key=context.key(OperationKind.BILL_ENQUIRY, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        selection=_selection(body.bills),
        asked_at=context.received_at,
    )


def _check_paid_at(context: _Context, paid_at: datetime) -> Declined | None:
    tolerance_hours = context.profile.paid_at_tolerance_hours
    if abs(paid_at - context.received_at) > timedelta(hours=tolerance_hours):
        return Declined(
            Reason.DATE_INVALID, f"/Msg/Body/PdTm: more than {tolerance_hours} hours off the time of receipt"
        )
    return None


def _payment(context: _Context, body: wire_messages.PaymentRequest) -> CustomerOperation | Declined:
    return _check_paid_at(context, body.paid_at) or Payment(
        key=context.key(OperationKind.PAYMENT, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        selection=_selection(body.bills),
        amount=body.amount,
        paid_at=body.paid_at.astimezone(context.profile.zone),
        channel=Channel(body.channel),
        settle_method=SettleMethod(body.settle_method),
        outlet=body.outlet or "",
        operator=body.operator or "",
    )


def _deposit(context: _Context, body: wire_messages.DepositRequest) -> CustomerOperation | Declined:
    return _check_paid_at(context, body.paid_at) or PrepaymentDeposit(
        key=context.key(OperationKind.PAYMENT, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        amount=body.amount,
        paid_at=body.paid_at.astimezone(context.profile.zone),
        channel=Channel(body.channel),
        settle_method=SettleMethod(body.settle_method),
        outlet=body.outlet or "",
        operator=body.operator or "",
    )


def _same_day_cancel(context: _Context, body: wire_messages.UndoRequest) -> CustomerOperation | Declined:
    return SameDayCancel(
        key=context.key(OperationKind.SAME_DAY_CANCEL, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        original=_original(body.original),
        amount=body.amount,
    )


def _reversal(context: _Context, body: wire_messages.UndoRequest) -> CustomerOperation | Declined:
    return Reversal(
        key=context.key(OperationKind.REVERSAL, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        original=_original(body.original),
        amount=body.amount,
    )


def _status_enquiry(context: _Context, body: wire_messages.StatusEnquiryRequest) -> CustomerOperation | Declined:
    return StatusEnquiry(
        key=context.key(OperationKind.STATUS_ENQUIRY, body.trace_date, body.trace_no),
        customer_no=body.customer_no,
        original=_original(body.original),
        fence=body.fence,
    )


def _selection(bills: wire_messages.Bills) -> BillSelection:
    return BillSelection(bills.receivable_ids, bills.billing_month)


def _original(original: wire_messages.Original) -> OriginalReference:
    return OriginalReference(original.trace_date, original.trace_no, original.reference_no)


_OPERATIONS: MappingProxyType[str, Callable[[_Context, Any], CustomerOperation | Declined]] = MappingProxyType(
    {
        "bill.enquiry.req": _bill_enquiry,
        "payment.req": _payment,
        "deposit.req": _deposit,
        "cancel.req": _same_day_cancel,
        "reversal.req": _reversal,
        "status.enquiry.req": _status_enquiry,
    }
)


# --- outcome to reply -------------------------------------------------------------------------------------------


def to_message(request: BankXmlMessage, outcome: Outcome, profile: BankProfile, stamp: Stamp) -> BankXmlMessage:
    """The reply to a request that was understood: of the request's own type, repeating its trace and customer.

    A request that is a reply by its type gets a refusal.rsp.
    """
    header, body = request.header, request.body
    make = _REPLIES.get(header.message_type)
    if make is None or not isinstance(body, _REQUESTS):
        return refusal(outcome, profile, header.message_id, stamp)
    reply_type = REPLY_OF[header.message_type]
    repeated = (body.trace_date, body.trace_no, body.customer_no, _result(outcome))
    return BankXmlMessage(
        _header(reply_type, outcome, profile, header.message_id, stamp),
        make(repeated, outcome if isinstance(outcome, Approved) else None),
    )


def refusal(outcome: Outcome, profile: BankProfile, original_message_id: str | None, stamp: Stamp) -> BankXmlMessage:
    """The reply (refusal.rsp) to a request that was not understood or not trusted; nothing of its body is repeated."""
    header = _header("refusal.rsp", outcome, profile, original_message_id, stamp)
    return BankXmlMessage(header, wire_messages.RefusalReply(_result(outcome)))


def _header(
    message_type: str, outcome: Outcome, profile: BankProfile, original_message_id: str | None, stamp: Stamp
) -> Header:
    wire = _wire(profile)
    return Header(
        version=VERSION,
        message_type=message_type,
        sender=wire.receiver,
        receiver=wire.sender,
        message_id=stamp.message_id,
        original_message_id=original_message_id,
        sent_at=stamp.sent_at.astimezone(profile.zone),
        clearing_date=None if isinstance(outcome, Unknown) else outcome.clearing_date,
        key_id=wire.sign_key,
        nonce=stamp.nonce,
    )


def _result(outcome: Outcome) -> wire_messages.Result:
    if isinstance(outcome, Approved):
        return wire_messages.Result(OutcomeClass.SUCCESS.value, SUCCESS_CODE, "success", "成功")
    reason = outcome.reason
    note = sendable(outcome.note, _NOTE_LENGTH) or None
    return wire_messages.Result(class_of(outcome).value, CODES[reason], reason.english, reason.chinese, note)


_Repeated = tuple[date, str, str, wire_messages.Result]
_REQUESTS = (
    wire_messages.BillEnquiryRequest,
    wire_messages.PaymentRequest,
    wire_messages.DepositRequest,
    wire_messages.UndoRequest,
    wire_messages.StatusEnquiryRequest,
)


def _bill_enquiry_reply(repeated: _Repeated, approved: Approved | None) -> wire_messages.Reply:
    found = _detail(approved, BillsFound)
    if found is None:
        return wire_messages.BillEnquiryReply(*repeated)
    return wire_messages.BillEnquiryReply(
        *repeated,
        customer_name=sendable(found.customer_name, 64) or None,
        supply_address=sendable(found.supply_address, 128) or None,
        bill_count=len(found.bills),
        bills=tuple(_bill_line(bill) for bill in found.bills[:MAX_LINES]),
        prepayment_balance=found.prepayment_balance,
        amount_to_pay=found.amount_to_pay,
    )


def _bill_line(bill: BillOwed) -> wire_messages.BillLine:
    return wire_messages.BillLine(
        receivable_id=bill.receivable_id,
        billing_month=bill.billing_month,
        principal=bill.principal,
        penalty=bill.penalty,
        owed=bill.owed,
        due_date=bill.due_date,
        partial_payment_allowed=bill.partial_payment_allowed,
        locked=bill.locked,
    )


def _booked(approved: Approved | None) -> tuple[str | None, Money | None]:
    return (None, None) if approved is None else (approved.reference_no, approved.amount)


def _payment_reply(repeated: _Repeated, approved: Approved | None) -> wire_messages.Reply:
    receipt = _detail(approved, Receipt)
    return wire_messages.PaymentReply(
        *repeated,
        *_booked(approved),
        line_count=None if receipt is None else len(receipt.lines),
        lines=() if receipt is None else tuple(_settled_line(line) for line in receipt.lines[:MAX_LINES]),
        prepayment=None if receipt is None else receipt.prepayment,
    )


def _settled_line(line: ReceiptLine) -> wire_messages.SettledLine:
    return wire_messages.SettledLine(line.receivable_id, line.billing_month, line.principal, line.penalty)


def _undo_reply(repeated: _Repeated, approved: Approved | None) -> wire_messages.Reply:
    undo = _detail(approved, Undo)
    return wire_messages.UndoReply(
        *repeated,
        *_booked(approved),
        undo_result=None if undo is None else undo.result.value,
        original_reference_no=None if undo is None else undo.original_reference_no,
    )


def _status_enquiry_reply(repeated: _Repeated, approved: Approved | None) -> wire_messages.Reply:
    found = _detail(approved, PaymentStatus)
    if found is None:
        return wire_messages.StatusEnquiryReply(*repeated)
    status = wire_messages.PaymentStatus(
        state=found.state.value,
        reference_no=found.reference_no,
        clearing_date=found.clearing_date,
        amount=found.amount,
        code=None if found.refusal is None else CODES[found.refusal],
    )
    return wire_messages.StatusEnquiryReply(*repeated, status=status)


_D = TypeVar("_D", bound=Detail)


def _detail(approved: Approved | None, kind: type[_D]) -> _D | None:
    """The detail of an approval; None where there is none. Another kind of detail is a mistake of ours: TypeError."""
    if approved is None or approved.detail is None:
        return None
    if not isinstance(approved.detail, kind):
        raise TypeError(f"{kind.__name__} expected, not {type(approved.detail).__name__}")
    return approved.detail


_REPLIES: MappingProxyType[str, Callable[[_Repeated, Approved | None], wire_messages.Reply]] = MappingProxyType(
    {
        "bill.enquiry.req": _bill_enquiry_reply,
        "payment.req": _payment_reply,
        "deposit.req": _payment_reply,
        "cancel.req": _undo_reply,
        "reversal.req": _undo_reply,
        "status.enquiry.req": _status_enquiry_reply,
    }
)
