"""The ledger's side of the evidence: COPY from the published views, partition by partition, into Parquet.

Strategy: only after every partition has passed the day, only insert-only columns, by clearing date and in key order,
so that extracting twice, or from partitions at different moments, gives the same rows. What moves (a balance) is taken
with what moved it since in one statement, which cancels out. CSV on its way keeps null and the empty text apart, and
moments are printed in UTC by the database, so that no driver's idea of a value gets in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from gateway.database import Connection, connect, load_sql
from reconciliation.errors import NightError, NotCutOff
from reconciliation.evidence import (
    EARLIER_POSTINGS,
    LEDGER_DUE_FROM_BANK,
    LEDGER_PAYMENTS,
    LEDGER_PREPAYMENT,
    LEDGER_RECEIPT_LINES,
    RECEIVABLES,
    EvidenceWriter,
    Layout,
)

_SQL = "reconciliation.sql"
Trace = tuple[date, str]  # a bank's trace date and trace number
# File name to its columns; the statement of the same name fills them.
LEDGER_FILES: Mapping[str, Layout] = {
    "payments.parquet": LEDGER_PAYMENTS,
    "receipt_lines.parquet": LEDGER_RECEIPT_LINES,
    "due_from_bank.parquet": LEDGER_DUE_FROM_BANK,
    "prepayment.parquet": LEDGER_PREPAYMENT,
}


@dataclass(frozen=True, slots=True)
class LedgerSource:
    """Where the ledger's published views are: a DSN with the night's login, and the number of partitions."""

    dsn: str
    partitions: int

    async def each(self) -> AsyncIterator[tuple[int, Connection]]:
        """A connection to one partition after the other, with its schema as search path."""
        for partition in range(self.partitions):
            schema = f"ledger_{partition:02d}"
            connection = await connect(self.dsn, search_path=schema, application_name="busbar night extract")
            try:
                yield partition, connection
            finally:
                await connection.close()


async def check_partitions(source: LedgerSource) -> None:
    """Raise NightError unless the ledger has exactly the configured number of partitions."""
    connection = await connect(source.dsn, application_name="busbar night")
    try:
        stored = await connection.fetch_value("SELECT partitions FROM busbar.installation")
    finally:
        await connection.close()
    if stored != source.partitions:
        raise NightError(
            f"the ledger has {stored} partitions and {source.partitions} are configured: set partitions = {stored}"
        )


async def check_cut_off(source: LedgerSource, clearing_date: date) -> None:
    """Raise NotCutOff unless every partition books on a later date already."""
    behind = []
    async for partition, connection in source.each():
        current = await connection.fetch_value("SELECT max(clearing_date) FROM published_clearing_day")
        if current is None or current <= clearing_date:
            behind.append(f"{partition:02d} (at {current})")
    if behind:
        raise NotCutOff(
            f"{clearing_date} is not cut off yet in partition {', '.join(behind)}: run the cut-off to a later "
            "clearing date first, then the night"
        )


async def extract_ledger_file(source: LedgerSource, clearing_date: date, path: Path) -> str:
    """Write the one of LEDGER_FILES that `path` names, for the day, all banks and partitions; returns its digest."""
    layout, sql = LEDGER_FILES[path.name], load_sql(_SQL, path.stem)
    with EvidenceWriter(path, layout) as writer:
        async for partition, connection in source.each():
            await _copy(connection, sql, (clearing_date, partition), layout, writer)
    return writer.digest


async def extract_receivables(
    source: LedgerSource, clearing_date: date, customers: list[str], receivable_ids: list[str], path: Path
) -> str:
    """Bills of these customers and of these ids, as at the end of the day; returns the file's digest."""
    return await _extract(source, "receivables", (clearing_date, customers, receivable_ids), RECEIVABLES, path)


async def extract_earlier_postings(
    source: LedgerSource, clearing_date: date, *, bank: str, traces: list[Trace], days: list[date], path: Path
) -> str:
    """Payments under these traces of the bank on these earlier, reconciled days; returns the file's digest."""
    arguments = (clearing_date, bank, [day for day, _ in traces], [number for _, number in traces], days)
    return await _extract(source, "earlier_postings", arguments, EARLIER_POSTINGS, path)


async def _extract(source: LedgerSource, name: str, arguments: tuple[Any, ...], layout: Layout, path: Path) -> str:
    with EvidenceWriter(path, layout) as writer:
        async for _, connection in source.each():
            rows = await connection.fetch(load_sql(_SQL, name), *arguments)
            writer.write_rows(dict(zip(layout.names, row, strict=True)) for row in rows)
    return writer.digest


async def _copy(
    connection: Connection, sql: str, arguments: tuple[Any, ...], layout: Layout, writer: EvidenceWriter
) -> None:
    """One partition's rows through a CSV file beside the evidence, never all of them in memory."""
    spool = writer.path.with_name(writer.path.name + ".csv")
    try:
        rows = await connection.copy_query_to(_inlined(sql, arguments), sink=spool, format="csv")
        if rows:
            for batch in _read_csv(spool, layout):
                writer.write_table(pa.Table.from_batches([batch]))
    finally:
        spool.unlink(missing_ok=True)


def _inlined(sql: str, arguments: tuple[Any, ...]) -> str:
    """COPY takes no parameters: dates and numbers of our own making are put into the text."""
    for number, value in enumerate(arguments, 1):
        if not isinstance(value, date | int):
            raise TypeError("only a date or a number may stand in a COPY")
        sql = sql.replace(f"${number}", f"DATE '{value.isoformat()}'" if isinstance(value, date) else str(value))
    return sql


def _read_csv(path: Path, layout: Layout) -> Any:
    return pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(column_names=list(layout.names)),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=layout.schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
