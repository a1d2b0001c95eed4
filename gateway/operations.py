"""What a bank can ask of us, free of any wire format.

Strategy: channels translate messages into these frozen values; services and the ledger know nothing else. An
operation is valid on construction (no naive datetime, no empty number); what only the ledger can judge is left to
`ledger.decide`. The key (bank, kind, trace date, trace number) makes an operation happen once; the digest tells a
resend (same content) from a duplicate trace (other content).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from protocols.money import Money


class OperationKind(StrEnum):
    """The kind is part of the key: a reversal under its payment's trace number is no duplicate.

    A prepayment deposit has the kind of a payment: a trace number takes money once, for whatever.
    """

    BILL_ENQUIRY = "BILL_ENQUIRY"
    PAYMENT = "PAYMENT"
    SAME_DAY_CANCEL = "SAME_DAY_CANCEL"
    REVERSAL = "REVERSAL"
    STATUS_ENQUIRY = "STATUS_ENQUIRY"
    SIGN_ON = "SIGN_ON"
    SIGN_OFF = "SIGN_OFF"
    ECHO = "ECHO"


class Channel(StrEnum):
    """Where the payer paid (收费方式)."""

    BANK_COUNTER = "BANK_COUNTER"
    ATM = "ATM"
    POS = "POS"
    PHONE_BANK = "PHONE_BANK"
    INTERNET_BANK = "INTERNET_BANK"
    MOBILE_BANK = "MOBILE_BANK"
    KIOSK = "KIOSK"
    AGENT_OUTLET = "AGENT_OUTLET"
    UTILITY_COUNTER = "UTILITY_COUNTER"
    CALL_CENTRE = "CALL_CENTRE"
    THIRD_PARTY_WALLET = "THIRD_PARTY_WALLET"
    BATCH_DEBIT = "BATCH_DEBIT"
    ENTRUSTED_COLLECTION = "ENTRUSTED_COLLECTION"


class SettleMethod(StrEnum):
    """How the payer paid (结算方式)."""

    CASH = "CASH"
    CHEQUE = "CHEQUE"
    CARD = "CARD"
    TRANSFER = "TRANSFER"
    WALLET = "WALLET"


@dataclass(frozen=True, slots=True)
class OperationKey:
    """Idempotency key. `bank` is the profile's code; `trace_no` is the bank's own number, as text."""

    bank: str
    kind: OperationKind
    trace_date: date
    trace_no: str

    def __post_init__(self) -> None:
        if not self.bank or not self.trace_no:
            raise ValueError("an operation key needs a bank and a trace number")
        if len(self.trace_no) > 32:
            raise ValueError("a trace number has at most 32 characters")

    def __hash__(self) -> int:
        # A key is looked up half a dozen times a payment; hashing an enum and a date takes longer than the look-up.
        return hash((self.bank, self.trace_no))


@dataclass(frozen=True, slots=True)
class BillSelection:
    """Which bills: named receivables, or those of one billing month (yyyymm), or (both empty) all of the customer."""

    receivable_ids: tuple[str, ...] = ()
    billing_month: int | None = None

    @property
    def is_all(self) -> bool:
        return not self.receivable_ids and self.billing_month is None


ALL_BILLS = BillSelection()


@dataclass(frozen=True, slots=True)
class OriginalReference:
    """Names the payment that a cancel, a reversal or a status enquiry is about.

    Either the bank's own trace (date and number), or our reference number from the payment's reply, or both.
    """

    trace_date: date | None = None
    trace_no: str | None = None
    reference_no: str | None = None

    def __post_init__(self) -> None:
        if (self.trace_date is None) != (self.trace_no is None):
            raise ValueError("an original's trace is a date and a number, or neither")
        if self.trace_no is None and self.reference_no is None:
            raise ValueError("an original is named by its trace or by our reference number")


@dataclass(frozen=True, slots=True)
class BillEnquiry:
    """查询欠费. `asked_at` (aware) fixes the day for which penalties are computed."""

    key: OperationKey
    customer_no: str = field(repr=False)
    selection: BillSelection
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """缴费. `paid_at` is the payer's local calendar time (aware); the penalty is computed at it."""

    key: OperationKey
    customer_no: str = field(repr=False)
    selection: BillSelection
    amount: Money
    paid_at: datetime
    channel: Channel
    settle_method: SettleMethod
    outlet: str = ""
    operator: str = ""

    def __post_init__(self) -> None:
        if self.paid_at.tzinfo is None:
            raise ValueError("paid_at needs a time zone")


@dataclass(frozen=True, slots=True)
class PrepaymentDeposit:
    """存入预付款: money without a bill. Its key is of the kind PAYMENT; it is undone and asked about like a payment."""

    key: OperationKey
    customer_no: str = field(repr=False)
    amount: Money
    paid_at: datetime
    channel: Channel
    settle_method: SettleMethod
    outlet: str = ""
    operator: str = ""

    def __post_init__(self) -> None:
        if self.paid_at.tzinfo is None:
            raise ValueError("paid_at needs a time zone")
        if self.key.kind is not OperationKind.PAYMENT:
            raise ValueError("a deposit's key is of the kind of payments")


@dataclass(frozen=True, slots=True)
class SameDayCancel:
    """当日抹账: asked for by a teller, bound to the clearing date, amount must equal the original's."""

    key: OperationKey
    customer_no: str = field(repr=False)
    original: OriginalReference
    amount: Money


@dataclass(frozen=True, slots=True)
class Reversal:
    """冲正: sent by a system after a timeout, repeated until answered; accepted in any session state."""

    key: OperationKey
    customer_no: str = field(repr=False)
    original: OriginalReference
    amount: Money


@dataclass(frozen=True, slots=True)
class StatusEnquiry:
    """What became of a payment. With `fence`, a payment that is not found can't be booked any more afterwards."""

    key: OperationKey
    customer_no: str = field(repr=False)
    original: OriginalReference
    fence: bool


@dataclass(frozen=True, slots=True)
class SignOn:
    """签到: the bank opens; business operations are refused before it where the profile requires it."""

    key: OperationKey


@dataclass(frozen=True, slots=True)
class SignOff:
    """签退: the bank closes; reversals and status enquiries are still answered."""

    key: OperationKey


@dataclass(frozen=True, slots=True)
class Echo:
    """线路测试: answered without touching the ledger."""

    key: OperationKey


CustomerOperation = BillEnquiry | Payment | PrepaymentDeposit | SameDayCancel | Reversal | StatusEnquiry
SessionOperation = SignOn | SignOff
Operation = CustomerOperation | SessionOperation | Echo


@dataclass(frozen=True, slots=True)
class Evidence:
    """What proves a request: its exact bytes, the key it was signed with, when it came, and its trace id.

    `trace_id` is made by the server for every frame and follows it to the entry and through every log line.
    """

    request: bytes = field(repr=False)
    key_id: str
    wire: str
    received_at: datetime
    trace_id: str


def canonical_digest(operation: Operation) -> bytes:
    """SHA-256 over the operation's meaning: equal for a resend, different for other content under the same key.

    Of a payer's time only the time of day counts: a wire without a calendar date (Guangzhou) derives the date from
    the receipt, so a late resend may land on another day and is a resend all the same.
    """
    parts: list[str] = [type(operation).__name__]
    match operation:
        case Payment():
            selection = operation.selection
            parts += [operation.customer_no, *sorted(selection.receivable_ids), str(selection.billing_month)]
            parts += _money_parts(operation)
        case PrepaymentDeposit():
            parts += [operation.customer_no, *_money_parts(operation)]
        case SameDayCancel() | Reversal():
            parts += [operation.customer_no, *_original_parts(operation.original), str(operation.amount)]
        case StatusEnquiry():
            parts += [operation.customer_no, *_original_parts(operation.original), str(operation.fence)]
        case BillEnquiry():
            parts += [operation.customer_no, *operation.selection.receivable_ids]
            parts += [str(operation.selection.billing_month)]
        case SignOn() | SignOff() | Echo():
            pass
    # The unit separator can't occur in any of the parts (control characters are refused on every wire).
    return hashlib.sha256("\x1f".join(parts).encode()).digest()


def _time_of_day(moment: datetime) -> str:
    """hhmmss; `strftime` takes five times as long."""
    return f"{moment.hour:02d}{moment.minute:02d}{moment.second:02d}"


def _money_parts(operation: Payment | PrepaymentDeposit) -> list[str]:
    parts = [str(operation.amount), _time_of_day(operation.paid_at), operation.channel]
    return [*parts, operation.settle_method, operation.outlet, operation.operator]


def _original_parts(original: OriginalReference) -> list[str]:
    return [str(original.trace_date), str(original.trace_no), str(original.reference_no)]
