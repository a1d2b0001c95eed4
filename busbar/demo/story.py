"""`make demo`: two business days of an electricity utility with two banks, from the first customer to the last report.

Strategy: the same programs that an operator would run, in the same order, on a fresh installation: initialise, import,
serve, two simulated banks over real sockets, a cut-off while payments are in flight, each bank's settlement file from
its own book, the night; then the second day. At the end everything is checked: every planted difference was found and
nothing else, every identity holds, no bank was surprised. The exit status says so, `summary.json` says it in detail.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from busbar.demo import processes, tables
from busbar.demo.ledger_facts import read_facts
from busbar.demo.population import generate
from busbar.demo.processes import DemoError
from busbar.demo.summary import Seen, check, write_summary
from busbar.demo.world import BANKS, World, clean, share_payers, write_setups
from busbar.installations import DatabaseAccess, create_sample, initialise_ledger, load_installation, open_database
from gateway import clock
from gateway.config import Installation
from gateway.database import connect
from gateway.ledger import cutoff
from gateway.ledger.importing import import_bills, import_customers
from protocols.money import Money
from reconciliation.nightly import run_night
from reconciliation.result import NightResult
from reconciliation.setup import STAGE_WORDS, Stage, Step, setup_from
from reconciliation.store import NightStore
from reconciliation.unresolved.rows import list_unresolved

# After this share of their visits both banks wait for each other; then they go on and the cut-off begins, all at once.
# So payments are in flight, and each bank has enough of them on both sides of it, however fast it is.
CUT_OFF_AFTER = 0.5
WORKERS = 12


@dataclass(frozen=True, slots=True)
class Settings:
    """How large the demo is."""

    root: Path
    customers: int = 5000
    visits_per_bank_and_day: int = 330
    seed: int = 20240403


@dataclass(slots=True)
class _Told:
    """What the demo has seen so far."""

    played: list[dict[str, Any]] = field(default_factory=list)
    planted: list[dict[str, Any]] = field(default_factory=list)
    nights: list[NightResult] = field(default_factory=list)


def run(settings: Settings, console: Console) -> bool:
    """Play the demo; true if everything holds."""
    return asyncio.run(_run(settings, console))


async def _run(settings: Settings, console: Console) -> bool:
    started = clock.monotonic_seconds()
    world = clean(settings.root)
    create_sample(world.installation)
    installation = load_installation(world.installation)
    first_day = clock.now().astimezone(installation.zone).date()
    with open_database(installation) as access:
        demo = _Demo(settings, console, world, installation, access, first_day)
        await demo.prepare()
        await demo.two_days()
        seen = await demo.seen()
    return _conclude(settings, seen, clock.monotonic_seconds() - started, console)


@contextmanager
def _bars(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        yield bars


@dataclass(frozen=True, slots=True)
class _Demo:
    """One demo on one fresh installation."""

    settings: Settings
    console: Console
    world: World
    installation: Installation
    access: DatabaseAccess
    first_day: date
    told: _Told = field(default_factory=_Told)

    async def prepare(self) -> None:
        """People, bills, the ledger, the import."""
        with _bars(self.console) as bars:
            made = bars.add_task("生成用户与账单 customers and bills", total=self.settings.customers)
            population = generate(
                self.world.population,
                customers=self.settings.customers,
                business_date=self.first_day,
                seed=self.settings.seed,
                progress=lambda done: bars.update(made, completed=done),
            )
            share_payers(self.world, population)
            database = bars.add_task("建库 ledger", total=1)
            initialise_ledger(self.installation, self.access, self.first_day)
            bars.advance(database)
            imported = bars.add_task("导入 import", total=population.customer_count + population.bill_count)
            for load, path in ((import_customers, population.customers_file), (import_bills, population.bills_file)):
                report = await load(self.access.gateway_dsn, path, self.installation.partitions)
                bars.advance(imported, report.added)
                if report.refused:
                    raise DemoError(f"{path.name}: {report.refused} lines were refused, the first: {report.errors[0]}")

    async def two_days(self) -> None:
        """The gateway, two days of both banks, and a night after each."""
        async with processes.gateway(self.world.installation, self.world.root / "gateway.log") as addresses:
            write_setups(self.world, addresses, seed=self.settings.seed, workers=WORKERS, first_day=self.first_day)
            for number in (1, 2):
                day = self.first_day + timedelta(days=number - 1)
                self.console.rule(f"清算日 Clearing date {day}")
                await self._play(day, last_day=number == 2)
                await self._settlement_files(day, with_next=number == 1)
                self.told.nights.append(await self._night(day))

    async def _play(self, day: date, *, last_day: bool) -> None:
        """Both banks play at once; the cut-off comes in the middle of it."""
        wanted = self.settings.visits_per_bank_and_day
        time_to_cut = asyncio.Event()
        wait_after, together = int(wanted * CUT_OFF_AFTER), asyncio.Barrier(len(BANKS))
        with _bars(self.console) as bars:
            tasks = {bank: bars.add_task(f"{bank} 营业 business", total=wanted) for bank in BANKS}
            cut_task = bars.add_task("日切 cut-off", total=self.installation.partitions)

            async def go_on() -> None:
                await together.wait()
                time_to_cut.set()

            async def play(bank: str) -> None:
                told = await processes.play(
                    self.world.setup(bank),
                    processes.Day(day, wanted, wait_after, last_day),
                    self.world.log,
                    lambda count: bars.update(tasks[bank], completed=count),
                    go_on,
                )
                self.told.played.append(told)

            async def cut() -> None:
                await time_to_cut.wait()
                next_day = day + timedelta(days=1)
                report = await cutoff.cut_off(self.access.gateway_dsn, self.installation.partitions, next_day)
                if not report.is_complete:
                    raise DemoError("the cut-off did not go through; read gateway.log")
                bars.update(cut_task, completed=self.installation.partitions)

            async with asyncio.TaskGroup() as group:
                group.create_task(cut())
                for bank in BANKS:
                    group.create_task(play(bank))

    async def _settlement_files(self, day: date, *, with_next: bool) -> None:
        for bank in BANKS:
            self.told.planted.append(
                await processes.write_file(
                    self.world.setup(bank), day, self.world.inbox(bank), self.world.log, with_next=with_next
                )
            )

    async def _night(self, day: date) -> NightResult:
        with _bars(self.console) as bars:
            tasks: dict[tuple[Stage, str], Any] = {}

            def progress(step: Step) -> None:
                key = (step.stage, step.bank)
                if key not in tasks:
                    chinese, english = STAGE_WORDS[step.stage]
                    tasks[key] = bars.add_task(f"夜间 night {step.bank} {chinese} {english}", total=None)
                bars.update(tasks[key], completed=step.done, total=step.total)

            return await run_night(setup_from(self.installation, self.access.night_dsn), day, progress)

    async def seen(self) -> Seen:
        """Everything, for the verdict; asked of the database after the gateway has stopped."""
        facts = await read_facts(self.access.night_dsn, self.installation.partitions)
        connection = await connect(self.access.night_dsn, application_name="busbar demo")
        try:
            stored = await NightStore(connection, clock.now).breaks()
        finally:
            await connection.close()
        told = self.told
        source = setup_from(self.installation, self.access.night_dsn).source
        unresolved = await list_unresolved(source, everything=True)
        still_open = [item for item in stored if item.state == "open"]
        return Seen(told.played, told.planted, told.nights, still_open, facts, unresolved)


def _conclude(settings: Settings, seen: Seen, seconds: float, console: Console) -> bool:
    folder = settings.root / "reports"
    folder.mkdir(exist_ok=True)
    for night in seen.nights:
        for path in night.report.paths:
            shutil.copyfile(path, folder / path.name)
    outcome = check(seen)
    console.rule("结果 What happened")
    console.print(tables.operations(seen.played))
    console.print(tables.breaks(seen.nights, seen.breaks))
    console.print(tables.planted(outcome))
    console.print(tables.unresolved(seen.unresolved))
    for night in seen.nights:
        console.print(tables.receipts(night))
    console.print(tables.identities(outcome.identities))
    path = write_summary(settings.root / "summary.json", seen, outcome, seconds)
    for line in outcome.complaints:
        console.print(f"[red]✗ {line}[/red]")
    verdict = "[green]全部相符 everything holds[/green]" if outcome.is_ok else "[red]不符 it does not hold[/red]"
    console.print(
        f"{verdict}: {outcome.operations} operations 笔交易, {seen.facts.payments} payments 笔缴费, "
        f"{Money(seen.facts.amount_fen).decimal()} 元, {seconds:.0f} s. {path}"
    )
    return outcome.is_ok
