"""One line for a clerk, in both languages, that says what is the matter with one break.

Strategy: a literal table of sentences by kind and case; nothing in a sentence names a customer in full.
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.money import Money
from reconciliation.breaks.kinds import BillState, BreakKind
from reconciliation.breaks.model import Break, Record

_BILLS: Mapping[BillState, tuple[str, str]] = {
    BillState.OPEN: ("账单仍未缴", "the bill is still open"),
    BillState.SETTLED: ("账单已结清", "the bill has been settled"),
    BillState.NOT_FOUND: ("查无此户或账单", "no such customer or bill with us"),
    BillState.NOT_ASKED: ("", ""),
}
_WORDS: Mapping[str, tuple[str, str]] = {
    "customer": ("户号", "customer"),
    "amount": ("金额", "amount"),
    "status": ("状态", "status"),
    "channel": ("渠道", "channel"),
    "settle_method": ("结算方式", "settle method"),
}


def explain(found: Break) -> tuple[str, str]:
    """(Chinese, English): what differs, with both figures where money does."""
    chinese, english = _SENTENCES[found.kind](found)
    others = [_WORDS[word] for word in found.differs.split() if word not in _OWN_WORDS.get(found.kind, ())]
    if others:
        chinese += "; 另有不符: " + "、".join(word[0] for word in others)
        english += "; also differing: " + ", ".join(word[1] for word in others)
    return chinese, english


# Words that the sentence of a kind says by itself.
_OWN_WORDS: Mapping[BreakKind, tuple[str, ...]] = {
    BreakKind.CUSTOMER_MISMATCH: ("customer",),
    BreakKind.AMOUNT_MISMATCH: ("amount",),
    BreakKind.CHANNEL_MISMATCH: ("channel", "settle_method"),
    BreakKind.STATUS_MISMATCH: ("status",),
}


def _amount(record: Record | None) -> str:
    return Money(record.amount_fen).decimal() if record else "-"


def _day(record: Record | None) -> str:
    return record.clearing_date.isoformat() if record else "-"


def _bank_only(found: Break) -> tuple[str, str]:
    bill = _BILLS[found.bill_state]
    chinese = f"银行有 {_amount(found.bank_record)} 元成功记录, 电力无"
    english = f"the bank has a success of {_amount(found.bank_record)}, we have none"
    return (f"{chinese}; {bill[0]}", f"{english}; {bill[1]}") if bill[0] else (chinese, english)


def _utility_only(found: Break) -> tuple[str, str]:
    amount = _amount(found.utility_record)
    chinese = f"电力有 {amount} 元成功记录, 银行文件无"
    english = f"we have a success of {amount}, the bank's file has none"
    if found.supersedes:
        return (
            chinese + "; 原为存疑, 至T+2文件仍无",
            english + "; its end was in doubt, and no file up to T+2 has it",
        )
    return chinese, english


def _suspect(found: Break) -> tuple[str, str]:
    amount = _amount(found.utility_record)
    chinese = f"电力有 {amount} 元成功记录, 应答未明, 银行文件无"
    return chinese, f"we have a success of {amount} whose end the bank may not know, its file has none"


def _amount_mismatch(found: Break) -> tuple[str, str]:
    bank, utility = _amount(found.bank_record), _amount(found.utility_record)
    return f"银行 {bank} 元, 电力 {utility} 元", f"the bank has {bank}, we have {utility}"


def _duplicate_bank(found: Break) -> tuple[str, str]:
    amount = _amount(found.bank_record)
    return f"银行同一缴费多记 {amount} 元", f"the bank has the same payment once more, {amount} too much"


def _duplicate_utility(found: Break) -> tuple[str, str]:
    amount = _amount(found.utility_record)
    return f"电力同一流水多记 {amount} 元", f"we posted the same trace once more, {amount} too much"


def _cross_day(found: Break) -> tuple[str, str]:
    bank, utility = _day(found.bank_record), _day(found.utility_record)
    return f"银行记在 {bank}, 电力记在 {utility}", f"the bank has it on {bank}, we on {utility}"


def _status_mismatch(found: Break) -> tuple[str, str]:
    if found.bank_record and found.utility_record:
        status = found.bank_record.status or "-"
        return f"银行状态为 {status}, 电力为成功", f"the bank's status is {status}, ours is success"
    amount = _amount(found.record)
    who = ("银行", "电力", "the bank", "we") if found.side == "BANK" else ("电力", "银行", "we", "the bank")
    chinese = f"{who[0]}已冲正 {amount} 元, {who[1]}未冲正"
    has_not = "have not" if who[3] == "we" else "has not"
    english = f"{who[2]} undid {amount}, {who[3]} {has_not}"
    if found.netted_over_days:
        return (
            chinese + "; 与前日同侧缴费相抵",
            english + "; it nets with the payment of an earlier day on the same side",
        )
    return chinese, english


def _customer_mismatch(_: Break) -> tuple[str, str]:
    return "同一流水, 户号不同", "same trace, other customer"


def _channel_mismatch(found: Break) -> tuple[str, str]:
    bank, utility = found.bank_record, found.utility_record
    left = f"{bank.channel or '-'}/{bank.settle_method or '-'}" if bank else "-"
    right = f"{utility.channel or '-'}/{utility.settle_method or '-'}" if utility else "-"
    return f"银行 {left}, 电力 {right}", f"the bank has {left}, we have {right}"


def _file_error(_: Break) -> tuple[str, str]:
    return "对账文件不可用, 当日未勾对", "the settlement file can't be used; nothing was matched"


_SENTENCES = {
    BreakKind.BANK_ONLY: _bank_only,
    BreakKind.UTILITY_ONLY: _utility_only,
    BreakKind.AMOUNT_MISMATCH: _amount_mismatch,
    BreakKind.DUPLICATE_BANK: _duplicate_bank,
    BreakKind.DUPLICATE_UTILITY: _duplicate_utility,
    BreakKind.CROSS_DAY: _cross_day,
    BreakKind.STATUS_MISMATCH: _status_mismatch,
    BreakKind.CUSTOMER_MISMATCH: _customer_mismatch,
    BreakKind.CHANNEL_MISMATCH: _channel_mismatch,
    BreakKind.SUSPECT: _suspect,
    BreakKind.FILE_ERROR: _file_error,
}
