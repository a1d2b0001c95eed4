"""A bank's day is reconciled once, by the night that matched its file: not by a missing file, nor again by another."""

from __future__ import annotations

from datetime import date
from typing import Any

from reconciliation.reconciled_days import read_reconciled_days

from .conftest import PREPARED_AT

DAY, NEXT = date(2024, 4, 3), date(2024, 4, 4)


def causes(world: Any) -> list[str]:
    return [row["cause"] for row in world.sql("SELECT cause FROM reconciliation.reconciled_day")]


async def test_a_day_is_reconciled_once_and_bank_by_bank(world: Any) -> None:
    world.pay("BANKA", "A1", 1000)
    world.cut_off(NEXT)
    await world.night()  # no file has come
    assert await read_reconciled_days(world.setup.dsn) == {}
    world.send("BANKA", [world.line("A1", 1000)])
    await world.night()
    assert await read_reconciled_days(world.setup.dsn) == {(DAY, "BANKA"): PREPARED_AT}
    [first] = causes(world)
    world.send("BANKA", [world.line("A1", 900)], sequence=2)
    await world.night()
    await world.night()
    assert causes(world) == [first]
    assert len(await read_reconciled_days(world.setup.dsn)) == 1


async def test_before_the_first_night_s_tables_nothing_is_reconciled(world: Any) -> None:
    world.sql("DROP TABLE reconciliation.reconciled_day")
    assert await read_reconciled_days(world.setup.dsn) == {}
