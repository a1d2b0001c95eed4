"""Payments are told: at least once, in each customer's order, past trouble of every kind. Real database, real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gateway.events.answers import Answer
from gateway.events.letters import EventsRefusedError, discard, letters, redeliver
from gateway.events.outbox import Outbox
from gateway.events.sending import Sender
from gateway.ledger.store_postgres import PostgresStore, open_postgres_store
from gateway.metrics import Metrics
from gateway.outcomes import Approved
from tests.gateway.ledger.installations import PARTITIONS, of_trace, payment, reversal, run_batch, write_batch

from .receiver import Event, verifies
from .world import CUSTOMERS, HOPELESS, OTHER_CUSTOMERS, World, now

ANNE, BERT, CARL, DORA, EMIL, FAYE = CUSTOMERS


def customers(events: list[Event]) -> list[str]:
    return [event["customer_no"] for event in events]


async def test_a_payment_and_what_undoes_it_arrive(world: World) -> None:
    async with world.telling():
        paid, undone = payment("P1", ANNE, 12_345), reversal("P2", ANNE, of_trace("P1"), 12_345)
        for one in (paid, undone):
            [outcome] = await run_batch(world.stores[0], [one])
            assert isinstance(outcome, Approved)
        first, second = await world.receiver.until_taken(2)
    assert first["kind"] == "PAYMENT"
    assert first["customer_no"] == ANNE
    assert first["amount"] == {"minor": 12_345, "currency": "CNY"}
    assert first["settled"] == [
        {
            "receivable_id": f"R{ANNE}",
            "billing_month": "202611",
            "charge_kind": "010",
            "principal": {"minor": 12_345, "currency": "CNY"},
            "penalty": {"minor": 0, "currency": "CNY"},
        }
    ]
    assert (first["bank"], first["channel"], first["clearing_date"]) == ("GZB", "BANK_COUNTER", "2026-11-25")
    assert (first["paid_at"], first["recorded_at"]) == ("2026-11-25T02:00:00.000Z", "2026-11-25T02:00:00.000Z")
    assert first["original_event_id"] is None
    assert second["kind"] == "REVERSAL"
    assert second["original_event_id"] == first["event_id"]
    assert second["settled"][0]["principal"]["minor"] == -12_345
    assert second["sequence"] > first["sequence"]


async def test_partitions_and_subscribers_are_told_apart(world: World) -> None:
    desk = replace(world.subscriber, name="disconnection-desk")
    async with world.telling(world.subscriber, desk):
        await world.pay(ANNE, BERT)
        await world.pay(OTHER_CUSTOMERS[0], partition=1)
        await world.receiver.until_taken(6)
    told = [json.loads(body) for _headers, body in world.receiver.requests]
    by_subscriber = {name: [one for one in told if one["subscriber"] == name] for name in ("call-centre", desk.name)}
    for requests in by_subscriber.values():
        assert sorted(who for one in requests for who in customers(one["events"])) == sorted(
            [ANNE, BERT, OTHER_CUSTOMERS[0]]
        )
        assert {one["partition"] for one in requests} == {0, 1}


async def test_a_subscription_begins_where_it_is_made(world: World) -> None:
    await world.pay(ANNE)
    async with world.telling():
        await world.pay(BERT)
        await world.receiver.until_taken(1)
    await world.pay(CARL)  # while nobody tells
    async with world.telling():
        await world.receiver.until_taken(2)
    assert customers(world.receiver.taken) == [BERT, CARL]


async def test_every_delivery_is_signed_and_a_tampered_one_is_not(world: World) -> None:
    async with world.telling():
        await world.pay(ANNE)
        await world.receiver.until_taken(1)
    [(headers, body)] = world.receiver.requests
    key: Any = world.subscriber.key.private.public_key()
    assert verifies(key, "call-centre", headers, body)
    assert "key=utility-2026; algorithm=RSA-SHA256" in headers["Busbar-Signature"]
    tampered = body.replace(b'"minor":100', b'"minor":900')
    assert tampered != body
    assert not verifies(key, "call-centre", headers, tampered)
    assert not verifies(key, "disconnection-desk", headers, body)
    later = dict(headers)
    later["Busbar-Signature"] = later["Busbar-Signature"].replace("timestamp=2", "timestamp=3")
    assert not verifies(key, "call-centre", later, body)


async def test_a_row_that_committed_late_is_not_skipped(world: World) -> None:
    """The lower number is booked, not committed; the higher one is committed; both arrive, in order."""
    other = await world_store(world)
    async with world.telling():
        await write_batch(world.stores[0], [payment(world.trace(), ANNE, 100)])
        await run_batch(other, [payment(world.trace(), BERT, 100)])
        # Of another partition, and so of another teller: that it arrives shows that looks went on meanwhile.
        for _ in range(3):
            await world.pay(OTHER_CUSTOMERS[0], partition=1)
            await world.receiver.until_taken(len(world.receiver.taken) + 1)
        assert BERT not in customers(world.receiver.taken)
        await world.stores[0].commit()
        await world.receiver.until_taken(5)
    assert [who for who in customers(world.receiver.taken) if who in CUSTOMERS] == [ANNE, BERT]
    await other.close()


async def world_store(world: World) -> PostgresStore:
    return await open_postgres_store(world.dsn, 0, PARTITIONS, "CNY")


async def booked_now(store: PostgresStore, operations: list[Any]) -> bool:
    """A batch, unless somebody else has one of its customers at this moment."""
    try:
        await run_batch(store, operations)
    except AssertionError:
        await store.roll_back()
        return False
    return True


async def test_order_under_two_processes_that_book_the_same_customers(world: World) -> None:
    other = await world_store(world)

    async def book(store: PostgresStore, rounds: int) -> None:
        for number in range(rounds):
            who = [CUSTOMERS[number % 3], CUSTOMERS[(number + 1) % 3]]
            while not await booked_now(store, [payment(world.trace(), one, 100) for one in who]):
                continue

    async with world.telling():
        await asyncio.gather(book(world.stores[0], 40), book(other, 40))
        booked = await world.booked()
        await world.receiver.until_taken(len(booked))
    assert len(booked) == 160
    expected: dict[str, list[int]] = {}
    for who, number in booked:
        expected.setdefault(who, []).append(number)
    assert world.receiver.by_customer() == expected
    await other.close()


async def test_a_receiver_that_is_down_and_comes_up(world: World) -> None:
    await world.subscribe()
    await world.receiver.stop()
    async with world.telling():
        for who in (ANNE, BERT, ANNE):
            await world.pay(who)
        await world.receiver.start()
        await world.receiver.until_taken(3)
        assert customers(world.receiver.taken) == [ANNE, BERT, ANNE]
    assert await letters(world.dsn, PARTITIONS, None, 10) == []


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504, 302])
async def test_trouble_of_the_receiver_moves_nothing(world: World, status: int) -> None:
    """Whatever it says to everybody: the events wait, nobody is set aside, and all arrive when it is well again."""
    # A whole batch, and of a 500 also the first event of each customer alone; then the batch again.
    answers = iter([status] * (4 if status == 500 else 2))
    world.receiver.decide = lambda _events: next(answers, 204)
    async with world.telling():
        await world.pay(ANNE, BERT, ANNE)
        await world.receiver.until_taken(3)
    assert customers(world.receiver.taken) == [ANNE, BERT, ANNE]
    assert await letters(world.dsn, PARTITIONS, None, 10) == []


async def test_a_refused_event_is_set_aside_with_what_follows_for_its_customer(world: World) -> None:
    world.receiver.decide = lambda events: 422 if BERT in customers(events) else 204
    async with world.telling():
        await world.pay(ANNE, BERT, CARL, BERT, DORA)
        await world.receiver.until_taken(3)
        assert customers(world.receiver.taken) == [ANNE, CARL, DORA]
        await world.until_letters(dead=1, behind=1)
        await world.pay(BERT, EMIL)
        await world.receiver.until_taken(4)
        await world.until_letters(dead=1, behind=2)
        [line] = await letters(world.dsn, PARTITIONS, "call-centre", 10)
        assert (line.reason, line.state, line.behind, line.attempts) == ("HTTP 422", "DEAD", 2, 1)
        assert 'busbar_events_dead{partition="0",subscriber="call-centre"} 1.0' in world.metrics.render().decode()

        world.receiver.decide = lambda _events: 204
        assert await redeliver(world.dsn, PARTITIONS, "call-centre", line.reference_no, now()) == (line.reference_no,)
        await world.receiver.until_taken(7)
        await world.until_letters(dead=0, behind=0, trying=0)
    told = world.receiver.by_customer()[BERT]
    assert len(told) == 3
    assert told == sorted(told)


async def test_a_redelivery_that_is_refused_again_stays_dead(world: World) -> None:
    world.receiver.decide = lambda events: 400 if BERT in customers(events) else 204
    async with world.telling():
        await world.pay(BERT)
        await world.pay(BERT)
        await world.until_letters(dead=1, behind=1)
        before = len(world.receiver.offered)
        await redeliver(world.dsn, PARTITIONS, "call-centre", None, now())
        await world.receiver.until(lambda: len(world.receiver.offered) > before)
        await world.until_letters(dead=1, behind=1)
        [line] = await letters(world.dsn, PARTITIONS, None, 10)
        assert line.attempts == 1  # counted anew
        # The head is given up for good: the one behind it is told.
        world.receiver.decide = lambda _events: 204
        await discard(world.dsn, PARTITIONS, "call-centre", line.reference_no, now())
        await world.receiver.until_taken(1)
    assert world.receiver.ids() != [line.reference_no]
    assert len(world.receiver.taken) == 1


async def test_an_event_at_which_the_receiver_fails_holds_up_its_customer_only(world: World) -> None:
    """500 for one, 2xx for the others: tried again apart, in order, until it goes through."""
    is_ill = True
    world.receiver.decide = lambda events: 500 if is_ill and BERT in customers(events) else 204
    async with world.telling():
        await world.pay(BERT, ANNE, BERT, CARL)
        await world.receiver.until_taken(2)
        await world.until_letters(trying=1, behind=1)
        alone = sum(customers(events) == [BERT] for events in world.receiver.offered)
        await world.receiver.until(
            lambda: sum(customers(events) == [BERT] for events in world.receiver.offered) > alone + 1
        )
        is_ill = False
        await world.receiver.until_taken(4)
        await world.until_letters(trying=0, behind=0)
    assert customers(world.receiver.taken) == [ANNE, CARL, BERT, BERT]
    told = world.receiver.by_customer()[BERT]
    assert told == sorted(told)


async def test_one_that_fails_for_too_long_is_dead(world: World) -> None:
    world.changed(patience=HOPELESS)
    world.receiver.decide = lambda events: 500 if BERT in customers(events) else 204
    async with world.telling():
        await world.pay(BERT, ANNE)
        await world.until_letters(dead=1)
    assert customers(world.receiver.taken) == [ANNE]


async def test_an_outage_that_is_too_long_ends_in_dead_letters_and_these_can_be_told_later(world: World) -> None:
    world.changed(patience=HOPELESS)
    await world.subscribe()
    await world.receiver.stop()
    await world.pay(ANNE, BERT, ANNE)
    async with world.telling():
        await world.until_letters(dead=2, behind=1)
        found = await letters(world.dsn, PARTITIONS, None, 10)
        assert {line.reason for line in found} == {"no connection"}
        await world.receiver.start()
        await redeliver(world.dsn, PARTITIONS, "call-centre", None, now())
        await world.receiver.until_taken(3)
    told = world.receiver.by_customer()
    assert told[ANNE] == sorted(told[ANNE])


async def test_a_receiver_that_hangs_at_one_event(world: World) -> None:
    world.changed(timeout_seconds=0.3)

    async def decide(events: list[Event]) -> int:
        if BERT in customers(events):
            await asyncio.sleep(30)
        return 204

    world.receiver.decide = decide
    async with world.telling():
        await world.pay(BERT, ANNE)
        await world.receiver.until_taken(1)
        await world.until_letters(trying=1)
        await world.pay(CARL)
        await world.receiver.until_taken(2)
    assert customers(world.receiver.taken) == [ANNE, CARL]


async def test_a_crash_between_telling_and_recording_tells_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Outbox.record_new
    crashes = iter([True])

    async def crash_once(self: Outbox, *args: Any) -> None:
        if next(crashes, False):
            self.drop()
        await record(self, *args)

    monkeypatch.setattr(Outbox, "record_new", crash_once)
    async with world.telling():
        await world.pay(ANNE, BERT)
        await world.receiver.until_taken(4)
        await world.pay(CARL)
        await world.receiver.until_taken(5)
    assert customers(world.receiver.taken) == [ANNE, BERT, ANNE, BERT, CARL]


def told_apart(world: World, count: int) -> bool:
    return len(set(world.receiver.ids())) == count


async def test_sessions_that_the_server_ends_are_begun_again(world: World) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'busbar events%'"
    async with world.telling():
        for number in range(1, 4):
            await world.installation.admin.execute(end)
            await world.pay(ANNE)
            await world.receiver.until(partial(told_apart, world, number))
    told = list(dict.fromkeys(world.receiver.by_customer()[ANNE]))
    assert told == [number for _who, number in await world.booked()], "some twice perhaps, none out of order"


async def test_of_two_processes_one_tells_and_the_other_takes_over(world: World) -> None:
    """Two sets of tellers as two processes have them; the first is stopped in the middle."""
    second = Metrics()
    async with world.telling():
        await world.pay(ANNE)
        await world.receiver.until_taken(1)
        waiting = asyncio.Event()
        end = asyncio.Event()

        async def run_second() -> None:
            async with world.telling(metrics=second):
                waiting.set()
                await end.wait()

        task = asyncio.create_task(run_second())
        await waiting.wait()
        await world.pay(BERT)
        await world.receiver.until_taken(2)
    await world.pay(CARL)
    await world.receiver.until_taken(3)
    end.set()
    await task
    assert customers(world.receiver.taken) == [ANNE, BERT, CARL], "each once, in spite of two processes"
    counted = 'busbar_events_delivered_total{subscriber="call-centre"}'
    assert f"{counted} 2.0" in world.metrics.render().decode()
    assert f"{counted} 1.0" in second.render().decode()


async def test_a_stop_finishes_what_is_being_sent(world: World) -> None:
    arrived = asyncio.Event()

    async def decide(_events: list[Event]) -> int:
        arrived.set()
        await asyncio.sleep(0.2)
        return 204

    world.receiver.decide = decide
    async with world.telling():
        await world.pay(ANNE)
        await arrived.wait()
    assert (await world.status()).waiting == 0
    assert len(world.receiver.taken) == 1


async def test_a_fault_of_our_own_is_logged_and_begun_again(
    world: World, monkeypatch: pytest.MonkeyPatch, log_stream: io.StringIO
) -> None:
    send = Sender.send
    faults = iter([True])

    async def fail_once(self: Sender, *args: Any) -> Answer:
        if next(faults, False):
            raise RuntimeError(f"a message that quotes {ANNE}")
        return await send(self, *args)

    monkeypatch.setattr(Sender, "send", fail_once)
    async with world.telling():
        await world.pay(ANNE)
        await world.receiver.until_taken(1)
    assert "RuntimeError" in log_stream.getvalue()
    assert ANNE not in log_stream.getvalue()


async def test_no_log_line_names_a_customer(world: World, log_stream: io.StringIO) -> None:
    world.receiver.decide = lambda events: 422 if BERT in customers(events) else 204
    async with world.telling():
        await world.pay(ANNE, BERT, CARL)
        await world.until_letters(dead=1)
        await redeliver(world.dsn, PARTITIONS, "call-centre", None, now())
        await world.receiver.until(lambda: len(world.receiver.offered) > 4)
    logged = log_stream.getvalue()
    assert "event set aside" in logged
    assert not any(who in logged for who in CUSTOMERS)


async def test_what_people_ask_for_in_vain(world: World) -> None:
    await world.subscribe()
    for call, what in (
        (redeliver(world.dsn, PARTITIONS, "nobody", None, now()), "nobody subscribes as nobody"),
        (redeliver(world.dsn, PARTITIONS, "call-centre", "000000000001", now()), "in no queue"),
        (discard(world.dsn, PARTITIONS, "call-centre", "000000000001", now()), "not set aside"),
        (discard(world.dsn, PARTITIONS, "nobody", "000000000001", now()), "nobody subscribes"),
    ):
        with pytest.raises(EventsRefusedError, match=what):
            await call
    assert await redeliver(world.dsn, PARTITIONS, "call-centre", None, now()) == ()
