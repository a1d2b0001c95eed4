"""Unresolved money as the gateway writes it: what is in doubt, and what was heard of it afterwards.

Strategy: whoever answers banks says here, after the fact and without waiting, that an operation's end is in doubt or
that the bank was told the end; one task writes that down on a connection of its own, in the order in which it was said,
each in a short transaction in the customer's partition. What is open is kept in memory as well, so that an answer that
has nothing to do with any doubt costs a look into a set. Rules:

- only inserts; an operation in doubt a second time while its row is open gets an event, not another row;
- "closed" is said once, by whoever is first: the database has a unique index on it;
- while there is no database, what was said waits in a queue, in order; beyond its limit it is dropped and counted;
- other processes' rows are read at a NOTIFY, and what the night has closed at each refresh;
- a crash loses what was not written yet. Whether the replies of the last moments before a crash were delivered can't be
  known from anything that is stored, so nothing is guessed at the next start: the banks ask or reverse, and what they
  don't ask for is compared with their settlement files like everything else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import structlog

from gateway import clock
from gateway.database import Connection, ConnectionLost, DatabaseError, RetryTransaction, Row, connect, load_sql
from gateway.ledger.partitions import schema_name
from gateway.operations import OperationKey
from protocols.money import Money

log = structlog.get_logger(__name__)

CHANNEL = "busbar_unresolved"  # NOTIFY says that a row or an event was written
# A bank that drops its connections for a minute at full load stays below this; a row is some hundred bytes.
QUEUE_LIMIT = 100_000
REFRESH_SECONDS = 10.0
RETRY_SECONDS = 1.0
# Numbers are drawn before their rows are committed: a refresh looks this far behind the highest one that it has seen.
OVERLAP = 1_000
_SQL = "gateway.ledger.sql"

Trace = tuple[str, date, str]  # bank, trace date, trace number


class Cause(StrEnum):
    """Why an operation's end is in doubt."""

    NO_ANSWER_IN_TIME = "NO_ANSWER_IN_TIME"  # the bank was answered "unknown" at its deadline
    IN_PROGRESS = "IN_PROGRESS"  # the bank was answered "in progress", and nothing since
    REPLY_NOT_DELIVERED = "REPLY_NOT_DELIVERED"  # the connection was gone before the reply had left
    COMMIT_UNKNOWN = "COMMIT_UNKNOWN"  # at the deadline the result of the commit was not known


class Heard(StrEnum):
    """What tells the bank an operation's end, and the word for having been closed by it."""

    RESEND = "RESEND_ANSWERED"
    STATUS_ENQUIRY = "STATUS_ENQUIRY_ANSWERED"
    REVERSAL = "REVERSAL_ANSWERED"
    CANCEL = "CANCEL_ANSWERED"
    LATE_REPLY = "LATE_REPLY_DELIVERED"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An operation whose end one side may not know. The payment is named by `about` or by `about_reference_no`."""

    key: OperationKey
    customer_no: str = field(repr=False)
    amount: Money
    cause: Cause
    opened_at: datetime
    trace_id: str
    about: Trace | None
    about_reference_no: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The bank was told an end: of one operation (`key`), or of a payment and all that is about it (no `key`).

    `received_at` is of the request that was answered: one from before the doubt makes its answer a late reply.
    """

    customer_no: str = field(repr=False)
    heard: Heard
    happened_at: datetime
    received_at: datetime
    trace_id: str
    bank: str
    key: OperationKey | None = None
    about: Trace | None = None
    about_reference_no: str | None = None


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A row that is open: the traces by which it may be closed."""

    bank: str
    opened_at: datetime
    traces: tuple[Trace, ...]


class UnresolvedBook:
    """`async with UnresolvedBook(...)`; `home` gives a customer's partition. `dsn` logs in as the gateway's role."""

    def __init__(self, dsn: str, partitions: int, home: Callable[[str], int], *, now: clock.Clock = clock.now) -> None:
        self._dsn = dsn
        self._partitions = partitions
        self._home = home
        self._now = now
        self._rows: dict[tuple[int, int], OpenRow] = {}
        self._highest: dict[int, int] = dict.fromkeys(range(partitions), 0)
        self._queue: deque[Doubt | Told] = deque()
        self._watched: set[Trace] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._refresh_is_due = False
        self._task: asyncio.Task[None] | None = None
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """What was said and is not written yet."""
        return len(self._queue)

    def open_count(self, bank: str) -> int:
        return sum(row.bank == bank for row in self._rows.values())

    def oldest_seconds(self, bank: str) -> float:
        """Age of the bank's oldest open row; 0 where there is none."""
        opened = [row.opened_at for row in self._rows.values() if row.bank == bank]
        return max(0.0, (self._now() - min(opened)).total_seconds()) if opened else 0.0

    def is_watched(self, trace: Trace) -> bool:
        """Whether anything open is under or about this trace."""
        return trace in self._watched

    @property
    def has_open(self) -> bool:
        return bool(self._watched)

    def say(self, what: Doubt | Told) -> None:
        """Write it down soon; never waits, never raises."""
        if len(self._queue) >= QUEUE_LIMIT:
            self.dropped += 1
            log.error("unresolved money not noted: too much waits", bank=_bank(what), trace_id=what.trace_id)
            return
        self._queue.append(what)
        if isinstance(what, Doubt):
            self._watched.update(_traces_of(what))
        self._idle.clear()
        self._wake.set()

    async def __aenter__(self) -> UnresolvedBook:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Read what is open (raising what goes wrong), then write."""
        connection = await self._open()
        self._task = asyncio.create_task(self._run(connection), name="unresolved money")

    async def stop(self, timeout_seconds: float = 5.0) -> None:
        """Write what waits, at most for the timeout. Twice is once."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._queue:
            await asyncio.wait([asyncio.ensure_future(self._idle.wait()), task], timeout=timeout_seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if self._queue:
            log.error("unresolved money not noted: no database", operations=len(self._queue))

    async def _open(self) -> Connection:
        connection = await connect(self._dsn, application_name="busbar unresolved")
        try:
            await connection.listen(CHANNEL, self._on_notify)
            await self._refresh(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    def _on_notify(self, _payload: str) -> None:
        self._refresh_is_due = True
        self._wake.set()

    async def _run(self, connection: Connection) -> None:
        while True:
            try:
                await self._serve(connection)
            except DatabaseError as error:
                log.warning("unresolved money has no database", waiting=len(self._queue), error=str(error))
            finally:
                await connection.close()
            connection = await self._reopened()

    async def _reopened(self) -> Connection:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            try:
                return await self._open()
            except DatabaseError as error:
                log.warning("unresolved money has no database", waiting=len(self._queue), error=str(error))

    async def _serve(self, connection: Connection) -> None:
        """Write what is said and read what others wrote, until the connection is lost."""
        loop = asyncio.get_running_loop()
        next_refresh = loop.time() + REFRESH_SECONDS
        while True:
            while self._queue:
                await self._write_first(connection)
            if self._refresh_is_due or loop.time() >= next_refresh:
                await self._refresh(connection)
                next_refresh = loop.time() + REFRESH_SECONDS
            if not self._queue:
                self._idle.set()
                self._wake.clear()
                try:
                    await asyncio.wait_for(self._wake.wait(), max(0.01, next_refresh - loop.time()))
                except TimeoutError:
                    continue

    async def _write_first(self, connection: Connection) -> None:
        """Write the first of the queue; it stays there if the connection is lost."""
        what = self._queue[0]
        try:
            await self._write(connection, what)
        except (ConnectionLost, RetryTransaction):
            raise
        except DatabaseError as error:
            # Our fault; the next ones must not wait behind it for ever.
            self.dropped += 1
            log.error("unresolved money refused", bank=_bank(what), trace_id=what.trace_id, error=str(error))
        self._queue.popleft()
        self._refresh_is_due = True

    async def _write(self, connection: Connection, what: Doubt | Told) -> None:
        schema = schema_name(self._home(what.customer_no))
        async with connection.transaction():
            await connection.execute(f"SET LOCAL search_path TO {schema}")
            if isinstance(what, Doubt):
                await _open_row(connection, what)
            else:
                await _close_rows(connection, what)
            await connection.execute(f"NOTIFY {CHANNEL}")

    async def _refresh(self, connection: Connection) -> None:
        """Rows that are new, and known ones that somebody has closed."""
        self._refresh_is_due = False
        for partition in range(self._partitions):
            known = [number for where, number in self._rows if where == partition]
            async with connection.transaction(read_only=True):
                await connection.execute(f"SET LOCAL search_path TO {schema_name(partition)}")
                start = self._highest[partition] - OVERLAP
                found = await connection.fetch(load_sql(_SQL, "load_unresolved"), start)
                closed = await connection.fetch(load_sql(_SQL, "load_unresolved_closed"), known) if known else []
            for row in found:
                number = row["unresolved_id"]
                self._rows[partition, number] = OpenRow(row["bank"], row["opened_at"], tuple(_traces(row)))
                self._highest[partition] = max(self._highest[partition], number)
            for row in closed:
                self._rows.pop((partition, row["unresolved_id"]), None)
        self._watch()

    def _watch(self) -> None:
        self._watched = {trace for row in self._rows.values() for trace in row.traces}
        for what in self._queue:
            if isinstance(what, Doubt):
                self._watched.update(_traces_of(what))


async def _open_row(connection: Connection, doubt: Doubt) -> None:
    key = doubt.key
    own = (key.bank, key.kind.value, key.trace_date, key.trace_no)
    already = await connection.fetch(load_sql(_SQL, "find_unresolved_of_operation"), *own)
    if already:
        numbers = [already[0]["unresolved_id"]]
        event = ("IN_DOUBT_AGAIN", doubt.cause.value, doubt.opened_at, doubt.trace_id)
        await connection.execute(load_sql(_SQL, "insert_unresolved_event"), numbers, *event)
        return
    await connection.execute(
        load_sql(_SQL, "insert_unresolved"),
        *own,
        doubt.about[1] if doubt.about else None,
        doubt.about[2] if doubt.about else None,
        doubt.about_reference_no,
        doubt.customer_no,
        doubt.amount.minor,
        doubt.amount.currency,
        doubt.cause.value,
        doubt.opened_at,
        doubt.trace_id,
    )


async def _close_rows(connection: Connection, told: Told) -> None:
    if told.key is not None:
        own = (told.key.bank, told.key.kind.value, told.key.trace_date, told.key.trace_no)
        found = await connection.fetch(load_sql(_SQL, "find_unresolved_of_operation"), *own)
    else:
        about = told.about[1:] if told.about else (None, None)
        found = await connection.fetch(
            load_sql(_SQL, "find_unresolved_of_payment"), told.bank, *about, told.about_reference_no
        )
    note = load_sql(_SQL, "insert_unresolved_event")
    for row in found:
        is_late = told.heard is Heard.RESEND and row["opened_at"] > told.received_at
        heard = Heard.LATE_REPLY if is_late else told.heard
        numbers, when = [row["unresolved_id"]], (told.happened_at, told.trace_id)
        await connection.execute(note, numbers, heard.value, "", *when)
        await connection.execute(note, numbers, "CLOSED", heard.name, *when)


def _traces_of(doubt: Doubt) -> Iterable[Trace]:
    yield doubt.key.bank, doubt.key.trace_date, doubt.key.trace_no
    if doubt.about is not None:
        yield doubt.about


def _traces(row: Row) -> Iterable[Trace]:
    yield row["bank"], row["trace_date"], row["trace_no"]
    if row["about_trace_no"] is not None:
        yield row["bank"], row["about_trace_date"], row["about_trace_no"]


def _bank(what: Doubt | Told) -> str:
    return what.key.bank if isinstance(what, Doubt) else what.bank
