"""The codes of unresolved money in words, Chinese and English: literal tables, one for each column."""

from __future__ import annotations

from collections.abc import Mapping

Words = Mapping[str, tuple[str, str]]

KINDS: Words = {
    "PAYMENT": ("缴费", "payment"),
    "SAME_DAY_CANCEL": ("当日抹账", "same-day cancel"),
    "REVERSAL": ("冲正", "reversal"),
    "PREPAYMENT_DEPOSIT": ("存入预付款", "prepayment deposit"),
}
CAUSES: Words = {
    "NO_ANSWER_IN_TIME": ("超时未答复", "no answer in time"),
    "IN_PROGRESS": ("答复处理中", "answered in progress"),
    "REPLY_NOT_DELIVERED": ("应答未送达", "reply not delivered"),
    "COMMIT_UNKNOWN": ("提交结果未明", "commit with unknown result"),
}
OUR_SIDE: Words = {
    "BOOKED": ("已入账", "booked"),
    "CANCELLED": ("已入账后冲销", "booked, then undone"),
    "REFUSED": ("已拒绝", "refused"),
    "FENCED": ("已封锁", "fenced"),
    "NOTHING_TO_UNDO": ("无可冲销", "nothing to undo"),
    "NOT_BOOKED": ("未入账", "not booked"),
}
BANK_SIDE: Words = {
    "SILENT": ("无消息", "silent"),
    "RESEND_ANSWERED": ("已重发并获应答", "sent it again, was answered"),
    "STATUS_ENQUIRY_ANSWERED": ("已查询状态并获应答", "asked for the status, was answered"),
    "REVERSAL_ANSWERED": ("已冲正并获应答", "reversed it, was answered"),
    "CANCEL_ANSWERED": ("已抹账并获应答", "cancelled it, was answered"),
    "LATE_REPLY_DELIVERED": ("迟到应答已送达", "got the late reply"),
    "FOUND_IN_FILE": ("对账文件有此笔", "has it in its file"),
    "ABSENT_FROM_FILE": ("对账文件无此笔", "lacks it in its file"),
}
CLOSED_BY: Words = {
    "RESEND": ("重发", "resend"),
    "STATUS_ENQUIRY": ("状态查询", "status enquiry"),
    "REVERSAL": ("冲正", "reversal"),
    "CANCEL": ("抹账", "cancel"),
    "LATE_REPLY": ("迟到应答", "late reply"),
    "SETTLEMENT_FILE": ("对账文件(双方一致)", "settlement file, both sides have it"),
    "FILE_BREAK": ("对账文件(转长款等差错)", "settlement file, the bank alone has it: a break"),
    "ABSENT_BREAK": ("T+2文件仍无(转短款等差错)", "not in the files up to T+2: a break"),
    "ABSENT_BOTH": ("T+2文件仍无(双方均无)", "not in the files up to T+2, neither side has it"),
}
NEXT_ACTIONS: Words = {
    "WAIT_FOR_FILE": (
        "等待银行重发、查询、冲正或对账文件",
        "wait: the bank repeats, asks or reverses, or its file says",
    ),
    "ASK_BANK": ("查询查复, 至T+2文件前不冲正", "ask the bank; reverse nothing before the T+2 file"),
    "TREAT_BREAK": ("按差错处理", "treat the break"),
    "NOTHING": ("无", "nothing"),
}
