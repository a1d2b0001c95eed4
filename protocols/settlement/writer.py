"""Writes a settlement file: what a bank's front end does, and what the simulated banks do.

Strategy: the same tables as the reader's, the other way. Totals are computed here from the entries, so that a caller
can't write a file that contradicts itself by mistake; what is planted on purpose is planted in the entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from protocols.money import Money
from protocols.settlement.layouts import Column, Layout
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader

LINE_END = "\r\n"


def write_settlement(header: SettlementHeader, entries: Sequence[SettlementEntry], layout: Layout) -> bytes:
    """The whole file. Of `header` only the names, the date and the reference are used: the totals are computed.

    Raises ValueError where a value does not fit its column, UnicodeEncodeError where a remark does not fit the charset.
    """
    payments = [entry for entry in entries if entry.kind is EntryKind.PAY]
    undone = [entry for entry in entries if entry.kind is not EntryKind.PAY]
    net = Money(sum(entry.signed_fen for entry in entries), header.currency)
    totals = {
        "count": len(entries),
        "net": net,
        "payment_count": len(payments),
        "payment_amount": Money(sum(entry.amount.minor for entry in payments), header.currency),
        "cancel_count": len(undone),
        "cancel_amount": Money(sum(entry.amount.minor for entry in undone), header.currency),
    }
    fixed = {"kind": "RECON", "version": "2.0", "utility_reference": header.utility_reference}
    names = {"bank": header.bank, "utility": header.utility, "currency": header.currency}
    lines = [
        _line(layout.header_tag, layout.header, {**fixed, **names, "clearing_date": header.clearing_date, **totals})
    ]
    row = _pipe_row if layout.name == "pipe" else _bil_row
    lines += [_line(layout.detail_tag, layout.detail, row(number, entry)) for number, entry in enumerate(entries, 1)]
    if layout.trailer:
        lines.append(_line(layout.trailer_tag, layout.trailer, totals))
    return "".join(lines).encode(layout.charset)


def _line(tag: str, table: Iterable[Column], values: dict[str, Any]) -> str:
    columns = [column.kind.write(values[column.name]) for column in table]
    return "|".join([tag, *columns, ""] if tag else [*columns, ""]) + LINE_END


def _pipe_row(number: int, entry: SettlementEntry) -> dict[str, Any]:
    if entry.paid_at is None:
        raise ValueError("the pipe layout needs the payer's time")
    names = SettlementEntry.__dataclass_fields__
    return {**{name: getattr(entry, name) for name in names}, "sequence": number, "kind": entry.kind.value}


def _bil_row(_number: int, entry: SettlementEntry) -> dict[str, Any]:
    if entry.paid_at is None:
        raise ValueError("the .bil layout needs the bank's time")
    return {
        "reference_no": entry.reference_no,
        "customer_no": entry.customer_no,
        "utility_clearing_day": (entry.clearing_date.month, entry.clearing_date.day),
        "bank_date": entry.trace_date,
        "bank_time": entry.paid_at,
        "trace_no": entry.trace_no,
        "account": "",
        "message_type": "0200" if entry.kind is EntryKind.PAY else "0400",
        "amount": entry.amount,
        "original_reference_no": entry.original_reference_no,
        "utility_date": None,
        "utility_time": None,
        "cheque_no": "",
        "billing_month": entry.billing_month,
    }
