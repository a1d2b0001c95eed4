"""What a settlement file says of money whose end is in doubt. Pure.

Strategy: one row, and what the night knows of its key, give the events to be written. Rules:

- an entry in the file closes at once, as both sides (or the bank alone, which is a break) have it;
- absence is noted with every file and closes nothing before the T+2 file, and then only if the file of every clearing
  day from the operation's own on was read: a file that never came proves nothing;
- what we have and no file up to T+2 has is a break; what neither side has is closed without one;
- a payment in doubt only after its own day's match is judged by that match: no break there means that it was found. Of
  an undo that is no proof: with its payment it nets to nothing, and then neither need be in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from reconciliation.breaks.kinds import TREATED_AS_REAL_AFTER_DAYS

PAY = "PAY"
Key = tuple[str, date, str]  # direction (PAY, UNDO), and the payment's trace date and number
FOUND, ABSENT, CLOSED = "FOUND_IN_FILE", "ABSENT_FROM_FILE", "CLOSED"
BOTH_SIDES, BANK_ALONE = "SETTLEMENT_FILE", "FILE_BREAK"
UTILITY_ALONE, NEITHER_SIDE = "ABSENT_BREAK", "ABSENT_BOTH"
_WE_HAVE_IT = "BOOKED"


@dataclass(frozen=True, slots=True)
class OpenRow:
    """One open row of a partition. `clearing_date` is the day on which we booked it, else the day of the doubt."""

    partition: int
    unresolved_id: int
    key: Key
    clearing_date: date
    our_side: str


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be written; `reason` is that of a CLOSED, `age_days` is n of T+n, `detail` names a file or a break."""

    event: str
    file_date: date
    age_days: int
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What the night of one bank knows once its file was matched.

    `in_file` are the keys of the file's entries. `bank_alone` and `utility_alone` map keys to the ids of one-sided
    breaks that stand. `clearing_days` are all days that ever began, `read_days` those whose file was matched.
    """

    clearing_date: date
    file_name: str
    in_file: frozenset[Key]
    bank_alone: Mapping[Key, str]
    utility_alone: Mapping[Key, str]
    clearing_days: frozenset[date]
    read_days: frozenset[date]

    def absence_counts(self, since: date) -> bool:
        """Whether this is the T+2 file (or a later one) of `since`, and no day's file in between is missing."""
        if (self.clearing_date - since).days < TREATED_AS_REAL_AFTER_DAYS:
            return False
        days = {day for day in self.clearing_days if since <= day <= self.clearing_date} | {since, self.clearing_date}
        return days <= self.read_days


def judge(row: OpenRow, known: Known) -> tuple[Event, ...]:
    """The events of one row that the file of `known.clearing_date` gives rise to."""
    age_days = (known.clearing_date - row.clearing_date).days
    if age_days < 0:
        return ()
    if row.key in known.in_file:
        return _found(row, known, age_days)
    if _was_found_on_its_own_day(row, known):
        return (
            Event(FOUND, row.clearing_date, 0),
            Event(CLOSED, row.clearing_date, 0, BOTH_SIDES),
        )
    absent = Event(ABSENT, known.clearing_date, age_days, detail=known.file_name)
    closing = _closed_by_absence(row, known, age_days)
    return (absent,) if closing is None else (absent, closing)


def _found(row: OpenRow, known: Known, age_days: int) -> tuple[Event, ...]:
    break_id = None if row.our_side == _WE_HAVE_IT else known.bank_alone.get(row.key)
    reason, detail = (BOTH_SIDES, known.file_name) if break_id is None else (BANK_ALONE, break_id)
    return (
        Event(FOUND, known.clearing_date, age_days, detail=known.file_name),
        Event(CLOSED, known.clearing_date, age_days, reason, detail),
    )


def _was_found_on_its_own_day(row: OpenRow, known: Known) -> bool:
    is_matched = row.clearing_date < known.clearing_date and row.clearing_date in known.read_days
    is_payment = row.key[0] == PAY and row.our_side == _WE_HAVE_IT
    return is_matched and is_payment and row.key not in known.utility_alone


def _closed_by_absence(row: OpenRow, known: Known, age_days: int) -> Event | None:
    if not known.absence_counts(row.clearing_date):
        return None
    if row.our_side == _WE_HAVE_IT and row.key in known.utility_alone:
        return Event(CLOSED, known.clearing_date, age_days, UTILITY_ALONE, known.utility_alone[row.key])
    if row.our_side == _WE_HAVE_IT and row.key[0] == PAY:
        return None  # ours alone, and yet no break says so: that is for a person to look at
    if row.key in known.bank_alone:
        return Event(CLOSED, known.clearing_date, age_days, BANK_ALONE, known.bank_alone[row.key])
    return Event(CLOSED, known.clearing_date, age_days, NEITHER_SIDE)
