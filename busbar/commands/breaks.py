"""`busbar breaks`: the open differences between banks and ledger, as a clerk works through them.

Strategy: read only. Open breaks by default, customers masked, with age and proposed treatment as of a day; `--all` adds
those that were superseded or withdrawn, `--lines` gives one plain line a break for other programs.
"""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.table import Table

    from reconciliation.store import StoredBreak

# Below this width the columns break inside words; a terminal that is narrower wraps whole lines instead.
NARROWEST_TABLE = 140
_DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command(name="breaks")
@click.option("--date", "clearing_date", type=_DAY, help="breaks of this clearing date alone 清算日期")
@click.option("--bank", help="breaks of this bank alone 银行代码")
@click.option("--as-of", type=_DAY, help="day for which age and treatment are told 截至日期 [default: today]")
@click.option("--all", "everything", is_flag=True, help="superseded and withdrawn ones too 含已转出与已撤回")
@click.option("--lines", is_flag=True, help="one line a break instead of a table 每笔一行")
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)
def command(
    *,
    clearing_date: datetime | None,
    bank: str | None,
    as_of: datetime | None,
    everything: bool,
    lines: bool,
    installation: Path,
) -> None:
    """List breaks 差错清单: kind, amount, age, proposed treatment."""
    from busbar.installations import load_installation, open_database
    from gateway.clock import now
    from reconciliation.store import read_breaks

    checked = load_installation(installation)
    day = None if clearing_date is None else clearing_date.date()
    with open_database(checked) as access:
        stored = asyncio.run(read_breaks(access.night_dsn, day, bank))
    chosen = [item for item in stored if everything or item.state == "open"]
    seen_on = now().astimezone(checked.zone).date() if as_of is None else as_of.date()
    if lines:
        for item in chosen:
            click.echo(_line(item, seen_on))
        return
    from rich.console import Console

    console = Console()
    if console.width < NARROWEST_TABLE:
        console = Console(width=NARROWEST_TABLE)
    console.print(_table(chosen, seen_on) if chosen else "没有差错 no breaks")


def _line(item: StoredBreak, as_of: date) -> str:
    from protocols.money import Money
    from reconciliation.result import break_rows

    [row] = break_rows([item.found], as_of)
    words = (
        row["break_id"],
        row["bank"],
        row["clearing_date"],
        row["kind"],
        row["trace_date"] or "-",
        row["trace_no"] or "-",
        row["customer"] or "-",
        Money(row["difference_fen"]).decimal(),
        f"T+{row['age_days']}",
        item.state,
        row["treatment"],
    )
    return " ".join(words)


def _table(stored: list[StoredBreak], as_of: date) -> Table:
    from rich.table import Table

    from protocols.money import Money
    from reconciliation.breaks.kinds import KINDS
    from reconciliation.result import break_rows

    table = Table(title=f"差错清单 Breaks ({as_of})", show_lines=True)
    for heading in ("编号 Id", "银行 Bank", "日期 Date", "差错 Break", "流水 Trace", "户号 Customer"):
        table.add_column(heading, overflow="fold", no_wrap=heading.startswith(("编号", "日期")))
    table.add_column("差额(元) Difference", justify="right")
    table.add_column("账龄 Age", justify="right")
    table.add_column("说明与处理建议 What, and treatment proposed", overflow="fold", ratio=1)
    for item, row in zip(stored, break_rows([item.found for item in stored], as_of), strict=True):
        chinese, english = KINDS[item.found.kind]
        state = "" if item.state == "open" else f"\n[dim]{item.state}[/dim]"
        person = " (双人复核 second person)" if row["needs_second_person"] else ""
        table.add_row(
            row["break_id"][:12],
            row["bank"],
            row["clearing_date"],
            f"{chinese} {english}{state}",
            row["trace_no"] or "-",
            row["customer"] or "-",
            Money(row["difference_fen"]).decimal(),
            f"T+{row['age_days']}",
            f"{row['explanation_chinese']}\n{row['explanation_english']}\n"
            f"→ {row['treatment_chinese']} {row['treatment_english']}{person}",
        )
    return table
