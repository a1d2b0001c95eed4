"""Results as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console, JustifyMethod
from rich.table import Table

from benchmarks.harness import Effort, Series, Spread
from benchmarks.results import Better, Fact, Figure, Result, figure_values

# What decides speed besides our own code.
_LIBRARIES = ("asyncpg", "cryptography", "lxml", "pyiso8583", "signxml", "uvloop")
_HEADINGS: tuple[tuple[str, JustifyMethod], ...] = (
    ("Figure\n指标", "left"),
    ("What\n含义", "left"),
    ("Value\n数值", "right"),
    ("Middle half\n中间一半", "right"),
    ("Better\n方向", "left"),
)
# A file or pipe has no width of its own, and 80 columns are too few for this table.
WIDTH_OF_FILES = 130
_DIRECTION = {Better.HIGHER: "higher 越高越好", Better.LOWER: "lower 越低越好"}


def show(results: Iterable[Result], console: Console) -> None:
    """One table a benchmark: figures first, then what explains them, then what bounds them."""
    for result in results:
        table = Table(title=result.benchmark, title_justify="left")
        for heading, justify in _HEADINGS:
            table.add_column(heading, justify=justify, overflow="fold")
        for figure in result.figures:
            table.add_row(*_figure_row(figure), style="bold")
        for fact in result.facts:
            table.add_row(*_fact_row(fact))
        console.print(table)
        if result.limit:
            console.print(f"Limit 瓶颈: {result.limit}\n", highlight=False)


def _figure_row(figure: Figure) -> tuple[str, ...]:
    what = f"{figure.english}\n{figure.chinese}"
    return (figure.name, what, *_values(figure.spread, figure.unit), _DIRECTION[figure.better])


def _fact_row(fact: Fact) -> tuple[str, ...]:
    return (fact.name, f"{fact.english}\n{fact.chinese}", *_values(fact.spread, fact.unit), "")


def _values(spread: Spread, unit: str) -> tuple[str, str]:
    sign = "×" if unit == "x" else f" {unit}"
    value = f"{_number(spread.median)}{sign}"
    if spread.low == spread.median == spread.high:
        return value, ""
    return value, f"{_number(spread.low)} – {_number(spread.high)}"


def _number(value: float) -> str:
    """Three digits that count; more would be noise."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def as_json(results: Sequence[Result], effort: Effort) -> dict[str, Any]:
    """`{"figures": {name: value}, "machine": {…}, "runs": […]}`."""
    return {
        "figures": figure_values(results),
        "machine": machine(),
        "runs": [_run(result, effort) for result in results],
    }


def _run(result: Result, effort: Effort) -> dict[str, Any]:
    return {
        "benchmark": result.benchmark,
        "quick": effort.quick,
        "seed": effort.seed,
        "limit": result.limit,
        "figures": {figure.name: {**_spread(figure.spread), "unit": figure.unit} for figure in result.figures},
        "facts": {fact.name: {**_spread(fact.spread), "unit": fact.unit} for fact in result.facts},
        "samples": {series.name: _samples(series) for series in result.series},
    }


def _spread(spread: Spread) -> dict[str, float]:
    return {"low": spread.low, "median": spread.median, "high": spread.high}


def _samples(series: Series) -> list[dict[str, float]]:
    return [{"units": sample.units, "seconds": sample.seconds} for sample in series.samples]


def machine() -> dict[str, Any]:
    """What the figures were taken on; no names of hosts or people."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "optimised": sys.flags.optimize,
        # Of the last minutes: far above what we use ourselves means that somebody else was busy too.
        "load_average": list(os.getloadavg()),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.processor())
