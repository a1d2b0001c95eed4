"""The simulated bank's own book: what it believes it took, in a file of its own.

Strategy: SQLite, one row per entry, written before a message leaves (the bank debits first, then tells the utility)
and updated by the answers; nothing in it comes from the utility but the answers themselves. The settlement file is
written from here, so a difference with the utility is a real difference between two books. States follow the trade's
letters: B booked at the bank, S accepted by the utility, C cancelled, T suspect (no answer yet).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path


class EntryKind(StrEnum):
    PAY = "PAY"
    CANCEL = "CANCEL"
    REVERSAL = "REVERSAL"


class EntryState(StrEnum):
    BOOKED = "B"  # booked at the bank, not yet answered
    ACCEPTED = "S"  # the utility said yes
    RETURNED = "C"  # the utility refused, or the payment never happened: money given back
    SUSPECT = "T"  # no answer, nothing known


@dataclass(frozen=True, slots=True)
class BookEntry:
    """One entry. `clearing_date` is the utility's answer, which binds; None while there is none."""

    entry_id: int
    kind: EntryKind
    state: EntryState
    trace_date: date
    trace_no: str
    paid_at: datetime
    customer_no: str
    billing_month: str  # yyyymm, empty for all bills
    amount_fen: int
    channel: str
    settle_method: str
    clearing_date: date | None
    reference_no: str
    original_entry_id: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """One bill's part in an entry."""

    receivable_id: str
    billing_month: str
    principal_fen: int
    penalty_fen: int


_COLUMNS = tuple(field.name for field in fields(BookEntry))
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    entry_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, trace_date TEXT NOT NULL,
    trace_no TEXT NOT NULL, paid_at TEXT NOT NULL, customer_no TEXT NOT NULL,
    billing_month TEXT NOT NULL, amount_fen INTEGER NOT NULL CHECK (amount_fen > 0), channel TEXT NOT NULL,
    settle_method TEXT NOT NULL, clearing_date TEXT,
    reference_no TEXT NOT NULL DEFAULT '', original_entry_id INTEGER,
    UNIQUE (kind, trace_date, trace_no)
) STRICT;
CREATE TABLE IF NOT EXISTS share (
    entry_id INTEGER NOT NULL, receivable_id TEXT NOT NULL, billing_month TEXT NOT NULL,
    principal_fen INTEGER NOT NULL, penalty_fen INTEGER NOT NULL, PRIMARY KEY (entry_id, receivable_id)
) STRICT;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS held_back (entry_id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS filed_early (entry_id INTEGER PRIMARY KEY) STRICT;
"""


class Book:
    """The bank's entries. One process writes at a time; every change is committed at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may cost the simulated bank its last entries; a crash of the process does not.
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        self._database.close()

    def next_number(self, name: str) -> int:
        """1, 2, 3 … for every name, never twice, also after a restart."""
        row = self._database.execute(
            "INSERT INTO counter VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        ).fetchone()
        return int(row[0])

    def open_entry(self, **values: object) -> int:
        """Book an entry before its message leaves; returns its id. Values are those of BookEntry."""
        names = [name for name in _COLUMNS if name in values]
        marks = ", ".join("?" for _ in names)
        cursor = self._database.execute(
            f"INSERT INTO entry ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - our own column names
            [_to_sql(values[name]) for name in names],
        )
        return int(cursor.lastrowid or 0)

    def accept(self, entry_id: int, clearing_date: date, reference_no: str) -> None:
        """The utility said yes: its clearing date and reference number are the entry's."""
        self._database.execute(
            "UPDATE entry SET state = 'S', clearing_date = ?, reference_no = ? WHERE entry_id = ?",
            (clearing_date.isoformat(), reference_no, entry_id),
        )

    def mark(self, entry_id: int, state: EntryState) -> None:
        self._database.execute("UPDATE entry SET state = ? WHERE entry_id = ?", (state.value, entry_id))

    def note_shares(self, entry_id: int, shares: Iterable[Share]) -> None:
        """What the answer says of the bills it settled."""
        self._database.executemany(
            "INSERT OR REPLACE INTO share VALUES (?, ?, ?, ?, ?)",
            [(entry_id, s.receivable_id, s.billing_month, s.principal_fen, s.penalty_fen) for s in shares],
        )

    def shares(self, entry_id: int) -> list[Share]:
        rows = self._database.execute(
            "SELECT receivable_id, billing_month, principal_fen, penalty_fen FROM share WHERE entry_id = ? ORDER BY 1",
            (entry_id,),
        )
        return [Share(*row) for row in rows]

    def accepted_on(self, clearing_date: date) -> list[BookEntry]:
        """Entries that the utility accepted for that clearing date, in the order they were booked."""
        rows = self._database.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM entry WHERE state = 'S' AND clearing_date = ? ORDER BY entry_id",  # noqa: S608
            (clearing_date.isoformat(),),
        )
        return [_from_sql(row) for row in rows]

    def in_state(self, state: EntryState) -> list[BookEntry]:
        rows = self._database.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM entry WHERE state = ? ORDER BY entry_id",  # noqa: S608
            (state.value,),
        )
        return [_from_sql(row) for row in rows]

    def entry(self, entry_id: int) -> BookEntry:
        row = self._database.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM entry WHERE entry_id = ?",  # noqa: S608
            (entry_id,),
        ).fetchone()
        return _from_sql(row)

    def hold_back(self, entry_id: int) -> None:
        """Leave the entry out of its own day's file; `take_held_back` puts it into the next one."""
        self._database.execute("INSERT OR IGNORE INTO held_back VALUES (?)", (entry_id,))

    def file_early(self, entry_id: int) -> None:
        """The entry stands in an earlier day's file; its own day's file leaves it out."""
        self._database.execute("INSERT OR IGNORE INTO filed_early VALUES (?)", (entry_id,))

    def filed_early(self) -> set[int]:
        return {int(row[0]) for row in self._database.execute("SELECT entry_id FROM filed_early")}

    def undone_ids(self) -> set[int]:
        """Entries that an accepted cancel or reversal takes back, on whatever day."""
        rows = self._database.execute(
            "SELECT original_entry_id FROM entry WHERE state = 'S' AND original_entry_id IS NOT NULL"
        )
        return {int(row[0]) for row in rows}

    def take_held_back(self) -> list[BookEntry]:
        ids = [int(row[0]) for row in self._database.execute("DELETE FROM held_back RETURNING entry_id")]
        return [self.entry(entry_id) for entry_id in sorted(ids)]


def _to_sql(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value.value if isinstance(value, StrEnum) else value


def _from_sql(row: tuple[object, ...]) -> BookEntry:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["kind"] = EntryKind(str(values["kind"]))
    values["state"] = EntryState(str(values["state"]))
    values["trace_date"] = date.fromisoformat(str(values["trace_date"]))
    values["paid_at"] = datetime.fromisoformat(str(values["paid_at"]))
    if values["clearing_date"] is not None:
        values["clearing_date"] = date.fromisoformat(str(values["clearing_date"]))
    return BookEntry(**values)  # type: ignore[arg-type]
