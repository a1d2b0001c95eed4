"""The cut-off: forwards only, the same day everywhere, repeatable, and no payment in a day that was left."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest

from gateway.database import Connection, PermissionRefused, connect
from gateway.ledger.cutoff import CutOffRefused, CutOffState, current_clearing_dates, cut_off
from gateway.ledger.decide import decide
from gateway.ledger.ledger import Ledger
from gateway.ledger.store_postgres import CLEARING_LOCK
from gateway.outcomes import Approved

from .installations import (
    FIRST_DAY,
    NEXT_DAY,
    PARTITIONS,
    RULES,
    Installation,
    at_home,
    bill,
    customer,
    evidence,
    payment,
)

THIRD_DAY = date(2026, 11, 27)
OPENED_AT = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)


async def dates_of(installation: Installation) -> dict[int, date]:
    return await current_clearing_dates(installation.admin, PARTITIONS)


async def hold_partition(installation: Installation, partition: int) -> Connection:
    """A batch in flight: it holds the clearing lock, shared, until it is closed."""
    connection = await connect(installation.gateway_dsn)
    await connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock_shared({CLEARING_LOCK}, {partition})")
    return connection


async def test_every_partition_moves(installation: Installation) -> None:
    report = await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY, now=lambda: OPENED_AT)
    assert report.is_complete
    assert [(one.state, one.previous_date, one.current_date) for one in report.partitions] == [
        (CutOffState.MOVED, FIRST_DAY, NEXT_DAY)
    ] * PARTITIONS
    assert await dates_of(installation) == dict.fromkeys(range(PARTITIONS), NEXT_DAY)
    opened = await installation.value("SELECT opened_at FROM ledger_01.clearing_day WHERE clearing_date = $1", NEXT_DAY)
    assert opened == OPENED_AT


async def test_a_repetition_changes_nothing(installation: Installation) -> None:
    await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY)
    report = await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY)
    assert report.is_complete
    assert {one.state for one in report.partitions} == {CutOffState.ALREADY_MOVED}
    assert await installation.count("clearing_day") == 2 * PARTITIONS


async def test_one_that_died_half_way_is_finished(installation: Installation) -> None:
    await installation.admin.execute("INSERT INTO ledger_00.clearing_day VALUES ($1, now())", NEXT_DAY)
    report = await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY)
    assert [one.state for one in report.partitions] == [CutOffState.ALREADY_MOVED, CutOffState.MOVED]
    assert report.is_complete


@pytest.mark.parametrize(
    ("half_done", "next_date", "what"),
    [
        (False, date(2026, 11, 24), "can't go back"),
        (False, date(2027, 11, 25), "more than 31 days"),
        (True, THIRD_DAY, "only half done"),
        (True, FIRST_DAY, "only half done"),
    ],
)
async def test_a_wrong_day_is_refused(installation: Installation, half_done: bool, next_date: date, what: str) -> None:
    if half_done:
        await installation.admin.execute("INSERT INTO ledger_01.clearing_day VALUES ($1, now())", NEXT_DAY)
    before = await dates_of(installation)
    with pytest.raises(CutOffRefused, match=what):
        await cut_off(installation.gateway_dsn, PARTITIONS, next_date)
    assert await dates_of(installation) == before


async def test_a_partition_that_is_busy_for_too_long_is_told_and_the_others_move(installation: Installation) -> None:
    busy = await hold_partition(installation, 0)
    report = await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY, wait_seconds=0.05)
    assert [one.state for one in report.partitions] == [CutOffState.NOT_IN_TIME, CutOffState.MOVED]
    assert not report.is_complete
    assert await dates_of(installation) == {0: FIRST_DAY, 1: NEXT_DAY}
    await busy.close()
    assert (await cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY)).is_complete


async def test_it_waits_for_a_batch_in_flight(installation: Installation) -> None:
    busy = await hold_partition(installation, 1)
    moving = asyncio.create_task(cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY))
    await asyncio.sleep(0.1)
    assert not moving.done()
    await busy.execute("COMMIT")
    assert (await moving).is_complete
    await busy.close()


async def test_one_cut_off_at_a_time(installation: Installation) -> None:
    busy = await hold_partition(installation, 0)
    first = asyncio.create_task(cut_off(installation.gateway_dsn, PARTITIONS, NEXT_DAY))
    await asyncio.sleep(0.1)
    with pytest.raises(CutOffRefused, match="another cut-off is under way"):
        await cut_off(installation.gateway_dsn, PARTITIONS, THIRD_DAY, wait_seconds=0.05)
    await busy.close()
    assert (await first).is_complete
    assert set((await dates_of(installation)).values()) == {NEXT_DAY}


async def test_the_night_can_not_cut_off(installation: Installation) -> None:
    with pytest.raises(PermissionRefused):
        await cut_off(installation.night_dsn, PARTITIONS, NEXT_DAY)


async def test_no_payment_lands_in_a_day_that_was_left(installation: Installation) -> None:
    """Payments race cut-offs from two processes' ledgers.

    Whatever is booked on a day was recorded before the next day was opened, and the answer says the booked day.
    """
    customers = [at_home(n % PARTITIONS, n // PARTITIONS) for n in range(40)]
    await installation.seed(map(customer, customers), [bill(f"R{who}", who, 10**6) for who in customers])
    stop = asyncio.Event()
    told: dict[str, date] = {}

    async def pay(ledger: Ledger, who: str, number: int) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            outcome = await ledger.submit(payment(f"{who}-{number}-{n}", who, 1), evidence())
            assert isinstance(outcome, Approved)
            told[outcome.reference_no or ""] = outcome.clearing_date

    async with (
        Ledger(installation.gateway_dsn, PARTITIONS, rules=RULES, decide=decide) as one,
        Ledger(installation.gateway_dsn, PARTITIONS, rules=RULES, decide=decide) as other,
    ):
        payers = [asyncio.create_task(pay(one if n % 2 else other, who, n)) for n, who in enumerate(customers)]
        for day in (NEXT_DAY, THIRD_DAY):
            await asyncio.sleep(0.2)
            assert (await one.cut_off(day)).is_complete
            # What is extracted now must never grow.
            left = await installation.count("payment", f"clearing_date < '{day}'")
            await asyncio.sleep(0.2)
            assert await installation.count("payment", f"clearing_date < '{day}'") == left
        stop.set()
        await asyncio.gather(*payers)
        assert await other.current_clearing_dates() == dict.fromkeys(range(PARTITIONS), THIRD_DAY)
    booked = {}
    for partition in range(PARTITIONS):
        rows = await installation.admin.fetch(f"SELECT reference_no, clearing_date FROM ledger_{partition:02d}.payment")
        booked.update((row["reference_no"], row["clearing_date"]) for row in rows)
    assert told == booked
    assert set(booked.values()) == {FIRST_DAY, NEXT_DAY, THIRD_DAY}
    await installation.check_books()
