"""The states of the clearing days, from the days that each partition has begun.

Strategy: nothing is stored but the days themselves, one insert-only row a partition and day; a day's state follows from
where the partitions stand. A bank's day being reconciled is the night's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from gateway.database import Connection
from gateway.ledger.partitions import schema_names


class DayState(StrEnum):
    """OPEN: all partitions book on it. SWITCHING: a cut-off has moved some of them. CLOSED: none books on it now."""

    OPEN = "OPEN"
    SWITCHING = "SWITCHING"
    CLOSED = "CLOSED"


def day_states(days: Mapping[int, Iterable[date]]) -> dict[date, DayState]:
    """Day to state, newest first; `days` are those that each partition has begun, at least one each.

    Of a cut-off that is half done both days are SWITCHING, the one that is left and the one that begins.
    """
    begun = {partition: frozenset(of_partition) for partition, of_partition in days.items()}
    current = [max(of_partition) for of_partition in begun.values()]
    oldest, newest = min(current), max(current)
    return {day: _state(day, oldest, newest) for day in sorted(frozenset().union(*begun.values()), reverse=True)}


def _state(day: date, oldest: date, newest: date) -> DayState:
    if day < oldest:
        return DayState.CLOSED
    return DayState.OPEN if oldest == newest else DayState.SWITCHING


async def read_day_states(connection: Connection, partitions: int) -> dict[date, DayState]:
    """The states as they are now; a cut-off may go on while they are read, and is then seen as switching."""
    days: dict[int, list[date]] = {}
    for partition, schema in enumerate(schema_names(partitions)):
        rows = await connection.fetch(f"SELECT clearing_date FROM {schema}.clearing_day")  # noqa: S608
        days[partition] = [row["clearing_date"] for row in rows]
    return day_states(days)
