"""`busbar db`: make and upgrade the ledger, import customers and bills, move the clearing date, look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from busbar.audit.command import command as audit

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from busbar.installations import DatabaseAccess
    from gateway.config import Installation
    from gateway.ledger.clearing_days import DayState
    from gateway.ledger.importing import ImportReport

DAYS_SHOWN = 7  # a week: what is older and not reconciled stands in the list of breaks
DAY_WORDS = {
    "OPEN": ("营业", "open"),
    "SWITCHING": ("日切中", "cut-off under way, repeat it if it does not end"),
    "CLOSED": ("已日切", "closed"),
}
_DAY = click.DateTime(formats=["%Y-%m-%d"])
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_INSTALLATION = click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)


@click.group(name="db")
def command() -> None:
    """The ledger's database 账务数据库."""


command.add_command(audit)


@command.command()
@click.option("--first-date", type=_DAY, help="first clearing date 首个清算日期 [default: today for the utility]")
@_INSTALLATION
def init(installation: Path, first_date: datetime | None) -> None:
    """Make roles, schemas and tables 初始化; repeatable, and an initialised ledger keeps its dates."""
    from busbar.installations import initialise_ledger

    with _opened(installation) as (checked, access):
        initialise_ledger(checked, access, None if first_date is None else first_date.date())
        _show_status(checked, access)


@command.command()
@_INSTALLATION
def migrate(installation: Path) -> None:
    """Bring an existing ledger to this version 升级数据库."""
    from busbar.installations import initialise_ledger

    with _opened(installation) as (checked, access):
        initialise_ledger(checked, access)
        _show_status(checked, access)


@command.command(name="import")
@click.option("--customers", type=_FILE, required=True, help="customers.csv 用户档案")
@click.option("--bills", type=_FILE, required=True, help="bills.csv 应收账单")
@_INSTALLATION
def import_files(installation: Path, customers: Path, bills: Path) -> None:
    """Import customers and bills 导入用户与应收; repeatable. Bad lines are listed, good ones are kept; then exit 2."""
    with _opened(installation) as (checked, access):
        reports = asyncio.run(_import(access.gateway_dsn, checked.partitions, customers, bills))
    for path, report in reports:
        click.echo(f"{path.name}: {report.read} lines, {report.added} new, {report.already_there} there already")
        for line in report.errors:
            click.echo(f"{path.name}:{line.line_no}: {line.what}", err=True)
    refused = sum(report.refused for _, report in reports)
    if refused:
        raise click.ClickException(f"{refused} lines were not imported; mend them and import the files again")


async def _import(dsn: str, partitions: int, customers: Path, bills: Path) -> list[tuple[Path, ImportReport]]:
    """Customers first: a bill needs its customer."""
    from rich.console import Console
    from rich.progress import Progress

    from gateway.ledger.importing import import_bills, import_customers

    reports: list[tuple[Path, ImportReport]] = []
    with Progress(transient=True, console=Console(stderr=True)) as bars:
        for path, run in ((customers, import_customers), (bills, import_bills)):
            bar = bars.add_task(path.name)
            show = partial(_advance, bars, bar)
            reports.append((path, await run(dsn, path, partitions, progress=show)))
    return reports


def _advance(bars: Progress, bar: TaskID, done: int, total: int) -> None:
    bars.update(bar, completed=done, total=total)


@command.command(name="cut-off")
@click.option("--next-date", type=_DAY, required=True, help="the clearing date that begins 新的清算日期")
@click.option("--wait-seconds", type=float, default=30.0, show_default=True, help="for each partition 等待时间")
@_INSTALLATION
def cut_off(installation: Path, next_date: datetime, wait_seconds: float) -> None:
    """Move the clearing date 日切, partition by partition; repeat it if it was not complete."""
    from gateway.ledger import cutoff

    with _opened(installation) as (checked, access):
        report = asyncio.run(
            cutoff.cut_off(access.gateway_dsn, checked.partitions, next_date.date(), wait_seconds=wait_seconds)
        )
    for one in report.partitions:
        click.echo(f"partition {one.partition:02d}  {one.state.value:<14} {one.current_date}")
    if not report.is_complete:
        raise click.ClickException("not every partition could be moved in time; repeat the same cut-off")


@command.command()
@_INSTALLATION
def status(installation: Path) -> None:
    """Show whether the ledger fits this installation, and its clearing days 查看状态."""
    with _opened(installation) as (checked, access):
        _show_status(checked, access)


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Installation, DatabaseAccess]]:
    from busbar.installations import load_installation, open_database

    checked = load_installation(folder)
    with open_database(checked) as access:
        yield checked, access


def _show_status(installation: Installation, access: DatabaseAccess) -> None:
    """Partitions and their dates, then the newest clearing days with their states."""
    dates, states, reconciled = asyncio.run(_status(installation, access))
    for partition, day in sorted(dates.items()):
        click.echo(f"partition {partition:02d}  clearing date {day}")
    banks = [bank.code for bank in installation.banks if bank.settlement]
    for day, state in list(states.items())[:DAYS_SHOWN]:
        click.echo(_day_line(day, state, banks, {bank for when, bank in reconciled if when == day}))


def _day_line(day: date, state: DayState, banks: Sequence[str], reconciled: Collection[str]) -> str:
    """A closed day is reconciled bank by bank."""
    chinese, english = DAY_WORDS[state.value]
    line = f"day {day}  {state.value:<9}  {chinese} {english}"
    if state.value != "CLOSED" or not banks:
        return line
    done = [bank for bank in banks if bank in reconciled]
    waiting = [bank for bank in banks if bank not in reconciled]
    told = [f"已对账 reconciled {', '.join(done)}"] if done else []
    told += [f"未对账 not reconciled {', '.join(waiting)}"] if waiting else []
    return f"{line}; {'; '.join(told)}"


async def _status(
    installation: Installation, access: DatabaseAccess
) -> tuple[dict[int, date], dict[date, DayState], Collection[tuple[date, str]]]:
    from gateway.database import connect
    from gateway.ledger.clearing_days import read_day_states
    from gateway.ledger.cutoff import current_clearing_dates
    from gateway.ledger.migrate import check_installation
    from reconciliation.reconciled_days import read_reconciled_days

    connection = await connect(access.gateway_dsn, application_name="busbar status")
    try:
        await check_installation(connection, installation.partitions)
        dates = await current_clearing_dates(connection, installation.partitions)
        states = await read_day_states(connection, installation.partitions)
    finally:
        await connection.close()
    return dates, states, await read_reconciled_days(access.night_dsn)
