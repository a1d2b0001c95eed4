"""`busbar serve`: the gateway of an installation, until it is told to stop.

Strategy: the database is opened here (it may be our own embedded one), the rest is `gateway.main`. Standard output has
the addresses and nothing else, so that a program can read them; the log goes to standard error. Without an
installation a sample one is made in `var/installation`, with its ledger, so that `busbar serve` alone shows something.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

DEFAULT = Path("installation")
SAMPLE = Path("var/installation")


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
        serve(checked, access.gateway_dsn, lambda addresses: _show(dict(addresses), ready_json))


def _show(addresses: dict[str, str], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"ready": True, "addresses": addresses}, sort_keys=True))
        return
    for name, address in sorted(addresses.items()):
        click.echo(f"{name:<16} {address}")
