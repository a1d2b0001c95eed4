"""`busbar demo`: two business days with two simulated banks, then both nights; exit 0 only if everything holds."""

from __future__ import annotations

import sys
from pathlib import Path

import click

PIPE_WIDTH = 150


@click.command(name="demo")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("var/demo"), show_default=True)
@click.option("--customers", type=click.IntRange(1000, 1_000_000), default=5000, show_default=True, help="用户数")
@click.option(
    "--visits", type=click.IntRange(60, 100_000), default=330, show_default=True, help="visits a bank and day"
)
@click.option("--seed", type=int, default=20240403, show_default=True, help="another seed, another world 随机种子")
def command(folder: Path, customers: int, visits: int, seed: int) -> None:
    """Play the whole main job on a fresh installation in FOLDER 演示."""
    from rich.console import Console

    from busbar.demo.processes import DemoError
    from busbar.demo.story import Settings, run

    try:
        # Into a file or a pipe the tables need a width of their own.
        console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
        is_ok = run(Settings(folder.resolve(), customers, visits, seed), console)
    except* DemoError as errors:
        raise click.ClickException("; ".join(str(error) for error in errors.exceptions)) from None
    sys.exit(0 if is_ok else 1)
