"""What servers tell of their answers: whether each one left on a connection that was whole."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from gateway.operations import Evidence, Operation
from gateway.outcomes import Approved, Outcome, Reason, Unknown
from protocols.bankxml import codec
from protocols.bankxml.messages import BankXmlMessage

from .iso_peer import Line, Requests
from .world import ACCOUNT, CUSTOMER, PAID, Played
from .xml_peer import XmlPeer

Heard = list[tuple[str, Outcome, bool]]


@pytest.fixture
def heard(played: Played) -> Heard:
    """Kind, outcome and whether it left, of every answer of both servers."""
    found: Heard = []

    def told(operation: Operation, _evidence: Evidence, outcome: Outcome, left: bool) -> None:
        found.append((operation.key.kind.value, outcome, left))

    played.iso_server.told = told
    played.exchange._told = told
    return found


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def signed_on(played: Played) -> tuple[Requests, Line]:
    ask = Requests(played.now, CUSTOMER, ACCOUNT)
    line = await Line.open(played.iso_address, played.keyring.mac_key("gzb").secret)
    assert (await line.ask(ask.sign_on())).require(39) == "00"
    return ask, line


async def test_iso_delivered(played: Played, heard: Heard) -> None:
    ask, line = await signed_on(played)
    await line.ask(ask.payment())
    await line.ask(ask.enquiry("9"))
    assert [(kind, left) for kind, _, left in heard] == [("SIGN_ON", True), ("PAYMENT", True), ("BILL_ENQUIRY", True)]


async def test_iso_peer_gone_before_the_reply(played: Played, heard: Heard) -> None:
    ask, line = await signed_on(played)
    played.ledger.gate.clear()
    line.send(ask.payment())
    await eventually(lambda: len(played.ledger.calls) == 2)
    line.close()
    await asyncio.sleep(0.05)
    played.ledger.gate.set()
    await eventually(lambda: len(heard) == 2)
    assert heard[1] == ("PAYMENT", PAID, False)


async def test_iso_connection_breaks_after_the_reply(played: Played, heard: Heard) -> None:
    """Nobody can say whether the last answer arrived: first it left, then it is in doubt."""
    ask, line = await signed_on(played)
    line.send(ask.payment())
    await eventually(lambda: len(heard) == 2)
    sock = line.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()
    await eventually(lambda: len(heard) == 3)
    assert heard[1:] == [("PAYMENT", PAID, True), ("PAYMENT", PAID, False)]


async def test_iso_orderly_end_leaves_no_doubt(played: Played, heard: Heard) -> None:
    ask, line = await signed_on(played)
    await line.ask(ask.payment())
    line.close()
    await eventually(lambda: not played.iso_server.connections)
    assert [left for _, _, left in heard] == [True, True]


async def test_iso_what_was_followed_by_another_request_is_no_doubt(played: Played, heard: Heard) -> None:
    ask, line = await signed_on(played)
    await line.ask(ask.payment())
    await asyncio.sleep(0.05)
    line.send(ask.enquiry("9"))
    await eventually(lambda: len(heard) == 3)
    line.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()
    await eventually(lambda: not played.iso_server.connections)
    assert ("PAYMENT", PAID, False) not in heard


def request(played: Played) -> bytes:
    return XmlPeer(played.now, CUSTOMER, played.keyring).request()


async def test_xml_delivered(played: Played, heard: Heard) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.post(
            f"{played.http_address}/bankxml", data=request(played), headers={"Content-Type": "application/xml"}
        ) as response,
    ):
        assert response.status == 200
        assert response.headers["Server"] == "busbar"
        await response.read()
    assert [(kind, left) for kind, _, left in heard] == [("PAYMENT", True)]


async def hang_up(played: Played, data: bytes, *, reset: bool) -> None:
    host, _, port = played.http_address.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /bankxml HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()
    await eventually(lambda: len(played.ledger.calls) == 1)
    if reset:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@pytest.mark.parametrize("reset", [False, True])
async def test_xml_client_gone_before_the_reply(played: Played, heard: Heard, reset: bool) -> None:
    played.ledger.gate.clear()
    await hang_up(played, request(played), reset=reset)
    await asyncio.sleep(0.05)
    played.ledger.gate.set()
    await eventually(lambda: len(heard) == 1)
    assert heard == [("PAYMENT", PAID, False)]


async def test_xml_reply_that_can_not_be_written_is_told_as_unknown(
    played: Played, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = codec.build

    def build(message: BankXmlMessage) -> Any:
        if getattr(getattr(message.body, "result", None), "outcome_class", "") == "success":
            raise ValueError("broken")
        return whole(message)

    data = request(played)
    monkeypatch.setattr(codec, "build", build)
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{played.http_address}/bankxml", data=data, headers={"Content-Type": "application/xml"}) as got,
    ):
        await got.read()
    assert heard == [("PAYMENT", Unknown(Reason.TIMEOUT), True)]


async def test_what_was_not_authenticated_is_nobodys_operation(played: Played, heard: Heard) -> None:
    _, line = await signed_on(played)
    ask = Requests(played.now, CUSTOMER, ACCOUNT)
    stranger = await Line.open(played.iso_address, bytes(16))
    stranger.send(ask.payment())
    await asyncio.sleep(0.1)
    assert [kind for kind, _, _ in heard] == ["SIGN_ON"]
    assert isinstance(heard[0][1], Approved)
    line.close()
