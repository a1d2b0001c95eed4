"""`busbar bench NAME`: measure side by side, show a table, keep the figures as JSON.

The benchmarks stand above this room (they use its embedded PostgreSQL), so that they are found by name when the command
runs, as commands themselves are, and never imported from here.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@click.command(name="bench")
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="write figures, machine and samples here 结果写入JSON文件",
)
@click.option("--quick", is_flag=True, help="a few seconds, to see that it works; the figures mean nothing 快速试跑")
@click.option("--seed", type=int, default=None, help="of the made-up messages and bills 随机种子")
@click.option("--list", "list_only", is_flag=True, help="list the benchmarks and their figures 列出全部测试")
def command(names: tuple[str, ...], json_file: Path | None, quick: bool, seed: int | None, list_only: bool) -> None:
    """Measure NAME (or `all`) against a yardstick, in turns in one run 性能对比测试."""
    catalogue, harness = _module("catalogue"), _module("harness")
    if list_only:
        _list(catalogue)
        return
    if not names:
        raise click.UsageError(f"say what to measure: {', '.join(catalogue.CATALOGUE)} or {catalogue.ALL}.")
    try:
        chosen = catalogue.chosen(names)
    except harness.BenchmarkError as error:
        raise click.ClickException(str(error)) from None
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise click.ClickException(f"{json_file.parent} is no folder; make it, or choose another for --json")
    effort = harness.Effort(quick=quick, seed=harness.DEFAULT_SEED if seed is None else seed)
    _measure(chosen, effort, json_file)


def _measure(chosen: tuple[str, ...], effort: Any, json_file: Path | None) -> None:
    """Run all that can be run; what can't is told at the end, with exit code 2."""
    from rich.console import Console

    catalogue, harness, report = _module("catalogue"), _module("harness"), _module("report")
    console = Console(width=None if sys.stdout.isatty() else report.WIDTH_OF_FILES)
    results, failures = [], []
    for name in chosen:
        try:
            with _progress(name, console) as watch:
                results.append(catalogue.run(name, effort, watch))
        except harness.BenchmarkError as error:
            failures.append(f"{name}: {error}")
    report.show(results, console)
    if json_file is not None:
        text = json.dumps(report.as_json(results, effort), ensure_ascii=False, indent=2)
        json_file.write_text(text + "\n", encoding="utf-8")
    if failures:
        raise click.ClickException("\n".join(failures))


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


def _list(catalogue: Any) -> None:
    for name, entry in catalogue.CATALOGUE.items():
        click.echo(f"{name:<8} {entry.english} {entry.chinese}")
        for figure in entry.figures:
            click.echo(f"         {figure}")


class _Watch:
    """Shows how far a benchmark has come."""

    def __init__(self, progress: Progress, task: TaskID, name: str) -> None:
        self._progress = progress
        self._task = task
        self._name = name

    def expect(self, turns: int) -> None:
        self._progress.update(self._task, total=turns)

    def did(self, what: str) -> None:
        self._progress.update(self._task, advance=1, description=f"{self._name}: {what}")


@contextmanager
def _progress(name: str, console: Console) -> Iterator[_Watch]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn rarely: drawing takes processor time from what is being measured.
    with Progress(*columns, console=console, refresh_per_second=1, transient=True) as progress:
        yield _Watch(progress, progress.add_task(name, total=None), name)
