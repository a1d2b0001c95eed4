"""What people do with payment events: see how far they are, list dead letters, send them again or discard them.

Strategy: one short transaction a partition, on the gateway's role. A change takes the subscription's row first, as the
teller does, so that a queue is never changed by both at once. Sending again is only marked here; whoever has the lease
does it, in the customer's order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from gateway.database import Connection, connect, load_sql
from gateway.events.judging import LetterState
from gateway.ledger.partitions import schema_names

_SQL = "gateway.events.sql"


class EventsRefusedError(ValueError):
    """What was asked can't be done; one line that says why and what to do."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """One subscriber in one partition. `waiting` is what it was not told yet, letters aside."""

    partition: int
    subscriber: str
    subscribed_at: datetime
    sequence: int
    is_served: bool
    waiting: int
    oldest_recorded_at: datetime | None
    trying: int
    behind: int
    dead: int


@dataclass(frozen=True, slots=True)
class LetterLine:
    """The head of a customer's queue and how many stand behind it. The reference number finds the customer."""

    partition: int
    subscriber: str
    reference_no: str
    kind: str
    recorded_at: datetime
    state: LetterState
    reason: str
    attempts: int
    set_aside_at: datetime
    behind: int


async def status(dsn: str, partitions: int) -> list[SubscriptionStatus]:
    """Every subscription of every partition, also of subscribers that are not configured any more."""
    found = []
    for partition, schema in enumerate(schema_names(partitions)):
        async with _connected(dsn, schema) as connection:
            for row in await connection.fetch(load_sql(_SQL, "status")):
                found.append(
                    SubscriptionStatus(
                        partition,
                        row["subscriber"],
                        row["subscribed_at"],
                        row["handled_recording_no"],
                        row["is_served"],
                        row["waiting"],
                        row["oldest_recorded_at"],
                        row["trying"],
                        row["behind"],
                        row["dead"],
                    )
                )
    return found


async def letters(dsn: str, partitions: int, subscriber: str | None, limit: int) -> list[LetterLine]:
    """Heads of queues, oldest first, at most `limit` of each partition."""
    found = []
    for partition, schema in enumerate(schema_names(partitions)):
        async with _connected(dsn, schema) as connection:
            for row in await connection.fetch(load_sql(_SQL, "list_letters"), subscriber, limit):
                found.append(
                    LetterLine(
                        partition,
                        row["subscriber"],
                        row["reference_no"],
                        row["kind"],
                        row["recorded_at"],
                        LetterState(row["state"]),
                        row["reason"],
                        row["attempts"],
                        row["set_aside_at"],
                        row["behind"],
                    )
                )
    return found


async def redeliver(
    dsn: str, partitions: int, subscriber: str, reference_no: str | None, now: datetime
) -> tuple[str, ...]:
    """Have dead letters tried again: the customer's whose event is named, or all of the subscriber's.

    Returns the reference numbers of the heads that will be tried; those behind them follow. Raises EventsRefusedError.
    """
    freed: list[str] = []
    known = False
    for schema in schema_names(partitions):
        async with _connected(dsn, schema) as connection, connection.transaction():
            if await _lock(connection, subscriber):
                known = True
                rows = await connection.fetch(load_sql(_SQL, "redeliver"), subscriber, reference_no, now)
                freed += [row["reference_no"] for row in rows]
    _check_known(subscriber, known=known)
    if reference_no is not None and not freed:
        raise EventsRefusedError(f"event {reference_no} is in no queue of dead letters; see: busbar events dead")
    return tuple(sorted(freed))


async def discard(dsn: str, partitions: int, subscriber: str, reference_no: str, now: datetime) -> None:
    """Never tell this event; who stands behind it is next. Raises EventsRefusedError."""
    known = done = False
    for schema in schema_names(partitions):
        async with _connected(dsn, schema) as connection, connection.transaction():
            if not await _lock(connection, subscriber):
                continue
            known = True
            rows = await connection.fetch(load_sql(_SQL, "discard"), subscriber, reference_no, now)
            if rows:
                done = True
                await _promote(connection, subscriber, [row["customer_no"] for row in rows], now)
    _check_known(subscriber, known=known)
    if not done:
        raise EventsRefusedError(f"event {reference_no} is not set aside; see: busbar events dead")


def _check_known(subscriber: str, *, known: bool) -> None:
    if not known:
        raise EventsRefusedError(f"nobody subscribes as {subscriber}; see: busbar events status")


async def _lock(connection: Connection, subscriber: str) -> bool:
    return bool(await connection.fetch_value(load_sql(_SQL, "lock_subscription"), subscriber))


async def _promote(connection: Connection, subscriber: str, customer_nos: Sequence[str], now: datetime) -> None:
    await connection.execute(load_sql(_SQL, "promote"), subscriber, list(customer_nos), now)


@asynccontextmanager
async def _connected(dsn: str, schema: str) -> AsyncIterator[Connection]:
    connection = await connect(dsn, search_path=schema, application_name="busbar events")
    try:
        yield connection
    finally:
        await connection.close()
