"""Import of customers and bills: streamed, repeatable, bad lines listed and good ones kept.

Strategy: the file is read line by line, in chunks. A chunk is checked here (`import_lines`), sent by COPY to temporary
tables, one for each partition, and moved on with INSERT … ON CONFLICT DO NOTHING, all in one transaction; so memory
stays flat, and an import that died is simply run again. While the database moves one chunk, the next is checked. Rules:

- what is there already with the same content is counted and left alone; with other content it is an error of its line:
  an import adds, it never changes;
- a customer lives where the payment number says, for ever; one that is known under another payment number is refused;
- a bill needs its customer; import customers first;
- at most `max_errors` errors are kept (all are counted), each with its line number and never with a value.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from gateway import clock
from gateway.database import Connection, connect
from gateway.ledger.import_lines import (
    BILL_COLUMNS,
    CUSTOMER_COLUMNS,
    MAX_LINE_BYTES,
    Column,
    LineError,
    parse_header,
    parse_line,
)
from gateway.ledger.migrate import check_installation
from gateway.ledger.partitions import DIRECTORY_CHANNEL, Directory, load_directory, schema_name
from gateway.ledger.store_postgres import CLEARING_LOCK

LINES_IN_CHUNK = 10_000
Progress = Callable[[int, int], None]  # bytes read, bytes in all
# One import at a time: two files that give a customer two payment numbers must meet. (This, 1001) is an advisory lock.
_IMPORT_LOCK = 1_001
_NOT_STORED = ("prepayment_balance_fen", "received_principal_fen", "received_penalty_fen")


class ImportRefused(Exception):  # noqa: N818 - what happened, not that it is an error
    """The file as a whole can't be imported; the text says why and is safe to log."""


@dataclass(frozen=True, slots=True)
class RefusedLine:
    line_no: int  # the header is line 1
    what: str


@dataclass(slots=True)
class ImportReport:
    """Lines without the header: read = added + already_there + refused."""

    read: int = 0
    added: int = 0
    already_there: int = 0
    refused: int = 0
    errors: list[RefusedLine] = field(default_factory=list)  # the first ones, by line


@dataclass(frozen=True, slots=True)
class _Checked:
    """A chunk: its good rows by line number, its bad lines, and how much of the file is read with it."""

    rows: dict[int, dict[str, Any]] = field(repr=False)
    refused: list[RefusedLine]
    read_bytes: int


@dataclass(frozen=True, slots=True)
class _Target:
    """One kind of file: its table, its columns, and what has to be there before."""

    table: str
    key: str
    columns: Mapping[str, Column]
    may_differ: tuple[str, ...] = ()  # columns that live on after the import
    needs_customer: bool = False

    @property
    def stored(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in _NOT_STORED)

    @property
    def compared(self) -> tuple[str, ...]:
        return tuple(name for name in self.stored if name not in self.may_differ)


_CUSTOMERS = _Target("customer", "customer_no", CUSTOMER_COLUMNS)
_BILLS = _Target("receivable", "receivable_id", BILL_COLUMNS, ("locked",), needs_customer=True)
_OTHER_CONTENT = "is known with other content: an import adds and never changes"
_OTHER_PAYMENT_NO = "payment_no is not the one this customer is known under: it can't change"
_NO_CUSTOMER = "customer_no is not known: import customers first"


async def import_customers(
    dsn: str,
    path: Path,
    partitions: int,
    *,
    progress: Progress | None = None,
    max_errors: int = 1000,
    now: clock.Clock = clock.now,
) -> ImportReport:
    """Add the customers of a CSV file; `dsn` is the gateway's.

    Raises ImportRefused, InstallationMismatch, DatabaseError.
    """
    return await _import(dsn, path, partitions, _CUSTOMERS, progress=progress, max_errors=max_errors, now=now)


async def import_bills(
    dsn: str,
    path: Path,
    partitions: int,
    *,
    progress: Progress | None = None,
    max_errors: int = 1000,
    now: clock.Clock = clock.now,
) -> ImportReport:
    """Add the receivables of a CSV file, as `import_customers` does."""
    return await _import(dsn, path, partitions, _BILLS, progress=progress, max_errors=max_errors, now=now)


async def _import(
    dsn: str,
    path: Path,
    partitions: int,
    target: _Target,
    *,
    progress: Progress | None,
    max_errors: int,
    now: clock.Clock,
) -> ImportReport:
    connection = await connect(dsn, application_name=f"busbar import {target.table}")
    try:
        await check_installation(connection, partitions)
        await connection.execute("SELECT pg_advisory_lock($1, $2)", CLEARING_LOCK, _IMPORT_LOCK)
        directory = await load_directory(connection, partitions)
        with _opened(path) as (file, size):
            importing = _Importing(connection, target, directory, max_errors=max_errors, imported_at=now())
            header = _header(file, target)
            await importing.prepare()
            async for chunk in _checked_ahead(file, header, target.columns):
                await importing.take(chunk)
                if progress is not None:
                    progress(chunk.read_bytes, size)
    finally:
        await connection.close()
    importing.report.errors.sort(key=lambda error: error.line_no)
    return importing.report


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportRefused(f"{path.name} can't be read: {error.strerror}") from None
    with file:
        yield file, path.stat().st_size


def _header(file: BinaryIO, target: _Target) -> tuple[str, ...]:
    try:
        return parse_header(file.readline(MAX_LINE_BYTES + 1), target.columns)
    except LineError as error:
        raise ImportRefused(f"line 1: the header {error}") from None


async def _checked_ahead(
    file: BinaryIO, header: Sequence[str], columns: Mapping[str, Column]
) -> AsyncIterator[_Checked]:
    """The chunks of a file, checked; in a thread, so that the next one is there when the last one is moved."""
    chunks = _chunks(file)

    def check_next() -> _Checked | None:
        chunk = next(chunks, None)
        return None if chunk is None else _checked(chunk, header, columns, file.tell())

    coming = asyncio.create_task(asyncio.to_thread(check_next))
    try:
        while (chunk := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(check_next))
            yield chunk
    finally:
        # A thread can't be stopped, and the file must stay open under it.
        await asyncio.wait([coming])


def _checked(
    chunk: Sequence[tuple[int, bytes]], header: Sequence[str], columns: Mapping[str, Column], read_bytes: int
) -> _Checked:
    rows: dict[int, dict[str, Any]] = {}
    refused: list[RefusedLine] = []
    for line_no, line in chunk:
        try:
            rows[line_no] = parse_line(line, header, columns)
        except LineError as error:
            refused.append(RefusedLine(line_no, str(error)))
    return _Checked(rows, refused, read_bytes)


def _chunks(file: BinaryIO) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines, the header being line 1. What is longer than a line may be is read on and told as one line."""
    chunk: list[tuple[int, bytes]] = []
    line_no = 1
    while line := file.readline(MAX_LINE_BYTES + 1):
        line_no += 1
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE_BYTES + 1)
        chunk.append((line_no, line))
        if len(chunk) >= LINES_IN_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class _Importing:
    """One run over one file."""

    def __init__(
        self,
        connection: Connection,
        target: _Target,
        directory: Directory,
        *,
        max_errors: int,
        imported_at: datetime,
    ) -> None:
        self.report = ImportReport()
        self._connection = connection
        self._target = target
        self._directory = directory
        self._max_errors = max_errors
        self._imported_at = imported_at

    async def prepare(self) -> None:
        columns = ", ".join(self._target.stored)
        await self._connection.execute(
            f"CREATE TEMP TABLE staged ON COMMIT DELETE ROWS AS SELECT 0 AS line_no, {columns}"  # noqa: S608
            f" FROM {schema_name(0)}.{self._target.table} WITH NO DATA"
        )

    async def take(self, chunk: _Checked) -> None:
        """One chunk, one transaction."""
        rows = chunk.rows
        self.report.read += len(rows) + len(chunk.refused)
        for bad in chunk.refused:
            self._refuse(bad.line_no, bad.what)
        async with self._connection.transaction():
            if not self._target.needs_customer:
                await self._settle_payment_numbers(rows)
            by_home: dict[int, list[int]] = defaultdict(list)
            for line_no, row in rows.items():
                by_home[self._directory.home(row["customer_no"])].append(line_no)
            for partition in sorted(by_home):
                await self._move(partition, {line_no: rows[line_no] for line_no in by_home[partition]})

    def _refuse(self, line_no: int, what: str) -> None:
        self.report.refused += 1
        if len(self.report.errors) < self._max_errors:
            self.report.errors.append(RefusedLine(line_no, what))

    async def _settle_payment_numbers(self, rows: dict[int, dict[str, Any]]) -> None:
        """Refuse customers who are known under another payment number; list those whose number is not their own."""
        known = await self._known_payment_numbers(rows.values())
        new: dict[str, str] = {}
        for line_no, row in list(rows.items()):
            customer_no, payment_no = row["customer_no"], row["payment_no"]
            if known.setdefault(customer_no, self._directory.listed(customer_no) or payment_no) != payment_no:
                self._refuse(line_no, _OTHER_PAYMENT_NO)
                del rows[line_no]
            elif payment_no != self._directory.payment_no(customer_no):
                new[customer_no] = payment_no
        if not new:
            return
        await self._connection.execute(
            "INSERT INTO busbar.payment_number (customer_no, payment_no)"
            " SELECT new.customer_no, new.payment_no"
            " FROM unnest($1::text[], $2::text[]) AS new (customer_no, payment_no)",
            list(new),
            list(new.values()),
        )
        await self._connection.execute(f"NOTIFY {DIRECTORY_CHANNEL}")
        for customer_no, payment_no in new.items():
            self._directory.add(customer_no, payment_no)

    async def _known_payment_numbers(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Of these customers, those who are in the ledger, with the number they are known under."""
        by_home: dict[int, set[str]] = defaultdict(set)
        for row in rows:
            by_home[self._directory.home(row["customer_no"])].add(row["customer_no"])
        known: dict[str, str] = {}
        for partition, customer_nos in sorted(by_home.items()):
            found = await self._connection.fetch(
                f"SELECT customer_no, payment_no FROM {schema_name(partition)}.customer"  # noqa: S608
                " WHERE customer_no = ANY($1::text[])",
                sorted(customer_nos),
            )
            known.update((row["customer_no"], row["payment_no"]) for row in found)
        return known

    async def _move(self, partition: int, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """From `staged` into the partition: what is new goes in, what differs from what is there is refused."""
        target, table = self._target, f"{schema_name(partition)}.{self._target.table}"
        stored = target.stored
        columns, values = ", ".join(stored), itemgetter(*stored)
        staged = [(line_no, *values(row)) for line_no, row in rows.items()]
        await self._connection.copy_rows_in("staged", ["line_no", *stored], staged)
        homeless = await self._without_customer(partition)
        tag = await self._connection.execute(
            f"INSERT INTO {table} ({columns}, imported_at) SELECT {columns}, $1::timestamptz"  # noqa: S608
            f" FROM staged ORDER BY line_no ON CONFLICT ({target.key}) DO NOTHING",
            self._imported_at,
        )
        mine = ", ".join(f"staged.{name}" for name in target.compared)
        theirs = ", ".join(f"stored.{name}" for name in target.compared)
        differing = await self._connection.fetch(
            f"SELECT staged.line_no FROM staged JOIN {table} AS stored USING ({target.key})"  # noqa: S608
            f" WHERE ({mine}) IS DISTINCT FROM ({theirs})"
        )
        await self._connection.execute("DELETE FROM staged")
        for row in differing:
            self._refuse(row["line_no"], _OTHER_CONTENT)
        added = int(tag.rpartition(" ")[2])
        self.report.added += added
        self.report.already_there += len(rows) - homeless - added - len(differing)

    async def _without_customer(self, partition: int) -> int:
        """Refuse and unstage the bills of nobody; returns how many."""
        if not self._target.needs_customer:
            return 0
        homeless = await self._connection.fetch(
            "DELETE FROM staged WHERE NOT EXISTS"  # noqa: S608
            f" (SELECT FROM {schema_name(partition)}.customer WHERE customer.customer_no = staged.customer_no)"
            " RETURNING staged.line_no"
        )
        for row in homeless:
            self._refuse(row["line_no"], _NO_CUSTOMER)
        return len(homeless)
