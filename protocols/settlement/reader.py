"""Reads a settlement file in one pass with bounded memory: bytes in, entries and line errors out.

Strategy: chunks are cut into lines, a line into columns by its layout's table, a row of values into an entry by the
layout's builder. A bad line becomes a `LineError` with its number and column and never stops the file; whatever the
file says of itself (header, trailer) is kept beside the totals that were computed from the lines. After the last item
`header`, `trailer` and `totals` are complete. Rules: a line has at most 4,096 bytes; every line has a line end and its
last pipe; at most 1,000 line errors are kept, then one says how many more there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from protocols.errors import ProtocolError
from protocols.money import CURRENCY
from protocols.settlement.layouts import Column, Layout
from protocols.settlement.model import (
    EntryKind,
    LineError,
    SettlementEntry,
    SettlementHeader,
    SettlementTrailer,
    Totals,
)

LINE_LIMIT_BYTES = 4096  # the widest line of any layout is below 700
LINE_ERROR_LIMIT = 1000  # a file of another layout fails on every line; a thousand reasons are enough to mend it
SEPARATOR = "|"
Values = Mapping[str, Any]


@dataclass(slots=True)
class _Running:
    """Totals while they grow."""

    payment_count: int = 0
    payment_fen: int = 0
    cancel_count: int = 0
    cancel_fen: int = 0

    def add(self, entry: SettlementEntry) -> None:
        if entry.kind is EntryKind.PAY:
            self.payment_count += 1
            self.payment_fen += entry.amount.minor
        else:
            self.cancel_count += 1
            self.cancel_fen += entry.amount.minor


class SettlementReading:
    """One pass over a file: iterate it once; then `header`, `trailer`, `totals` and the counts are complete."""

    def __init__(self, chunks: Iterable[bytes], layout: Layout, zone: ZoneInfo) -> None:
        self._chunks = chunks
        self._layout = layout
        self._zone = zone
        self._running = _Running()
        self.header: SettlementHeader | None = None
        self.trailer: SettlementTrailer | None = None
        self.detail_count = 0  # detail lines, those that could not be read too
        self.line_error_count = 0

    @property
    def totals(self) -> Totals:
        """Computed from the lines read so far."""
        running = self._running
        return Totals(running.payment_count, running.payment_fen, running.cancel_count, running.cancel_fen)

    def __iter__(self) -> Iterator[SettlementEntry | LineError]:
        for line_no, line in _lines(self._chunks):
            try:
                entry = self._read(line_no, line)
            except ProtocolError as error:
                yield from self._failed(_line_error(line_no, error))
                continue
            if entry is not None:
                self._running.add(entry)
                yield entry
        if self.header is None:
            yield from self._failed(LineError(1, None, "the header line is missing"))
        if self._layout.trailer and self.trailer is None:
            yield from self._failed(LineError(1, None, "the trailer line is missing"))
        if self.line_error_count > LINE_ERROR_LIMIT:
            yield LineError(1, None, f"{self.line_error_count - LINE_ERROR_LIMIT} more lines could not be read")

    def _failed(self, error: LineError) -> Iterator[LineError]:
        self.line_error_count += 1
        if self.line_error_count <= LINE_ERROR_LIMIT:
            yield error

    def _read(self, line_no: int, line: bytes) -> SettlementEntry | None:
        """One line: an entry, or None for header and trailer; raises ProtocolError."""
        layout = self._layout
        is_detail = self.header is not None and not (
            layout.trailer_tag and line.startswith(layout.trailer_tag.encode("ascii") + b"|")
        )
        self.detail_count += is_detail
        if self.trailer is not None:
            raise ProtocolError("line", "stands after the trailer; the trailer is the last line")
        columns = _columns(line, layout.charset)
        if self.header is None:
            self.header = _header(_values(columns, layout.header_tag, layout.header, layout))
            return None
        if not is_detail:
            trailer = _values(columns, layout.trailer_tag, layout.trailer, layout)
            self.trailer = SettlementTrailer(trailer["count"], trailer["net"])
            return None
        values = _values(columns, layout.detail_tag, layout.detail, layout)
        build = _pipe_entry if layout.name == "pipe" else _bil_entry
        return build(line_no, values, self.header.clearing_date, self._zone)


def read_settlement(chunks: Iterable[bytes], layout: Layout, zone: ZoneInfo) -> SettlementReading:
    """Begin reading; `zone` is the bank's, in which it writes local times. Chunks may be cut anywhere."""
    return SettlementReading(chunks, layout, zone)


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their line end. An unfinished or over-long line comes out as it is, to be refused."""
    rest = b""
    line_no = 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            line_no += 1
            yield line_no, line.removesuffix(b"\r")
        if len(rest) > LINE_LIMIT_BYTES:
            # Kept short, so that a file without line ends can't fill the memory; it is refused for its length.
            rest = rest[: LINE_LIMIT_BYTES + 1]
    if rest:
        yield line_no + 1, rest + b"\n"


def _columns(line: bytes, charset: str) -> list[str]:
    if line.endswith(b"\n"):
        raise ProtocolError("line", "has no line end: the file may be cut off")
    if len(line) > LINE_LIMIT_BYTES:
        raise ProtocolError("line", f"is longer than {LINE_LIMIT_BYTES} bytes")
    try:
        text = line.decode(charset)
    except UnicodeDecodeError as error:
        raise ProtocolError(f"byte {error.start + 1}", f"is not {charset}") from None
    columns = text.split(SEPARATOR)
    if len(columns) < 2 or columns.pop() != "":
        raise ProtocolError("line", "does not end with a pipe")
    return columns


def _values(columns: list[str], tag: str, table: tuple[Column, ...], layout: Layout) -> dict[str, Any]:
    """The columns by name; raises ProtocolError naming the field, counted from 1 as it stands in the line."""
    offset = 1
    if tag:
        if columns[0] != tag:
            raise ProtocolError("field 1", f"is not {tag}")
        columns = columns[1:]
        offset = 2
    if layout.optional_column and len(columns) == len(table) - 1:
        index = next((i for i, column in enumerate(table) if column.name == layout.optional_column), len(columns))
        columns = [*columns[:index], "", *columns[index:]]
    if len(columns) != len(table):
        raise ProtocolError("line", f"has {len(columns) + offset - 1} fields, not {len(table) + offset - 1}")
    return {
        column.name: column.kind.read(value, f"field {number} ({column.name})")
        for number, (column, value) in enumerate(zip(table, columns, strict=True), offset)
    }


def _line_error(line_no: int, error: ProtocolError) -> LineError:
    if error.where.startswith("field "):
        number, _, name = error.where.removeprefix("field ").partition(" ")
        return LineError(line_no, int(number), f"{name} {error.what}".strip())
    return LineError(line_no, None, f"{error.where} {error.what}")


def _header(values: Values) -> SettlementHeader:
    return SettlementHeader(
        bank=values.get("bank"),
        utility=values.get("utility"),
        clearing_date=values["clearing_date"],
        currency=values.get("currency", CURRENCY),
        count=values["count"],
        net=values["net"],
        payment_count=values.get("payment_count"),
        payment_amount=values.get("payment_amount"),
        cancel_count=values.get("cancel_count"),
        cancel_amount=values.get("cancel_amount"),
        utility_reference=values.get("utility_reference"),
    )


def _positive(values: Values) -> None:
    if values["amount"].minor <= 0:
        raise ProtocolError("line", "has an amount of zero")


def _pipe_entry(line_no: int, values: Values, clearing_date: date, zone: ZoneInfo) -> SettlementEntry:
    _positive(values)
    if (values["original_trace_date"] is None) != (values["original_trace_no"] is None):
        raise ProtocolError("line", "names an original by half: its trace date and number belong together")
    return SettlementEntry(
        line_no=line_no,
        kind=EntryKind(values["kind"]),
        trace_date=values["trace_date"],
        trace_no=values["trace_no"],
        paid_at=values["paid_at"].replace(tzinfo=zone),
        customer_no=values["customer_no"],
        amount=values["amount"],
        clearing_date=clearing_date,
        receivable_id=values["receivable_id"],
        billing_month=values["billing_month"],
        org_code=values["org_code"],
        charge_kind=values["charge_kind"],
        principal=values["principal"],
        penalty=values["penalty"],
        channel=values["channel"],
        settle_method=values["settle_method"],
        status=values["status"],
        original_trace_date=values["original_trace_date"],
        original_trace_no=values["original_trace_no"],
        remark=values["remark"],
    )


def _bil_entry(line_no: int, values: Values, file_date: date, zone: ZoneInfo) -> SettlementEntry:
    _positive(values)
    is_undo = values["message_type"] == "0400"
    if is_undo and values["original_reference_no"] is None:
        raise ProtocolError("line", "is a 0400 without its original reference")
    return SettlementEntry(
        line_no=line_no,
        kind=EntryKind.CANCEL if is_undo else EntryKind.PAY,
        trace_date=values["bank_date"],
        trace_no=values["trace_no"],
        paid_at=datetime.combine(values["bank_date"], values["bank_time"], zone),
        customer_no=values["customer_no"].partition(".")[0],
        amount=values["amount"],
        clearing_date=_with_year(values["utility_clearing_day"], file_date),
        billing_month=values["billing_month"],
        reference_no=values["reference_no"],
        original_reference_no=values["original_reference_no"],
    )


def _with_year(month_day: tuple[int, int], near: date) -> date:
    """The date nearest to the head's; 29 February of a year that has none is refused."""
    candidates = []
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            candidates.append(date(year, *month_day))
        except ValueError:
            continue
    if not candidates:
        raise ProtocolError("line", "has a utility clearing date that does not exist")
    return min(candidates, key=lambda day: abs(day - near))
