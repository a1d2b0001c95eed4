"""`busbar unresolved`: the money whose end one side may not know, as a clerk watches it.

Strategy: read only, by the night's login, from the published views. What is open by default, oldest first, with its
age, its cause, what both sides have, and what is to be done next; `--all` adds what was closed and by what. Customers
are masked.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from reconciliation.unresolved.rows import Unresolved

# Below this width the columns break inside words; a terminal that is narrower wraps whole lines instead.
NARROWEST_TABLE = 150


@click.command(name="unresolved")
@click.option("--bank", help="of this bank alone 银行代码")
@click.option("--all", "everything", is_flag=True, help="closed ones too 含已了结")
@click.option("--lines", is_flag=True, help="one line each instead of a table 每笔一行")
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)
def command(*, bank: str | None, everything: bool, lines: bool, installation: Path) -> None:
    """List unresolved money 未决资金: age, cause, both sides, what to do next."""
    from busbar.installations import load_installation, open_database
    from reconciliation.extract import LedgerSource
    from reconciliation.unresolved.rows import list_unresolved

    checked = load_installation(installation)
    if bank is not None and bank not in (known := [profile.code for profile in checked.banks]):
        raise click.ClickException(f"--bank {bank}: no such bank; there are {', '.join(known)}")
    with open_database(checked) as access:
        source = LedgerSource(access.night_dsn, checked.partitions)
        found = asyncio.run(list_unresolved(source, bank=bank, everything=everything))
    if lines:
        for one in found:
            click.echo(_line(one))
        return
    from rich.console import Console

    console = Console()
    if console.width < NARROWEST_TABLE:
        console = Console(width=NARROWEST_TABLE)
    console.print(_table(found) if found else "没有未决资金 nothing is unresolved")


def age(seconds: int) -> str:
    """An age in its two largest units: 45s, 12m 5s, 3h 20m, 2d 4h."""
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    for index, (name, size) in enumerate(units):
        if seconds >= size:
            rest = "" if name == "s" else f" {seconds % size // units[index + 1][1]}{units[index + 1][0]}"
            return f"{seconds // size}{name}{rest}"
    return "0s"


def _line(one: Unresolved) -> str:
    from protocols.money import Money
    from reconciliation.breaks.model import masked

    words = (
        one.bank,
        one.kind,
        one.trace_date.isoformat(),
        one.trace_no,
        masked(one.customer_no),
        Money(one.amount_fen).decimal(),
        one.cause,
        str(one.age_seconds),
        one.our_side,
        one.bank_side,
        "-" if one.absent_days is None else f"T+{one.absent_days}",
        "OPEN" if one.is_open else f"CLOSED:{one.closed_by}",
        one.next_action,
    )
    return " ".join(words)


def _table(found: Sequence[Unresolved]) -> Table:
    from rich.table import Table

    from protocols.money import Money
    from reconciliation.breaks.model import masked
    from reconciliation.unresolved import words

    table = Table(title="未决资金 Unresolved money", show_lines=True)
    for heading in ("银行 Bank", "交易 Operation", "流水 Trace", "户号 Customer"):
        table.add_column(heading, overflow="fold")
    table.add_column("金额(元) Amount", justify="right")
    table.add_column("历时 Age", justify="right", no_wrap=True)
    for heading in ("缘由 Cause", "我方 Ours", "银行 The bank's", "下一步 Next"):
        table.add_column(heading, overflow="fold", ratio=1)
    for one in found:
        absent = "" if one.absent_days is None else f" (T+{one.absent_days})"
        following = " ".join(words.NEXT_ACTIONS[one.next_action])
        if one.closed_by is not None:
            detail = f" {(one.closed_detail or '')[:12]}" if one.closed_by in ("FILE_BREAK", "ABSENT_BREAK") else ""
            following = f"已了结 closed: {' '.join(words.CLOSED_BY[one.closed_by])}{detail}"
        table.add_row(
            one.bank,
            " ".join(words.KINDS[one.kind]),
            f"{one.trace_date} {one.trace_no}",
            masked(one.customer_no),
            Money(one.amount_fen).decimal(),
            age(one.age_seconds),
            " ".join(words.CAUSES[one.cause]),
            " ".join(words.OUR_SIDE[one.our_side]),
            " ".join(words.BANK_SIDE[one.bank_side]) + absent,
            following,
        )
    return table
