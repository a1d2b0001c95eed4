"""`busbar bank`: a simulated bank, its own process with its own book; it talks to the gateway by sockets alone."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

import click

from busbar.bank.config import BankSetupError, load_setup

_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.group(name="bank")
def command() -> None:
    """Simulated bank 模拟银行: plays days on a real wire and writes settlement files from its own book."""


@command.command()
@click.option("--setup", "setup_file", type=click.Path(path_type=Path, exists=True), required=True, help="TOML file")
@click.option("--visits", type=click.IntRange(1, 1_000_000), default=300, show_default=True, help="payers' visits 笔数")
@click.option("--date", "bank_date", type=_DAY, required=True, help="the bank's clearing date 清算日期")
@click.option("--last-day", is_flag=True, help="sign off at the end, and try what may come after it 签退")
@click.option("--wait-after", type=click.IntRange(0), help="after so many visits wait for a line on standard input")
def play(setup_file: Path, visits: int, bank_date: datetime, last_day: bool, wait_after: int | None) -> None:
    """Play a day's visits against the gateway; prints JSON lines of progress and the day's tally."""
    from busbar.bank.play import play_day

    try:
        setup = load_setup(setup_file)
        day = play_day(setup, visits=visits, bank_date=bank_date.date(), last_day=last_day, wait_after=wait_after)
        surprises = asyncio.run(day)
    except (BankSetupError, OSError) as error:
        raise click.ClickException(f"{error}") from None
    sys.exit(1 if surprises else 0)


@command.command()
@click.option("--setup", "setup_file", type=click.Path(path_type=Path, exists=True), required=True, help="TOML file")
@click.option("--date", "clearing_date", type=_DAY, required=True, help="clearing date of the file 清算日期")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="where the file goes")
@click.option("--plant", is_flag=True, help="plant differences of every kind on purpose 埋入差异")
@click.option("--next-day-too", is_flag=True, help="also plant an entry of the next clearing date, filed too early")
def file(setup_file: Path, clearing_date: datetime, folder: Path, plant: bool, next_day_too: bool) -> None:
    """Write the settlement file 对账文件 of a day from the bank's own book; prints what was planted as JSON."""
    from busbar.bank.settle import write_day

    try:
        planted = write_day(
            load_setup(setup_file), clearing_date.date(), folder, plant=plant, next_day_too=next_day_too
        )
    except (BankSetupError, OSError) as error:
        raise click.ClickException(f"{error}") from None
    click.echo(json.dumps(planted, ensure_ascii=False, sort_keys=True))


@command.command()
@click.option("--setup", "setup_file", type=click.Path(path_type=Path, exists=True), required=True, help="TOML file")
def acknowledged(setup_file: Path) -> None:
    """Print the acknowledgement log 确认日志 of all days from the bank's own book, for `busbar db audit`."""
    from busbar.bank.acknowledged import acknowledgement_lines

    try:
        for line in acknowledgement_lines(load_setup(setup_file)):
            click.echo(line)
    except (BankSetupError, OSError) as error:
        raise click.ClickException(f"{error}") from None
