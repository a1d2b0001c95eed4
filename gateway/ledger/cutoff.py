"""The cut-off (日切): the clearing date moves on, partition by partition.

Strategy: in each partition one short transaction takes the clearing lock exclusively and inserts the next day. Batches
hold that lock shared from before they read the day until they have committed, so no posting lands in a day that was
left: those before it are committed, those after it carry the new day. Rules:

- only forwards, by at most `MAX_DAYS_FORWARD`: a day can't be taken back, and a mistyped year would stay for ever;
- the same next day in all partitions; one that has it already is left alone, so a cut-off that died is simply repeated;
- while some partitions are ahead of others, only the day that the leaders have is accepted;
- waiting is bounded; a partition that could not be had in time is reported and the others are still moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from gateway import clock
from gateway.database import Connection, LockNotAvailable, connect
from gateway.ledger.partitions import schema_name
from gateway.ledger.store_postgres import CLEARING_LOCK

# Longer than any run of public holidays.
MAX_DAYS_FORWARD = 31
# Beside the lock of a partition: one cut-off at a time for the whole installation.
_WHOLE_INSTALLATION = 1_000


class CutOffRefused(Exception):  # noqa: N818 - what happened, not that it is an error
    """The next clearing date is not acceptable, or another cut-off is under way; nothing was changed."""


class CutOffState(StrEnum):
    MOVED = "MOVED"
    ALREADY_MOVED = "ALREADY_MOVED"
    NOT_IN_TIME = "NOT_IN_TIME"  # batches in flight did not end in time: repeat the cut-off


@dataclass(frozen=True, slots=True)
class PartitionCutOff:
    partition: int
    state: CutOffState
    previous_date: date
    current_date: date


@dataclass(frozen=True, slots=True)
class CutOffReport:
    next_date: date
    partitions: tuple[PartitionCutOff, ...]

    @property
    def is_complete(self) -> bool:
        return all(one.current_date == self.next_date for one in self.partitions)


async def cut_off(
    dsn: str,
    partitions: int,
    next_date: date,
    *,
    wait_seconds: float = 30.0,
    now: clock.Clock = clock.now,
) -> CutOffReport:
    """Move every partition to `next_date`; `wait_seconds` is for each lock. Raises CutOffRefused, DatabaseError."""
    connection = await connect(dsn, application_name="busbar cut-off")
    try:
        await connection.execute(f"SET lock_timeout = {max(1, round(wait_seconds * 1000)):d}")
        await _lock_installation(connection)
        dates = await current_clearing_dates(connection, partitions)
        _check(dates, next_date)
        report = [await _move(connection, partition, next_date, now) for partition in range(partitions)]
    finally:
        await connection.close()
    return CutOffReport(next_date, tuple(report))


async def current_clearing_dates(connection: Connection, partitions: int) -> dict[int, date]:
    """Partition to its clearing date, each read in a transaction of its own."""
    return {partition: await _current(connection, partition) for partition in range(partitions)}


async def _lock_installation(connection: Connection) -> None:
    try:
        await connection.execute("SELECT pg_advisory_lock($1, $2)", CLEARING_LOCK, _WHOLE_INSTALLATION)
    except LockNotAvailable:
        raise CutOffRefused("another cut-off is under way: wait for it, then ask for the clearing dates") from None


def _check(dates: Mapping[int, date], next_date: date) -> None:
    newest, oldest = max(dates.values()), min(dates.values())
    if newest not in (oldest, next_date):
        raise CutOffRefused(f"a cut-off to {newest} is only half done: repeat that one first, not {next_date}")
    if next_date < newest:
        raise CutOffRefused(f"the clearing date is {newest} already and can't go back to {next_date}")
    if next_date > newest + timedelta(days=MAX_DAYS_FORWARD):
        raise CutOffRefused(f"{next_date} is more than {MAX_DAYS_FORWARD} days after {newest}: is the date right?")


async def _move(connection: Connection, partition: int, next_date: date, now: clock.Clock) -> PartitionCutOff:
    previous = await _current(connection, partition)
    if previous == next_date:
        return PartitionCutOff(partition, CutOffState.ALREADY_MOVED, previous, previous)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", CLEARING_LOCK, partition)
            await connection.execute(
                f"INSERT INTO {schema_name(partition)}.clearing_day (clearing_date, opened_at)"  # noqa: S608
                " VALUES ($1, $2)",
                next_date,
                now(),
            )
    except LockNotAvailable:
        return PartitionCutOff(partition, CutOffState.NOT_IN_TIME, previous, previous)
    return PartitionCutOff(partition, CutOffState.MOVED, previous, next_date)


async def _current(connection: Connection, partition: int) -> date:
    found = await connection.fetch_value(f"SELECT max(clearing_date) FROM {schema_name(partition)}.clearing_day")  # noqa: S608
    if not isinstance(found, date):
        raise CutOffRefused(f"{schema_name(partition)} has no clearing day: run `busbar db init`")
    return found
