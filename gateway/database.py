"""The one door to PostgreSQL: connections, pools, named SQL files, and errors that are safe to log.

Strategy: a thin wrapper around asyncpg, so that no other file knows the driver. Rules:

- SQLSTATE classes are translated once, here. An error's text holds the SQLSTATE, the constraint and the table, never a
  value: PostgreSQL puts account numbers into DETAIL and into "invalid input syntax". The driver's error is not chained
  for the same reason; only class 42 (our own SQL is wrong) and P0001 (raised by our own functions) keep their message.
- Whatever leaves the state of the connection open is `ConnectionLost`. It says nothing about whether a COMMIT under
  way took effect; only the caller knows what it had asked for.
- SQL lives in named files beside the code that uses it (`load_sql`); every statement is prepared once a connection.
"""

# ruff: noqa: N818 - the errors are named after what happened, as PostgreSQL names them

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Literal

import asyncpg

Row = asyncpg.Record
CopyFormat = Literal["text", "csv", "binary"]
Sink = Path | BinaryIO | Callable[[bytes], Coroutine[Any, Any, None]]
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
CONNECT_TIMEOUT_SECONDS = 10.0
# The messages of these classes quote our own SQL or our own functions, not what stands in rows.
_MESSAGE_IS_SAFE = ("42", "P0001")


class DatabaseError(Exception):
    """PostgreSQL refused. The text is safe to log: SQLSTATE, constraint, table; never a value."""

    def __init__(
        self, what: str, *, sqlstate: str = "", constraint: str | None = None, table: str | None = None
    ) -> None:
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.table = table
        where = f", table {table}" if table else ""
        where += f", constraint {constraint}" if constraint else ""
        super().__init__(f"{what} (SQLSTATE {sqlstate}{where})" if sqlstate else what)


class ConnectionLost(DatabaseError):
    """No connection, or it went away. A COMMIT that was under way may or may not have taken effect."""


class RetryTransaction(DatabaseError):
    """Serialization failure or deadlock (40001, 40P01): nothing was written, do the transaction again."""


class UniqueViolation(DatabaseError):
    """A unique constraint refused a row; `constraint` names it."""


class CheckViolation(DatabaseError):
    """A CHECK or NOT NULL refused a row; `constraint` names it (the column for NOT NULL)."""


class PermissionRefused(DatabaseError):
    """The role may not do this, or the password is wrong."""


class LockNotAvailable(DatabaseError):
    """A lock was not to be had within the time allowed (lock_timeout, NOWAIT)."""


class DataError(DatabaseError):
    """A value does not fit its type, or refers to a row that is not there."""


# All that the driver raises. InternalClientError is what it says once the server's last word ("the postmaster is gone")
# has come and the connection is not yet seen to be closed: the session is lost.
_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.DataError,
    OSError,
    TimeoutError,
)

# Longest prefix wins. Class 57P0x (shutdown, crash) and 25P03 (idle in transaction) end the session.
_BY_SQLSTATE: Mapping[str, tuple[type[DatabaseError], str]] = MappingProxyType(
    {
        "08": (ConnectionLost, "connection to the database lost"),
        "25P03": (ConnectionLost, "connection closed by the server: idle in a transaction for too long"),
        "53300": (ConnectionLost, "the database takes no more connections"),
        "57P": (ConnectionLost, "the database is shutting down or starting up"),
        "40001": (RetryTransaction, "serialization failure"),
        "40P01": (RetryTransaction, "deadlock"),
        "23505": (UniqueViolation, "row exists already"),
        "23514": (CheckViolation, "row breaks a rule"),
        "23502": (CheckViolation, "row lacks a value"),
        "23503": (DataError, "row refers to one that does not exist"),
        "22": (DataError, "value does not fit"),
        "28": (PermissionRefused, "login refused"),
        "42501": (PermissionRefused, "permission refused"),
        "55P03": (LockNotAvailable, "lock not available in time"),
        "57014": (DatabaseError, "statement cancelled"),
    }
)


def _translate(error: BaseException) -> DatabaseError:
    if isinstance(error, asyncpg.PostgresError):
        return _from_sqlstate(error)
    if isinstance(error, asyncpg.DataError):
        return DataError("a value given to a statement does not fit its parameter")
    if isinstance(error, asyncpg.InterfaceError) and "clos" not in str(error):
        return DatabaseError(f"the driver refused: {type(error).__name__}")
    return ConnectionLost(f"connection to the database lost: {type(error).__name__}")


def _from_sqlstate(error: asyncpg.PostgresError) -> DatabaseError:
    sqlstate = getattr(error, "sqlstate", None) or "XX000"
    kind, what = DatabaseError, f"the database refused: {type(error).__name__}"
    for length in (5, 3, 2):
        if sqlstate[:length] in _BY_SQLSTATE:
            kind, what = _BY_SQLSTATE[sqlstate[:length]]
            break
    if sqlstate.startswith(_MESSAGE_IS_SAFE):
        what = getattr(error, "message", None) or what
    constraint = getattr(error, "constraint_name", None) or getattr(error, "column_name", None)
    return kind(what, sqlstate=sqlstate, constraint=constraint, table=_table(error))


def _table(error: asyncpg.PostgresError) -> str | None:
    table: str | None = getattr(error, "table_name", None)
    schema: str | None = getattr(error, "schema_name", None)
    return f"{schema}.{table}" if schema and table else table


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _DRIVER_ERRORS as error:
        raise _translate(error) from None


class Connection:
    """One session. Not for use by two tasks at once. Arguments are positional: `$1`, `$2`."""

    def __init__(self, raw: Any) -> None:
        self._raw: asyncpg.Connection[Row] = raw

    @property
    def is_closed(self) -> bool:
        return bool(self._raw.is_closed())

    @property
    def backend_pid(self) -> int:
        """The server's process id for this session; for `pg_terminate_backend` and logs."""
        return int(self._raw.get_server_pid())

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        with _translated():
            return await self._raw.fetch(sql, *args)

    async def fetch_row(self, sql: str, *args: Any) -> Row | None:
        with _translated():
            row: Row | None = await self._raw.fetchrow(sql, *args)
            return row

    async def fetch_value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row; None where there is no row."""
        with _translated():
            return await self._raw.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run it (several statements if without arguments); returns the command tag, as "INSERT 0 3"."""
        with _translated():
            status: str = await self._raw.execute(sql, *args)
            return status

    async def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated():
            await self._raw.executemany(sql, rows)

    async def stream(self, sql: str, *args: Any, rows_at_once: int = 1000) -> AsyncIterator[Row]:
        """Row by row through a cursor, for results too big to hold; inside a transaction only."""
        with _translated():
            async for row in self._raw.cursor(sql, *args, prefetch=rows_at_once):
                yield row

    @asynccontextmanager
    async def transaction(
        self,
        isolation: Literal["read_committed", "repeatable_read", "serializable"] = "read_committed",
        *,
        read_only: bool = False,
    ) -> AsyncIterator[None]:
        """Commit at the end of the block, roll back on any exception. Nested: a savepoint."""
        transaction = self._raw.transaction(isolation=isolation, readonly=read_only)
        with _translated():
            await transaction.start()
        try:
            yield
        except BaseException:
            await self._roll_back(transaction)
            raise
        with _translated():
            await transaction.commit()

    async def _roll_back(self, transaction: Any) -> None:
        # A connection that is gone has rolled back by itself; what broke the block is the error to tell.
        try:
            await transaction.rollback()
        except _DRIVER_ERRORS:
            self._raw.terminate()

    async def copy_query_to(
        self,
        sql: str,
        *args: Any,
        sink: Sink,
        format: CopyFormat = "csv",  # noqa: A002 - COPY's own word
        header: bool = False,
    ) -> int:
        """COPY (query) TO: the result's bytes go to a file, a path or an async callable; returns the rows."""
        options: dict[str, Any] = {"format": format}
        if format == "csv":
            options["header"] = header
        with _translated():
            tag = await self._raw.copy_from_query(sql, *args, output=sink, **options)
        return _rows_of(tag)

    async def copy_rows_in(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, schema: str | None = None
    ) -> int:
        """COPY FROM: rows of Python values (binary); returns the rows."""
        with _translated():
            tag = await self._raw.copy_records_to_table(table, records=rows, columns=list(columns), schema_name=schema)
        return _rows_of(tag)

    async def copy_file_in(
        self,
        table: str,
        columns: Sequence[str],
        source: Any,
        *,
        schema: str | None = None,
        format: CopyFormat = "csv",  # noqa: A002 - COPY's own word
        header: bool = False,
    ) -> int:
        """COPY FROM: bytes of a file, a path or an async iterable of bytes; returns the rows."""
        options: dict[str, Any] = {"format": format}
        if format == "csv":
            options["header"] = header
        with _translated():
            tag = await self._raw.copy_to_table(
                table, source=source, columns=list(columns), schema_name=schema, **options
            )
        return _rows_of(tag)

    async def listen(self, channel: str, callback: Callable[[str], None]) -> None:
        """Call `callback(payload)` at each NOTIFY on `channel`, as long as the connection lives."""
        with _translated():
            await self._raw.add_listener(channel, lambda _connection, _pid, _channel, payload: callback(payload))

    async def close(self, timeout_seconds: float = 5.0) -> None:
        """Close politely, or by force after the timeout. Twice is once."""
        try:
            await self._raw.close(timeout=timeout_seconds)
        except _DRIVER_ERRORS:
            self._raw.terminate()

    def drop(self) -> None:
        """Cut the connection at once, without a word: its transaction's fate is then the server's."""
        self._raw.terminate()


class Pool:
    """A bounded set of connections: `async with pool.acquire() as connection`."""

    def __init__(self, raw: Any) -> None:
        self._raw: asyncpg.Pool[Row] = raw

    @asynccontextmanager
    async def acquire(self, timeout_seconds: float | None = None) -> AsyncIterator[Connection]:
        """A connection of its own; ConnectionLost where none is free in time or the database is away."""
        with _translated():
            raw = await self._raw.acquire(timeout=timeout_seconds)
        try:
            yield Connection(raw)
        finally:
            with _translated():
                await self._raw.release(raw)

    async def close(self, timeout_seconds: float = 5.0) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._raw.close()
        except _DRIVER_ERRORS:
            self._raw.terminate()


def _rows_of(command_tag: str) -> int:
    return int(command_tag.rpartition(" ")[2])


def _server_settings(search_path: str | None, application_name: str, settings: Mapping[str, str]) -> dict[str, str]:
    path = {} if search_path is None else {"search_path": search_path}
    return {"application_name": application_name, "timezone": "UTC", **path, **settings}


async def connect(
    dsn: str,
    *,
    search_path: str | None = None,
    application_name: str = "busbar",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> Connection:
    """A session of its own. Raises ConnectionLost (nobody there), PermissionRefused (login), DatabaseError."""
    server_settings = _server_settings(search_path, application_name, settings)
    with _translated():
        return Connection(await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=server_settings))


async def create_pool(
    dsn: str,
    *,
    size: int = 4,
    search_path: str | None = None,
    application_name: str = "busbar",
    settings: Mapping[str, str] = NO_SETTINGS,
) -> Pool:
    """At most `size` sessions, opened as they are needed (the first at once, so that a wrong DSN is told here)."""
    server_settings = _server_settings(search_path, application_name, settings)
    with _translated():
        raw = await asyncpg.create_pool(
            dsn, min_size=1, max_size=size, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=server_settings
        )
    return Pool(raw)


@cache
def load_sql(package: str, name: str) -> str:
    """The text of the named SQL file in a package: `load_sql("gateway.ledger.sql", "lock_customers")`."""
    return resources.files(package).joinpath(f"{name}.sql").read_text(encoding="utf-8")
