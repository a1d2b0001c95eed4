"""The horizon never passes a number that may still be committed, and gets to the end when nobody books any more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events.horizon import Horizon

# Looks as (newest, booking), and where the horizon stands after each.
TABLE: list[list[tuple[int, str, int]]] = [
    [(0, "", 0), (5, "", 5), (5, "", 5)],  # nobody books: at once
    [(5, "a", 0), (5, "a", 0), (5, "", 5)],  # whoever was booking has to end
    [(5, "a", 0), (7, "b", 5), (9, "b", 5), (9, "", 9)],  # who began later doesn't hold up what was seen before
    [(5, "ab", 0), (6, "bc", 0), (6, "cd", 5), (6, "d", 5), (6, "e", 6)],
    [(5, "a", 0), (9, "", 9)],  # nobody books now: everything seen is settled
    [(0, "a", 0), (0, "", 0), (3, "", 3)],
]


@pytest.mark.parametrize("looks", TABLE)
def test_looks(looks: list[tuple[int, str, int]]) -> None:
    horizon = Horizon()
    assert [horizon.look(newest, booking) for newest, booking, _ in looks] == [settled for _, _, settled in looks]


def test_it_says_when_to_look_again_soon() -> None:
    horizon = Horizon()
    horizon.look(5, "a")
    assert horizon.is_waiting
    horizon.look(5, "")
    assert not horizon.is_waiting


class Ledger:
    """Transactions that take a lock, then numbers in order, and end in any order."""

    def __init__(self) -> None:
        self.number = 0
        self.begun = 0
        self.open: dict[str, list[int]] = {}
        self.committed: set[int] = set()

    def begin(self) -> None:
        self.begun += 1
        self.open[f"3/{self.begun}"] = []

    def take(self, which: int) -> None:
        if self.open:
            self.number += 1
            self._chosen(which)[1].append(self.number)

    def end(self, which: int, *, commit: bool) -> None:
        if self.open:
            name, numbers = self._chosen(which)
            del self.open[name]
            self.committed |= set(numbers) if commit else set()

    def newest(self) -> int:
        return max(self.committed, default=0)

    def unsettled(self) -> set[int]:
        return {number for numbers in self.open.values() for number in numbers}

    def _chosen(self, which: int) -> tuple[str, list[int]]:
        return sorted(self.open.items())[which % len(self.open)]


STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "take", "commit", "abort", "look"]), st.integers(0, 5)), max_size=60
)


@given(st.lists(STEPS, min_size=1, max_size=8))
def test_nothing_below_it_can_still_be_committed(rounds: list[list[tuple[str, int]]]) -> None:
    """Between seeing the newest number and seeing who books, anything may happen, as in the database."""
    ledger, horizon = Ledger(), Horizon()
    for steps in rounds:
        newest = ledger.newest()
        for step, which in steps:
            act(ledger, step, which)
        before = horizon.settled
        settled = horizon.look(newest, list(ledger.open))
        assert settled >= before
        assert not [number for number in ledger.unsettled() if number <= settled]
        assert settled <= ledger.newest()
    ledger.open.clear()
    horizon.look(ledger.newest(), [])
    assert horizon.settled == ledger.newest()


def act(ledger: Ledger, step: str, which: int) -> None:
    if step == "begin":
        ledger.begin()
    elif step == "take":
        ledger.take(which)
    elif step in ("commit", "abort"):
        ledger.end(which, commit=step == "commit")
