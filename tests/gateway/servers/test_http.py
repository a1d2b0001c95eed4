"""XML over HTTP with real sockets: every refusal is signed where the sender is known, and the ledger is untouched."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession
from lxml import etree

from gateway.operations import Payment, StatusEnquiry
from gateway.outcomes import Declined, Reason, Unknown
from protocols import xml
from protocols.bankxml import codec
from protocols.bankxml.messages import BankXmlMessage, RefusalReply

from .world import CUSTOMER, PAID, Played, xml_profile
from .xml_peer import NAMESPACE, XmlPeer, element

Play = Callable[..., Any]
HEADERS = {"Content-Type": "application/xml"}


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def peer(world: Played, key_id: str = "bank") -> XmlPeer:
    return XmlPeer(world.now, CUSTOMER, world.keyring, key_id)


async def post(
    world: Played, client: ClientSession, data: bytes, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    async with client.post(f"{world.http_address}/bankxml", data=data, headers=headers or HEADERS) as response:
        return response.status, await response.read()


async def ask(world: Played, client: ClientSession, data: bytes) -> BankXmlMessage:
    """The signed answer to `data`."""
    status, body = await post(world, client, data)
    assert status == 200
    return peer(world).opened(body)


def result(message: BankXmlMessage) -> tuple[str, str]:
    reply: Any = message.body
    return reply.result.outcome_class, reply.result.code


async def test_every_operation_is_answered_signed(played: Played, client: ClientSession) -> None:
    kinds = ["bill.enquiry.req", "payment.req", "cancel.req", "reversal.req"]
    for number, kind in enumerate(kinds):
        reply = await ask(played, client, peer(played).request(kind, f"T{number}"))
        assert reply.header.message_type == kind.replace(".req", ".rsp")
        assert (reply.header.sender, reply.header.receiver, reply.header.key_id) == ("UTILITY", "YYB", "utility")
        assert result(reply) == ("success", "00")
    assert len(played.ledger.calls) == 4
    assert played.ledger.evidence[1].key_id == "bank"
    assert isinstance(played.ledger.calls[1], Payment)
    assert played.ledger.calls[1].amount == PAID.amount
    assert played.refusals() == []
    played.assert_no_secret_in_log()


async def test_a_bank_may_sign_with_any_of_its_keys(played: Played, client: ClientSession) -> None:
    data = peer(played, "bank-next").request()
    assert result(await ask(played, client, data)) == ("success", "00")


async def test_a_status_enquiry_asks_to_fence(played: Played, client: ClientSession) -> None:
    played.ledger.answer = lambda _: Unknown(Reason.STATUS_UNKNOWN)
    reply = await ask(played, client, peer(played).request("status.enquiry.req"))
    assert result(reply) == ("unknown_outcome", "101")
    (call,) = played.ledger.calls
    assert isinstance(call, StatusEnquiry)
    assert call.fence


def _signed_change(tag: str, text: str) -> Callable[[XmlPeer], bytes]:
    """A payment with the text of one element changed before it was signed: content, not forgery."""

    def make(bank: XmlPeer) -> bytes:
        tree = bank.tree()
        element(tree, tag).text = text
        return bank.signed(tree)

    return make


def _changed_after(tag: str, text: str) -> Callable[[XmlPeer], bytes]:
    def make(bank: XmlPeer) -> bytes:
        tree = xml.parse(bank.request())
        element(tree, tag).text = text
        return etree.tostring(tree)

    return make


def _unknown_element(bank: XmlPeer) -> bytes:
    tree = bank.tree()
    etree.SubElement(element(tree, "Body"), f"{{{NAMESPACE}}}Extra").text = "1"
    return bank.signed(tree)


def _two_signatures(bank: XmlPeer) -> bytes:
    tree = xml.parse(bank.request())
    tree.append(copy.deepcopy(tree[-1]))
    return etree.tostring(tree)


def _moved_body(bank: XmlPeer) -> bytes:
    """The signed document wrapped in another one: the classic of signature wrapping."""
    signed = xml.parse(bank.request())
    other = bank.tree(trace_no="T666")
    signature = signed[-1]
    other.append(signature)
    signature.append(signed)
    return etree.tostring(other)


def _wrong_type(bank: XmlPeer) -> bytes:
    tree = bank.tree()
    element(tree, "MsgTp").text = "refund.req"
    return bank.signed(tree)


# What is wrong, the request, (class, code), the reason in the log. The sender is known: each answer is signed.
REFUSED: list[tuple[str, Callable[[XmlPeer], bytes], tuple[str, str], str]] = [
    ("no signature", lambda bank: etree.tostring(bank.tree()), ("unknown_outcome", "253"), "SIGNATURE_INVALID"),
    ("two signatures", _two_signatures, ("unknown_outcome", "253"), "SIGNATURE_INVALID"),
    ("body moved", _moved_body, ("unknown_outcome", "253"), "SIGNATURE_INVALID"),
    ("changed amount", _changed_after("Amt", "1.00"), ("unknown_outcome", "253"), "SIGNATURE_INVALID"),
    ("changed customer", _changed_after("CstmrNo", "1"), ("unknown_outcome", "253"), "SIGNATURE_INVALID"),
    (
        "another's key under our name",
        lambda bank: replace(bank, key_id="other").request(key_id="bank"),
        ("unknown_outcome", "253"),
        "SIGNATURE_INVALID",
    ),
    (
        "a key that is not this bank's",
        lambda bank: replace(bank, key_id="other").request(),
        ("unknown_outcome", "253"),
        "SIGNATURE_INVALID",
    ),
    ("unknown element", _unknown_element, ("final_refusal", "0a"), "FORMAT_ERROR"),
    ("unknown type", _wrong_type, ("final_refusal", "13"), "BAD_OPERATION"),
    ("another receiver", lambda bank: bank.request(receiver="OTHER"), ("final_refusal", "0a"), "FORMAT_ERROR"),
    ("amount zero", _signed_change("Amt", "0.00"), ("final_refusal", "204"), "AMOUNT_INVALID"),
    ("amount negative", _signed_change("Amt", "-1.00"), ("final_refusal", "204"), "AMOUNT_INVALID"),
    ("three decimals", _signed_change("Amt", "1.000"), ("final_refusal", "204"), "AMOUNT_INVALID"),
    ("30 February", _signed_change("TrcDt", "2026-02-30"), ("final_refusal", "203"), "DATE_INVALID"),
    ("no such time", _signed_change("PdTm", "2026-03-03T25:00:00.000+08:00"), ("final_refusal", "203"), "DATE_INVALID"),
    (
        "sent too long ago",
        lambda bank: bank.request(sent_at=bank.now - timedelta(minutes=6)),
        ("unknown_outcome", "252"),
        "REPLAYED",
    ),
]


@pytest.mark.parametrize(("make", "answer", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_refusals_are_signed_and_change_nothing(
    played: Played,
    client: ClientSession,
    make: Callable[[XmlPeer], bytes],
    answer: tuple[str, str],
    reason: str,
) -> None:
    assert result(await ask(played, client, make(peer(played)))) == answer
    assert played.ledger.calls == []
    assert played.refusals() == [("YYB", reason)]
    played.assert_no_secret_in_log()
    # The same connection goes on.
    assert result(await ask(played, client, peer(played).request())) == ("success", "00")


DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE Msg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
# What is wrong, the request, the status. We can't tell who it is: one plain line.
STRANGERS: list[tuple[str, Callable[[XmlPeer], bytes], int, str]] = [
    ("DOCTYPE", lambda bank: DOCTYPE + etree.tostring(bank.tree()), 400, "UNREADABLE"),
    ("no XML", lambda bank: b"hello", 400, "UNREADABLE"),
    ("empty", lambda bank: b"", 400, "UNREADABLE"),
    ("cut in the middle", lambda bank: bank.request()[:-40], 400, "UNREADABLE"),
    ("another encoding", lambda bank: etree.tostring(bank.tree(), encoding="UTF-16"), 400, "UNREADABLE"),
    ("another root", lambda bank: b"<Other/>", 400, "UNREADABLE"),
    ("a comment", lambda bank: bank.request().replace(b"<Body>", b"<Body><!-- -->"), 400, "UNREADABLE"),
    ("unknown sender", lambda bank: bank.request(sender="NOBODY"), 403, "SIGNATURE_INVALID"),
]


@pytest.mark.parametrize(("make", "status", "reason"), [row[1:] for row in STRANGERS], ids=[r[0] for r in STRANGERS])
@pytest.mark.parametrize("stranger_key", [None, "utility"])
async def test_strangers_get_one_line_or_a_signed_refusal(
    play: Play,
    client: ClientSession,
    make: Callable[[XmlPeer], bytes],
    status: int,
    reason: str,
    stranger_key: str | None,
) -> None:
    world: Played = await play(stranger_key=stranger_key)
    found, body = await post(world, client, make(peer(world)))
    assert found == status
    if stranger_key is None:
        assert body.count(b"\n") == 1
    else:
        reply = peer(world).opened(body)
        assert isinstance(reply.body, RefusalReply)
        assert (reply.header.original_message_id, result(reply)[0]) == (None, "unknown_outcome")
    assert world.ledger.calls == []
    assert world.refusals() == [("", reason)]
    world.assert_no_secret_in_log()


TRANSPORT: list[tuple[str, dict[str, str], bytes, int]] = [
    ("no content type", {"Content-Type": "text/plain"}, b"<Msg/>", 415),
    ("another charset", {"Content-Type": "application/xml; charset=GBK"}, b"<Msg/>", 415),
    ("JSON", {"Content-Type": "application/json"}, b"{}", 415),
    ("too long", HEADERS, b"<Msg>" + b" " * 3000 + b"</Msg>", 413),
]


@pytest.mark.parametrize(("headers", "data", "status"), [row[1:] for row in TRANSPORT], ids=[r[0] for r in TRANSPORT])
async def test_what_http_refuses(
    play: Play, client: ClientSession, headers: dict[str, str], data: bytes, status: int
) -> None:
    world: Played = await play(body_limit_bytes=2048)
    found, body = await post(world, client, data, headers)
    assert (found, body.count(b"\n")) == (status, 1)
    assert world.ledger.calls == []
    assert world.refusals() == [("", "UNREADABLE")]


RAW = [
    ("length is no number", b"POST /bankxml HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n<Msg/>", b"400"),
    (
        "two lengths",
        b"POST /bankxml HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nContent-Length: 7\r\n\r\n<Msg/>",
        b"400",
    ),
    ("no HTTP", b"\x00\x01\x02\x03\r\n\r\n", b"400"),
    ("another method", b"GET /bankxml HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
    ("another path", b"POST /pay HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", b"404"),
    (
        "body never comes",
        b"POST /bankxml HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n<Msg",
        b"408",
    ),
]


@pytest.mark.parametrize(("data", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
async def test_broken_http(played: Played, client: ClientSession, data: bytes, status: bytes) -> None:
    host, port = played.http_address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    line = await asyncio.wait_for(reader.readline(), 5)
    assert line.split(b" ")[1] == status
    writer.close()
    assert played.ledger.calls == []
    assert result(await ask(played, client, peer(played).request())) == ("success", "00")


async def test_a_replay_is_refused_and_a_retry_is_not(played: Played, client: ClientSession) -> None:
    first = peer(played).request("payment.req", "T1")
    assert result(await ask(played, client, first)) == ("success", "00")
    assert result(await ask(played, client, first)) == ("unknown_outcome", "252")
    assert len(played.ledger.calls) == 1
    assert result(await ask(played, client, peer(played).request("payment.req", "T1"))) == ("success", "00")
    assert len(played.ledger.calls) == 2


async def test_a_forged_message_uses_up_no_nonce(played: Played, client: ClientSession) -> None:
    tree = peer(played).tree()
    forged = replace(peer(played), key_id="other").signed(copy.deepcopy(tree))
    assert result(await ask(played, client, forged)) == ("unknown_outcome", "253")
    assert result(await ask(played, client, peer(played).signed(tree))) == ("success", "00")


async def test_an_old_reversal_is_accepted_once(played: Played, client: ClientSession) -> None:
    old = peer(played).request("reversal.req", sent_at=played.now - timedelta(hours=5))
    assert result(await ask(played, client, old)) == ("success", "00")
    assert result(await ask(played, client, old)) == ("unknown_outcome", "252")


async def test_a_stranger_under_a_banks_name_from_another_address(play: Play, client: ClientSession) -> None:
    world: Played = await play(xml=xml_profile(allowed_addresses=["192.0.2.1"]))
    assert (await post(world, client, peer(world).request()))[0] == 403
    assert world.ledger.calls == []


async def test_a_client_that_leaves_in_flight_cancels_nothing(played: Played, client: ClientSession) -> None:
    played.ledger.gate.clear()
    asking = asyncio.ensure_future(post(played, client, peer(played).request()))
    while not played.ledger.calls:  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.005)
    asking.cancel()
    await asyncio.sleep(0.05)
    played.ledger.gate.set()
    await played.handler.drain(5)
    assert played.ledger.finished == 1


async def test_a_reply_that_can_not_be_written_is_unknown_never_a_refusal(
    played: Played, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = codec.build

    def build(message: BankXmlMessage) -> etree._Element:
        if result(message)[0] == "success":
            raise ValueError("broken")
        return whole(message)

    data = peer(played).request()
    monkeypatch.setattr(codec, "build", build)
    assert result(await ask(played, client, data))[0] == "unknown_outcome"
    assert len(played.ledger.calls) == 1
    assert len(played.lines("reply_not_written")) == 1


async def test_the_ledgers_refusal_is_one_line(played: Played, client: ClientSession) -> None:
    played.ledger.answer = lambda _: Declined(Reason.BILL_CHANGED)
    assert result(await ask(played, client, peer(played).request("payment.req", "T42"))) == ("final_refusal", "73")
    (line,) = played.lines("refused")
    assert (line["wire"], line["bank"], line["trace_no"]) == ("bankxml", "YYB", "T42")
    assert line["trace_id"] == played.ledger.evidence[0].trace_id


async def test_health_and_metrics(played: Played, client: ClientSession) -> None:
    async def get(path: str) -> tuple[int, str]:
        async with client.get(played.http_address + path) as response:
            assert response.headers["Server"] == "busbar"
            return response.status, await response.text()

    assert await get("/healthz") == (200, "ok\n")
    assert await get("/readyz") == (200, "ready\n")
    played.ready_problem.append("the ledger can't be reached")
    assert await get("/readyz") == (503, "the ledger can't be reached\n")
    await ask(played, client, peer(played).request())
    status, text = await get("/metrics")
    assert status == 200
    assert 'busbar_answers_total{bank="YYB",kind="PAYMENT",reason="APPROVED"} 1.0' in text
    assert CUSTOMER not in text


async def test_stopping_lets_answers_out(played: Played, client: ClientSession) -> None:
    played.ledger.gate.clear()
    asking = asyncio.ensure_future(ask(played, client, peer(played).request()))
    while not played.ledger.calls:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    stopping = asyncio.ensure_future(played.http_server.stop(5))
    await asyncio.sleep(0.05)
    with pytest.raises(ClientConnectorError):
        await post(played, client, peer(played).request())
    played.ledger.gate.set()
    assert result(await asking) == ("success", "00")
    await stopping


async def test_stopping_is_bounded_and_cancels_nothing_in_the_ledger(played: Played, client: ClientSession) -> None:
    assert result(await ask(played, client, peer(played).request())) == ("success", "00")
    played.ledger.gate.clear()
    waiting = asyncio.ensure_future(ask(played, client, peer(played).request("payment.req", "T2")))
    spare = asyncio.ensure_future(ask(played, client, peer(played).request("payment.req", "T3")))
    while len(played.ledger.calls) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    stopping = asyncio.ensure_future(played.http_server.stop(0.2))
    await stopping
    for task in (waiting, spare):
        with pytest.raises(ClientError):
            await task
    played.ledger.gate.set()
    await played.handler.drain(5)
    assert played.ledger.finished == 3
