"""How things are measured here: side by side, in turns, in one run.

Strategy: a machine is never quiet, so nothing is compared with a number from another hour. Contestants take turns
(A B A B …), each turn is a sample (units of work, seconds), and two contestants are compared turn by turn: the ratio of
neighbours is taken first and the median of these ratios last, so that a slow minute slows both. Rules:

- every contestant runs once before anything is kept (caches, connections, plans);
- a spread is the range that holds the middle half (the quartiles), told beside every median;
- the collector of cyclic garbage stays on, as it does in the gateway, but starts every turn with nothing to do.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

DEFAULT_SEED = 20240405


class BenchmarkError(Exception):
    """A measurement can't be made here; the text is one line with what to do."""


class Watch(Protocol):
    """Who is told how far a run has come."""

    def expect(self, turns: int) -> None: ...

    def did(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work to put in; `quick` is for seeing that everything works, its figures mean nothing."""

    quick: bool = False
    seed: int = DEFAULT_SEED

    def choose(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn: so many units of work (messages, payments) in so many seconds."""

    units: int
    seconds: float

    def __post_init__(self) -> None:
        if self.units < 1 or self.seconds <= 0:
            raise ValueError("a sample is at least one unit in more than no time")

    @property
    def per_second(self) -> float:
        return self.units / self.seconds

    @property
    def microseconds_per_unit(self) -> float:
        return self.seconds / self.units * 1_000_000


@dataclass(frozen=True, slots=True)
class Contestant:
    """`turn` does its portion of work and tells how much it was and how long it took."""

    name: str
    turn: Callable[[], Sample]


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one contestant, in the order of its turns."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def microseconds(self) -> Spread:
        return spread_of(sample.microseconds_per_unit for sample in self.samples)

    @property
    def per_second(self) -> Spread:
        return spread_of(sample.per_second for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median between its quartiles."""

    low: float
    median: float
    high: float


def spread_of(values: Iterable[float]) -> Spread:
    """Median and quartiles; one value alone is all three. Raises ValueError without a value."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("nothing was measured")
    if len(ordered) == 1:
        return Spread(ordered[0], ordered[0], ordered[0])
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Spread(low, median, high)


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that `percent` of 100 of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    if not ordered or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and is above 0 and at most 100")
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def race(contestants: Sequence[Contestant], rounds: int, watch: Watch) -> dict[str, Series]:
    """Let the contestants take turns, `rounds` times, after one turn each that is not kept."""
    if rounds < 1 or len({one.name for one in contestants}) != len(contestants):
        raise ValueError("a race has at least one round, and contestants have different names")
    kept: dict[str, list[Sample]] = {one.name: [] for one in contestants}
    for turn in range(rounds + 1):
        for one in contestants:
            gc.collect()
            sample = one.turn()
            watch.did(one.name)
            if turn:
                kept[one.name].append(sample)
    return {name: Series(name, tuple(samples)) for name, samples in kept.items()}


def turns(contestants: int, rounds: int) -> int:
    """How many turns `race` takes, for `Watch.expect`."""
    return contestants * (rounds + 1)


def times_as_fast(series: Series, than: Series) -> Spread:
    """How many times as fast `series` is, turn by turn (1: equally fast; above 1: faster)."""
    pairs = zip(series.samples, than.samples, strict=True)
    return spread_of(mine.per_second / theirs.per_second for mine, theirs in pairs)


def timed(work: Callable[[], int]) -> Callable[[], Sample]:
    """A turn that does `work`, which returns its units."""

    def turn() -> Sample:
        start = time.perf_counter()
        units = work()
        return Sample(units, time.perf_counter() - start)

    return turn
