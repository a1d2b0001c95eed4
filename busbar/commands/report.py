"""`busbar report`: the receipts report of a clearing date alone, from the ledger, whatever the banks' files say."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import click


@click.command(name="report")
@click.argument("clearing_date", metavar="DATE", type=click.DateTime(formats=["%Y-%m-%d"]))
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("installation"),
    show_default=True,
    help="folder of the installation 安装目录",
)
def command(clearing_date: datetime, installation: Path) -> None:
    """Issue the receipts report of the clearing date DATE 实收统计报表 (CSV, XLSX, PDF); refused if it can't add up."""
    from busbar.installations import load_installation, open_database
    from reconciliation.nightly import issue_report
    from reconciliation.setup import setup_from

    checked = load_installation(installation)
    with open_database(checked) as access:
        issued = asyncio.run(issue_report(setup_from(checked, access.night_dsn), clearing_date.date()))
    if issued.refused:
        raise click.ClickException(issued.refused)
    for path in issued.paths:
        click.echo(path)
