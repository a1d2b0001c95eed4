"""Guangzhou dialect, the bank's side: requests made, replies read.

Strategy: small frozen values for what all requests share (who sends, and under which trace), one function per request,
and one reader for every reply. Everything is a plain `Message`; `mac_field.seal` puts the MAC on and makes bytes.

When a reply was lost, reverse with the payment's own `Trace` and no original reference: fields 11 to 13 then name the
payment. When the reply came, cancel under a new trace and give its reference number (field 37).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from protocols.iso8583.codec import Message
from protocols.iso8583.dates import field_7, field_12, month_day, nearest_date
from protocols.iso8583.dialects.guangzhou_codes import CodeClass, class_of_code
from protocols.iso8583.dialects.guangzhou_layouts import (
    ENQUIRY_REPLY,
    Acceptor,
    Collection,
    Terminal,
    read_enquiry_reply,
)
from protocols.money import Money, parse_minor

SIGN_ON, SIGN_OFF, ECHO = "001", "002", "301"
ENQUIRY_CODE, PAYMENT_CODE, CANCEL_CODE, REVERSAL_CODE = "310000", "190000", "200000", "020000"
CURRENCY_CODE = "001"
PAYMENT_CLASS = "JF"
NO_FEE = "0" * 12
# An enquiry collects nothing yet.
NO_COLLECT_KIND = "00"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and where the payer stands: codes as text of digits, `channel` one of 0 to 6 and T (field 41)."""

    institution: str
    utility_institution: str = "333333"
    district_office: str = "0000"
    channel: str = "0"
    terminal_no: str = "1"
    outlet: str = "1"
    teller: str = "1"
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))


@dataclass(frozen=True, slots=True)
class Trace:
    """A request's own number (12 digits), the payer's time (aware), and the bank's clearing date (field 13)."""

    number: str
    at: datetime
    clearing_date: date


def sign_on(sender: Sender, trace_no: str, at: datetime) -> Message:
    """0820 with network code 001 (签到)."""
    return _network(SIGN_ON, sender, trace_no, at)


def sign_off(sender: Sender, trace_no: str, at: datetime) -> Message:
    """0820 with network code 002 (签退)."""
    return _network(SIGN_OFF, sender, trace_no, at)


def echo(sender: Sender, trace_no: str, at: datetime) -> Message:
    """0820 with network code 301 (线路测试)."""
    return _network(ECHO, sender, trace_no, at)


def _network(network_code: str, sender: Sender, trace_no: str, at: datetime) -> Message:
    return Message("0820", {7: field_7(at, sender.zone), 11: trace_no, 33: sender.institution, 70: network_code})


def enquiry(sender: Sender, trace: Trace, collection: Collection, account: str | None = None) -> Message:
    """0100, arrears enquiry (查询欠费); `collection.collect_kind` is not looked at, send `NO_COLLECT_KIND`."""
    return Message("0100", _collection_fields(ENQUIRY_CODE, sender, trace, collection, account))


def payment(sender: Sender, trace: Trace, collection: Collection, amount: Money, account: str | None = None) -> Message:
    """0200, payment (缴费). Send the same message again to ask what became of it."""
    fields = _collection_fields(PAYMENT_CODE, sender, trace, collection, account)
    return Message("0200", fields | _money_fields(sender, amount))


def cancel(
    sender: Sender, trace: Trace, collection: Collection, amount: Money, *, at: datetime, account: str | None = None
) -> Message:
    """0400 with processing code 200000: a teller's same-day cancel (当日抹账); `at` is when it is sent."""
    return _undo(sender, amount, at, _collection_fields(CANCEL_CODE, sender, trace, collection, account))


def reversal(
    sender: Sender, trace: Trace, collection: Collection, amount: Money, *, at: datetime, account: str | None = None
) -> Message:
    """0400 with processing code 020000: the system's reversal (冲正); `at` is when it is sent."""
    return _undo(sender, amount, at, _collection_fields(REVERSAL_CODE, sender, trace, collection, account))


def _undo(sender: Sender, amount: Money, at: datetime, fields: dict[int, str]) -> Message:
    return Message("0400", fields | _money_fields(sender, amount) | {7: field_7(at, sender.zone)})


def _collection_fields(
    code: str, sender: Sender, trace: Trace, collection: Collection, account: str | None
) -> dict[int, str]:
    fields = {
        3: code,
        11: trace.number,
        12: field_12(trace.at, sender.zone),
        13: month_day(trace.clearing_date),
        32: sender.institution,
        41: Terminal(sender.channel, sender.terminal_no).text(),
        42: Acceptor(sender.outlet, sender.teller).text(),
        48: collection.text(),
        49: CURRENCY_CODE,
        100: sender.utility_institution,
        104: PAYMENT_CLASS,
    }
    return fields if account is None else {2: account, **fields}


def _money_fields(sender: Sender, amount: Money) -> dict[int, str]:
    return {4: f"{amount.minor:012d}", 18: sender.district_office, 28: NO_FEE}


@dataclass(frozen=True, slots=True)
class Reply:
    """What a bank reads in a reply. Absent fields are None; `clearing_date` binds the bank's own entry."""

    mti: str
    trace_no: str | None
    code: str
    code_class: CodeClass
    clearing_date: date | None
    reference_no: str | None
    amount: Money | None
    detail: str | None
    name_address: str | None = field(repr=False)


def read_reply(message: Message, near: date) -> Reply:
    """Reads 0110, 0210, 0410 or 0830; `near` gives field 15 its year. Raises ProtocolError.

    `amount` is what is to be paid in a 0110, else the request's. Check the MAC before.
    """
    code = message.require(39)
    text_4, text_15 = message.get(4), message.get(15)
    return Reply(
        mti=message.mti,
        trace_no=message.get(11),
        code=code,
        code_class=class_of_code(code),
        clearing_date=nearest_date(text_15, near, "field 15") if text_15 else None,
        reference_no=message.get(37),
        amount=parse_minor(text_4, "field 4") if text_4 else None,
        detail=message.get(60),
        name_address=_name_address(message),
    )


def _name_address(message: Message) -> str | None:
    text = message.get(48)
    if message.mti != "0110" or text is None or len(text.encode("gbk")) != ENQUIRY_REPLY.width:
        return None
    return read_enquiry_reply(text).name_address
