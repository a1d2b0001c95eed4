"""A night that is killed at any arrow and run again ends as if nothing had happened; two nights never write at once."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import replace
from datetime import date
from typing import Any

import asyncpg
import pytest

from gateway import clock
from gateway.database import connect
from reconciliation.errors import EvidenceChanged, NightTaken
from reconciliation.nightly import run_night
from reconciliation.setup import NightSetup, Stage, Step
from reconciliation.store import WHOLE_NIGHT, Claim, NightStore

DAY = date(2024, 4, 3)
NEXT = date(2024, 4, 4)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


def fill(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.pay("BANKA", "2", 2006, partition=1, customer_no="0600012346")
    world.undo(world.pay("BANKB", "000000000003", 750), "000000000004", "SAME_DAY_CANCEL")
    world.pay("BANKB", "000000000005", 900, prepaid_fen=100)
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("1", 1000), world.line("1", 1000), world.line("8", 500, receivable_id="RX")])
    world.send("BANKB", [world.line("000000000005", 950, channel=None, settle_method=None, charge_kind=None)])


async def arrows(world: Any) -> list[Step]:
    """Every step that a whole night tells, in order; leaves the finished night behind."""
    steps: list[Step] = []
    result = await world.night(progress=steps.append)
    assert result.is_ok
    assert {step.stage for step in steps} == set(Stage)
    return steps


def state_of(world: Any) -> tuple[Any, ...]:
    """Everything that must come out the same, byte for byte."""
    return world.files(), world.stored_breaks()


async def test_a_night_killed_at_any_arrow_ends_the_same(world: Any) -> None:
    fill(world)
    steps = await arrows(world)
    expected = state_of(world)
    forget(world)
    # Killed at the first arrow, started again and killed at the second, and so on: every arrow is a starting point.
    for number in range(len(steps)):
        with pytest.raises(Killed):
            await world.night(progress=killer(number))
    assert (await world.night()).is_ok
    assert state_of(world) == expected


async def test_a_night_that_is_done_changes_nothing_when_run_again(world: Any) -> None:
    fill(world)
    await world.night()
    before = state_of(world), world.sql("SELECT count(*) FROM reconciliation.break_event")
    await world.night()
    assert (state_of(world), world.sql("SELECT count(*) FROM reconciliation.break_event")) == before


def killer(number: int) -> Any:
    count = iter(range(number + 1))

    def tell(_: Step) -> None:
        if next(count) == number:
            raise Killed

    return tell


def forget(world: Any) -> None:
    """Start from nothing: the night's own book and folders are empty again, the ledger and the inboxes are not."""
    world.sql("TRUNCATE reconciliation.run, reconciliation.file, reconciliation.break, reconciliation.break_event")
    world.setup = replace(
        world.setup,
        work_folder=world.folder / "again" / "work",
        reports_folder=world.folder / "again" / "reports",
    )


def _night_that_dies(setup: NightSetup, number: int) -> None:
    count = iter(range(number + 1))

    def die(_: Step) -> None:
        if next(count) == number:
            os._exit(9)

    asyncio.run(run_night(setup, DAY, die))


@pytest.mark.parametrize("number", [9, 17])
async def test_a_night_whose_process_dies_can_be_run_again(world: Any, number: int) -> None:
    fill(world)
    # A lambda does not travel to another process, which is forked for that reason.
    process = multiprocessing.get_context("fork").Process(target=_night_that_dies, args=(world.setup, number))
    process.start()
    await asyncio.to_thread(process.join)
    assert process.exitcode == 9
    result = await world.night()
    assert result.is_ok
    assert [item.kind.value for item in result.banks[0].breaks] != []


async def test_changed_evidence_is_an_error_that_names_the_file(world: Any) -> None:
    fill(world)
    await world.night()
    path = next(world.setup.work_folder.rglob("payments.parquet"))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(EvidenceChanged, match=r"payments.parquet: evidence differs from the digest"):
        await world.night()
    path.unlink()
    with pytest.raises(EvidenceChanged, match=r"payments.parquet: evidence recorded earlier is gone"):
        await world.night()


async def test_of_two_nights_at_once_one_wins(world: Any) -> None:
    fill(world)
    second: list[BaseException] = []

    def start_another(step: Step) -> None:
        if step.stage is Stage.MATCH and not second:
            second.append(world_error(world))

    result = await world.night(progress=start_another)
    assert result.is_ok
    [error] = second
    assert isinstance(error, NightTaken)
    assert str(error) == "another night is running on this database; wait for it, or end it, and run again"


def world_error(world: Any) -> BaseException:
    """What a night that is started now, in another process's place, ends with."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as executor:
        error = executor.submit(lambda: asyncio.run(run_night(world.setup, DAY))).exception()
    assert error is not None
    return error


async def test_a_night_that_was_overtaken_writes_nothing_more(world: Any) -> None:
    fill(world)

    def overtake(step: Step) -> None:
        # As if this night's connection had been lost and another night had claimed the day meanwhile.
        if step.stage is Stage.MATCH and step.bank == "BANKB" and step.done == 0:
            world.sql(
                "UPDATE reconciliation.run SET epoch = epoch + 1 WHERE bank = $1 AND clearing_date = $2",
                WHOLE_NIGHT,
                DAY,
            )

    with pytest.raises(NightTaken, match=r"taken over by another run \(epoch 2, ours was 1\)"):
        await world.night(progress=overtake)
    assert {row["bank"] for row, _, _ in world.stored_breaks()} == {"BANKA"}
    assert (await world.night()).is_ok


async def test_every_write_checks_the_epoch(world: Any) -> None:
    connection = await connect(world.setup.dsn)
    try:
        store = NightStore(connection, clock.now)
        old = await store.claim(DAY)
        new = await store.claim(DAY)
        assert new == Claim(DAY, old.epoch + 1)
        for write in (
            store.open_bank(old, "BANKA"),
            store.record_evidence(old, "BANKA", {"x": "y"}),
            store.note_result(old, "BANKA", "done", {}),
            store.replace_breaks(old, "BANKA", [], cause="", state="done", result={}),
            store.age(old, []),
        ):
            with pytest.raises(NightTaken):
                await write
    finally:
        await connection.close()


REFUSED = [
    "UPDATE reconciliation.break SET difference_fen = 0",
    "DELETE FROM reconciliation.break",
    "TRUNCATE reconciliation.break, reconciliation.break_event",
    "UPDATE reconciliation.break_event SET cause = ''",
    "DELETE FROM reconciliation.break_event",
    "UPDATE reconciliation.file SET verdict = 'accepted'",
    "DELETE FROM reconciliation.file",
    "DELETE FROM reconciliation.run",
    "UPDATE reconciliation.run SET clearing_date = now()",
    "DROP TABLE reconciliation.break CASCADE",
    "SET ROLE busbar_owner",
    "SELECT count(*) FROM ledger_00.payment",
    "INSERT INTO ledger_00.clearing_day VALUES ('2030-01-01', now())",
]


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_nights_login_can_change_nothing_that_was_written(world: Any, statement: str) -> None:
    connection = await asyncpg.connect(world.setup.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()
