"""A gateway process with a subscriber: a bank's payment arrives at it, and `kill -9` between telling and recording
tells again what may not have been told.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession

from busbar.installations import create_sample
from gateway.config import load
from tests.gateway.ledger.installations import PASSWORD, Installation, bill, customer
from tests.gateway.servers.xml_peer import XmlPeer

from .receiver import Event, Receiver, verifies

CUSTOMER = "060000012340"
START_SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path, installation: Installation, receiver: Receiver) -> Path:
    """The sample installation, on the ledger of the test, with the receiver as its subscriber."""
    create_sample(tmp_path)
    path = tmp_path / "busbar.toml"
    parts = urlsplit(installation.gateway_dsn)
    dsn = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    text = path.read_text("utf-8").replace('dsn = "embedded"', f'dsn = "{dsn}"')
    text = text.replace("partitions = 4", "partitions = 2")
    text += f'\n[[events]]\nname = "call-centre"\nurl = "{receiver.url}"\nsign_key = "utility-2026"\n'
    path.write_text(text, "utf-8")
    (tmp_path / "var" / "passwords").mkdir(parents=True)
    for role in ("gateway", "night"):
        password = tmp_path / "var" / "passwords" / role
        password.write_text(PASSWORD, "utf-8")
        password.chmod(0o600)
    return tmp_path


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`busbar serve` as a process of its own, and where its HTTP listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "busbar", "serve", "--installation", str(folder), "--ready-json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        yield process, json.loads(line)["addresses"]["http"]
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def pay(folder: Path, http: str) -> None:
    """A bank's payment on the XML wire."""
    peer = XmlPeer(datetime.now(UTC), CUSTOMER, load(folder).keyring, "yyb-2026")
    async with (
        ClientSession(headers={"Content-Type": "application/xml"}) as client,
        client.post(f"http://{http}/bankxml", data=peer.request("payment.req")) as response,
    ):
        reply: Any = peer.opened(await response.read(), "utility-2026")
    assert reply.body.result.outcome_class == "success", reply


async def metrics(http: str) -> str:
    async with ClientSession() as client, client.get(f"http://{http}/metrics") as response:
        return await response.text()


async def test_a_banks_payment_is_told(folder: Path, installation: Installation, receiver: Receiver) -> None:
    await installation.seed([customer(CUSTOMER)], [bill("R1", CUSTOMER, 12_345)])
    async with gateway(folder) as (process, http):
        await pay(folder, http)
        [event] = await receiver.until_taken(1)
        assert 'busbar_events_lag_seconds{partition="' in await metrics(http)
    assert process.returncode == 0
    assert (event["kind"], event["customer_no"], event["bank"]) == ("PAYMENT", CUSTOMER, "YYB")
    assert event["amount"] == {"minor": 12_345, "currency": "CNY"}
    assert [line["receivable_id"] for line in event["settled"]] == ["R1"]
    [(headers, body)] = receiver.requests
    key: Any = load(folder).keyring.verifying_key("utility-2026").public
    assert verifies(key, "call-centre", headers, body)


async def test_killed_between_telling_and_recording(
    folder: Path, installation: Installation, receiver: Receiver
) -> None:
    """The process dies with the request taken and no answer read: nobody knows, so it is told again, and nothing is
    lost."""
    await installation.seed([customer(CUSTOMER)], [bill("R1", CUSTOMER, 12_345)])
    arrived, killed = asyncio.Event(), asyncio.Event()

    async def take_and_wait(_events: list[Event]) -> int:
        arrived.set()
        await killed.wait()
        return 204

    receiver.decide = take_and_wait
    async with gateway(folder) as (process, http):
        await pay(folder, http)
        await arrived.wait()
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    killed.set()
    receiver.decide = lambda _events: 204
    offered = len(receiver.offered)
    async with gateway(folder):
        await receiver.until(lambda: len(receiver.offered) > offered)
    assert len({event["event_id"] for events in receiver.offered for event in events}) == 1
    assert receiver.offered[0] == receiver.offered[-1], "an event told again says the same"
