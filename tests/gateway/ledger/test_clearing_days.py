"""A clearing day's state follows from where the partitions stand: a table, and a real half-done cut-off."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from gateway.ledger.clearing_days import DayState, day_states, read_day_states

from .installations import FIRST_DAY, NEXT_DAY, PARTITIONS, Installation

A, B, C = (date(2026, 4, 1) + timedelta(days=number) for number in range(3))
OPEN, SWITCHING, CLOSED = DayState.OPEN, DayState.SWITCHING, DayState.CLOSED


@pytest.mark.parametrize(
    ("days", "states"),
    [
        ({0: [A], 1: [A]}, {A: OPEN}),
        ({0: [A, B], 1: [A]}, {B: SWITCHING, A: SWITCHING}),
        ({0: [A], 1: [A, B]}, {B: SWITCHING, A: SWITCHING}),
        ({0: [A, B], 1: [B, A]}, {B: OPEN, A: CLOSED}),
        ({0: [A, B, C], 1: [A, B]}, {C: SWITCHING, B: SWITCHING, A: CLOSED}),
        ({0: [A, C], 1: [A, C], 2: [A]}, {C: SWITCHING, A: SWITCHING}),
        ({0: [A, B, C]}, {C: OPEN, B: CLOSED, A: CLOSED}),
    ],
)
def test_states(days: dict[int, list[date]], states: dict[date, DayState]) -> None:
    found = day_states(days)
    assert found == states
    assert list(found) == sorted(found, reverse=True)


async def test_a_half_done_cut_off_is_seen(installation: Installation) -> None:
    assert await read_day_states(installation.admin, PARTITIONS) == {FIRST_DAY: OPEN}
    for partition in range(PARTITIONS):
        insert = f"INSERT INTO ledger_{partition:02d}.clearing_day VALUES ($1, now())"
        await installation.admin.execute(insert, NEXT_DAY)
        states = await read_day_states(installation.admin, PARTITIONS)
        if partition < PARTITIONS - 1:
            assert states == {NEXT_DAY: SWITCHING, FIRST_DAY: SWITCHING}
    assert states == {NEXT_DAY: OPEN, FIRST_DAY: CLOSED}
