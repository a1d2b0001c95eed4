"""`busbar db audit`: the independent check of the ledger, from the command line."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from busbar.audit.audit import AuditReport

UNSOUND = 1
PIPE_WIDTH = 150
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(name="audit")
@click.option(
    "--acknowledged",
    "logs",
    type=_FILE,
    multiple=True,
    help="a bank's acknowledgement log, JSON lines; repeatable 银行确认日志",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="write the report here 输出JSON"
)
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)
def command(installation: Path, logs: tuple[Path, ...], json_file: Path | None) -> None:
    """Check the whole ledger 账务审计, in plain SQL that shares nothing with what books; exit 1 if anything is off.

    Reads only, at one moment, and may run while the gateway works.
    """
    from rich.console import Console

    from busbar.audit.acknowledged import AcknowledgementError
    from busbar.audit.audit import AuditError
    from busbar.audit.show import as_json, show
    from busbar.installations import load_installation, open_database

    checked = load_installation(installation)
    with open_database(checked) as access:
        try:
            report = asyncio.run(_audited(access.gateway_dsn, logs))
        except (AuditError, AcknowledgementError) as error:
            raise click.ClickException(str(error)) from None
    if json_file is not None:
        json_file.write_text(as_json(report), encoding="utf-8")
    # Into a file or a pipe the tables need a width of their own.
    show(report, Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH))
    sys.exit(0 if report.is_sound else UNSOUND)


async def _audited(dsn: str, logs: tuple[Path, ...]) -> AuditReport:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from busbar.audit.audit import audit

    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as bars:
        bar = bars.add_task("audit 审计")

        def progress(done: int, steps: int, name: str) -> None:
            bars.update(bar, completed=done, total=steps, description=name or "audit 审计")

        return await audit(dsn, logs, progress)
