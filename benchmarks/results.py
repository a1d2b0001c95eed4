"""What a benchmark hands back: figures that others rely on, facts for the reader, samples for whoever doubts.

Strategy: values only; `report` shows them. A figure's name never changes its meaning; most are ratios of two things
measured in the same run, and `better` says in which direction to pull.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.harness import Series, Spread


class Better(StrEnum):
    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Figure:
    """A named result; `unit` is "x" for a ratio. `low` and `high` are the quartiles where it was taken repeatedly."""

    name: str
    spread: Spread
    unit: str
    better: Better
    english: str
    chinese: str

    @property
    def value(self) -> float:
        return self.spread.median


@dataclass(frozen=True, slots=True)
class Fact:
    """A value that explains a figure; it depends on the machine, so nobody may rely on it."""

    name: str
    spread: Spread
    unit: str
    english: str
    chinese: str


@dataclass(frozen=True, slots=True)
class Result:
    """All that one benchmark found; `limit` says in a sentence what bounds it now."""

    benchmark: str
    figures: tuple[Figure, ...]
    facts: tuple[Fact, ...]
    series: tuple[Series, ...]
    limit: str = ""


def ratio(name: str, spread: Spread, english: str, chinese: str, better: Better = Better.HIGHER) -> Figure:
    return Figure(name, spread, "x", better, english, chinese)


def microseconds(name: str, series: Series, english: str, chinese: str) -> Fact:
    return Fact(name, series.microseconds, "µs", english, chinese)


def exactly(value: float) -> Spread:
    """The spread of something that was taken once."""
    return Spread(value, value, value)


def figure_values(results: Iterable[Result]) -> dict[str, float]:
    """Name to value; raises ValueError where two benchmarks claim one name."""
    values: dict[str, float] = {}
    for result in results:
        for figure in result.figures:
            if figure.name in values:
                raise ValueError(f"two benchmarks measure {figure.name}")
            values[figure.name] = figure.value
    return values
