"""The audit: every check of the table against one look at the whole ledger.

Strategy: the checks are plain SQL over sets, each of them one statement of its own file; nothing of the code that
books is used, so that a mistake there can't hide here. The installation tells how many partitions there are. Rules:

- nothing is written: one read-only REPEATABLE READ transaction, so that all partitions are seen at one moment while
  the gateway goes on. Beside it the session only has helpers of its own, which end with it;
- acknowledgement logs are read before that moment: what a bank had been told by then must be there;
- a finding names ids, trace numbers and bills, never a name, and of a customer number the last four digits;
- a check that finds something does not stop the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from busbar.audit.acknowledged import COLUMNS, AcknowledgementLogs
from busbar.audit.checks import CHECKS, Check, Scope, checks_of
from gateway.database import Connection, DatabaseError, Row, connect, load_sql

ROWS_NAMED = 5  # the first offending rows of each check and partition
# Memory of a sort or a hash table: the checks are few and large. Parallel workers would take it from the gateway.
SETTINGS = {"work_mem": "128MB", "jit": "off", "max_parallel_workers_per_gather": "0"}
_SQL = "busbar.audit.sql"
_UNDEFINED = ("42P01", "3F000")  # no such table, no such schema
_SEEN_TOGETHER = {
    "every_customer": ("customer", "customer_no"),
    "every_receivable": ("receivable", "receivable_id"),
    "every_payment": (
        "payment",
        "payment_id, bank, kind, pg_temp.operation_kind(kind) AS operation_kind, trace_date, trace_no, amount_fen,"
        " currency, reference_no, clearing_date",
    ),
    "every_entry": ("entry", "amount_fen, currency"),
    "every_operation": ("operation", "bank, kind, trace_date, trace_no"),
}

Progress = Callable[[int, int, str], None]
"""Steps done, steps in all, the name of the one that begins."""


class AuditError(Exception):
    """The audit can't be made; the text is one line with what to do. It says nothing about the ledger."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One offending row. `partition` is None where several or none are meant."""

    partition: int | None
    place: str
    what: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`offences` counts all offending rows, `findings` are the first of them."""

    check: Check
    offences: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was looked at and what was found. `acknowledged`: lines of the logs by outcome class; None without logs."""

    partitions: int
    rows: dict[str, int]
    acknowledged: dict[str, int] | None
    results: tuple[CheckResult, ...]

    @property
    def is_sound(self) -> bool:
        return not any(result.offences for result in self.results)


@dataclass(slots=True)
class _Tally:
    """Offences and findings of the checks, as they come in; and how far the work is."""

    progress: Progress
    steps: int
    done: int = 0
    offences: dict[str, int] = field(default_factory=dict)
    findings: dict[str, list[Finding]] = field(default_factory=dict)

    def begin(self, name: str) -> None:
        self.progress(self.done, self.steps, name)
        self.done += 1

    def note(self, check: Check, partition: int | None, rows: Sequence[Row]) -> None:
        self.offences[check.name] = self.offences.get(check.name, 0) + (rows[0]["offences"] if rows else 0)
        found = [Finding(partition, row["place"], row["finding"]) for row in rows]
        self.findings.setdefault(check.name, []).extend(found)

    def results(self) -> tuple[CheckResult, ...]:
        return tuple(
            CheckResult(check, self.offences[check.name], tuple(self.findings[check.name]))
            for check in CHECKS
            if check.name in self.offences
        )


def _no_progress(_done: int, _steps: int, _name: str) -> None:
    pass


async def audit(dsn: str, logs: Sequence[Path] = (), progress: Progress = _no_progress) -> AuditReport:
    """Check the ledger at `dsn` (the gateway's login reads everything that is needed).

    Raises AuditError (no ledger there), AcknowledgementError (a log can't be understood), DatabaseError, OSError.
    """
    connection = await connect(dsn, application_name="busbar audit", settings=SETTINGS)
    try:
        partitions = await _partitions(connection)
        await _prepare(connection, partitions)
        acknowledged = await _load_logs(connection, logs) if logs else None
        scopes = len(checks_of(Scope.PARTITION)) * partitions + len(checks_of(Scope.INSTALLATION))
        steps = 1 + scopes + (len(checks_of(Scope.ACKNOWLEDGED)) if logs else 0)
        tally = _Tally(progress, steps)
        async with connection.transaction("repeatable_read", read_only=True):
            tally.begin("rows")
            rows = await _count_rows(connection, partitions)
            for partition in range(partitions):
                async with _within(connection, _schema(partition)):
                    await _run(connection, Scope.PARTITION, partition, tally)
            await _run(connection, Scope.INSTALLATION, None, tally)
            if logs:
                await _run(connection, Scope.ACKNOWLEDGED, None, tally)
        progress(steps, steps, "")
    finally:
        await connection.close()
    return AuditReport(partitions, rows, acknowledged, tally.results())


def _schema(partition: int) -> str:
    return f"ledger_{partition:02d}"


async def _partitions(connection: Connection) -> int:
    try:
        found = await connection.fetch_value("SELECT installation.partitions FROM busbar.installation")
    except DatabaseError as error:
        if error.sqlstate in _UNDEFINED:
            raise AuditError("there is no ledger in this database: run `busbar db init`") from None
        raise
    if not isinstance(found, int):
        raise AuditError("the ledger is only half initialised: run `busbar db init` again")
    return found


async def _prepare(connection: Connection, partitions: int) -> None:
    """Helpers of this session, and the views over all partitions."""
    await connection.execute(load_sql(_SQL, "prepare"))
    for view, (table, columns) in _SEEN_TOGETHER.items():
        parts = [
            f"SELECT {partition} AS partition, {columns} FROM {_schema(partition)}.{table}"  # noqa: S608 - our own names
            for partition in range(partitions)
        ]
        await connection.execute(f"CREATE TEMPORARY VIEW {view} AS {' UNION ALL '.join(parts)}")


async def _load_logs(connection: Connection, paths: Sequence[Path]) -> dict[str, int]:
    logs = AcknowledgementLogs(paths)
    await connection.execute(load_sql(_SQL, "acknowledged_table"))
    await connection.copy_rows_in("acknowledged", COLUMNS, logs.lines())
    logs.raise_mistakes()
    await connection.execute("ANALYZE acknowledged")
    return logs.counts


async def _count_rows(connection: Connection, partitions: int) -> dict[str, int]:
    total: dict[str, int] = {}
    for partition in range(partitions):
        async with _within(connection, _schema(partition)):
            row = await connection.fetch_row(load_sql(_SQL, "count_rows"))
        for name, count in (row or {}).items():
            total[name] = total.get(name, 0) + count
    return total


@asynccontextmanager
async def _within(connection: Connection, schema: str) -> AsyncIterator[None]:
    """The schema as search path until the end of the block, inside the one transaction."""
    await connection.fetch_value("SELECT set_config('search_path', $1, true)", schema)
    yield
    await connection.fetch_value("SELECT set_config('search_path', '', true)")


async def _run(connection: Connection, scope: Scope, partition: int | None, tally: _Tally) -> None:
    for check in checks_of(scope):
        tally.begin(check.name)
        tally.note(check, partition, await connection.fetch(load_sql(_SQL, check.name), ROWS_NAMED))
