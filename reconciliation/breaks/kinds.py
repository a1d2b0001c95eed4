"""The kinds of break and what a clerk does about each: literal tables, nothing decided elsewhere.

`KINDS` names a kind in both languages; `PROPOSALS` maps a kind and its case to a treatment. The first row that fits is
the proposal, so an exception stands above its rule. A treatment that moves money needs a second person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class BreakKind(StrEnum):
    BANK_ONLY = "BANK_ONLY"
    UTILITY_ONLY = "UTILITY_ONLY"
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    DUPLICATE_BANK = "DUPLICATE_BANK"
    DUPLICATE_UTILITY = "DUPLICATE_UTILITY"
    CROSS_DAY = "CROSS_DAY"
    STATUS_MISMATCH = "STATUS_MISMATCH"
    CUSTOMER_MISMATCH = "CUSTOMER_MISMATCH"
    CHANNEL_MISMATCH = "CHANNEL_MISMATCH"
    SUSPECT = "SUSPECT"
    FILE_ERROR = "FILE_ERROR"


class BillState(StrEnum):
    """How the bills of a one-sided bank entry stand at the day's end."""

    OPEN = "OPEN"
    SETTLED = "SETTLED"
    NOT_FOUND = "NOT_FOUND"  # no such bill or customer with us
    NOT_ASKED = ""


class Treatment(StrEnum):
    LATE_POST = "LATE_POST"
    REFUND_OR_PREPAYMENT = "REFUND_OR_PREPAYMENT"
    SUSPENSE = "SUSPENSE"
    HOLD = "HOLD"
    WAIT_OR_ASK = "WAIT_OR_ASK"
    ASK_THEN_REVERSE = "ASK_THEN_REVERSE"
    REVERSE_AND_REPOST = "REVERSE_AND_REPOST"
    REVERSE_SECOND = "REVERSE_SECOND"
    MOVE_SETTLEMENT = "MOVE_SETTLEMENT"
    REVERSE_AT_UTILITY = "REVERSE_AT_UTILITY"
    POST_AGAIN = "POST_AGAIN"
    CLOSE_NETTED = "CLOSE_NETTED"
    REPOST_TO_CUSTOMER = "REPOST_TO_CUSTOMER"
    CORRECT_ATTRIBUTE = "CORRECT_ATTRIBUTE"
    ASK_FILE_AGAIN = "ASK_FILE_AGAIN"


@dataclass(frozen=True, slots=True)
class TreatmentText:
    chinese: str
    english: str
    moves_money: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """A row of the table: kind, and the case in which it applies (None: any)."""

    kind: BreakKind
    treatment: Treatment
    bill_state: BillState | None = None
    side: str | None = None  # which side has the entry that the other lacks
    netted_over_days: bool | None = None
    from_age_days: int = 0


TREATED_AS_REAL_AFTER_DAYS = 2  # T+2: absence from the files counts
ESCALATED_AFTER_DAYS = 5

KINDS: Mapping[BreakKind, tuple[str, str]] = {
    BreakKind.BANK_ONLY: ("长款(银行多)", "bank only"),
    BreakKind.UTILITY_ONLY: ("短款(电力多)", "utility only"),
    BreakKind.AMOUNT_MISMATCH: ("金额不符", "amounts differ"),
    BreakKind.DUPLICATE_BANK: ("银行重复", "bank has it twice"),
    BreakKind.DUPLICATE_UTILITY: ("电力重复", "utility has it twice"),
    BreakKind.CROSS_DAY: ("跨日", "on different days"),
    BreakKind.STATUS_MISMATCH: ("状态不符(一方已冲正)", "undone on one side"),
    BreakKind.CUSTOMER_MISMATCH: ("户号不符", "customers differ"),
    BreakKind.CHANNEL_MISMATCH: ("渠道不符", "channel or settle method differs"),
    BreakKind.SUSPECT: ("存疑(结果未明)", "suspect, its end is in doubt"),
    BreakKind.FILE_ERROR: ("文件错", "settlement file unusable"),
}

TREATMENTS: Mapping[Treatment, TreatmentText] = {
    Treatment.LATE_POST: TreatmentText("补记账(按银行缴费时间)", "late-post from the bank's record", True),
    Treatment.REFUND_OR_PREPAYMENT: TreatmentText("退款或转预收", "refund through the bank, or to prepayment", True),
    Treatment.SUSPENSE: TreatmentText("挂账待查", "hold in suspense and ask the bank", True),
    Treatment.HOLD: TreatmentText("存疑, 等待至T+2", "hold until the T+2 file", False),
    Treatment.WAIT_OR_ASK: TreatmentText("等待至T+2, 或向银行查询", "wait for the T+2 file, or ask the bank", False),
    Treatment.ASK_THEN_REVERSE: TreatmentText("查询查复后冲正", "ask the bank; reverse if it took no money", True),
    Treatment.REVERSE_AND_REPOST: TreatmentText("冲正后按银行金额重记", "reverse and post the bank's amount", True),
    Treatment.REVERSE_SECOND: TreatmentText("冲正第二笔", "reverse the second posting", True),
    Treatment.MOVE_SETTLEMENT: TreatmentText("应收银行款转入银行清算日", "move due-from-bank to the bank's day", True),
    Treatment.REVERSE_AT_UTILITY: TreatmentText("电力侧冲正", "reverse at the utility", True),
    Treatment.POST_AGAIN: TreatmentText("确认银行已收款后补记账", "if the bank took the money, post again", True),
    Treatment.CLOSE_NETTED: TreatmentText("两日相抵, 核对后关闭", "nets over the days; close after a look", False),
    Treatment.REPOST_TO_CUSTOMER: TreatmentText("冲正后记入正确户号", "reverse, post to the right customer", True),
    Treatment.CORRECT_ATTRIBUTE: TreatmentText("更正渠道或结算方式", "correct the attribute, no money", False),
    Treatment.ASK_FILE_AGAIN: TreatmentText("请银行重送文件", "ask the bank for the file again", False),
}

PROPOSALS: tuple[Proposal, ...] = (
    Proposal(BreakKind.BANK_ONLY, Treatment.LATE_POST, bill_state=BillState.OPEN),
    Proposal(BreakKind.BANK_ONLY, Treatment.REFUND_OR_PREPAYMENT, bill_state=BillState.SETTLED),
    Proposal(BreakKind.BANK_ONLY, Treatment.SUSPENSE),
    Proposal(BreakKind.UTILITY_ONLY, Treatment.ASK_THEN_REVERSE, from_age_days=TREATED_AS_REAL_AFTER_DAYS),
    Proposal(BreakKind.UTILITY_ONLY, Treatment.HOLD),
    Proposal(BreakKind.AMOUNT_MISMATCH, Treatment.REVERSE_AND_REPOST),
    Proposal(BreakKind.DUPLICATE_BANK, Treatment.REFUND_OR_PREPAYMENT),
    Proposal(BreakKind.DUPLICATE_UTILITY, Treatment.REVERSE_SECOND),
    Proposal(BreakKind.CROSS_DAY, Treatment.MOVE_SETTLEMENT),
    Proposal(BreakKind.STATUS_MISMATCH, Treatment.CLOSE_NETTED, netted_over_days=True),
    Proposal(BreakKind.STATUS_MISMATCH, Treatment.REVERSE_AT_UTILITY, side="BANK"),
    Proposal(BreakKind.STATUS_MISMATCH, Treatment.POST_AGAIN),
    Proposal(BreakKind.CUSTOMER_MISMATCH, Treatment.REPOST_TO_CUSTOMER),
    Proposal(BreakKind.CHANNEL_MISMATCH, Treatment.CORRECT_ATTRIBUTE),
    Proposal(BreakKind.SUSPECT, Treatment.WAIT_OR_ASK),
    Proposal(BreakKind.FILE_ERROR, Treatment.ASK_FILE_AGAIN),
)


def propose(kind: BreakKind, *, bill_state: BillState, side: str, netted_over_days: bool, age_days: int) -> Treatment:
    """The treatment of the first row that fits; every kind has a row without conditions, so there always is one."""
    for row in PROPOSALS:
        if (
            row.kind is kind
            and row.bill_state in (None, bill_state)
            and row.side in (None, side)
            and row.netted_over_days in (None, netted_over_days)
            and age_days >= row.from_age_days
        ):
            return row.treatment
    raise LookupError(f"no treatment is listed for {kind}")
