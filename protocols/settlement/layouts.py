"""Layouts of settlement files as checked tables: which column stands where, and what it may hold.

Strategy: a `Layout` is data. Lines are pipe-delimited and every line ends with a pipe and a line end; a detail line of
`PIPE` begins with D, its header with H and its trailer with T; `BIL` (Guangzhou) has no tags: the first line is the
head, the rest are details. `layout_for` gives the table for a charset and a unit of amounts, as the bank's profile
says them. A date without a year (`BIL`: mmdd) takes the year nearest to the head's date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocols.settlement import values
from protocols.settlement.values import Kind

Charset = Literal["UTF-8", "GBK", "GB18030"]
Amounts = Literal["yuan", "fen"]
LayoutName = Literal["pipe", "bil"]

_TRACE = values.text("[0-9A-Za-z]{1,32}", "1 to 32 letters or digits")
_CUSTOMER = values.text("[0-9A-Za-z]{1,21}", "1 to 21 letters or digits")
# The suffix (".0505") is seen on customer numbers of the Guangzhou files, probably an area: no part of the number.
_CUSTOMER_WITH_SUFFIX = values.text("[0-9A-Za-z]{1,21}(\\.[0-9]{1,8})?", "a customer number")
_WORD = values.text("[0-9A-Za-z_]{1,32}", "1 to 32 letters, digits or _")
_REFERENCE = values.text("[0-9A-Za-z]{1,32}", "1 to 32 letters or digits")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name (as in the wire page) and the kind of its values."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables of one layout. `optional_column` may be absent as a whole (the cheque number of `.bil`)."""

    name: LayoutName
    charset: Charset
    header: tuple[Column, ...]
    detail: tuple[Column, ...]
    trailer: tuple[Column, ...] = ()
    header_tag: str = ""
    detail_tag: str = ""
    trailer_tag: str = ""
    optional_column: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.detail]
        if len(set(names)) != len(names):
            raise ValueError("a column's name stands twice")
        if self.optional_column and self.optional_column not in names:
            raise ValueError("the optional column is not in the table")


def _columns(**kinds: Kind) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name, kind in kinds.items())


def _pipe(charset: Charset, amounts: Amounts) -> Layout:
    amount, net = (values.YUAN, values.SIGNED_YUAN) if amounts == "yuan" else (values.FEN, values.SIGNED_FEN)
    return Layout(
        name="pipe",
        charset=charset,
        header_tag="H",
        header=_columns(
            kind=values.text("RECON", "RECON"),
            version=values.text("2\\.0", "version 2.0"),
            bank=_WORD,
            utility=_WORD,
            clearing_date=values.DATE,
            currency=values.text("CNY", "CNY"),
            count=values.NUMBER,
            net=net,
            payment_count=values.NUMBER,
            payment_amount=amount,
            cancel_count=values.NUMBER,
            cancel_amount=amount,
        ),
        detail_tag="D",
        detail=_columns(
            sequence=values.NUMBER,
            kind=values.text("PAY|CANCEL|REVERSAL", "PAY, CANCEL or REVERSAL"),
            trace_date=values.DATE,
            trace_no=_TRACE,
            paid_at=values.LOCAL_TIME,
            customer_no=_CUSTOMER,
            receivable_id=values.optional(values.text("[0-9A-Za-z-]{1,32}", "a receivable id")),
            billing_month=values.optional(values.MONTH),
            org_code=values.optional(_WORD),
            charge_kind=values.optional(_WORD),
            amount=amount,
            principal=values.optional(amount),
            penalty=values.optional(amount),
            channel=values.optional(_WORD),
            settle_method=values.optional(_WORD),
            status=_WORD,
            original_trace_date=values.optional(values.DATE),
            original_trace_no=values.optional(_TRACE),
            remark=values.text(),
        ),
        trailer_tag="T",
        trailer=_columns(count=values.NUMBER, net=net),
    )


def _bil(charset: Charset) -> Layout:
    return Layout(
        name="bil",
        charset=charset,
        header=_columns(
            clearing_date=values.DATE,
            count=values.NUMBER,
            net=values.SIGNED_FEN,
            utility_reference=values.optional(_REFERENCE),
        ),
        detail=_columns(
            reference_no=values.optional(_REFERENCE),
            customer_no=values.left_padded(_CUSTOMER_WITH_SUFFIX, 21),
            utility_clearing_day=values.MONTH_DAY,
            bank_date=values.DATE,
            bank_time=values.TIME,
            trace_no=_TRACE,
            account=values.left_padded(values.text("[0-9]{0,19}", "an account of digits"), 0),
            message_type=values.text("0200|0400", "0200 or 0400"),
            amount=values.FEN_12,
            original_reference_no=values.optional(_REFERENCE),
            utility_date=values.optional(values.DATE),
            utility_time=values.optional(values.TIME),
            cheque_no=values.text(),
            billing_month=values.MONTH_8,
        ),
        optional_column="cheque_no",
    )


def layout_for(name: LayoutName, *, charset: Charset = "GBK", amounts: Amounts = "yuan") -> Layout:
    """The table of a layout as a bank's profile describes it; `.bil` is always in fen."""
    return _pipe(charset, amounts) if name == "pipe" else _bil(charset)
