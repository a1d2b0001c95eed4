"""The book of unresolved money on a real PostgreSQL: lost connections, two processes, and rows that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.ledger import unresolved as module
from gateway.ledger.partitions import home
from gateway.ledger.unresolved import Cause, Doubt, Heard, Told, UnresolvedBook
from gateway.operations import OperationKind
from protocols.money import Money

from .installations import BANK, FIRST_DAY, PARTITIONS, Installation, at_home, key

NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)


def doubt(trace_no: str, customer_no: str, amount_fen: int = 500, *, at: datetime = NOW) -> Doubt:
    about = (BANK, FIRST_DAY, trace_no)
    own = key(OperationKind.PAYMENT, trace_no)
    return Doubt(own, customer_no, Money(amount_fen), Cause.REPLY_NOT_DELIVERED, at, "t", about)


def told(trace_no: str, customer_no: str, *, received_at: datetime = NOW + timedelta(seconds=1)) -> Told:
    own = key(OperationKind.PAYMENT, trace_no)
    return Told(customer_no, Heard.RESEND, NOW + timedelta(seconds=2), received_at, "t2", BANK, own)


@asynccontextmanager
async def book(installation: Installation) -> AsyncIterator[UnresolvedBook]:
    made = UnresolvedBook(
        installation.gateway_dsn, PARTITIONS, lambda number: home(number, PARTITIONS), now=lambda: NOW
    )
    async with made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def rows(installation: Installation) -> list[tuple[Any, ...]]:
    found = []
    for partition in range(PARTITIONS):
        found += await installation.admin.fetch(
            f"SELECT trace_no, is_open, closed_by, cause FROM ledger_{partition:02d}.published_unresolved ORDER BY 1"
        )
    return sorted(tuple(row) for row in found)


async def test_written_in_order_and_read_again_at_the_next_start(installation: Installation) -> None:
    first, second = at_home(0), at_home(1)
    async with book(installation) as one:
        one.say(doubt("1", first))
        one.say(doubt("2", second))
        one.say(told("1", first))
        assert one.is_watched((BANK, FIRST_DAY, "2"))
        await until(lambda: not one.waiting and one.open_count(BANK) == 1)
        assert not one.is_watched((BANK, FIRST_DAY, "1"))
        assert one.open_count("OTHER") == one.oldest_seconds("OTHER") == 0
    expected = [("1", False, "RESEND", "REPLY_NOT_DELIVERED"), ("2", True, None, "REPLY_NOT_DELIVERED")]
    assert await rows(installation) == expected
    async with book(installation) as again:
        assert again.is_watched((BANK, FIRST_DAY, "2"))
        assert again.open_count(BANK) == 1


async def test_stopping_writes_what_waits(installation: Installation) -> None:
    async with book(installation) as one:
        for number in range(200):
            one.say(doubt(f"{number:03d}", at_home(number % PARTITIONS)))
    assert len(await rows(installation)) == 200


async def test_what_one_process_opens_another_may_close(installation: Installation) -> None:
    who = at_home(0)
    async with book(installation) as one, book(installation) as other:
        one.say(doubt("1", who))
        await until(lambda: other.is_watched((BANK, FIRST_DAY, "1")))
        other.say(told("1", who))
        one.say(told("1", who))
        await until(lambda: one.open_count(BANK) == other.open_count(BANK) == 0)
    closed = await installation.admin.fetch("SELECT 1 FROM ledger_00.unresolved_event WHERE event = 'CLOSED'")
    assert len(closed) == 1


async def test_an_answer_from_before_the_doubt_is_a_late_reply(installation: Installation) -> None:
    who = at_home(0)
    async with book(installation) as one:
        one.say(doubt("1", who))
        one.say(told("1", who, received_at=NOW - timedelta(seconds=1)))
    assert [row[2] for row in await rows(installation)] == ["LATE_REPLY"]


async def test_a_lost_connection_loses_nothing(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    who = at_home(0)
    async with book(installation) as one:
        for number in range(20):
            one.say(doubt(f"{number:02d}", who))
            if number % 5 == 0:
                await installation.admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'busbar unresolved'"
                )
                await asyncio.sleep(0.02)
        await until(lambda: not one.waiting)
    assert [row[0] for row in await rows(installation)] == [f"{number:02d}" for number in range(20)]


async def test_a_refused_row_does_not_stop_the_next(installation: Installation) -> None:
    who = at_home(0)
    async with book(installation) as one:
        one.say(doubt("1", who, amount_fen=0))
        one.say(doubt("2", who))
        await until(lambda: not one.waiting)
        assert one.dropped == 1
    assert [row[0] for row in await rows(installation)] == ["2"]


async def test_the_queue_is_bounded(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_LIMIT", 3)
    who = at_home(0)
    async with book(installation) as one:
        for number in range(5):
            one.say(doubt(str(number), who))
        assert one.dropped == 2
    assert [row[0] for row in await rows(installation)] == ["0", "1", "2"]
