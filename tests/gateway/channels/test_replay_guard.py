"""The replay guard: window, uniqueness, reversals, bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.replay_guard import FORWARD_MEMORY_SECONDS, ReplayGuard
from gateway.outcomes import Reason

NOW = datetime(2024, 4, 5, 3, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("offset_seconds", "reason"),
    [(0, None), (-300, None), (300, None), (-300.001, Reason.REPLAYED), (300.001, Reason.REPLAYED)],
)
def test_window(offset_seconds: float, reason: Reason | None) -> None:
    assert ReplayGuard().check("A", "n", at(offset_seconds), NOW) is reason


def test_the_offset_of_the_clock_does_not_matter() -> None:
    sent = datetime.fromisoformat("2024-04-05T11:00:00+08:00")
    assert ReplayGuard().check("A", "n", sent, NOW) is None


def test_the_window_is_the_profiles() -> None:
    assert ReplayGuard(window_seconds=10).check("A", "n", at(-11), NOW) is Reason.REPLAYED


@pytest.mark.parametrize(
    ("sender", "message_id", "nonce", "reason"),
    [
        ("A", "1", "n", Reason.REPLAYED),
        ("B", "1", "n", None),
        ("A", "2", "n", None),
        ("A", "1", "m", None),
    ],
)
def test_uniqueness(sender: str, message_id: str, nonce: str, reason: Reason | None) -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", NOW, NOW, message_id="1") is None
    assert guard.check(sender, nonce, NOW, NOW, message_id=message_id) is reason


@pytest.mark.parametrize("later_seconds", [1, 59, 60, 299, 300])
def test_remembered_as_long_as_the_window_lets_it_in(later_seconds: float) -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", NOW, NOW) is None
    assert guard.check("A", "n", NOW, at(later_seconds)) is Reason.REPLAYED


def test_a_message_from_a_fast_clock_is_remembered_longer() -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", at(300), NOW) is None
    assert guard.check("A", "n", at(300), at(600)) is Reason.REPLAYED


def test_forgotten_when_the_window_refuses_it() -> None:
    guard = ReplayGuard()
    for number in range(100):
        assert guard.check("A", str(number), NOW, NOW) is None
    assert guard.check("A", "new", at(400), at(400)) is None
    assert guard.remembered("A") == 1
    assert guard.check("A", "1", NOW, at(400)) is Reason.REPLAYED


def test_a_reversal_may_be_old_but_only_once() -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", at(-7200), NOW, store_and_forward=True) is None
    assert guard.check("A", "n", at(-7200), at(600), store_and_forward=True) is Reason.REPLAYED
    assert guard.check("A", "n", at(-7200), at(FORWARD_MEMORY_SECONDS - 60), store_and_forward=True) is Reason.REPLAYED


def test_full_memory_puts_off_and_forgets_nothing() -> None:
    guard = ReplayGuard(capacity_per_sender=2)
    assert guard.check("A", "1", NOW, NOW) is None
    assert guard.check("A", "2", NOW, NOW) is None
    assert guard.check("A", "3", NOW, NOW) is Reason.OVERLOADED
    assert guard.check("A", "1", NOW, NOW) is Reason.REPLAYED
    assert guard.check("B", "1", NOW, NOW) is None
    assert guard.check("A", "3", at(400), at(400)) is None


def test_a_refused_message_is_not_remembered() -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", at(-400), NOW) is Reason.REPLAYED
    assert guard.remembered("A") == 0
    assert guard.check("A", "n", NOW, NOW) is None


def test_a_clock_that_goes_back_forgets_nothing() -> None:
    guard = ReplayGuard()
    assert guard.check("A", "n", NOW, NOW) is None
    assert guard.check("A", "m", at(-120), at(-120)) is None
    assert guard.check("A", "n", NOW, NOW) is Reason.REPLAYED


@pytest.mark.parametrize(("window", "capacity"), [(0, 1), (1, 0)])
def test_senseless_limits(window: int, capacity: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ReplayGuard(window, capacity)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-400, 400), st.integers(0, 200), st.booleans()), max_size=60))
def test_no_message_passes_twice(events: list[tuple[int, int, int, bool]]) -> None:
    """However time goes on: what has passed once never passes again within a day."""
    guard = ReplayGuard(capacity_per_sender=20)
    passed: set[tuple[int, datetime, bool]] = set()
    elapsed = 0
    for nonce, offset, step, forward in events:
        elapsed += step
        sent = at(offset)
        message = (nonce, sent, forward)
        # A nonce belongs to one message here, so a second message under it is the same replay.
        reason = guard.check("A", f"{nonce}{sent}{forward}", sent, at(elapsed), store_and_forward=forward)
        assert not (reason is None and message in passed)
        assert guard.remembered("A") <= 20
        if reason is None:
            passed.add(message)
