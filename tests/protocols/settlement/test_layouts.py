"""Columns, kinds and layouts: one row per text, what it means or why it is refused."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pytest

from protocols.settlement import values
from protocols.settlement.layout import Column, ColumnError, Record
from protocols.settlement.layouts import BIL, PIPE, layout_named
from protocols.settlement.pipe import pipe_layout
from protocols.settlement.values import Kind

GOOD: list[tuple[Kind, str, Any]] = [
    (values.TEXT, "张三 代缴　电费", "张三 代缴　电费"),
    (values.CODE, "R0000000000001", "R0000000000001"),
    (values.NAME, "BANK_COUNTER", "BANK_COUNTER"),
    (values.DATE, "20240229", date(2024, 2, 29)),
    (values.TIME, "235959", time(23, 59, 59)),
    (values.MOMENT, "20240403090501", datetime(2024, 4, 3, 9, 5, 1)),  # noqa: DTZ001 - the layout's builder adds the zone
    (values.MONTH_DAY, "0229", (2, 29)),
    (values.MONTH, "202312", "202312"),
    (values.COUNT, "007", 7),
    (values.YUAN, "34.06", 3406),
    (values.YUAN, "0.00", 0),
    (values.YUAN_SIGNED, "-0.05", -5),
    (values.FEN, "3406", 3406),
    (values.FEN_SIGNED, "-5", -5),
    (values.FEN_12, "000000010000", 10000),
    (values.BIL_MONTH, "20100299", "201002"),
    (values.BIL_MONTH, "99999999", None),
    (values.BIL_MONTH, "9", None),
    (values.REFERENCE, "120227000012", "120227000012"),
    (values.REFERENCE, "000000000000", None),
    (values.bil_customer(""), "    012345678901.0505", "012345678901"),
    (values.bil_customer(""), "012345678901", "012345678901"),
]

BAD: list[tuple[Kind, str, str]] = [
    (values.TEXT, "a\tb", "control character"),
    (values.TEXT, "a\rb", "control character"),
    (values.CODE, "-1", "letters, digits"),
    (values.CODE, "１２３", "letters, digits"),
    (values.NAME, "Cash", "capital letters"),
    (values.DATE, "20240230", "does not exist"),
    (values.DATE, "2024-4-3", "yyyymmdd"),
    (values.DATE, "２０２４0403", "yyyymmdd"),
    (values.DATE, "240403", "yyyymmdd"),
    (values.DATE, "00000101", "does not exist"),
    (values.TIME, "240000", "does not exist"),
    (values.TIME, "9:05:1", "hhmmss"),
    (values.TIME, "0905", "hhmmss"),
    (values.MOMENT, "20240403", "yyyymmddhhmmss"),
    (values.MOMENT, "20240431090501", "does not exist"),
    (values.MONTH_DAY, "0230", "does not exist"),
    (values.MONTH_DAY, "229", "mmdd"),
    (values.MONTH_DAY, "2/29", "mmdd"),
    (values.MONTH, "202313", "yyyymm"),
    (values.MONTH, "000001", "yyyymm"),
    (values.MONTH, "24-04.", "yyyymm"),
    (values.COUNT, "-1", "digits only"),
    (values.YUAN, "34", "exactly two decimals"),
    (values.YUAN, "34.0", "exactly two decimals"),
    (values.YUAN, "34.065", "at most two decimals"),
    (values.YUAN, "-34.06", "negative"),
    (values.YUAN, "1e3", "not an amount"),
    (values.YUAN, "1,000.00", "not an amount"),
    (values.YUAN_POSITIVE, "0.00", "zero"),
    (values.YUAN_SIGNED, "99999999999.00", "12 digits"),
    (values.FEN, "34.06", "digits only"),
    (values.FEN, "-5", "negative"),
    (values.FEN_POSITIVE, "000", "zero"),
    (values.FEN, "1000000000000", "12 digits"),
    (values.FEN_SIGNED, "--5", "digits only"),
    (values.BIL_MONTH, "20101399", "yyyymm"),
    (values.BIL_MONTH, "201002", "8 digits"),
    (values.BIL_MONTH, "2010029x", "8 digits"),
    (values.REFERENCE, "12022700001A", "digits only"),
    (values.bil_customer(""), "0123 45678901", "not a customer number"),
    (values.bil_customer(""), "012345678901.05.05", "not a customer number"),
    (values.bil_customer(""), "            ", "not a customer number"),
    (values.constant("2.0"), "1.0", "must be 2.0"),
    (values.choice("PAY", "CANCEL"), "pay", "must be one of PAY, CANCEL"),
]


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_a_text_is_read(kind: Kind, text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(("kind", "text", "rule"), BAD)
def test_a_text_is_refused_and_not_repeated(kind: Kind, text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as caught:
        kind.parse(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "text", "what"),
    [
        (Column("trace_no", values.CODE, 4), "", "is empty"),
        (Column("trace_no", values.CODE, 4), "12345", "has 5 characters; at most 4"),
        (Column("trace_no", values.CODE, 4), "1 2", "letters, digits"),
    ],
)
def test_a_column_names_itself_in_its_refusals(column: Column, text: str, what: str) -> None:
    with pytest.raises(ColumnError, match=what) as caught:
        column.read(text)
    assert caught.value.column == "trace_no"


def test_an_empty_column_is_none_and_none_is_written_as_absent() -> None:
    column = Column("month", values.BIL_MONTH, 8, required=False, absent="99999999")
    assert column.read("") is None
    assert column.write(None) == "99999999"
    with pytest.raises(ColumnError, match="is empty"):
        Column("month", values.MONTH, 6).write(None)


RECORD = Record(
    (
        Column("one", values.CODE, 4),
        Column("two", values.CODE, 4, required=False, omittable=True),
        Column("three", values.CODE, 4, required=False),
    )
)


@pytest.mark.parametrize(
    ("line", "names"), [("a|b|c|", ["one", "two", "three"]), ("a|c|", ["one", "three"]), ("a||", ["one", "three"])]
)
def test_a_line_is_cut(line: str, names: list[str]) -> None:
    assert [column.name for column, _ in RECORD.cut(line)] == names


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a|b|c|d|", "has 4 columns; 2 or 3"),
        ("a|", "has 1 columns"),
        ("a|b|c", "must end with a pipe"),
        ("", "has 0 columns"),
    ],
)
def test_a_line_is_not_cut(line: str, what: str) -> None:
    with pytest.raises(ColumnError, match=what):
        RECORD.cut(line)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ((), "different names"),
        ((Column("a", values.CODE, 1), Column("a", values.CODE, 1)), "different names"),
        ((Column("a", values.CODE, 1, omittable=True),), "can't be required"),
        (
            tuple(Column(name, values.CODE, 1, required=False, omittable=True) for name in "ab"),
            "at most one",
        ),
    ],
)
def test_a_wrong_table_is_refused(columns: tuple[Column, ...], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Record(columns)


def test_layouts_by_name() -> None:
    assert (layout_named("pipe").name, layout_named("bil").name) == (PIPE.name, BIL.name) == ("pipe", "bil")
    assert layout_named("pipe", "UTF-8", "fen").charset == "UTF-8"
    assert not layout_named("bil").tells_cancel_from_reversal
    with pytest.raises(ValueError, match="pipe, bil"):
        layout_named("csv")
    with pytest.raises(ValueError, match="yuan, fen"):
        pipe_layout(amounts="jiao")
    with pytest.raises(ValueError, match="UTF-8, GBK, GB18030"):
        layout_named("bil", "LATIN-1")
