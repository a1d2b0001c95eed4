"""Lines of the two import files, checked. Pure: bytes of a line in, a row or what is wrong out.

Strategy: UTF-8 CSV with a header of the model's field names, in any order; one table of columns for each file. A line
is a record (no line breaks inside quotes), so that a broken line can't swallow the next. Errors name the column, never
the value: names and numbers of customers must not reach logs.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

MAX_LINE_BYTES = 4096
MAX_FEN = 10**13  # a bill of a hundred thousand million yuan is a mistake
_TRUE, _FALSE = ("1", "true", "t", "yes"), ("0", "false", "f", "no", "")


class LineError(ValueError):
    """What is wrong with a line; safe to log."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how its text becomes a value, and the text that stands for it where the file has no such column."""

    parse: Callable[[str], Any]
    default: str | None = None


def _text(most: int, *, empty: bool = False) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text and not empty:
            raise LineError("is empty")
        if len(text) > most:
            raise LineError(f"has more than {most} characters")
        if not text.isprintable():
            raise LineError("has a character that can't be printed")
        return text

    return parse


def _code(most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        is_code = text.isalnum() or text.replace("-", "").replace("_", "").isalnum()
        if not (is_code and text.isascii()) or len(text) > most:
            raise LineError(f"is not 1 to {most} letters, digits, - or _")
        return text

    return parse


def _flag(text: str) -> bool:
    if text in _FALSE or text.lower() in _FALSE:
        return False
    if text.lower() in _TRUE:
        return True
    raise LineError("is neither true nor false")


def _fen(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= MAX_FEN:
        raise LineError("is not a positive whole number of fen")
    return int(text)


def _nothing(text: str) -> int:
    if text.strip("0"):
        raise LineError("can't be imported: sums are the sums of entries; leave it out or 0")
    return 0


def _month(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) == 6 and 1 <= int(text[4:]) <= 12 and text >= "1900"):
        raise LineError("is not a month as yyyymm")
    return int(text)


def _day(text: str) -> date:
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise LineError("is not a date as yyyy-mm-dd") from None


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise LineError(f"is none of {', '.join(allowed)}")
        return text

    return parse


# An empty payment number is the customer's own; `parse_line` fills it in.
CUSTOMER_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "customer_no": Column(_code(32)),
        "payment_no": Column(lambda text: _code(32)(text) if text else "", ""),
        "name": Column(_text(64)),
        "supply_address": Column(_text(128, empty=True)),
        "org_code": Column(_code(16)),
        "customer_class": Column(_one_of("01", "02", "03", "05")),
        "usage_category": Column(_code(8)),
        "penalty_exempt": Column(_flag, ""),
        "prepayment_balance_fen": Column(_nothing, ""),
    }
)
BILL_COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "receivable_id": Column(_code(32)),
        "customer_no": Column(_code(32)),
        "billing_month": Column(_month),
        "charge_kind": Column(_one_of("010", "020", "030"), "010"),
        "org_code": Column(_code(16)),
        "principal_fen": Column(_fen),
        "due_date": Column(_day),
        "partial_payment_allowed": Column(_flag, ""),
        "locked": Column(_flag, ""),
        "received_principal_fen": Column(_nothing, ""),
        "received_penalty_fen": Column(_nothing, ""),
    }
)


def parse_header(line: bytes, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """The column names of a file; raises LineError where one is missing, unknown or there twice."""
    names = tuple(name.strip() for name in _fields(line.removeprefix(b"\xef\xbb\xbf")))
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise LineError(f"has a column that is not one of {', '.join(columns)}")
    missing = [name for name, column in columns.items() if column.default is None and name not in names]
    if missing:
        raise LineError(f"lacks the columns {', '.join(missing)}")
    if len(set(names)) != len(names):
        raise LineError("names a column twice")
    return names


def parse_line(line: bytes, header: Sequence[str], columns: Mapping[str, Column]) -> dict[str, Any]:
    """The values of a line by column, defaults filled in; raises LineError."""
    fields = _fields(line)
    if len(fields) != len(header):
        raise LineError(f"has {len(fields)} fields where the header has {len(header)}")
    given = dict(zip(header, fields, strict=True))
    row: dict[str, Any] = {}
    for name, column in columns.items():
        try:
            row[name] = column.parse(given.get(name, column.default or "").strip())
        except LineError as error:
            raise LineError(f"{name} {error}") from None
    if row.get("payment_no") == "":
        row["payment_no"] = row["customer_no"]
    return row


def _fields(line: bytes) -> list[str]:
    if len(line) > MAX_LINE_BYTES:
        raise LineError(f"is longer than {MAX_LINE_BYTES} bytes")
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise LineError(f"is not UTF-8 at byte {error.start + 1}") from None
    if not text:
        raise LineError("is empty")
    if '"' not in text and "\r" not in text:
        return text.split(",")  # what most lines are, in a fifth of the time
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        raise LineError("is not CSV: a quote is not closed or stands in the middle of a field") from None
