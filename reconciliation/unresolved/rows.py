"""Rows of unresolved money: read from the ledger's published view, written as events, one partition after the other.

Strategy: what is open when a bank's file is first matched becomes evidence, so that the same file always gives the same
breaks. Events go through the night's own login, which may insert them and nothing else; they are unique in the
database, so that a night which is run again writes none a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gateway.database import Connection, load_sql
from reconciliation.evidence import EvidenceWriter, Layout
from reconciliation.extract import LedgerSource
from reconciliation.unresolved.judge import Event, Key, OpenRow

UNRESOLVED = Layout(
    {
        "partition": "int",
        "unresolved_id": "int",
        "direction": "text",
        "key_date": "date",
        "key_no": "text",
        "clearing_date": "date",
        "our_side": "text",
    }
)
_SQL = "reconciliation.sql"


@dataclass(frozen=True, slots=True)
class Unresolved:
    """One row as people see it; `age_seconds` ends when it is closed."""

    bank: str
    kind: str
    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    amount_fen: int
    cause: str
    clearing_date: date
    opened_at: datetime
    age_seconds: int
    trace_id: str
    is_open: bool
    our_side: str
    bank_side: str
    absent_days: int | None
    closed_at: datetime | None
    closed_by: str | None
    closed_detail: str | None
    next_action: str


async def extract_open(source: LedgerSource, bank: str, clearing_date: date, path: Path) -> str:
    """Write the bank's rows that are open now and belong to the day or an earlier one; returns the file's digest."""
    with EvidenceWriter(path, UNRESOLVED) as writer:
        async for partition, connection in source.each():
            rows = await connection.fetch(load_sql(_SQL, "unresolved"), bank, clearing_date)
            writer.write_rows({"partition": partition, **dict(row)} for row in rows)
    return writer.digest


def read_open(path: Path) -> tuple[OpenRow, ...]:
    """The rows of an evidence file that `extract_open` wrote."""
    return tuple(
        OpenRow(
            row["partition"],
            row["unresolved_id"],
            (row["direction"], row["key_date"], row["key_no"]),
            row["clearing_date"],
            row["our_side"],
        )
        for row in pq.read_table(path).to_pylist()
    )


async def write_events(source: LedgerSource, events: Iterable[tuple[OpenRow, Event]], happened_at: datetime) -> None:
    """Write them, each once however often it is tried; a row that somebody has closed meanwhile stays as it is."""
    by_partition: dict[int, list[tuple[Any, ...]]] = {}
    for row, event in events:
        values = (row.unresolved_id, event.event, event.reason, event.file_date, event.age_days, event.detail)
        by_partition.setdefault(row.partition, []).append((*values, happened_at))
    if not by_partition:
        return
    async for partition, connection in source.each():
        if partition in by_partition:
            await _write(connection, by_partition[partition])


async def _write(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    async with connection.transaction():
        await connection.execute_many(load_sql(_SQL, "insert_unresolved_event"), rows)


async def clearing_days(source: LedgerSource) -> frozenset[date]:
    """Every clearing day that ever began, in any partition."""
    days: set[date] = set()
    async for _, connection in source.each():
        rows = await connection.fetch("SELECT clearing_date FROM published_clearing_day")
        days.update(row["clearing_date"] for row in rows)
    return frozenset(days)


async def list_unresolved(
    source: LedgerSource, *, bank: str | None = None, everything: bool = False
) -> list[Unresolved]:
    """What is open, or all that ever was, oldest first."""
    found: list[Unresolved] = []
    async for _, connection in source.each():
        rows = await connection.fetch(load_sql(_SQL, "list_unresolved"), bank, everything)
        found += [Unresolved(**dict(row)) for row in rows]
    return sorted(found, key=lambda one: (one.opened_at, one.bank, one.trace_date, one.trace_no, one.kind))


def keys_in_file(matched: Path, differences: Iterable[Mapping[str, Any]]) -> frozenset[Key]:
    """Keys of the file's entries: of pairs, of what the bank netted, and of what differs."""
    rows = pq.read_table(matched, columns=["direction", "key_date", "key_no", "bank_line_no"]).to_pylist()
    paired = {(row["direction"], row["key_date"], row["key_no"]) for row in rows if row["bank_line_no"] is not None}
    differing = {
        (row["direction"], row["key_date"], row["key_no"]) for row in differences if row["bank_direction"] is not None
    }
    return frozenset(paired | differing)
