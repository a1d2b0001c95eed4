"""How a bank says what it wants on each of its wires, and how it reads the answer.

Strategy: a `Wire` makes messages out of a bank's orders and turns replies into `Answer`s; the teller knows no format.
The ISO 8583 wire is built with the public codec, as a bank's engineer would from the wire page; on the other wire,
which has a status enquiry, operations travel as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from gateway.banks.profile import BankProfile
from gateway.keyring import MacKey
from gateway.operations import (
    BillEnquiry,
    BillSelection,
    Channel,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    Reversal,
    SameDayCancel,
    SettleMethod,
    SignOff,
    SignOn,
    StatusEnquiry,
)
from gateway.outcomes import (
    Approved,
    BillsFound,
    Outcome,
    OutcomeClass,
    PaymentState,
    PaymentStatus,
    Undo,
    UndoResult,
    class_of,
)
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode
from protocols.iso8583.dialects import guangzhou_messages as guangzhou
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_layouts import ALL_MONTHS, Collection
from protocols.iso8583.framing import encode_frame
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm

ZONE = ZoneInfo("Asia/Shanghai")
MAC = MacAlgorithm.AES_CMAC  # the quickest; what the others do is no question of this room
Token = tuple[OperationKind, str]
"""By which a bank pairs replies with requests: the kind and the trace number."""


@dataclass(slots=True, eq=False)
class Order:
    """A payer's wish, and what the bank knows of it."""

    key: OperationKey
    customer_no: str
    selection: BillSelection
    amount_fen: int
    paid_at: datetime
    reference_no: str = ""
    clearing_date: date | None = None
    unanswered: int = 0  # copies of the payment that left, less the answers that are certain
    frames: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bank reads in a reply; `code` is the wire's own, for the record."""

    kind: OperationKind
    trace_no: str
    meaning: OutcomeClass
    code: str
    clearing_date: date | None = None
    reference_no: str | None = None
    amount_fen: int | None = None
    undone: bool | None = None  # of a successful cancel or reversal: whether there was something to undo
    state: PaymentState | None = None  # of a successful status enquiry


class Wire(Protocol):
    has_status_enquiry: bool

    def sign(self, trace_no: str, at: datetime, *, on: bool) -> Any: ...
    def enquire(self, trace_no: str, at: datetime, order: Order) -> Any: ...
    def pay(self, order: Order) -> Any: ...
    def cancel(self, trace_no: str, at: datetime, order: Order) -> Any: ...
    def reverse(self, order: Order, at: datetime) -> Any: ...
    def ask_status(self, trace_no: str, order: Order, *, fence: bool) -> Any: ...
    def read(self, reply: Any, near: date) -> Answer: ...


_KIND_OF_REPLY = {
    ("0110", guangzhou.ENQUIRY_CODE): OperationKind.BILL_ENQUIRY,
    ("0210", guangzhou.PAYMENT_CODE): OperationKind.PAYMENT,
    ("0410", guangzhou.CANCEL_CODE): OperationKind.SAME_DAY_CANCEL,
    ("0410", guangzhou.REVERSAL_CODE): OperationKind.REVERSAL,
    ("0830", guangzhou.SIGN_ON): OperationKind.SIGN_ON,
    ("0830", guangzhou.SIGN_OFF): OperationKind.SIGN_OFF,
}
_NOTHING_TO_UNDO = "8072"


class IsoWire:
    """Frames of the Guangzhou dialect. A payment's frame is made once: a resend is the same message."""

    has_status_enquiry = False

    def __init__(self, institution: str, key: MacKey) -> None:
        self._sender = guangzhou.Sender(institution)
        self._secret = key.secret

    def _frame(self, message: Message) -> bytes:
        return encode_frame(mac_field.seal(message, GUANGZHOU, MAC, self._secret))

    def sign(self, trace_no: str, at: datetime, *, on: bool) -> bytes:
        return self._frame((guangzhou.sign_on if on else guangzhou.sign_off)(self._sender, trace_no, at))

    def enquire(self, trace_no: str, at: datetime, order: Order) -> bytes:
        trace = guangzhou.Trace(trace_no, at, order.key.trace_date)
        return self._frame(guangzhou.enquiry(self._sender, trace, _collection(order, collect_kind="00")))

    def pay(self, order: Order) -> bytes:
        if "pay" not in order.frames:
            message = guangzhou.payment(self._sender, _trace(order), _collection(order), Money(order.amount_fen))
            order.frames["pay"] = self._frame(message)
        return bytes(order.frames["pay"])

    def cancel(self, trace_no: str, at: datetime, order: Order) -> bytes:
        trace = guangzhou.Trace(trace_no, at, order.key.trace_date)
        collection = _collection(order, original_reference=order.reference_no)
        return self._frame(guangzhou.cancel(self._sender, trace, collection, Money(order.amount_fen), at=at))

    def reverse(self, order: Order, at: datetime) -> bytes:
        money = Money(order.amount_fen)
        return self._frame(guangzhou.reversal(self._sender, _trace(order), _collection(order), money, at=at))

    def ask_status(self, trace_no: str, order: Order, *, fence: bool) -> bytes:
        raise NotImplementedError("this wire has no status enquiry: send the payment again")

    def read(self, reply: bytes, near: date) -> Answer:
        message = decode(reply, GUANGZHOU)
        mac_field.check(reply, message, GUANGZHOU, MAC, self._secret)
        found = guangzhou.read_reply(message, near)
        kind = _KIND_OF_REPLY[message.mti, message.require(70 if message.mti == "0830" else 3)]
        meaning = OutcomeClass(found.code_class.value)
        is_undo = kind in (OperationKind.SAME_DAY_CANCEL, OperationKind.REVERSAL) and meaning is OutcomeClass.SUCCESS
        return Answer(
            kind,
            message.require(11),
            meaning,
            found.code if found.detail is None else f"{found.code}/{found.detail}",
            found.clearing_date,
            found.reference_no,
            None if found.amount is None else found.amount.minor,
            found.detail != _NOTHING_TO_UNDO if is_undo else None,
        )


def _collection(order: Order, *, collect_kind: str = "10", original_reference: str = "0" * 12) -> Collection:
    month = order.selection.billing_month
    return Collection(
        order.customer_no,
        ALL_MONTHS if month is None else f"{month}99",
        original_reference=original_reference,
        collect_kind=collect_kind,
    )


def _trace(order: Order) -> guangzhou.Trace:
    return guangzhou.Trace(order.key.trace_no, order.paid_at, order.key.trace_date)


class MessageWire:
    """Operations and outcomes as they are, for a profile whose wire has a status enquiry."""

    has_status_enquiry = True

    def __init__(self, bank: str) -> None:
        self._bank = bank

    def _key(self, kind: OperationKind, trace_no: str, order: Order) -> OperationKey:
        return OperationKey(self._bank, kind, order.key.trace_date, trace_no)

    def sign(self, trace_no: str, at: datetime, *, on: bool) -> Operation:
        kind = OperationKind.SIGN_ON if on else OperationKind.SIGN_OFF
        return (SignOn if on else SignOff)(OperationKey(self._bank, kind, at.date(), trace_no))

    def enquire(self, trace_no: str, at: datetime, order: Order) -> Operation:
        return BillEnquiry(
            self._key(OperationKind.BILL_ENQUIRY, trace_no, order), order.customer_no, order.selection, at
        )

    def pay(self, order: Order) -> Operation:
        return Payment(
            key=order.key,
            customer_no=order.customer_no,
            selection=order.selection,
            amount=Money(order.amount_fen),
            paid_at=order.paid_at,
            channel=Channel.INTERNET_BANK,
            settle_method=SettleMethod.TRANSFER,
        )

    def cancel(self, trace_no: str, at: datetime, order: Order) -> Operation:
        key = self._key(OperationKind.SAME_DAY_CANCEL, trace_no, order)
        original = OriginalReference(reference_no=order.reference_no)
        return SameDayCancel(key, order.customer_no, original, Money(order.amount_fen))

    def reverse(self, order: Order, at: datetime) -> Operation:
        key = replace(order.key, kind=OperationKind.REVERSAL)
        return Reversal(key, order.customer_no, _original(order), Money(order.amount_fen))

    def ask_status(self, trace_no: str, order: Order, *, fence: bool) -> Operation:
        key = self._key(OperationKind.STATUS_ENQUIRY, trace_no, order)
        return StatusEnquiry(key, order.customer_no, _original(order), fence)

    def read(self, reply: tuple[Operation, Outcome], near: date) -> Answer:
        operation, outcome = reply
        kind, trace_no, meaning = operation.key.kind, operation.key.trace_no, class_of(outcome)
        if not isinstance(outcome, Approved):
            return Answer(kind, trace_no, meaning, outcome.reason.name)
        answer = Answer(
            kind,
            trace_no,
            meaning,
            "APPROVED",
            outcome.clearing_date,
            outcome.reference_no,
            None if outcome.amount is None else outcome.amount.minor,
        )
        match outcome.detail:
            case Undo(result=result):
                return replace(answer, undone=result is not UndoResult.NOTHING_TO_UNDO)
            case BillsFound(amount_to_pay=amount):
                return replace(answer, amount_fen=amount.minor)
            case PaymentStatus() as status:
                amount_fen = None if status.amount is None else status.amount.minor
                return replace(
                    answer,
                    state=status.state,
                    code=status.state.value,
                    reference_no=status.reference_no,
                    clearing_date=status.clearing_date,
                    amount_fen=amount_fen,
                )
        return answer


def _original(order: Order) -> OriginalReference:
    return OriginalReference(order.key.trace_date, order.key.trace_no)


def profile_of(number: int, *, sign_on_required: bool, answer_deadline_seconds: float) -> BankProfile:
    """Bank 0 is on ISO 8583, bank 1 on messages, and so on."""
    wire: dict[str, Any] = {"protocol": "bankxml", "sender": f"B{number}", "verify_keys": ["b"], "sign_key": "u"}
    is_iso = number % 2 == 0
    if is_iso:
        wire = {
            "protocol": "iso8583-guangzhou",
            "listen": "127.0.0.1:0",
            "institution": f"31581{number}",
            "mac_key": "k",
            "mac_algorithm": MAC.value,
        }
    return BankProfile.model_validate(
        {
            "code": f"B{number}",
            "name": f"银行{number}",
            "name_english": f"Bank {number}",
            "sign_on_required": sign_on_required and is_iso,
            "answer_deadline_seconds": answer_deadline_seconds,
            "wire": wire,
        }
    )
