"""Dates and times that a wire sends without their year, or without their day.

Strategy: the missing part is chosen so that the result is nearest to a moment that we know (our receipt). Fields 7, 13
and 15 have no year; field 12 has no day. A date that exists in none of the neighbouring years (30 February, or 29
February far from a leap year) is refused. Days and moments are local to a time zone that the caller gives.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from protocols.errors import ProtocolError


class DateError(ProtocolError):
    """A date or a time that does not exist."""


def nearest_date(mmdd: str, near: date, where: str) -> date:
    """The date with month and day `mmdd` whose year brings it nearest to `near`; raises DateError naming `where`."""
    candidates = [day for year in (near.year - 1, near.year, near.year + 1) if (day := _date(year, mmdd))]
    if not candidates:
        raise DateError(where, "no such date; MMDD is expected")
    return min(candidates, key=lambda day: abs(day - near))


def _date(year: int, mmdd: str) -> date | None:
    try:
        return date(year, int(mmdd[:2]), int(mmdd[2:]))
    except ValueError:
        return None


def parse_time(hhmmss: str, where: str) -> time:
    """The time of day; raises DateError naming `where`. A leap second (60) is refused."""
    try:
        return time(int(hhmmss[:2]), int(hhmmss[2:4]), int(hhmmss[4:]))
    except ValueError:
        raise DateError(where, "no such time; hhmmss is expected") from None


def nearest_moment(hhmmss: str, near: datetime, zone: ZoneInfo, where: str) -> datetime:
    """The moment, in `zone`, with time of day `hhmmss` that is nearest to `near`; at most about 12 hours off."""
    clock, today = parse_time(hhmmss, where), _local(near, zone).date()
    candidates = [datetime.combine(today + timedelta(days=shift), clock, zone) for shift in (-1, 0, 1)]
    # Through UTC: the difference of two datetimes of one zone ignores a change of its offset between them.
    return min(candidates, key=lambda moment: abs(moment.astimezone(UTC) - near.astimezone(UTC)))


def check_date_time(mmddhhmmss: str, near: date, where: str) -> None:
    """Raises DateError where field 7 is not a date and time that exists."""
    nearest_date(mmddhhmmss[:4], near, where)
    parse_time(mmddhhmmss[4:], where)


def field_7(moment: datetime, zone: ZoneInfo) -> str:
    """MMDDhhmmss of `moment` in `zone`."""
    return _local(moment, zone).strftime("%m%d%H%M%S")


def field_12(moment: datetime, zone: ZoneInfo) -> str:
    """hhmmss of `moment` in `zone`."""
    return _local(moment, zone).strftime("%H%M%S")


def month_day(day: date) -> str:
    """MMDD, as fields 13 and 15 have it."""
    return day.strftime("%m%d")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(zone)
