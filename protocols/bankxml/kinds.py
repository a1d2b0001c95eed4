"""The kinds of text that an element may hold: checked when read, checked when written.

Strategy: a `Kind` is a pair of functions, element to value and value to text. A reader names the element's path in
its refusal and never quotes the text. A writer refuses what its reader would refuse, so that nothing leaves this
house that it would not let in. Patterns are ASCII on purpose: a full-width digit is not a digit on this wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lxml import etree

from protocols.errors import DateError, MoneyError, ProtocolError
from protocols.money import CURRENCY, Money, parse_decimal
from protocols.xml import path_of

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})\Z")
_MONTH = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])\Z")
_NUMBER = re.compile(r"[0-9]{1,6}\Z")
_AMOUNT = re.compile(r"-?[0-9]{1,16}\.[0-9]{2}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Kind:
    """`read` takes an element without children and gives its value or raises; `write` puts a value into an element.

    `description` is what the wire page says of the kind.
    """

    read: Callable[[etree._Element], Any]
    write: Callable[[etree._Element, Any], None]
    description: str
    attributes: frozenset[str] = frozenset()


def _text_kind(read: Callable[[str, etree._Element], Any], write: Callable[[Any], str], description: str) -> Kind:
    """A kind without attributes; what it writes is read back once, so that no bad value is sent."""

    def read_element(element: etree._Element) -> Any:
        return read(element.text or "", element)

    def write_element(element: etree._Element, value: Any) -> None:
        text = write(value)
        read(text, element)
        element.text = text

    return Kind(read_element, write_element, description)


def pattern(regex: str, description: str) -> Kind:
    """Text that matches `regex` wholly."""
    compiled = re.compile(rf"(?:{regex})\Z")

    def read(text: str, element: etree._Element) -> str:
        if compiled.match(text) is None:
            raise ProtocolError(path_of(element), f"{description} expected")
        return text

    return _text_kind(read, str, description)


def one_of(names: tuple[str, ...], description: str = "") -> Kind:
    """One of a closed list of words; `description` stands for them on the wire page where they are many."""
    allowed = frozenset(names)

    def read(text: str, element: etree._Element) -> str:
        if text not in allowed:
            raise ProtocolError(path_of(element), f"one of {', '.join(names)} expected")
        return text

    return _text_kind(read, str, description or " or ".join(names))


def free_text(max_length: int) -> Kind:
    """1 to `max_length` characters, none of them a control character or a line break."""

    def read(text: str, element: etree._Element) -> str:
        if not 1 <= len(text) <= max_length or _CONTROL.search(text):
            raise ProtocolError(path_of(element), f"1 to {max_length} characters expected, no control characters")
        return text

    return _text_kind(read, str, f"text, 1 to {max_length} characters, no control characters")


def sendable(text: str, max_length: int) -> str:
    """`text` made fit for `free_text(max_length)`: control characters become spaces, the rest is cut."""
    return _CONTROL.sub(" ", text)[:max_length]


def _read_date(text: str, element: etree._Element) -> date:
    try:
        if _DATE.match(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise DateError(path_of(element), "a date that exists is expected, as YYYY-MM-DD")


def _read_moment(text: str, element: etree._Element) -> datetime:
    try:
        if _MOMENT.match(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise DateError(path_of(element), "a time that exists is expected, as YYYY-MM-DDThh:mm:ss.sss+hh:mm")


def _write_moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a time on the wire needs a time zone")
    return value.isoformat(timespec="milliseconds")


def _read_month(text: str, element: etree._Element) -> int:
    if _MONTH.match(text) is None:
        raise DateError(path_of(element), "a month is expected, as YYYYMM")
    return int(text)


def _read_count(text: str, element: etree._Element) -> int:
    if _NUMBER.match(text) is None:
        raise ProtocolError(path_of(element), "a number of 1 to 6 digits expected")
    return int(text)


def _read_flag(text: str, element: etree._Element) -> bool:
    if text not in ("true", "false"):
        raise ProtocolError(path_of(element), "true or false expected")
    return text == "true"


def _read_mark(text: str, element: etree._Element) -> bool:
    if text:
        raise ProtocolError(path_of(element), "an empty element expected")
    return True


def _write_mark(_element: etree._Element, value: bool) -> None:
    if value is not True:
        raise ValueError("a mark is there or it is not")


def _amount(description: str, *, zero_allowed: bool = True, signed: bool = False) -> Kind:
    def read(element: etree._Element) -> Money:
        if element.get("Ccy") != CURRENCY:
            raise MoneyError(path_of(element), f'the attribute Ccy="{CURRENCY}" is expected')
        text = element.text or ""
        if _AMOUNT.match(text) is None:
            raise MoneyError(path_of(element), "an amount in yuan with exactly two decimals is expected, as 123.45")
        money = parse_decimal(text, path_of(element), signed=signed)
        if money.minor == 0 and not zero_allowed:
            raise MoneyError(path_of(element), "an amount of zero is not allowed here")
        return money

    def write(element: etree._Element, value: Money) -> None:
        element.set("Ccy", value.currency)
        element.text = value.decimal()
        read(element)

    return Kind(read, write, f'yuan with two decimals, {description}, attribute Ccy="{CURRENCY}"', frozenset(("Ccy",)))


AMOUNT = _amount("above zero", zero_allowed=False)
AMOUNT_OR_ZERO = _amount("zero or more")
AMOUNT_SIGNED = _amount("may be negative", signed=True)
DATE = _text_kind(_read_date, date.isoformat, "date, YYYY-MM-DD")
MOMENT = _text_kind(_read_moment, _write_moment, "time with its offset, YYYY-MM-DDThh:mm:ss.sss+hh:mm")
MONTH = _text_kind(_read_month, str, "month, YYYYMM")
COUNT = _text_kind(_read_count, str, "number, 1 to 6 digits")
FLAG = _text_kind(_read_flag, lambda value: "true" if value else "false", "true or false")
MARK = Kind(lambda element: _read_mark(element.text or "", element), _write_mark, "empty element")
