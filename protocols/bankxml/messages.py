"""The messages of the XML profile as values: one frozen dataclass for each group of elements.

Strategy: shapes only. What an element may hold is in `kinds`, which element stands where is in `tables`, and what a
message means for the ledger is the gateway's business. Fields stand in the order of the elements. Amounts are `Money`,
dates are `date`, times are aware `datetime`; codes and enumerated words are text, with the closed lists in `tables`.
Customer numbers, names, addresses and amounts to an account are kept out of `repr`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from protocols.money import Money


@dataclass(frozen=True, slots=True)
class Header:
    """Who, to whom, when, under which key. Replies carry `original_message_id`, and a `clearing_date` that binds."""

    version: str
    message_type: str
    sender: str
    receiver: str
    message_id: str
    original_message_id: str | None
    sent_at: datetime
    clearing_date: date | None
    key_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Bills:
    """Which bills: all of them, or one billing month (yyyymm), or named receivables. Exactly one of the three."""

    all_bills: bool = False
    billing_month: int | None = None
    receivable_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.all_bills + (self.billing_month is not None) + bool(self.receivable_ids) != 1:
            raise ValueError("exactly one of All, Mth and RcvblId is expected")
        if len(set(self.receivable_ids)) != len(self.receivable_ids):
            raise ValueError("a RcvblId is repeated")


@dataclass(frozen=True, slots=True)
class Original:
    """The payment that is meant: the bank's trace, and our reference number where the bank knows it."""

    trace_date: date
    trace_no: str
    reference_no: str | None = None


@dataclass(frozen=True, slots=True)
class BillEnquiryRequest:
    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    bills: Bills


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """`paid_at` is the payer's own date and time: the penalty is computed at it."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    bills: Bills
    amount: Money
    paid_at: datetime
    channel: str
    settle_method: str
    outlet: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class DepositRequest:
    """Money without a bill; the other fields are a payment's."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    amount: Money
    paid_at: datetime
    channel: str
    settle_method: str
    outlet: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """Body of both the same-day cancel and the system reversal; `amount` is the original's, whole."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    original: Original
    amount: Money


@dataclass(frozen=True, slots=True)
class StatusEnquiryRequest:
    """With `fence`, a payment that is not found can't be booked any more."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    original: Original
    fence: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the request. The class rules what the bank does; the code says why; the texts are for people."""

    outcome_class: str
    code: str
    text_english: str
    text_chinese: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class BillLine:
    """One open bill; owed = principal + penalty as of the day of the enquiry."""

    receivable_id: str
    billing_month: int
    principal: Money
    penalty: Money
    owed: Money
    due_date: date
    partial_payment_allowed: bool
    locked: bool

    def __post_init__(self) -> None:
        if self.owed != self.principal + self.penalty:
            raise ValueError("Owd is not Prncpl plus Pnlty")


@dataclass(frozen=True, slots=True)
class BillEnquiryReply:
    """The oldest bills come first; `bill_count` counts all open ones, of which at most 500 are listed."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    result: Result
    customer_name: str | None = field(default=None, repr=False)
    supply_address: str | None = field(default=None, repr=False)
    bill_count: int | None = None
    bills: tuple[BillLine, ...] = ()
    prepayment_balance: Money | None = None
    amount_to_pay: Money | None = None


@dataclass(frozen=True, slots=True)
class SettledLine:
    """What a payment settled of one receivable."""

    receivable_id: str
    billing_month: int
    principal: Money
    penalty: Money


@dataclass(frozen=True, slots=True)
class PaymentReply:
    """Body of the replies to payment and deposit.

    amount = the lines' principal and penalty + prepayment; a negative prepayment was drawn from the balance.
    """

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    result: Result
    reference_no: str | None = None
    amount: Money | None = None
    line_count: int | None = None
    lines: tuple[SettledLine, ...] = ()
    prepayment: Money | None = None


@dataclass(frozen=True, slots=True)
class UndoReply:
    """Body of the replies to cancel and reversal; `undo_result` says what was done."""

    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    result: Result
    reference_no: str | None = None
    amount: Money | None = None
    undo_result: str | None = None
    original_reference_no: str | None = None


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """What became of the payment that was asked about; `code` is the code of its refusal."""

    state: str
    reference_no: str | None = None
    clearing_date: date | None = None
    amount: Money | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class StatusEnquiryReply:
    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    result: Result
    status: PaymentStatus | None = None


@dataclass(frozen=True, slots=True)
class RefusalReply:
    """Answer to a request that could not be understood or trusted: nothing of its body is repeated."""

    result: Result


Request = BillEnquiryRequest | PaymentRequest | DepositRequest | UndoRequest | StatusEnquiryRequest
Reply = BillEnquiryReply | PaymentReply | UndoReply | StatusEnquiryReply | RefusalReply
Body = Request | Reply


@dataclass(frozen=True, slots=True)
class BankXmlMessage:
    header: Header
    body: Body
