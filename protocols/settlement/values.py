"""Kinds of column value: each one is a pair of functions, text to value and back.

Strategy: a layout's column names its kind, and the kind is all the reader and the writer know about its text. `parse`
raises `ValueError` whose text says the rule and never repeats the content; `format` gives the text of a value, which
the writer proves with `parse` before it puts it on a line. Amounts are ints of fen here; the layout's builder adds the
file's currency. An empty text never gets here: the column says whether it may be empty, and an empty one is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from protocols.errors import MoneyError
from protocols.money import MAX_WIRE_MINOR, Money, parse_decimal, parse_minor

# A pipe would shift the columns, a control character (or Unicode's own line ends) would break lines and logs.
_NOT_TEXT = re.compile("[|\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CODE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*\Z")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*\Z")
_BIL_CUSTOMER = re.compile(r" *([0-9A-Za-z]{1,20})(?:\.[0-9A-Za-z]{1,8})?\Z")
BIL_CUSTOMER_BYTES = 21


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its name for the documentation, how to read it, how to write it."""

    name: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]


def _digits(text: str, rule: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(rule)
    return text


def _matching(pattern: re.Pattern[str], rule: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if pattern.match(text) is None:
            raise ValueError(rule)
        return text

    return parse


def _parse_text(text: str) -> str:
    if _NOT_TEXT.search(text) is not None:
        raise ValueError("a pipe or a control character is not allowed in text")
    return text


# Dates repeat on millions of lines; the cache makes them cheap, and its size is bounded because the file is a peer's.
@lru_cache(maxsize=1024)
def _parse_date(text: str) -> date:
    if len(text) != 8:
        raise ValueError("not a date: 8 digits yyyymmdd")
    _digits(text, "not a date: 8 digits yyyymmdd")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise ValueError("this date does not exist") from None


def _parse_time(text: str) -> time:
    if len(text) != 6:
        raise ValueError("not a time: 6 digits hhmmss")
    _digits(text, "not a time: 6 digits hhmmss")
    try:
        return time(int(text[:2]), int(text[2:4]), int(text[4:]))
    except ValueError:
        raise ValueError("this time does not exist") from None


def _parse_moment(text: str) -> datetime:
    if len(text) != 14:
        raise ValueError("not a date and time: 14 digits yyyymmddhhmmss")
    return datetime.combine(_parse_date(text[:8]), _parse_time(text[8:]))


def _parse_month_day(text: str) -> tuple[int, int]:
    if len(text) != 4:
        raise ValueError("not a day of a year: 4 digits mmdd")
    _digits(text, "not a day of a year: 4 digits mmdd")
    month, day = int(text[:2]), int(text[2:])
    try:
        date(2000, month, day)  # a leap year: whether the real year has a 29 February is the builder's question
    except ValueError:
        raise ValueError("this date does not exist") from None
    return month, day


def _parse_month(text: str) -> str:
    if len(text) != 6 or not 1 <= int(_digits(text, "not a month: 6 digits yyyymm")[4:]) <= 12 or text[:4] == "0000":
        raise ValueError("not a month: 6 digits yyyymm")
    return text


def _parse_count(text: str) -> int:
    return int(_digits(text, "not a count: digits only"))


def _yuan_fen(text: str, *, signed: bool) -> int:
    # Exactly two decimals: a file in fen read as yuan would be a hundred times too much and still add up.
    try:
        minor = parse_decimal(text, "", signed=signed).minor
    except MoneyError as error:
        raise ValueError(error.what) from None
    if text[-3:-2] != ".":
        raise ValueError("an amount in yuan has exactly two decimals here")
    return minor


def _digits_fen(text: str, *, signed: bool) -> int:
    negative = signed and text.startswith("-")
    if text.startswith("-") and not signed:
        raise ValueError("an amount may not be negative here")
    try:
        minor = parse_minor(text[1:] if negative else text, "").minor
    except MoneyError as error:
        raise ValueError(error.what) from None
    if minor > MAX_WIRE_MINOR:
        raise ValueError("the amount does not fit 12 digits of minor units")
    return -minor if negative else minor


def _positive(minor: int) -> int:
    if minor <= 0:
        raise ValueError("an amount of zero is not allowed here")
    return minor


def _format_yuan(minor: int) -> str:
    return Money(minor).decimal()


def _parse_bil_customer(text: str) -> str:
    match = _BIL_CUSTOMER.match(text)
    if match is None:
        raise ValueError("not a customer number: spaces, then letters and digits, then at most a point and an area tag")
    return match.group(1)


def _parse_bil_month(text: str) -> str | None:
    if text in ("9", "99999999"):
        return None
    _digits(text, "not a month: 8 digits, yyyymm and a count, or 99999999 for all")
    if len(text) != 8:
        raise ValueError("not a month: 8 digits, yyyymm and a count, or 99999999 for all")
    return _parse_month(text[:6])


def _parse_reference(text: str) -> str | None:
    """Twelve zeros stand for "not known", as in field 48 of the Guangzhou reversal."""
    return None if text.strip("0") == "" else _digits(text, "not a reference number: digits only")


def constant(expected: str) -> Kind:
    """A column that always holds `expected` (a line's tag, the file kind, the version)."""

    def parse(text: str) -> str:
        if text != expected:
            raise ValueError(f"must be {expected}")
        return expected

    return Kind(f"constant {expected}", parse, lambda _: expected)


def choice(*allowed: str) -> Kind:
    """One of a few words."""
    known = frozenset(allowed)
    listed = ", ".join(allowed)

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {listed}")
        return text

    return Kind(f"one of {listed}", parse, str)


def bil_customer(suffix: str) -> Kind:
    """21 bytes, left-padded with spaces; `suffix` (".0505") is written after the number and never part of it."""

    def write(number: str) -> str:
        return (number + suffix).rjust(BIL_CUSTOMER_BYTES)

    return Kind("customer number, left-padded, with or without an area tag", _parse_bil_customer, write)


TEXT = Kind("text", _parse_text, str)
CODE = Kind("letters, digits, . _ -", _matching(_CODE, "letters, digits, point, underscore and hyphen only"), str)
NAME = Kind("name in capitals", _matching(_NAME, "not a name: capital letters, digits and underscores"), str)
DATE = Kind("yyyymmdd", _parse_date, lambda value: f"{value:%Y%m%d}".rjust(8, "0"))
TIME = Kind("hhmmss", _parse_time, lambda value: f"{value:%H%M%S}")
MOMENT = Kind("yyyymmddhhmmss", _parse_moment, lambda value: f"{value:%Y%m%d%H%M%S}".rjust(14, "0"))
MONTH_DAY = Kind("mmdd", _parse_month_day, lambda value: f"{value[0]:02d}{value[1]:02d}")
MONTH = Kind("yyyymm", _parse_month, str)
COUNT = Kind("count", _parse_count, str)
YUAN = Kind("yuan with two decimals", lambda text: _yuan_fen(text, signed=False), _format_yuan)
YUAN_POSITIVE = Kind("yuan with two decimals, not 0", lambda t: _positive(_yuan_fen(t, signed=False)), _format_yuan)
YUAN_SIGNED = Kind("yuan with two decimals, - allowed", lambda text: _yuan_fen(text, signed=True), _format_yuan)
FEN = Kind("fen", lambda text: _digits_fen(text, signed=False), str)
FEN_POSITIVE = Kind("fen, not 0", lambda text: _positive(_digits_fen(text, signed=False)), str)
FEN_SIGNED = Kind("fen, - allowed", lambda text: _digits_fen(text, signed=True), str)
FEN_12 = Kind("fen, 12 digits with zeros in front, not 0", FEN_POSITIVE.parse, lambda minor: str(minor).zfill(12))
BIL_MONTH = Kind("yyyymm and a count, 99999999 for all", _parse_bil_month, lambda value: value + "99")
REFERENCE = Kind("digits, zeros for unknown", _parse_reference, str)
