"""The `.bil` file of the Guangzhou dialect: one header line, then details; no tags, no trailer.

    20120331|2|20000|12033100019051|
    120227000012|    012345678901.0505|0331|20120331|170350|033100018475|...|0200|000000010000||||20100299|

GBK, amounts in fen without a point, every line ends with a pipe. What the sources leave open is settled here:

- Transaction type 0200 is a payment. 0400 is a cancel or a reversal: the layout can't tell, so it is read as CANCEL;
  it carries a positive amount that counts negatively, and the header's amount is the signed sum.
- A 0400 line carries the utility's reference of the original, and twelve zeros if the payment's reply was lost. Then
  the line's own date and trace are the original's, as in the 0400 message of that dialect.
- The bank's date is the date of its message (field 13, there the bank's clearing date) and with the trace number is the
  entry's trace. Date and time together are taken for when it was paid; where the bank had already moved to its next
  clearing date, the payer's calendar day is not in the file.
- The utility's clearing date has no year: the nearest to the header's is taken. Empty means the header's.
- References of zeros, or empty, mean that the bank never got one. The month's last two digits count the bills of a
  month (99: all of them); 99999999, 9 or empty is all months.
- The customer number is left-padded with spaces, and its area tag (".0505") is no part of it.
- Some senders put a cheque number of up to 8 characters before the month; others leave the column out.
- Lines may end with LF or CRLF. Channel, settle method, receivable and bank are not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import Any

from protocols.money import CURRENCY, Money
from protocols.settlement.layout import Column, ColumnError, EntryPlace, Layout, Record
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader
from protocols.settlement.values import (
    BIL_CUSTOMER_BYTES,
    BIL_MONTH,
    CODE,
    COUNT,
    DATE,
    FEN_12,
    FEN_SIGNED,
    MONTH_DAY,
    REFERENCE,
    TIME,
    bil_customer,
    choice,
)

PAYMENT_TYPE, CANCEL_TYPE = "0200", "0400"
UNKNOWN_REFERENCE = "0" * 12
ALL_MONTHS = "99999999"


def bil_layout(charset: str = "GBK", customer_suffix: str = "") -> Layout:
    """The `.bil` layout; `customer_suffix` is the area tag that is written after each customer number."""
    return Layout(
        name="bil",
        charset=charset,
        header=_HEADER,
        detail=_detail_record(customer_suffix),
        build_header=_build_header,
        build_entry=_build_entry,
        header_columns=_header_columns,
        entry_columns=_entry_columns,
        tells_cancel_from_reversal=False,
        strict_line_end=False,
    )


_HEADER = Record(
    (
        Column("clearing_date", DATE, 8),
        Column("count", COUNT, 11),
        Column("net", FEN_SIGNED, 16),
        Column("utility_reference", CODE, 32, required=False),
    )
)


def _detail_record(customer_suffix: str) -> Record:
    return Record(
        (
            Column("reference_no", REFERENCE, 12, required=False, absent=UNKNOWN_REFERENCE),
            Column("customer_no", bil_customer(customer_suffix), BIL_CUSTOMER_BYTES),
            Column("utility_clearing_date", MONTH_DAY, 4, required=False),
            Column("trace_date", DATE, 8),
            Column("bank_time", TIME, 6),
            Column("trace_no", CODE, 12),
            Column("account", CODE, 35, required=False),
            Column("type", choice(PAYMENT_TYPE, CANCEL_TYPE), 4),
            Column("amount", FEN_12, 12),
            # Zeros and empty are different here: zeros say that the reply was lost, empty is for payments only.
            Column("original_reference_no", CODE, 12, required=False),
            Column("utility_date", DATE, 8, required=False),
            Column("utility_time", TIME, 6, required=False),
            Column("cheque_no", CODE, 8, required=False, omittable=True),
            Column("billing_month", BIL_MONTH, 8, required=False, absent=ALL_MONTHS),
        )
    )


def _build_header(values: Mapping[str, Any]) -> SettlementHeader:
    return SettlementHeader(
        clearing_date=values["clearing_date"],
        currency=CURRENCY,
        count=values["count"],
        net=Money(values["net"]),
        utility_reference=values["utility_reference"],
    )


def _build_entry(values: Mapping[str, Any], place: EntryPlace) -> SettlementEntry:
    kind = EntryKind.PAY if values["type"] == PAYMENT_TYPE else EntryKind.CANCEL
    trace_date, trace_no = values["trace_date"], values["trace_no"]
    original = _original_reference(kind, values["original_reference_no"])
    reply_lost = kind is EntryKind.CANCEL and original is None
    return SettlementEntry(
        line_no=place.line_no,
        kind=kind,
        trace_date=trace_date,
        trace_no=trace_no,
        paid_at=datetime.combine(trace_date, values["bank_time"], place.zone),
        customer_no=values["customer_no"],
        billing_month=values["billing_month"],
        amount=Money(values["amount"]),
        clearing_date=_clearing_date(values["utility_clearing_date"], place.header.clearing_date),
        reference_no=values["reference_no"],
        utility_at=_utility_at(values, place.zone),
        original_trace_date=trace_date if reply_lost else None,
        original_trace_no=trace_no if reply_lost else None,
        original_reference_no=original,
        account=values["account"],
        cheque_no=values.get("cheque_no"),
    )


def _original_reference(kind: EntryKind, text: str | None) -> str | None:
    if kind is EntryKind.PAY:
        if text is not None and text.strip("0"):
            raise ColumnError("original_reference_no", "a 0200 line names no original")
        return None
    if text is None:
        raise ColumnError("original_reference_no", "a 0400 line carries the original's reference, or twelve zeros")
    return text if text.strip("0") else None


def _utility_at(values: Mapping[str, Any], zone: tzinfo) -> datetime | None:
    day, moment = values["utility_date"], values["utility_time"]
    if (day is None) != (moment is None):
        raise ColumnError("utility_time", "the utility's date and time come together or not at all")
    return None if day is None else datetime.combine(day, moment, zone)


def _clearing_date(month_day: tuple[int, int] | None, header_date: date) -> date:
    if month_day is None:
        return header_date
    nearest = _nearest(month_day, header_date)
    if nearest is None:
        raise ColumnError("utility_clearing_date", "this date does not exist")
    return nearest


@lru_cache(maxsize=1024)
def _nearest(month_day: tuple[int, int], header_date: date) -> date | None:
    """The day of this or a neighbouring year that is nearest to `header_date`; None where none of them has it."""
    candidates = []
    for year in (header_date.year - 1, header_date.year, header_date.year + 1):
        try:
            candidates.append(date(year, *month_day))
        except ValueError:
            continue
    return min(candidates, key=lambda day: abs(day - header_date), default=None)


def _header_columns(header: SettlementHeader) -> Mapping[str, Any]:
    if header.currency != CURRENCY:
        raise ColumnError("net", f"this layout has no currency: {CURRENCY} only")
    return {
        "clearing_date": header.clearing_date,
        "count": header.count,
        "net": header.net.minor,
        "utility_reference": header.utility_reference,
    }


def _entry_columns(entry: SettlementEntry, _seq: int, header: SettlementHeader, zone: tzinfo) -> Mapping[str, Any]:
    day = entry.clearing_date
    if _nearest((day.month, day.day), header.clearing_date) != day:
        raise ColumnError("utility_clearing_date", "too far from the header's clearing date to be told without a year")
    utility_at = None if entry.utility_at is None else entry.utility_at.astimezone(zone)
    return {
        "reference_no": entry.reference_no,
        "customer_no": entry.customer_no,
        "utility_clearing_date": (day.month, day.day),
        "trace_date": entry.trace_date,
        "bank_time": None if entry.paid_at is None else entry.paid_at.astimezone(zone),
        "trace_no": entry.trace_no,
        "account": entry.account,
        "type": PAYMENT_TYPE if entry.kind is EntryKind.PAY else CANCEL_TYPE,
        "amount": entry.amount.minor,
        "original_reference_no": _original_columns(entry),
        "utility_date": utility_at,
        "utility_time": utility_at,
        "cheque_no": entry.cheque_no,
        "billing_month": entry.billing_month,
    }


def _original_columns(entry: SettlementEntry) -> str | None:
    if entry.kind is EntryKind.PAY:
        return None
    if entry.original_reference_no:
        return entry.original_reference_no
    if (entry.original_trace_date, entry.original_trace_no) != (entry.trace_date, entry.trace_no):
        raise ColumnError(
            "original_reference_no", "this layout names the original by the utility's reference or by the same trace"
        )
    return UNKNOWN_REFERENCE
