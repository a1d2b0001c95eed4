"""The night's book in PostgreSQL: runs and their epoch, files, breaks and what happens to them.

Strategy: one night at a time may write. Claiming a clearing date raises the epoch of its row; every write happens in a
transaction that first locks this row and compares the epoch, so that a night which lost its connection, was overtaken
and woke up again writes nothing. An advisory lock on the connection only makes the refusal of a second night polite:
it is gone with its connection, the epoch is not.

Everything is written so that writing it again changes nothing: breaks are named by what they describe, and what is so
already gets no second event.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway.clock import Clock
from gateway.clock import now as clock_now
from gateway.database import Connection, Row, connect
from reconciliation.breaks.kinds import BillState, BreakKind
from reconciliation.breaks.model import Break, record_from_json
from reconciliation.errors import NightTaken

WHOLE_NIGHT = "*"  # no bank's code: codes are letters and digits
POLITE_LOCK = 7_353_000  # advisory lock number of a running night


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a clearing date's night, until somebody raises the epoch."""

    clearing_date: date
    epoch: int


@dataclass(frozen=True, slots=True)
class InboxFile:
    """A settlement file of a bank and day: its number, name and SHA-256."""

    sequence: int
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredBreak:
    """A break with its state (open, superseded, withdrawn) and what caused it."""

    found: Break
    state: str
    cause: str


class NightStore:
    """All reading and writing of the night's schema, over one connection whose login is the night's."""

    def __init__(self, connection: Connection, now: Clock) -> None:
        self._connection = connection
        self._now = now

    async def claim(self, clearing_date: date) -> Claim:
        """Take the night of a clearing date; NightTaken while another connection holds one."""
        if not await self._connection.fetch_value("SELECT pg_try_advisory_lock($1)", POLITE_LOCK):
            raise NightTaken("another night is running on this database; wait for it, or end it, and run again")
        epoch = await self._connection.fetch_value(
            "INSERT INTO reconciliation.run AS run (bank, clearing_date, epoch, state, started_at, changed_at)"
            " VALUES ($1, $2, 1, 'running', $3, $3) ON CONFLICT (bank, clearing_date)"
            " DO UPDATE SET epoch = run.epoch + 1, state = 'running', changed_at = $3 RETURNING epoch",
            WHOLE_NIGHT,
            clearing_date,
            self._now(),
        )
        return Claim(clearing_date, epoch)

    async def release(self) -> None:
        """Let the next night in at once. Losing the connection does the same."""
        await self._connection.execute("SELECT pg_advisory_unlock($1)", POLITE_LOCK)

    @asynccontextmanager
    async def writing(self, claim: Claim) -> AsyncIterator[None]:
        """A transaction that holds the claim's row; NightTaken where its epoch is not ours any more."""
        async with self._connection.transaction():
            epoch = await self._connection.fetch_value(
                "SELECT epoch FROM reconciliation.run WHERE bank = $1 AND clearing_date = $2 FOR UPDATE",
                WHOLE_NIGHT,
                claim.clearing_date,
            )
            if epoch != claim.epoch:
                raise NightTaken(
                    f"the night of {claim.clearing_date} was taken over by another run (epoch {epoch}, "
                    f"ours was {claim.epoch}); nothing more is written here; look at the other run"
                )
            yield

    async def evidence(self, bank: str, clearing_date: date) -> dict[str, str]:
        """Recorded digests by file name."""
        return await self._json("evidence", bank, clearing_date)

    async def state(self, bank: str, clearing_date: date) -> str:
        """What a run came to: done, file_error, failed; running where it has not ended, or never began."""
        found = await self._connection.fetch_value(
            "SELECT state FROM reconciliation.run WHERE bank = $1 AND clearing_date = $2", bank, clearing_date
        )
        return "running" if found is None else str(found)

    async def result(self, bank: str, clearing_date: date) -> dict[str, Any]:
        """What a run noted of its result; empty before."""
        return await self._json("result", bank, clearing_date)

    async def _json(self, column: str, bank: str, clearing_date: date) -> dict[str, Any]:
        text = await self._connection.fetch_value(
            f"SELECT {column}::text FROM reconciliation.run WHERE bank = $1 AND clearing_date = $2",  # noqa: S608
            bank,
            clearing_date,
        )
        return dict(json.loads(text)) if text else {}

    async def open_bank(self, claim: Claim, bank: str) -> None:
        """The bank's own row of the night."""
        async with self.writing(claim):
            await self._connection.execute(
                "INSERT INTO reconciliation.run AS run (bank, clearing_date, epoch, state, started_at, changed_at)"
                " VALUES ($1, $2, $3, 'running', $4, $4) ON CONFLICT (bank, clearing_date)"
                " DO UPDATE SET epoch = $3, state = 'running', changed_at = $4",
                bank,
                claim.clearing_date,
                claim.epoch,
                self._now(),
            )

    async def record_evidence(self, claim: Claim, bank: str, digests: Mapping[str, str]) -> None:
        """Add digests of evidence files; those that stand already are not changed."""
        async with self.writing(claim):
            await self._connection.execute(
                "UPDATE reconciliation.run SET evidence = $3::jsonb || evidence, changed_at = $4"
                " WHERE bank = $1 AND clearing_date = $2",
                bank,
                claim.clearing_date,
                json.dumps(dict(digests), sort_keys=True),
                self._now(),
            )

    async def note_result(self, claim: Claim, bank: str, state: str, result: Mapping[str, Any]) -> None:
        """End (or stop) a run: its state and what it found, for people and reports."""
        async with self.writing(claim):
            await self._update_run(claim, bank, state, result)

    async def _update_run(self, claim: Claim, bank: str, state: str, result: Mapping[str, Any]) -> None:
        await self._connection.execute(
            "UPDATE reconciliation.run SET state = $3, result = result || $4::jsonb, changed_at = $5"
            " WHERE bank = $1 AND clearing_date = $2",
            bank,
            claim.clearing_date,
            state,
            json.dumps(dict(result), sort_keys=True),
            self._now(),
        )

    async def accepted_file(self, bank: str, clearing_date: date) -> InboxFile | None:
        """The file that counts: the accepted one with the highest number."""
        row = await self._connection.fetch_row(
            "SELECT sequence, name, digest FROM reconciliation.file"
            " WHERE bank = $1 AND clearing_date = $2 AND verdict = 'accepted' ORDER BY sequence DESC LIMIT 1",
            bank,
            clearing_date,
        )
        return None if row is None else InboxFile(row["sequence"], row["name"], row["digest"])

    async def reconciled_days(self, bank: str) -> list[date]:
        """Clearing dates of the bank whose file was matched."""
        rows = await self._connection.fetch(
            "SELECT clearing_date FROM reconciliation.run WHERE bank = $1 AND state = 'done' ORDER BY clearing_date",
            bank,
        )
        return [row["clearing_date"] for row in rows]

    async def noted_files(self, bank: str, clearing_date: date) -> list[tuple[InboxFile, str]]:
        """Every file that was looked at, with the check that it failed (empty: accepted)."""
        rows = await self._connection.fetch(
            "SELECT sequence, name, digest, failed_check FROM reconciliation.file"
            " WHERE bank = $1 AND clearing_date = $2 ORDER BY sequence, recorded_at",
            bank,
            clearing_date,
        )
        return [(InboxFile(row["sequence"], row["name"], row["digest"]), row["failed_check"]) for row in rows]

    async def note_file(self, claim: Claim, bank: str, file: InboxFile, *, byte_count: int, failed_check: str) -> None:
        """The verdict on a file: accepted where `failed_check` is empty. Noting it again changes nothing."""
        async with self.writing(claim):
            await self._connection.execute(
                "INSERT INTO reconciliation.file"
                " (bank, clearing_date, sequence, name, digest, byte_count, verdict, failed_check, recorded_at)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
                bank,
                claim.clearing_date,
                file.sequence,
                file.name,
                file.digest,
                byte_count,
                "refused" if failed_check else "accepted",
                failed_check,
                self._now(),
            )

    async def open_breaks_around(self, bank: str, first: date, last: date, without: date) -> list[StoredBreak]:
        """Open breaks of the neighbouring days, in order of day and id."""
        rows = await self._connection.fetch(
            f"{_SELECT_BREAKS} WHERE bank = $1 AND clearing_date BETWEEN $2 AND $3 AND clearing_date <> $4"
            " AND state = 'open' ORDER BY clearing_date, break_id",
            bank,
            first,
            last,
            without,
        )
        return [_stored(row) for row in rows]

    async def breaks(self, clearing_date: date | None = None, bank: str | None = None) -> list[StoredBreak]:
        """Breaks for people, all states, oldest first; of one day, of one bank, or all."""
        rows = await self._connection.fetch(
            f"{_SELECT_BREAKS} WHERE ($1::date IS NULL OR clearing_date = $1) AND ($2::text IS NULL OR bank = $2)"
            " ORDER BY clearing_date, bank, kind, break_id",
            clearing_date,
            bank,
        )
        return [_stored(row) for row in rows]

    async def replace_breaks(
        self, claim: Claim, bank: str, found: Sequence[Break], *, cause: str, state: str, result: Mapping[str, Any]
    ) -> None:
        """The day's breaks are now these: open what is new, withdraw what is gone, supersede what they explain.

        `cause` names the file that they come from. All in one transaction with the end of the bank's run.
        """
        async with self.writing(claim):
            stored = {item.found.break_id: item for item in await self.breaks(claim.clearing_date, bank)}
            await self._connection.execute_many(_INSERT_BREAK, [_row(item, self._now()) for item in found])
            await self._events(_BREAK_EVENT, _changes(stored, found, cause))
            await self._update_run(claim, bank, state, result)
            if state == "done":
                await self._connection.execute(_RECONCILED_DAY, bank, claim.clearing_date, cause, self._now())

    async def supersede_breaks(self, claim: Claim, found: Sequence[Break]) -> None:
        """Open breaks that each take the place of an earlier one (`supersedes`). Again changes nothing."""
        async with self.writing(claim):
            await self._connection.execute_many(_INSERT_BREAK, [_row(item, self._now()) for item in found])
            opened = [(item.break_id, "opened", f"file of {claim.clearing_date}") for item in found]
            gone = [(item.supersedes, "superseded", item.break_id) for item in found if item.supersedes]
            await self._events(_BREAK_EVENT, [*opened, *gone])

    async def age(self, claim: Claim, marks: Iterable[tuple[str, str]]) -> None:
        """Note that breaks have reached an age: (break id, "T+2"). Once each."""
        async with self.writing(claim):
            await self._events(_AGED_EVENT, ((break_id, "aged", mark) for break_id, mark in marks))

    async def _events(self, statement: str, events: Iterable[tuple[str, str, str]]) -> None:
        now = self._now()
        await self._connection.execute_many(
            statement, [(break_id, event, cause, now) for break_id, event, cause in events]
        )


def _changes(stored: Mapping[str, StoredBreak], found: Sequence[Break], cause: str) -> Iterator[tuple[str, str, str]]:
    """Events (break id, event, cause) that lead from the stored breaks of a day to the found ones."""
    present = {item.break_id for item in found}
    for item in found:
        if item.break_id not in stored:
            yield item.break_id, "opened", "found"
        elif stored[item.break_id].state == "withdrawn":
            yield item.break_id, "reopened", cause
    for key, old in stored.items():
        # Of the same day is only what took the place of a suspect: it stands and falls with that one.
        replaces = old.found.supersedes if old.found.supersedes in stored else None
        if key not in present and old.state != "withdrawn" and replaces not in present:
            yield key, "withdrawn", cause
            if old.found.supersedes and not replaces:
                yield old.found.supersedes, "reopened", f"{key} was withdrawn: {cause}"
    for item in found:
        if item.supersedes:
            yield item.supersedes, "superseded", item.break_id


_RECONCILED_DAY = (
    "INSERT INTO reconciliation.reconciled_day (bank, clearing_date, cause, reconciled_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING"
)
# An event that says what is so already is not written again.
_BREAK_EVENT = (
    "INSERT INTO reconciliation.break_event (break_id, event, cause, happened_at) SELECT $1, $2, $3, $4"
    " WHERE NOT EXISTS (SELECT FROM reconciliation.break_state WHERE break_id = $1 AND cause = $3"
    " AND state = CASE WHEN $2 IN ('opened', 'reopened') THEN 'open' ELSE $2 END)"
)
_AGED_EVENT = (
    "INSERT INTO reconciliation.break_event (break_id, event, cause, happened_at) SELECT $1, $2, $3, $4"
    " WHERE NOT EXISTS (SELECT FROM reconciliation.break_event WHERE break_id = $1 AND event = $2 AND cause = $3)"
)
_BREAK_COLUMNS = (
    "break_id",
    "bank",
    "clearing_date",
    "kind",
    "difference_fen",
    "bank_record",
    "utility_record",
    "detail",
    "rank",
    "side",
    "first_seen_date",
    "supersedes",
    "netted_over_days",
    "bill_state",
    "differs",
    "proposed_match",
    "explanation_chinese",
    "explanation_english",
    "recorded_at",
)
_INSERT_BREAK = (
    f"INSERT INTO reconciliation.break ({', '.join(_BREAK_COLUMNS)})"  # noqa: S608 - our own column names
    f" VALUES ({', '.join(f'${number}' for number in range(1, len(_BREAK_COLUMNS) + 1))}) ON CONFLICT DO NOTHING"
)
_SELECT_BREAKS = (
    f"SELECT {', '.join(_BREAK_COLUMNS)}, state, cause"  # noqa: S608 - our own column names
    " FROM reconciliation.break JOIN reconciliation.break_state USING (break_id)"
)


def _row(found: Break, now: Any) -> tuple[Any, ...]:
    return (
        found.break_id,
        found.bank,
        found.clearing_date,
        found.kind.value,
        found.difference_fen,
        found.bank_record.to_json() if found.bank_record else None,
        found.utility_record.to_json() if found.utility_record else None,
        found.detail,
        found.rank,
        found.side,
        found.seen_from,
        found.supersedes,
        found.netted_over_days,
        found.bill_state.value,
        found.differs,
        found.proposed_match,
        found.explanation_chinese,
        found.explanation_english,
        now,
    )


def _stored(row: Row) -> StoredBreak:
    found = Break(
        bank=row["bank"],
        clearing_date=row["clearing_date"],
        kind=BreakKind(row["kind"]),
        difference_fen=row["difference_fen"],
        bank_record=record_from_json(row["bank_record"]) if row["bank_record"] else None,
        utility_record=record_from_json(row["utility_record"]) if row["utility_record"] else None,
        detail=row["detail"],
        rank=row["rank"],
        side=row["side"],
        first_seen_date=row["first_seen_date"],
        supersedes=row["supersedes"],
        netted_over_days=row["netted_over_days"],
        bill_state=BillState(row["bill_state"]),
        differs=row["differs"],
        proposed_match=row["proposed_match"],
        explanation_chinese=row["explanation_chinese"],
        explanation_english=row["explanation_english"],
    )
    return StoredBreak(found, row["state"], row["cause"])


async def read_breaks(dsn: str, clearing_date: date | None = None, bank: str | None = None) -> list[StoredBreak]:
    """Breaks of all states for people and pages, oldest first; `dsn` is the night's login. Writes nothing."""
    connection = await connect(dsn, application_name="busbar breaks")
    try:
        return await NightStore(connection, clock_now).breaks(clearing_date, bank)
    finally:
        await connection.close()
