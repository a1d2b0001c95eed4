"""The file checks and everything that can fail in them, as one literal table.

Strategy: the checks are numbered in the order in which they are made; a failure code belongs to one check and has its
advice beside it in English and Chinese, so that the log, the console and the letter to the bank say the same. Each
failure refuses the file as a whole, nothing of it is matched, except check 7: a repeated trace is a break of that line.
Check 8 is made against what the database knows about the day; its codes stand here so that its messages agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Check(IntEnum):
    """The file checks, in their order."""

    NAME = 1
    DIGEST_AND_SIGNATURE = 2
    LINES = 3
    COUNT = 4
    AMOUNT = 5
    CLEARING_DATE = 6
    REPEATED_TRACE = 7
    ALREADY_DONE = 8


class FailureCode(StrEnum):
    """What failed."""

    NAME_PATTERN = "NAME_PATTERN"
    NAME_BANK = "NAME_BANK"
    NAME_KIND = "NAME_KIND"
    NAME_DATE = "NAME_DATE"
    SEQUENCE_REPEATED = "SEQUENCE_REPEATED"
    SEQUENCE_GAP = "SEQUENCE_GAP"
    SIG_MISSING = "SIG_MISSING"
    SIG_FORM = "SIG_FORM"
    DIGEST_ALGORITHM = "DIGEST_ALGORITHM"
    DIGEST_WRONG = "DIGEST_WRONG"
    SIGNATURE_MISSING = "SIGNATURE_MISSING"
    SIGNATURE_KEY = "SIGNATURE_KEY"
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    SIG_OTHER_FILE = "SIG_OTHER_FILE"
    FILE_CHANGED = "FILE_CHANGED"
    LINES_UNREADABLE = "LINES_UNREADABLE"
    HEADER_BANK = "HEADER_BANK"
    HEADER_UTILITY = "HEADER_UTILITY"
    HEADER_CURRENCY = "HEADER_CURRENCY"
    HEADER_COUNT = "HEADER_COUNT"
    HEADER_GROSS_COUNT = "HEADER_GROSS_COUNT"
    TRAILER_COUNT = "TRAILER_COUNT"
    HEADER_AMOUNT = "HEADER_AMOUNT"
    HEADER_GROSS_AMOUNT = "HEADER_GROSS_AMOUNT"
    TRAILER_AMOUNT = "TRAILER_AMOUNT"
    HEADER_DATE = "HEADER_DATE"
    ENTRY_DATE = "ENTRY_DATE"
    TRACE_REPEATED = "TRACE_REPEATED"
    DAY_DONE = "DAY_DONE"
    DAY_IN_PROGRESS = "DAY_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Advice:
    """Which check a failure belongs to, what it means and what to do, in one line each; `zh` is Chinese."""

    check: Check
    meaning: str
    meaning_zh: str
    to_do: str
    to_do_zh: str


_RESEND = "Correct it and send the file again under the next sequence number."
_RESEND_ZH = "请更正后用下一个序号重新发送。"
_RESIGN = "Make the .sig again from the file as sent, with the agreed key and algorithm, and send both again."
_RESIGN_ZH = "请用约定的密钥和算法对所发文件重新生成 .sig，并一同重发。"
_RECOUNT = "Compute the totals again from the detail lines and send the file under the next sequence number."
_RECOUNT_ZH = "请按明细重新汇总，并用下一个序号重新发送。"

ADVICE: dict[FailureCode, Advice] = {
    FailureCode.NAME_PATTERN: Advice(
        Check.NAME,
        "The file name has no known form",
        "文件名格式不符",
        "Name it as agreed and send it again.",
        "请按约定命名后重新发送。",
    ),
    FailureCode.NAME_BANK: Advice(
        Check.NAME,
        "The file name names another bank",
        "文件名中的银行不符",
        "Send it into the folder of that bank.",
        "请发送到对应银行的目录。",
    ),
    FailureCode.NAME_KIND: Advice(
        Check.NAME,
        "The file is of another kind",
        "文件种类不符",
        "Send the file of payments for this reconciliation.",
        "请发送缴费对账文件。",
    ),
    FailureCode.NAME_DATE: Advice(
        Check.NAME,
        "The file name has another clearing date",
        "文件名中的清算日期不符",
        "Name the file by the clearing date that it settles.",
        "请用所对账的清算日期命名。",
    ),
    FailureCode.SEQUENCE_REPEATED: Advice(
        Check.NAME,
        "A file with this sequence number was already received",
        "该序号的文件已收到",
        "Send a replacement under the next sequence number.",
        "替换文件请用下一个序号。",
    ),
    FailureCode.SEQUENCE_GAP: Advice(
        Check.NAME,
        "A sequence number was left out",
        "文件序号不连续",
        "Send the missing file first, or use the next sequence number.",
        "请先补发缺失的文件，或使用下一个序号。",
    ),
    FailureCode.SIG_MISSING: Advice(
        Check.DIGEST_AND_SIGNATURE, "There is no .sig beside the file", "缺少 .sig 签名文件", _RESIGN, _RESIGN_ZH
    ),
    FailureCode.SIG_FORM: Advice(
        Check.DIGEST_AND_SIGNATURE, "The .sig can't be read", ".sig 签名文件格式错", _RESIGN, _RESIGN_ZH
    ),
    FailureCode.DIGEST_ALGORITHM: Advice(
        Check.DIGEST_AND_SIGNATURE,
        "The digest is of another algorithm than agreed",
        "摘要算法与约定不符",
        _RESIGN,
        _RESIGN_ZH,
    ),
    FailureCode.DIGEST_WRONG: Advice(
        Check.DIGEST_AND_SIGNATURE,
        "The file is not the one that was digested",
        "文件摘要不符",
        "The file was damaged or changed on its way: send file and .sig again.",
        "文件在传输中受损或被改动，请连同 .sig 重发。",
    ),
    FailureCode.SIGNATURE_MISSING: Advice(
        Check.DIGEST_AND_SIGNATURE, "The .sig has no signature", ".sig 中没有签名", _RESIGN, _RESIGN_ZH
    ),
    FailureCode.SIGNATURE_KEY: Advice(
        Check.DIGEST_AND_SIGNATURE,
        "Key or algorithm of the signature are not those agreed",
        "签名密钥或算法与约定不符",
        _RESIGN,
        _RESIGN_ZH,
    ),
    FailureCode.SIGNATURE_WRONG: Advice(
        Check.DIGEST_AND_SIGNATURE,
        "The signature does not verify",
        "验签失败",
        "Check which key signed it; if it was the agreed one, treat the file as forged.",
        "请核对签名所用密钥；若密钥无误，按伪造文件处理。",
    ),
    FailureCode.SIG_OTHER_FILE: Advice(
        Check.DIGEST_AND_SIGNATURE, "The .sig belongs to another file", ".sig 属于另一个文件", _RESIGN, _RESIGN_ZH
    ),
    FailureCode.FILE_CHANGED: Advice(
        Check.DIGEST_AND_SIGNATURE,
        "The file changed after its digest was checked",
        "文件在验摘要后被改动",
        "Write under a temporary name and rename; then send it again.",
        "请先写临时文件再改名，然后重新发送。",
    ),
    FailureCode.LINES_UNREADABLE: Advice(Check.LINES, "Lines can't be read", "存在无法读取的行", _RESEND, _RESEND_ZH),
    FailureCode.HEADER_BANK: Advice(
        Check.LINES, "The header names another bank", "文件头中的银行不符", _RESEND, _RESEND_ZH
    ),
    FailureCode.HEADER_UTILITY: Advice(
        Check.LINES, "The header names another utility", "文件头中的供电企业不符", _RESEND, _RESEND_ZH
    ),
    FailureCode.HEADER_CURRENCY: Advice(
        Check.LINES, "The file is in another currency", "文件币种不符", _RESEND, _RESEND_ZH
    ),
    FailureCode.HEADER_COUNT: Advice(
        Check.COUNT, "The header's count is not that of the details", "文件头笔数与明细不符", _RECOUNT, _RECOUNT_ZH
    ),
    FailureCode.HEADER_GROSS_COUNT: Advice(
        Check.COUNT,
        "The header's count of payments or cancels is not that of the details",
        "文件头缴费或抹账笔数与明细不符",
        _RECOUNT,
        _RECOUNT_ZH,
    ),
    FailureCode.TRAILER_COUNT: Advice(
        Check.COUNT, "The trailer's count is not that of the details", "文件尾笔数与明细不符", _RECOUNT, _RECOUNT_ZH
    ),
    FailureCode.HEADER_AMOUNT: Advice(
        Check.AMOUNT,
        "The header's net is not the sum of the details",
        "文件头净额与明细合计不符",
        _RECOUNT,
        _RECOUNT_ZH,
    ),
    FailureCode.HEADER_GROSS_AMOUNT: Advice(
        Check.AMOUNT,
        "The header's payments or cancels are not the sum of the details",
        "文件头缴费或抹账金额与明细合计不符",
        _RECOUNT,
        _RECOUNT_ZH,
    ),
    FailureCode.TRAILER_AMOUNT: Advice(
        Check.AMOUNT,
        "The trailer's net is not the sum of the details",
        "文件尾净额与明细合计不符",
        _RECOUNT,
        _RECOUNT_ZH,
    ),
    FailureCode.HEADER_DATE: Advice(
        Check.CLEARING_DATE, "The header has another clearing date", "文件头清算日期不符", _RESEND, _RESEND_ZH
    ),
    FailureCode.ENTRY_DATE: Advice(
        Check.CLEARING_DATE,
        "Details have another clearing date and are not listed as cross-day",
        "明细清算日期不符且未列为跨日",
        "Move them to the file of their day, or have them listed as cross-day.",
        "请移到所属清算日的文件，或登记为跨日。",
    ),
    FailureCode.TRACE_REPEATED: Advice(
        Check.REPEATED_TRACE,
        "A trace number is repeated",
        "流水号重复",
        "The first line is matched; the others wait as bank duplicates.",
        "首笔参加对账，其余按银行重复处理。",
    ),
    FailureCode.DAY_DONE: Advice(
        Check.ALREADY_DONE,
        "This bank's day is already reconciled",
        "该银行该日已对账",
        "Have the day reopened by an authorised user, then send a numbered replacement.",
        "请由授权人员重开该日，再发送带新序号的替换文件。",
    ),
    FailureCode.DAY_IN_PROGRESS: Advice(
        Check.ALREADY_DONE,
        "This bank's day is being reconciled",
        "该银行该日正在对账",
        "Wait for the run to end; then send a replacement if one is still needed.",
        "请等待本次对账结束，如仍需要再发送替换文件。",
    ),
}
