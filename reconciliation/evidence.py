"""Evidence: Parquet files that are written once, byte for byte the same however often they are made.

Strategy: one `Layout` per file fixes its columns and their types; one writer fixes everything else that could change a
byte (row groups by count, compression, no statistics of the machine). A file is written under a temporary name,
synced, renamed and its folder synced; whoever asked records the digest that comes back. Amounts are int64 fen; moments
are text in UTC, as the ledger printed them; a missing value is null.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reconciliation.errors import EvidenceChanged

# Row groups are cut by count, never by the size of the chunks in which rows happened to arrive.
ROWS_PER_GROUP = 65_536
DIGEST_CHUNK_BYTES = 1 << 20
_TYPES: Mapping[str, Any] = {"text": pa.string(), "date": pa.date32(), "int": pa.int64()}


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of one evidence file: name to "text", "date" or "int"."""

    columns: Mapping[str, str]

    @property
    def schema(self) -> Any:
        return pa.schema([(name, _TYPES[kind]) for name, kind in self.columns.items()])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)


LEDGER_PAYMENTS = Layout(
    {
        "partition": "int",
        "payment_id": "int",
        "kind": "text",
        "bank": "text",
        "trace_date": "date",
        "trace_no": "text",
        "customer_no": "text",
        "org_code": "text",
        "amount_fen": "int",
        "signed_fen": "int",
        "currency": "text",
        "channel": "text",
        "settle_method": "text",
        "paid_at": "text",
        "recorded_at": "text",
        "clearing_date": "date",
        "settles_date": "date",
        "reference_no": "text",
        "original_trace_date": "date",
        "original_trace_no": "text",
        "original_clearing_date": "date",
        "original_reference_no": "text",
        "prepayment_opening_fen": "int",
        "prepayment_movement_fen": "int",
        "prepayment_closing_fen": "int",
    }
)
LEDGER_RECEIPT_LINES = Layout(
    {
        "partition": "int",
        "payment_id": "int",
        "kind": "text",
        "bank": "text",
        "clearing_date": "date",
        "channel": "text",
        "settle_method": "text",
        "customer_no": "text",
        "receivable_id": "text",
        "billing_month": "int",
        "charge_kind": "text",
        "org_code": "text",
        "principal_fen": "int",
        "penalty_fen": "int",
    }
)
LEDGER_DUE_FROM_BANK = Layout(
    {
        "partition": "int",
        "payment_id": "int",
        "kind": "text",
        "bank": "text",
        "amount_fen": "int",
        "clearing_date": "date",
        "settles_date": "date",
    }
)
LEDGER_PREPAYMENT = Layout({"partition": "int", "opening_fen": "int", "closing_fen": "int"})
BANK_LINES = Layout(
    {
        "line_no": "int",
        "kind": "text",
        "trace_date": "date",
        "trace_no": "text",
        "paid_at": "text",
        "customer_no": "text",
        "receivable_id": "text",
        "billing_month": "text",
        "charge_kind": "text",
        "amount_fen": "int",
        "principal_fen": "int",
        "channel": "text",
        "settle_method": "text",
        "status": "text",
        "clearing_date": "date",
        "reference_no": "text",
        "original_trace_date": "date",
        "original_trace_no": "text",
        "original_reference_no": "text",
    }
)
# Entries of neighbouring days that one side has and the other has not: the breaks still open.
POOL = Layout(
    {
        "break_id": "text",
        "side": "text",
        "direction": "text",
        "key_date": "date",
        "key_no": "text",
        "clearing_date": "date",
        "customer_no": "text",
        "amount_fen": "int",
        "reference_no": "text",
        "receivable_ids": "text",
        "record": "text",
    }
)
# Bills of the customers of one-sided bank entries, as they stood at the day's end.
RECEIVABLES = Layout(
    {
        "receivable_id": "text",
        "customer_no": "text",
        "billing_month": "int",
        "principal_fen": "int",
        "received_before_fen": "int",
        "received_fen": "int",
    }
)
# Postings of earlier days under the trace of a one-sided bank entry.
EARLIER_POSTINGS = Layout({"trace_date": "date", "trace_no": "text", "clearing_date": "date", "reference_no": "text"})


class EvidenceWriter:
    """Writes one evidence file; a context manager. After the block `digest` is the SHA-256 of its bytes.

    An exception inside the block leaves no file under the final name.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._layout = layout
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        self.rows = 0
        self.digest = ""

    def __enter__(self) -> EvidenceWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(
            self._part, self._layout.schema, compression="zstd", compression_level=3, write_statistics=True
        )
        return self

    def write_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows as mappings from column to value; a column that is missing is null."""
        listed = list(rows)
        columns = {name: [row.get(name) for row in listed] for name in self._layout.names}
        self.write_table(pa.table(columns, schema=self._layout.schema))

    def write_table(self, table: Any) -> None:
        """An Arrow table with the layout's columns, in any number of chunks."""
        self.rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        while self._waiting_rows >= ROWS_PER_GROUP:
            joined = pa.concat_tables(self._waiting)
            self._write_group(joined.slice(0, ROWS_PER_GROUP))
            rest = joined.slice(ROWS_PER_GROUP)
            self._waiting, self._waiting_rows = [rest], rest.num_rows

    def _write_group(self, table: Any) -> None:
        self._writer.write_table(table.combine_chunks(), row_group_size=ROWS_PER_GROUP)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._waiting_rows:
            self._write_group(pa.concat_tables(self._waiting))
        self._writer.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        publish(self._part, self.path)
        self.digest = digest_of(self.path)


def publish(part: Path, path: Path) -> None:
    """Make a finished temporary file durable under its final name."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def publish_bytes(path: Path, content: bytes) -> str:
    """Write a whole file under a temporary name, sync and rename it; returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    publish(part, path)
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(DIGEST_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def check_recorded(path: Path, recorded: str) -> None:
    """Raise EvidenceChanged unless the file is there and is the one whose digest was recorded."""
    if not path.exists():
        raise EvidenceChanged(f"{path.name}: evidence recorded earlier is gone; restore {path} from the backup")
    if digest_of(path) != recorded:
        raise EvidenceChanged(
            f"{path.name}: evidence differs from the digest recorded earlier; restore {path} from the backup"
        )
