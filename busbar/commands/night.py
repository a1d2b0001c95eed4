"""`busbar night`: the reconciliation of one clearing date, as the operator or a timer runs it.

Strategy: the work is `reconciliation.nightly`; here it is started, watched and told. It may be run again at any time,
after a kill too, and says the same. The exit code is for the timer: 0 when every identity holds and every bank's file
was matched, 1 when a bank's file is missing or was refused (the bank is to send it again), 3 when an identity fails
(somebody has to be woken), 2 when nothing could be run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reconciliation.result import BankResult, NightResult
    from reconciliation.setup import Progress, Step

FILE_NEEDED, IDENTITY_FAILED = 1, 3


@click.command(name="night")
@click.argument("clearing_date", metavar="DATE", type=click.DateTime(formats=["%Y-%m-%d"]))
@click.option("--bank", help="this bank alone; the report is over all of them 只对一家银行")
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)
def command(clearing_date: datetime, bank: str | None, installation: Path) -> None:
    """Reconcile the clearing date DATE 日终对账: files, match, breaks, receipts report; repeatable.

    Exit code 0: all is well; 1: a settlement file is missing or refused; 3: an identity fails; 2: it could not run.
    """
    from busbar.installations import load_installation, open_database
    from reconciliation.nightly import run_night
    from reconciliation.setup import setup_from

    checked = load_installation(installation)
    with open_database(checked) as access:
        try:
            setup = setup_from(checked, access.night_dsn, bank)
        except KeyError as error:
            raise click.ClickException(str(error.args[0])) from None
        with _bars() as progress:
            result = asyncio.run(run_night(setup, clearing_date.date(), progress))
    _tell(result)
    sys.exit(_exit_code(result))


@contextmanager
def _bars() -> Iterator[Progress]:
    """Bars on standard error, one for each stage and bank, as long as the block runs."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    from reconciliation.setup import STAGE_WORDS

    with Bars(transient=True, console=Console(stderr=True)) as bars:
        tasks: dict[tuple[Any, str], Any] = {}

        def show(step: Step) -> None:
            key = (step.stage, step.bank)
            if key not in tasks:
                tasks[key] = bars.add_task(" ".join((step.bank, *STAGE_WORDS[step.stage])).strip(), total=None)
            bars.update(tasks[key], completed=step.done, total=step.total)

        yield show


def _tell(result: NightResult) -> None:
    for bank in result.banks:
        _tell_bank(bank, result)
    for path in result.report.paths:
        click.echo(f"report {path}")
    for failure in result.failures:
        click.echo(f"FAILED {failure}", err=True)


def _tell_bank(bank: BankResult, result: NightResult) -> None:
    """File and matched pairs of a bank, then a line for each break; customers are masked."""
    from protocols.money import Money
    from reconciliation.result import break_rows

    click.echo(f"{bank.bank} file {bank.file.name or '-'} {bank.file.verdict}")
    for chinese, english in bank.file.reasons:
        click.echo(f"{bank.bank}   {chinese} {english}")
    if bank.is_reconciled:
        nets = f"bank net {Money(bank.bank_net_fen).decimal()}, ours {Money(bank.utility_net_fen).decimal()}"
        click.echo(f"{bank.bank} matched {bank.matched}, netted {bank.netted}, breaks {len(bank.breaks)}; {nets}")
    for row in break_rows(bank.breaks, result.clearing_date):
        person = "; needs a second person" if row["needs_second_person"] else ""
        amount = Money(row["difference_fen"]).decimal()
        click.echo(
            f"{bank.bank} {row['break_id'][:12]} {row['kind']} {row['trace_date']} {row['trace_no']} {row['customer']} "
            f"{amount} -> {row['treatment_chinese']} {row['treatment_english']}{person}"
        )


def _exit_code(result: NightResult) -> int:
    if not result.is_ok:
        return IDENTITY_FAILED
    return 0 if all(bank.file.verdict == "accepted" for bank in result.banks) else FILE_NEEDED
