"""Guangzhou dialect: the response codes of the utility's replies, with what each means for the bank's own entry.

Strategy: two literal tables. `CODES` has every field 39 that we send; a code has one class, so that a bank can act on
the class alone and no refusal can be read as success. Codes from 00 to 10, and 80, are the dialect's; 12, 13, 25, 30,
64, 68, 94, 96, B1 and C3 are the usual ISO and UnionPay ones where the dialect has none; U0 to UC are ours. `DETAILS`
has field 60 of a 0410. A code that is not in the table leaves the outcome unknown: never success, never a refusal.

05 and 30 are given before a message is known to be the bank's, so that they are no word about its trace: anybody can
send a damaged copy of a message that was booked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class CodeClass(StrEnum):
    """What a bank does with its own entry."""

    SUCCESS = "success"
    FINAL_REFUSAL = "final_refusal"
    RETRY_LATER = "retry_later"
    UNKNOWN_OUTCOME = "unknown_outcome"


@dataclass(frozen=True, slots=True)
class ResponseCode:
    code_class: CodeClass
    english: str
    chinese: str


_OK, _NO, _RETRY, _UNKNOWN = CodeClass
CODES: Mapping[str, ResponseCode] = MappingProxyType(
    {
        "00": ResponseCode(_OK, "done", "成功"),
        "01": ResponseCode(_NO, "invalid message: a field is missing, not used, or malformed", "报文无效或格式错"),
        "05": ResponseCode(_UNKNOWN, "MAC is missing or wrong: the message was not trusted", "MAC校验错"),
        "06": ResponseCode(_UNKNOWN, "no answer in time inside the utility", "超时"),
        "07": ResponseCode(_NO, "date or time does not exist or is too far off", "日期或时间无效"),
        "08": ResponseCode(_NO, "invalid month, or no such bill of this customer", "电费月份无效或无此账单"),
        "09": ResponseCode(_NO, "nothing is owed", "无欠费"),
        "10": ResponseCode(_NO, "no such customer", "无此用户"),
        "12": ResponseCode(_NO, "transaction not offered, or not to this bank", "无效交易"),
        "13": ResponseCode(_NO, "amount is zero or malformed, or a fee was sent", "无效金额"),
        "25": ResponseCode(_NO, "original not found", "原交易不存在"),
        "30": ResponseCode(_UNKNOWN, "message could not be read, so it could not be trusted", "报文无法解析"),
        "64": ResponseCode(_NO, "amount differs from the original's", "与原交易金额不符"),
        "68": ResponseCode(_UNKNOWN, "state of the transaction unknown", "交易状态未明"),
        "80": ResponseCode(_NO, "cancel or reversal refused; field 60 says why", "冲正失败"),
        "94": ResponseCode(_NO, "trace number was used with other content", "流水号重复"),
        "96": ResponseCode(_RETRY, "system error, nothing booked", "系统错误,未入账"),
        "B1": ResponseCode(_RETRY, "too many requests at once, nothing booked", "请求过于频繁,未入账"),
        "C3": ResponseCode(_NO, "not of this clearing date any more", "非当日交易不能抹账"),
        "U0": ResponseCode(_UNKNOWN, "message seen before, or outside the time window", "重放报文"),
        "U1": ResponseCode(_RETRY, "not processed before the deadline, nothing booked", "处理超时,未入账"),
        "U2": ResponseCode(_UNKNOWN, "the same request is being processed", "交易处理中"),
        "U3": ResponseCode(_NO, "a reversal arrived before the payment, which is refused", "已被冲正或封锁"),
        "U4": ResponseCode(_RETRY, "the bank has to sign on first, nothing booked", "银行未签到,未入账"),
        "U5": ResponseCode(_NO, "already cancelled or reversed", "原交易已冲正"),
        "U6": ResponseCode(_NO, "the payment's prepayment has been used", "预存款已被使用"),
        "U7": ResponseCode(_NO, "bill is already paid", "账单已缴"),
        "U8": ResponseCode(_NO, "bill is in a batch debit", "批扣在途"),
        "U9": ResponseCode(_NO, "bill has changed: enquire again", "账单已变化,请重新查询"),
        "UA": ResponseCode(_NO, "amount is above what the named month owes", "金额大于欠费"),
        "UB": ResponseCode(_NO, "must be paid in full", "须全额缴纳"),
        "UC": ResponseCode(_NO, "arrears exist, so no prepayment is taken", "有欠费,不能预存"),
    }
)

UNDO_REFUSED = "80"


@dataclass(frozen=True, slots=True)
class DetailCode:
    english: str
    chinese: str


# 0000, 8072, 8075, 8081 and 8093 are the dialect's; 8082, 8083 and 8099 are ours.
DETAILS: Mapping[str, DetailCode] = MappingProxyType(
    {
        "0000": DetailCode("done", "已冲正"),
        "8072": DetailCode("original not found: nothing to undo", "原交易不存在"),
        "8075": DetailCode("amount differs from the original's", "金额不符"),
        "8081": DetailCode("already cancelled or reversed", "原交易已冲正"),
        "8082": DetailCode("a same-day cancel after the original's clearing date", "非当日交易不能抹账"),
        "8083": DetailCode("the original's prepayment has been used", "预存款已被使用"),
        "8093": DetailCode("outcome unknown: send again", "可疑"),
        "8099": DetailCode("not looked at; field 39 says why", "未处理"),
    }
)


def class_of_code(code: str) -> CodeClass:
    """The class of field 39; a code that is not in the table leaves the outcome unknown."""
    known = CODES.get(code)
    return known.code_class if known else CodeClass.UNKNOWN_OUTCOME
