"""The harness: turns in turn, honest statistics, figures that say what they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import (
    Contestant,
    Effort,
    Sample,
    Series,
    Spread,
    percentile,
    race,
    spread_of,
    timed,
    times_as_fast,
    turns,
)
from benchmarks.results import Result, exactly, figure_values, ratio

POSITIVE = st.floats(min_value=1e-6, max_value=1e6)


class Notes:
    """A watch that writes down what it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def expect(self, turns: int) -> None:
        self.done.append(f"expect {turns}")

    def did(self, what: str) -> None:
        self.done.append(what)


def constant(seconds: float) -> Callable[[], Sample]:
    return lambda: Sample(10, seconds)


def test_contestants_take_turns_and_the_first_turn_is_not_kept() -> None:
    seconds = iter(range(1, 100))

    def turn() -> Sample:
        return Sample(1, next(seconds))

    notes = Notes()
    series = race([Contestant("a", turn), Contestant("b", turn)], 3, notes)
    assert notes.done == ["a", "b"] * 4
    assert len(notes.done) == turns(2, 3)
    assert [sample.seconds for sample in series["a"].samples] == [3, 5, 7]
    assert [sample.seconds for sample in series["b"].samples] == [4, 6, 8]


@pytest.mark.parametrize(
    ("names", "rounds"),
    [(("a", "b"), 0), (("a", "a"), 1)],
    ids=["no round", "one name twice"],
)
def test_a_race_that_can_not_be_told(names: tuple[str, ...], rounds: int) -> None:
    with pytest.raises(ValueError, match="at least one round"):
        race([Contestant(name, constant(1)) for name in names], rounds, Notes())


@pytest.mark.parametrize(
    ("values", "spread"),
    [
        ([5.0], Spread(5, 5, 5)),
        ([1.0, 3.0], Spread(1.5, 2, 2.5)),
        ([4.0, 1.0, 2.0, 3.0, 5.0], Spread(2, 3, 4)),
        ([1.0, 1.0, 1.0, 1.0, 1000.0], Spread(1, 1, 1)),  # one disturbed turn moves nothing
    ],
)
def test_spread(values: list[float], spread: Spread) -> None:
    assert spread_of(values) == spread


@given(st.lists(POSITIVE, min_size=1))
def test_a_spread_lies_among_its_values(values: list[float]) -> None:
    spread = spread_of(values)
    assert min(values) <= spread.low <= spread.median <= spread.high <= max(values)


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (99.5, 100), (100, 100), (1, 1), (0.5, 1)], ids=str)
def test_percentile_by_nearest_rank(percent: float, value: float) -> None:
    assert percentile(range(100, 0, -1), percent) == value


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_a_percentile_that_is_none(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_nothing_measured() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        spread_of([])


def test_neighbours_are_compared_so_that_a_slow_minute_slows_both() -> None:
    # The machine gets ten times slower half-way: ratios of medians would mix the two halves.
    ours = Series("ours", tuple(Sample(10, seconds) for seconds in (1, 1, 10, 10, 10)))
    theirs = Series("theirs", tuple(Sample(10, seconds) for seconds in (2, 2, 20, 20, 20)))
    assert times_as_fast(ours, theirs) == Spread(2, 2, 2)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=20))
def test_twice_as_fast_one_way_is_half_as_fast_the_other(pairs: list[tuple[float, float]]) -> None:
    ours = Series("ours", tuple(Sample(1, one) for one, _ in pairs))
    theirs = Series("theirs", tuple(Sample(1, other) for _, other in pairs))
    if len(pairs) % 2:  # the median of an even number of values lies between two of them
        assert times_as_fast(ours, theirs).median * times_as_fast(theirs, ours).median == pytest.approx(1)


def test_series_that_did_not_race_each_other() -> None:
    with pytest.raises(ValueError, match="zip"):
        times_as_fast(Series("a", (Sample(1, 1),)), Series("b", (Sample(1, 1), Sample(1, 1))))


@pytest.mark.parametrize(("units", "seconds"), [(0, 1.0), (1, 0.0), (1, -1.0)])
def test_an_empty_sample(units: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="at least one unit"):
        Sample(units, seconds)


def test_a_sample_tells_both_ways() -> None:
    sample = Sample(200, 0.1)
    assert sample.per_second == pytest.approx(2000)
    assert sample.microseconds_per_unit == pytest.approx(500)


def test_timed_counts_what_was_done() -> None:
    sample = timed(lambda: 7)()
    assert sample.units == 7
    assert sample.seconds > 0


def test_effort_chooses() -> None:
    assert Effort().choose(100, 1) == 100
    assert Effort(quick=True).choose(100, 1) == 1


def test_two_benchmarks_may_not_claim_one_name() -> None:
    figure = ratio("a.b", exactly(2), "what", "含义")
    result = Result("a", (figure,), (), ())
    assert figure_values([result]) == {"a.b": 2}
    with pytest.raises(ValueError, match=r"a\.b"):
        figure_values([result, result])
