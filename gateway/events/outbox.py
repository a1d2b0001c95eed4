"""The outbox of one partition, as one subscriber's teller sees it: a connection, a lease, a cursor.

Strategy: the postings themselves are the outbox; `Horizon` says how far they may be read. One connection does it all:
it is the identity of the lease, so that a lease dies with its process. Rules:

- one session tells a subscriber of a partition at a time. The lease has an epoch; every write names it and touches the
  subscription's row first, so that who has lost the lease can write nothing (`LeaseLostError`);
- what was told is recorded after it was told: a crash in between tells it again, never leaves it out;
- calls stand in line for the connection, since telling what is new and trying again what was set aside go on at once.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from gateway.clock import monotonic_seconds
from gateway.database import Connection, Row, connect, load_sql
from gateway.events.event import PaymentEvent, SettledBill
from gateway.events.horizon import Horizon
from gateway.events.judging import Letter, LetterState, Waiting
from gateway.ledger.partitions import schema_name
from gateway.ledger.store_postgres import CLEARING_LOCK, SESSION_SETTINGS
from protocols.money import Money

_SQL = "gateway.events.sql"
_LEDGER_SQL = "gateway.ledger.sql"
_CLOSED = (LetterState.DELIVERED, LetterState.DISCARDED)


class LeaseLostError(Exception):
    """Another session tells this subscriber now; nothing was written."""


class Outbox:
    """See the head of the file. Made by `open_outbox`."""

    def __init__(self, connection: Connection, partition: int, subscriber: str, lease_seconds: float) -> None:
        self.partition = partition
        self.horizon = Horizon()
        self.position = 0
        self._connection = connection
        self._subscriber = subscriber
        self._lease_seconds = lease_seconds
        self._epoch = 0
        self._lease_until = 0.0
        self._line = asyncio.Lock()

    @property
    def lease_left_seconds(self) -> float:
        """How long the lease surely lasts; negative where it may be another's."""
        return self._lease_until - monotonic_seconds()

    async def look(self) -> int:
        """Look at what is booked; the number up to which it may be read."""
        async with self._line:
            row = await self._connection.fetch_row(_sql("look"), CLEARING_LOCK, self.partition)
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        return self.horizon.look(row["newest"], row["booking"])

    async def is_subscribed(self) -> bool:
        async with self._line:
            return bool(await self._connection.fetch_value(_sql("is_subscribed"), self._subscriber))

    async def subscribe(self, now: datetime) -> None:
        """Begin the subscription at the horizon: whatever is committed from now on will be told. Twice is once."""
        async with self._line:
            await self._connection.execute(_sql("subscribe"), self._subscriber, now, self.horizon.settled)

    async def take_lease(self) -> bool:
        """Take the lease if it is free, and the cursor with it."""
        asked_at = monotonic_seconds()
        async with self._line:
            row = await self._connection.fetch_row(_sql("take_lease"), self._subscriber, self._lease_seconds)
        if row is None:
            return False
        self._epoch, self.position = row["lease_epoch"], row["handled_recording_no"]
        self._lease_until = asked_at + self._lease_seconds
        return True

    async def keep_lease(self) -> None:
        """Make the lease last its whole length again; raises LeaseLostError."""
        async with self._line:
            await self._keep(None)

    async def release_lease(self) -> None:
        async with self._line:
            await self._connection.execute(_sql("release_lease"), self._subscriber, self._epoch)

    async def read_new(self, limit: int) -> list[Waiting]:
        """The next events after the cursor and up to the horizon, in order."""
        async with self._line:
            found = await self._connection.fetch(
                _sql("read_new"), self._subscriber, self.position, self.horizon.settled, limit
            )
            lines = await self._lines(found)
        return [Waiting(_event(row, lines[row["payment_id"]]), row["is_behind"]) for row in found]

    async def read_due(self, now: datetime, limit: int) -> list[Waiting]:
        """Letters to be tried again: heads of customers' queues, one of each customer."""
        async with self._line:
            found = await self._connection.fetch(_sql("read_due"), self._subscriber, now, limit)
            lines = await self._lines(found)
        return [
            Waiting(_event(row, lines[row["payment_id"]]), False, row["attempts"], row["trying_since"]) for row in found
        ]

    async def count_dead(self) -> int:
        async with self._line:
            return int(await self._connection.fetch_value(_sql("count_dead"), self._subscriber))

    async def record_new(self, handled: int, letters: Sequence[Letter], now: datetime) -> None:
        """The cursor moves to `handled` and `letters` are set aside, in one commit; raises LeaseLostError."""
        async with self._line:
            if not letters:
                await self._keep(handled)
            else:
                async with self._connection.transaction():
                    await self._keep(handled)
                    await self._connection.execute(_sql("insert_letters"), self._subscriber, now, *_columns(letters))
                    # A queue may have been emptied between reading and here.
                    behind = [one.customer_no for one in letters if one.state is LetterState.BEHIND]
                    await self._promote(behind, now)
            self.position = handled

    async def record_again(self, letters: Sequence[Letter], now: datetime) -> None:
        """What became of letters that were tried again; who stood behind a closed one is next."""
        numbers, _customers, *others = _columns(letters)
        async with self._line, self._connection.transaction():
            await self._keep(None)
            await self._connection.execute(_sql("update_letters"), self._subscriber, now, numbers, *others)
            await self._promote([one.customer_no for one in letters if one.state in _CLOSED], now)

    def drop(self) -> None:
        """Cut the connection; the lease is free as soon as the server notices."""
        self._connection.drop()

    async def _keep(self, handled: int | None) -> None:
        asked_at = monotonic_seconds()
        kept = await self._connection.fetch_value(
            _sql("keep_lease"), self._subscriber, self._epoch, self._lease_seconds, handled
        )
        if kept is None:
            raise LeaseLostError
        self._lease_until = asked_at + self._lease_seconds

    async def _promote(self, customer_nos: Iterable[str], now: datetime) -> None:
        queues = sorted(set(customer_nos))
        if queues:
            await self._connection.execute(_sql("promote"), self._subscriber, queues, now)

    async def _lines(self, found: Sequence[Row]) -> dict[int, list[Row]]:
        lines: dict[int, list[Row]] = defaultdict(list)
        if found:
            numbers = [row["payment_id"] for row in found]
            for line in await self._connection.fetch(load_sql(_LEDGER_SQL, "load_lines"), numbers):
                lines[line["payment_id"]].append(line)
        return lines


async def open_outbox(dsn: str, partition: int, subscriber: str, lease_seconds: float) -> Outbox:
    """An outbox on a connection of its own; raises the errors of `gateway.database`."""
    schema = schema_name(partition)
    connection = await connect(
        dsn, search_path=schema, application_name=f"busbar events {schema}", settings=SESSION_SETTINGS
    )
    return Outbox(connection, partition, subscriber, lease_seconds)


def _sql(name: str) -> str:
    return load_sql(_SQL, name)


def _event(row: Row, lines: Sequence[Row]) -> PaymentEvent:
    currency = row["currency"]
    return PaymentEvent(
        event_id=row["reference_no"],
        sequence=row["recording_no"],
        kind=row["kind"],
        customer_no=row["customer_no"],
        amount=Money(row["amount_fen"], currency),
        prepayment_movement=Money(row["prepayment_movement_fen"], currency),
        bank=row["bank"],
        channel=row["channel"],
        paid_at=row["paid_at"],
        recorded_at=row["recorded_at"],
        clearing_date=row["clearing_date"],
        original_event_id=row["original_reference_no"],
        settled=tuple(_bill(line, currency) for line in lines),
    )


def _bill(line: Row, currency: str) -> SettledBill:
    return SettledBill(
        line["receivable_id"],
        line["billing_month"],
        line["charge_kind"],
        Money(line["principal_fen"], currency),
        Money(line["penalty_fen"], currency),
    )


def _columns(letters: Sequence[Letter]) -> list[list[Any]]:
    """Numbers, customers, states, reasons, attempts, next tries."""
    return [
        [one.sequence for one in letters],
        [one.customer_no for one in letters],
        [one.state.value for one in letters],
        [one.reason for one in letters],
        [one.attempts for one in letters],
        [one.next_try_at for one in letters],
    ]
