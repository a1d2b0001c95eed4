"""What we answer, free of any wire format.

Strategy: three results. `Approved` is booked and committed; `Declined` is not booked, with a reason whose class says
what the bank does next; `Unknown` means that nobody may assume either. Reasons are one literal table, ordered by
precedence: where several apply, the first one is answered. Channels map every reason to a code of their protocol; a
reason's class goes with it, and no code may belong to two classes.

What is answered before a message was authenticated is always `Unknown`: anybody on the line can send a damaged copy of
a booked payment, and our sealed answer to the copy must not make the bank give that payment's money back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum, StrEnum

from protocols.money import Money


class OutcomeClass(StrEnum):
    """What the answer means for the bank's own entry."""

    SUCCESS = "success"
    FINAL_REFUSAL = "final_refusal"  # not booked and never will be under this key: give the money back
    RETRY_LATER = "retry_later"  # not booked; the same message may be sent again; the key is not consumed
    UNKNOWN_OUTCOME = "unknown_outcome"  # ask for the status, or reverse; never repeat under a new trace number


class Reason(Enum):
    """Why not, in order of precedence: (class, English, Chinese)."""

    # Unknown, not refused: a message that was not authenticated may be a damaged copy of one that was booked.
    UNREADABLE = (OutcomeClass.UNKNOWN_OUTCOME, "message could not be read, so it could not be trusted", "报文无法解析")
    SIGNATURE_INVALID = (OutcomeClass.UNKNOWN_OUTCOME, "MAC or signature is wrong", "签名或MAC校验失败")
    # Final, so it is given to authenticated messages alone, and so is everything below it.
    FORMAT_ERROR = (OutcomeClass.FINAL_REFUSAL, "message format error", "报文格式错")
    # Unknown, not refused: a network that delivers a message twice has one copy booked and the other answered so.
    REPLAYED = (OutcomeClass.UNKNOWN_OUTCOME, "message seen before or outside the time window", "重放报文")
    BAD_OPERATION = (OutcomeClass.FINAL_REFUSAL, "operation not offered to this bank", "交易码错误")
    DATE_INVALID = (OutcomeClass.FINAL_REFUSAL, "date does not exist or is too far off", "日期无效")
    AMOUNT_INVALID = (OutcomeClass.FINAL_REFUSAL, "amount is zero, negative or malformed", "金额无效")
    OVERLOADED = (OutcomeClass.RETRY_LATER, "too many requests at once", "系统繁忙")
    DEADLINE_PASSED = (OutcomeClass.RETRY_LATER, "not processed in time, nothing booked", "处理超时未入账")
    DUPLICATE_TRACE = (OutcomeClass.FINAL_REFUSAL, "trace number used with other content", "流水号重复")
    IN_PROGRESS = (OutcomeClass.UNKNOWN_OUTCOME, "the same request is being processed", "交易处理中")
    FENCED = (OutcomeClass.FINAL_REFUSAL, "reversed or fenced before it arrived", "已被冲正或封锁")
    NOT_SIGNED_ON = (OutcomeClass.RETRY_LATER, "bank has not signed on", "银行未签到")
    CUSTOMER_NOT_FOUND = (OutcomeClass.FINAL_REFUSAL, "no such customer", "无此用户")
    ORIGINAL_NOT_FOUND = (OutcomeClass.FINAL_REFUSAL, "no such payment of this bank", "原交易不存在")
    ALREADY_REVERSED = (OutcomeClass.FINAL_REFUSAL, "already cancelled or reversed", "原交易已冲正")
    AMOUNT_DIFFERS = (OutcomeClass.FINAL_REFUSAL, "amount differs from the original's", "与原交易金额不符")
    CANCEL_NOT_ALLOWED = (OutcomeClass.FINAL_REFUSAL, "not of this clearing date any more", "非当日交易不能抹账")
    PREPAYMENT_USED = (OutcomeClass.FINAL_REFUSAL, "prepayment of the original has been used", "预存款已被使用")
    BILL_NOT_FOUND = (OutcomeClass.FINAL_REFUSAL, "no such bill of this customer", "无此账单")
    NO_ARREARS = (OutcomeClass.FINAL_REFUSAL, "nothing is owed", "无欠费")
    ARREARS_EXIST = (OutcomeClass.FINAL_REFUSAL, "arrears exist, so no prepayment is taken", "有欠费,不能预存")
    ALREADY_PAID = (OutcomeClass.FINAL_REFUSAL, "bill is already paid", "账单已缴")
    LOCKED_IN_BATCH = (OutcomeClass.FINAL_REFUSAL, "bill is in a batch debit", "批扣在途")
    BILL_CHANGED = (OutcomeClass.FINAL_REFUSAL, "bill has changed, enquire again", "账单已变化")
    AMOUNT_TOO_LARGE = (OutcomeClass.FINAL_REFUSAL, "amount is above the named bill", "金额大于欠费")
    PARTIAL_NOT_ALLOWED = (OutcomeClass.FINAL_REFUSAL, "must be paid in full", "须全额缴纳")
    STATUS_UNKNOWN = (OutcomeClass.UNKNOWN_OUTCOME, "not found; not fenced", "交易状态未明")
    SYSTEM_ERROR = (OutcomeClass.RETRY_LATER, "system error, nothing booked", "系统错误")
    TIMEOUT = (OutcomeClass.UNKNOWN_OUTCOME, "no answer in time", "交易超时")

    @property
    def outcome_class(self) -> OutcomeClass:
        return self.value[0]

    @property
    def english(self) -> str:
        return self.value[1]

    @property
    def chinese(self) -> str:
        return self.value[2]


@dataclass(frozen=True, slots=True)
class BillOwed:
    """One open bill as of the enquiry's day; owed = principal + penalty still due."""

    receivable_id: str
    billing_month: int
    principal: Money
    penalty: Money
    due_date: date
    partial_payment_allowed: bool
    locked: bool

    @property
    def owed(self) -> Money:
        return self.principal + self.penalty


@dataclass(frozen=True, slots=True)
class BillsFound:
    """Answer to a bill enquiry; `amount_to_pay` = max(0, owed - prepayment balance)."""

    customer_name: str = field(repr=False)
    supply_address: str = field(repr=False)
    bills: tuple[BillOwed, ...]
    prepayment_balance: Money
    amount_to_pay: Money


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """What a payment settled of one receivable (negative in a cancel or reversal)."""

    receivable_id: str
    billing_month: int
    principal: Money
    penalty: Money


@dataclass(frozen=True, slots=True)
class Receipt:
    """Answer to a payment or deposit: what it settled, and what went to prepayment."""

    lines: tuple[ReceiptLine, ...]
    prepayment: Money


class UndoResult(StrEnum):
    DONE_SAME_DAY = "DONE_SAME_DAY"
    DONE_NEXT_DAY = "DONE_NEXT_DAY"
    NOTHING_TO_UNDO = "NOTHING_TO_UNDO"  # a reversal that finds nothing: a success, and the payment is fenced


@dataclass(frozen=True, slots=True)
class Undo:
    """Answer to a cancel or reversal; `original_reference_no` is ours, None where there was nothing to undo."""

    result: UndoResult
    original_reference_no: str | None


class PaymentState(StrEnum):
    BOOKED = "BOOKED"
    CANCELLED = "CANCELLED"  # by same-day cancel, reversal or next-day reversal
    REFUSED = "REFUSED"
    FENCED = "FENCED"  # never booked, and can't be any more


@dataclass(frozen=True, slots=True)
class PaymentStatus:
    """Answer to a status enquiry: the state of the payment asked about, and its own outcome where it has one."""

    state: PaymentState
    reference_no: str | None = None
    clearing_date: date | None = None
    amount: Money | None = None
    refusal: Reason | None = None


Detail = BillsFound | Receipt | Undo | PaymentStatus


@dataclass(frozen=True, slots=True)
class Approved:
    """Done and committed. `clearing_date` binds the bank; `reference_no` (12 digits) names the posting."""

    clearing_date: date
    reference_no: str | None = None
    amount: Money | None = None
    detail: Detail | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """Not booked. `note` may add a position (safe to log and to send)."""

    reason: Reason
    note: str = ""
    clearing_date: date | None = None

    def __post_init__(self) -> None:
        if self.reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME:
            raise ValueError(f"{self.reason.name} is not a refusal: answer Unknown")


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody may assume success or failure; the bank asks again or reverses."""

    reason: Reason
    note: str = ""

    def __post_init__(self) -> None:
        if self.reason.outcome_class is not OutcomeClass.UNKNOWN_OUTCOME:
            raise ValueError(f"{self.reason.name} is known: answer Declined")


NotDone = Declined | Unknown
Outcome = Approved | NotDone


def not_done(reason: Reason, note: str = "") -> NotDone:
    """The answer for `reason`: Unknown where its class is, else Declined."""
    return (Unknown if reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME else Declined)(reason, note)


def class_of(outcome: Outcome) -> OutcomeClass:
    """The class of an outcome; only final ones (success, final refusal) consume the operation's key."""
    return OutcomeClass.SUCCESS if isinstance(outcome, Approved) else outcome.reason.outcome_class


def is_final(outcome: Outcome) -> bool:
    return class_of(outcome) in (OutcomeClass.SUCCESS, OutcomeClass.FINAL_REFUSAL)
