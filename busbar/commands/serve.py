"""`busbar serve`: the gateway of an installation, until it is told to stop.

Strategy: the database is opened here (it may be our own embedded one), the rest is `gateway.main`. Standard output has
the addresses and nothing else, so that a program can read them; the log goes to standard error. Without an
installation a sample one is made in `var/installation`, with made-up customers and bills in its ledger, so that
`busbar serve` alone has something to serve.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.config import Installation

DEFAULT = Path("installation")
SAMPLE = Path("var/installation")
SAMPLE_CUSTOMERS, SAMPLE_SEED = 500, 1


@click.command(name="serve")
@click.option(
    "--installation",
    type=click.Path(path_type=Path, file_okay=False),
    help="folder of the installation 安装目录 [default: ./installation, else a sample in var/installation]",
)
@click.option("--ready-json", is_flag=True, help="print the bound addresses as one JSON line 以JSON输出监听地址")
def command(installation: Path | None, ready_json: bool) -> None:
    """Serve the banks until SIGTERM or Ctrl-C 启动网关."""
    from busbar.installations import create_sample, initialise_ledger, load_installation, open_database
    from gateway import logs
    from gateway.main import serve

    logs.configure()
    is_sample = installation is None and not DEFAULT.is_dir()
    folder = installation or (SAMPLE if is_sample else DEFAULT)
    if is_sample:
        create_sample(folder)
    checked = load_installation(folder)
    with open_database(checked) as access:
        if checked.settings.database.is_embedded:
            initialise_ledger(checked, access)
        if is_sample:
            _populate(checked, access.gateway_dsn)
        serve(checked, access.gateway_dsn, lambda addresses: _show(dict(addresses), ready_json))


def _populate(installation: Installation, gateway_dsn: str) -> None:
    """Made-up customers and bills, once: their files stay beside the ledger and say that they are in it."""
    from busbar.demo.population import generate
    from gateway.clock import now
    from gateway.ledger.importing import import_bills, import_customers

    folder = installation.variable_folder / "sample"
    done = folder / "imported"
    if done.exists():
        return
    today = now().astimezone(installation.zone).date()
    made = generate(folder, customers=SAMPLE_CUSTOMERS, business_date=today, seed=SAMPLE_SEED)
    asyncio.run(import_customers(gateway_dsn, made.customers_file, installation.partitions))
    asyncio.run(import_bills(gateway_dsn, made.bills_file, installation.partitions))
    done.touch()


def _show(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ready": True, "addresses": addresses}, sort_keys=True))
        return
    for name, address in sorted(addresses.items()):
        click.echo(f"{name:<16} {address}")
