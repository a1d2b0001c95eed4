"""The outbox on a real server: how far it reads, who holds the lease, what a loser can still do (nothing)."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.database import Connection, DatabaseError, connect
from gateway.events.answers import Verdict
from gateway.events.judging import Letter, LetterState
from gateway.events.outbox import LeaseLostError, Outbox
from gateway.events.sending import Sender
from gateway.ledger.store_postgres import open_postgres_store
from tests.gateway.ledger.installations import PARTITIONS, eventually, payment, run_batch, write_batch

from .receiver import Event
from .test_event import EVENT
from .world import CUSTOMERS, OTHER_CUSTOMERS, World, now

ANNE, BERT = CUSTOMERS[:2]


async def numbers(outbox: Outbox) -> list[int]:
    await outbox.look()
    return [one.event.sequence for one in await outbox.read_new(100)]


async def test_what_is_booked_below_is_waited_for(world: World) -> None:
    other = await open_postgres_store(world.dsn, 0, PARTITIONS, "CNY")
    outbox = await world.outbox()
    await write_batch(world.stores[0], [payment("L", ANNE, 100)])  # takes its number and does not commit
    await run_batch(other, [payment("H", BERT, 100)])
    for _ in range(3):
        assert await numbers(outbox) == []
    assert outbox.horizon.is_waiting
    await world.stores[0].commit()
    assert await numbers(outbox) == [number for _who, number in await world.booked()]
    assert len(await world.booked()) == 2
    outbox.drop()
    await other.close()


async def test_what_is_given_up_below_is_not_waited_for(world: World) -> None:
    other = await open_postgres_store(world.dsn, 0, PARTITIONS, "CNY")
    outbox = await world.outbox()
    await write_batch(world.stores[0], [payment("L", ANNE, 100)])
    await run_batch(other, [payment("H", BERT, 100)])
    await world.stores[0].roll_back()
    assert await numbers(outbox) == [number for _who, number in await world.booked()]
    assert len(await world.booked()) == 1
    outbox.drop()
    await other.close()


async def test_nobody_waits_for_who_books_elsewhere(world: World) -> None:
    """A long import, another partition's batch, a cut-off: none of them can hold a number of this partition."""
    busy = await connect(world.installation.admin_dsn)
    await busy.execute("BEGIN; SELECT pg_current_xact_id(); UPDATE ledger_00.customer SET name = name")
    await write_batch(world.stores[1], [payment("E", OTHER_CUSTOMERS[0], 100)])
    await busy.execute("ROLLBACK; BEGIN; SELECT pg_current_xact_id(), pg_advisory_xact_lock(73510, 1000)")
    await world.pay(ANNE)
    outbox = await world.outbox()
    assert len(await numbers(outbox)) == 1
    await world.stores[1].roll_back()
    await busy.close()
    outbox.drop()


def test_one_statement_books_and_it_runs_under_the_clearing_lock() -> None:
    """The horizon rests on this: whoever takes a number holds the lock that `look.sql` asks for."""
    root = Path(__file__).parents[3]
    sources = [path for kind in ("py", "sql") for path in (root / "gateway").rglob(f"*.{kind}")]
    inserts = [path.name for path in sources if re.search(r"INSERT INTO payment\b(?!_)", path.read_text("utf-8"))]
    users = [path.name for path in sources if '"insert_payment"' in path.read_text("utf-8")]
    assert (inserts, users) == (["insert_payment.sql"], ["store_postgres.py"])


async def test_one_session_has_the_lease(world: World) -> None:
    await world.subscribe()
    first, second = await world.outbox(), await world.outbox()
    assert await first.take_lease()
    assert not await second.take_lease()
    assert first.lease_left_seconds > 30
    await first.release_lease()
    assert await second.take_lease()
    for outbox in (first, second):
        outbox.drop()


async def test_a_lease_ends_with_its_session(world: World) -> None:
    await world.subscribe()
    first, second = await world.outbox(), await world.outbox()
    assert await first.take_lease()
    first.drop()  # as a crash does
    await eventually(second.take_lease)
    second.drop()


async def test_who_has_lost_the_lease_can_write_nothing(world: World) -> None:
    await world.subscribe()
    await world.pay(ANNE)
    first = await world.outbox(lease_seconds=0.0)  # runs out at once
    second = await world.outbox()
    assert await first.take_lease()
    assert await second.take_lease()
    [number] = await numbers(second)
    letter = Letter(number, ANNE, LetterState.DEAD, "HTTP 422", 1, now())
    for attempt in (
        first.keep_lease(),
        first.record_new(number, [], now()),
        first.record_new(number, [letter], now()),
        first.record_again([letter], now()),
    ):
        with pytest.raises(LeaseLostError):
            await attempt
    await first.release_lease()  # not its to release
    third = await world.outbox()
    assert not await third.take_lease()
    found = await world.status()
    assert (found.waiting, found.dead, found.is_served) == (1, 0, True)
    await second.record_new(number, [], now())
    assert (await world.status()).waiting == 0
    for outbox in (first, second, third):
        outbox.drop()


async def test_a_cursor_and_its_letters_are_one_commit(world: World) -> None:
    await world.subscribe()
    await world.pay(ANNE, BERT)
    outbox = await world.outbox()
    assert await outbox.take_lease()
    first, second = await numbers(outbox)
    twice = [
        Letter(first, ANNE, LetterState.DEAD, "x", 1, now()),
        Letter(second, ANNE, LetterState.DEAD, "x", 1, now()),
    ]
    with pytest.raises(DatabaseError) as caught:
        await outbox.record_new(second, twice, now())
    assert caught.value.constraint == "event_dead_letter_one_head"
    assert (outbox.position, (await world.status()).waiting) == (0, 2)
    outbox.drop()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event_subscription SET subscriber = 'x'",
        "UPDATE event_subscription SET subscribed_at = now()",
        "DELETE FROM event_subscription",
        "UPDATE event_dead_letter SET customer_no = 'x'",
        "UPDATE event_dead_letter SET set_aside_at = now()",
        "DELETE FROM event_dead_letter",
        "INSERT INTO payment (recording_no) VALUES (1)",
    ],
)
async def test_what_the_gateway_may_not_do(world: World, statement: str) -> None:
    connection: Connection = await connect(world.dsn, search_path="ledger_00")
    with pytest.raises(DatabaseError) as caught:
        await connection.execute(statement)
    assert caught.value.sqlstate in ("42501", "428C9")
    await connection.close()


# --- one request


async def sent(world: World, **changes: Any) -> Any:
    subscriber = replace(world.subscriber, **changes)
    async with aiohttp.ClientSession() as client:
        return await Sender(subscriber, client, now).send(0, [EVENT])


async def test_redirects_are_not_followed(world: World) -> None:
    world.receiver.redirect_to = "/elsewhere"
    world.receiver.decide = lambda _events: 307
    answer = await sent(world)
    assert (answer.verdict, answer.reason) == (Verdict.UNAVAILABLE, "HTTP 307")
    assert world.receiver.taken == []


async def test_nobody_there(world: World) -> None:
    await world.receiver.stop()
    answer = await sent(world)
    assert (answer.verdict, answer.reason) == (Verdict.UNAVAILABLE, "no connection")


async def test_no_answer_in_time(world: World) -> None:

    async def hang(_events: list[Event]) -> int:
        await asyncio.sleep(30)
        return 204

    world.receiver.decide = hang
    answer = await sent(world, timeout_seconds=0.2)
    assert (answer.verdict, answer.reason) == (Verdict.FAILED, "no answer within 0.2 seconds")


async def test_plain_http_where_tls_is_meant(world: World) -> None:
    answer = await sent(world, url=world.receiver.url.replace("http:", "https:"))
    assert answer.verdict is Verdict.UNAVAILABLE


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS; its certificate vouches for itself and lies in `folder`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "receiver.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "receiver.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "receiver.pem", folder / "receiver.key")
    return context


async def test_tls_with_a_certificate_of_our_own_list(world: World, tmp_path: Path) -> None:
    await world.receiver.stop()
    await world.receiver.start(certificate(tmp_path))
    url = world.receiver.url.replace("http:", "https:")
    answer = await sent(world, url=url)
    assert (answer.verdict, answer.reason) == (Verdict.UNAVAILABLE, "the receiver's certificate is not trusted")
    assert world.receiver.taken == []
    trusting = ssl.create_default_context(cafile=tmp_path / "receiver.pem")
    assert (await sent(world, url=url, tls=trusting)).verdict is Verdict.ACCEPTED


async def test_addresses_do_not_show(world: World) -> None:
    assert "127.0.0.1" not in repr(world.subscriber)
