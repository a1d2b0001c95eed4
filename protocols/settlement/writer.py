"""Write a settlement file of any layout, as a bank does.

Strategy: the totals are computed from the entries, never taken from the caller; every column is proved by reading it
back before it goes on the line, so that what is written can be read. What a layout has no column for is left out.
A value that the layout can't carry (too wide, a character outside the charset, a payment without its time) raises
`ProtocolError` naming line and column; nothing half-written comes out of `write_settlement`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from protocols.errors import ProtocolError
from protocols.settlement.layout import LINE_END, ColumnError, Layout, Record
from protocols.settlement.model import RunningTotals, SettlementEntry, SettlementHeader


def write_settlement(
    header: SettlementHeader, entries: Sequence[SettlementEntry], layout: Layout, zone: tzinfo
) -> bytes:
    """The file of `entries` in their order, times written as local times of `zone`. `entry.line_no` has no meaning."""
    return b"".join(settlement_lines(header, entries, layout, zone))


def settlement_lines(
    header: SettlementHeader, entries: Sequence[SettlementEntry], layout: Layout, zone: tzinfo
) -> Iterator[bytes]:
    """The same, line by line, for files that should not be held in memory as bytes."""
    header = with_totals(header, entries)
    yield _line(layout, 1, layout.header, lambda: layout.header_columns(header))
    for seq, entry in enumerate(entries, start=1):
        yield _line(layout, seq + 1, layout.detail, _columns(layout, entry, seq, header, zone))
    if layout.trailer is not None:
        trailer = layout.trailer
        yield _line(layout, len(entries) + 2, trailer.record, lambda: trailer.columns(header))


def with_totals(header: SettlementHeader, entries: Sequence[SettlementEntry]) -> SettlementHeader:
    """`header` with the counts and amounts of `entries`; ProtocolError if one is in another currency."""
    running = RunningTotals()
    for line_no, entry in enumerate(entries, start=2):
        if entry.amount.currency != header.currency:
            raise ProtocolError(f"line {line_no} column amount", f"must be in the file's currency, {header.currency}")
        running.add(entry)
    totals = running.totals(header.currency)
    return replace(
        header,
        count=totals.count,
        net=totals.net,
        payment_count=totals.payment_count,
        payment_amount=totals.payment_amount,
        cancel_count=totals.cancel_count,
        cancel_amount=totals.cancel_amount,
    )


def _columns(
    layout: Layout, entry: SettlementEntry, seq: int, header: SettlementHeader, zone: tzinfo
) -> Callable[[], Mapping[str, Any]]:
    return lambda: layout.entry_columns(entry, seq, header, zone)


def _line(layout: Layout, number: int, record: Record, columns: Callable[[], Mapping[str, Any]]) -> bytes:
    try:
        return record.join(columns()).encode(layout.charset) + LINE_END
    except ColumnError as error:
        where = f"line {number}" if error.column is None else f"line {number} column {error.column}"
        raise ProtocolError(where, error.what) from None
    except UnicodeEncodeError as error:
        what = f"character {error.start + 1} does not exist in {layout.charset}; GB18030 has every character"
        raise ProtocolError(f"line {number}", what) from None
