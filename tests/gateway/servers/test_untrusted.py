"""What is answered before a message was authenticated says nothing of its trace: it is never final, nor "later".

The attack: somebody on the line sends a damaged copy of a payment that was booked, keeps our sealed refusal, drops the
real reply and hands the refusal to the bank. A bank that believed it would give the money of a booked payment back.
Held against it here: the table of reasons, every damaged byte of every request, and the attack itself, played against
the simulated bank's own wires.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from lxml import etree

from busbar.bank.book import Book, EntryState
from busbar.bank.config import BankSetup
from busbar.bank.teller import Teller
from busbar.bank.wire_bankxml import BankXmlWire
from busbar.bank.wire_iso8583 import Iso8583Wire
from busbar.bank.wires import Meaning, Order, Wire
from gateway.channels import bankxml
from gateway.channels.guangzhou_codes import CODE_OF, undo_refusal_codes
from gateway.keyring import Keyring, MacKey
from gateway.outcomes import Declined, OutcomeClass, Reason, Unknown, not_done
from gateway.servers.iso8583_session import Iso8583Session, Reply, Submit
from protocols import xml
from protocols.iso8583.codec import Message, encode
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_codes import CodeClass, class_of_code
from protocols.iso8583.framing import encode_frame

from .iso_peer import SENDER, Requests, opened, sealed, with_wrong_mac
from .world import ACCOUNT, CUSTOMER, DAY, PAID, Played, iso_profile
from .xml_peer import XmlPeer, element

Play = Callable[..., Any]
NOW = datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
ASK = Requests(NOW, CUSTOMER, ACCOUNT)
BEFORE_AUTHENTICATION = (Reason.UNREADABLE, Reason.SIGNATURE_INVALID)


# --- the tables


def test_these_reasons_come_first_and_every_final_one_comes_later() -> None:
    assert tuple(Reason)[: len(BEFORE_AUTHENTICATION)] == BEFORE_AUTHENTICATION


@pytest.mark.parametrize("reason", BEFORE_AUTHENTICATION)
def test_the_class_is_unknown_on_every_wire(reason: Reason) -> None:
    assert reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME
    assert not_done(reason, "byte 4") == Unknown(reason, "byte 4")
    assert class_of_code(CODE_OF[reason]) is CodeClass.UNKNOWN_OUTCOME
    assert undo_refusal_codes(reason) == (CODE_OF[reason], "8093")
    assert 250 <= int(bankxml.CODES[reason]) < 270
    with pytest.raises(ValueError, match="is not a refusal"):
        Declined(reason)


# --- every damaged byte


REQUESTS = {
    "sign-on": ASK.sign_on(),
    "line test": ASK.echo(),
    "enquiry": ASK.enquiry(),
    "payment": ASK.payment(),
    "cancel": ASK.cancel(),
    "reversal": ASK.reversal(),
}


@pytest.fixture(scope="module")
def key(key_folder: Path) -> MacKey:
    return Keyring(key_folder).mac_key("gzb")


def refusals_of(key: MacKey, frame: bytes) -> list[Reply]:
    """What a new session says to `frame` and its end; fails where it would hand an operation on."""
    machine = Iso8583Session(iso_profile(), key, lambda: "t")
    actions = machine.receive(frame, NOW) + machine.end()
    assert not any(isinstance(action, Submit) for action in actions)
    return [action for action in actions if isinstance(action, Reply)]


def assert_untrusted(replies: list[Reply], key: MacKey) -> int:
    """Each refusal leaves the outcome open, in the log, in field 39 and in field 60; returns how many were sealed."""
    sent = 0
    for reply in replies:
        assert reply.refusal is not None
        assert reply.refusal.reason in BEFORE_AUTHENTICATION
        if reply.frame is not None:
            message = opened(reply.frame[4:], key.secret)
            assert class_of_code(message.require(39)) is CodeClass.UNKNOWN_OUTCOME
            assert message.get(60) == ("8093" if message.mti == "0410" else None)
            sent += 1
    return sent


@pytest.mark.parametrize("message", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_a_changed_byte_leaves_the_outcome_open(key: MacKey, message: Message, change: int) -> None:
    frame = sealed(message, key.secret)
    sent = 0
    for index, byte in enumerate(frame):
        damaged = frame[:index] + bytes([byte ^ change]) + frame[index + 1 :]
        sent += assert_untrusted(refusals_of(key, damaged), key)
    assert sent > len(frame) / 2  # most are answered: this is no table of silence


@pytest.mark.parametrize("message", REQUESTS.values(), ids=REQUESTS)
def test_a_cut_message_leaves_the_outcome_open(key: MacKey, message: Message) -> None:
    body = sealed(message, key.secret)[4:]
    for length in range(1, len(body)):
        assert_untrusted(refusals_of(key, encode_frame(body[:length]) if length >= 18 else b"0017" + body), key)


@pytest.mark.parametrize("message", REQUESTS.values(), ids=REQUESTS)
def test_a_missing_mac_leaves_the_outcome_open(key: MacKey, message: Message) -> None:
    assert assert_untrusted(refusals_of(key, encode_frame(encode(message, GUANGZHOU))), key) == 1


@pytest.mark.parametrize("change", [0x01, 0x20])
async def test_a_changed_byte_of_xml_leaves_the_outcome_open(play: Play, change: int) -> None:
    """Changes outside the signed part may be harmless: then the payment that was signed is booked, and no other."""
    world: Played = await play(stranger_key="utility")
    peer, refused = XmlPeer(world.now, CUSTOMER, world.keyring), 0
    for index in range(0, len(peer.request()), 5):
        data = bytearray(peer.request())
        data[index % len(data)] ^= change
        answer = await world.exchange.answer(bytes(data), "127.0.0.1")
        reply: Any = peer.opened(answer.body).body
        if reply.result.outcome_class == "success":
            continue
        assert reply.result.outcome_class == "unknown_outcome"
        assert reply.result.code in {bankxml.CODES[reason] for reason in BEFORE_AUTHENTICATION}
        refused += 1
    assert refused > len(peer.request()) / 5 / 2
    assert {(call.customer_no, call.amount) for call in world.ledger.calls} <= {(CUSTOMER, PAID.amount)}  # type: ignore[union-attr]


# --- the attack


@dataclass(frozen=True, slots=True)
class Attack:
    """How the copy is damaged, and the code of the sealed refusal that the bank is handed."""

    wire: str
    damage: Callable[[bytes], bytes]
    code: str


def _other_amount(request: bytes) -> bytes:
    tree = xml.parse(request)
    element(tree, "Amt").text = "1.00"
    return etree.tostring(tree)


def _unsigned(request: bytes) -> bytes:
    tree = xml.parse(request)
    tree.remove(tree[-1])
    return etree.tostring(tree)


ATTACKS = {
    "ISO 8583, MAC changed": Attack("iso8583", with_wrong_mac, "05"),
    "ISO 8583, bytes added": Attack("iso8583", lambda frame: encode_frame(frame[4:] + b"xx"), "30"),
    "ISO 8583, MAC no text": Attack("iso8583", lambda frame: frame[:-1] + b"\xff", "30"),
    "XML, amount changed": Attack("bankxml", _other_amount, "253"),
    "XML, signature cut off": Attack("bankxml", _unsigned, "253"),
}


async def _one_exchange(address: tuple[str, int], frame: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(frame)
    reply = await _frame(reader)
    writer.close()
    return reply


async def _frame(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int(length))


@asynccontextmanager
async def tampered_iso8583(world: Played, damage: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """A line on which the real reply is dropped and the refusal of a damaged copy delivered; gives its address."""

    async def meddle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frame = await _frame(reader)
        await _one_exchange(world.iso_address, frame)
        writer.write(await _one_exchange(world.iso_address, damage(frame)))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(meddle, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def tampered_bankxml(world: Played, damage: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """The same over HTTP."""

    async def meddle(request: web.Request) -> web.Response:
        data, url = await request.read(), f"{world.http_address}/bankxml"
        headers = {"Content-Type": "application/xml"}
        async with ClientSession(headers=headers) as session:
            async with session.post(url, data=data) as booked:
                assert booked.status == 200
            async with session.post(url, data=damage(data)) as refused:
                return web.Response(body=await refused.read(), status=refused.status)

    application = web.Application()
    application.router.add_post("/bankxml", meddle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def bank_setup(world: Played, folder: Path) -> BankSetup:
    keys = world.keyring.folder
    return BankSetup(
        code="GZB",
        wire="",
        address="",
        book_file=folder / "book.sqlite",
        paper_bills_file=folder / "none",
        seed=1,
        workers=1,
        time_zone="Asia/Shanghai",
        institution=SENDER.institution,
        mac_key_file=keys / "gzb.mac",
        sender="YYB",
        key_id="bank",
        private_key_file=keys / "bank.key.pem",
        utility_public_key_file=keys / "utility.pub.pem",
    )


_WIRES: dict[str, tuple[Callable[[BankSetup], Wire], Callable[..., Any], Callable[[Played], str]]] = {
    "iso8583": (Iso8583Wire, tampered_iso8583, lambda world: "{}:{}".format(*world.iso_address)),
    "bankxml": (BankXmlWire, tampered_bankxml, lambda world: world.http_address.removeprefix("http://")),
}


async def on(wire: Wire, act: Callable[[], Awaitable[Any]]) -> Any:
    await wire.open()
    try:
        return await act()
    finally:
        await wire.close()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
async def test_the_sealed_refusal_of_a_damaged_copy_gives_no_money_back(
    played: Played, tmp_path: Path, attack: Attack
) -> None:
    make, tampered, address_of = _WIRES[attack.wire]
    setup = bank_setup(played, tmp_path)
    async with tampered(played, attack.damage) as address:
        bad = make(replace(setup, address=address))
        teller = Teller(Book(setup.book_file), bad, SENDER.zone, random.Random(1), iter(()), DAY)
        order = Order(played.now.date(), "000000000321", teller.now(), CUSTOMER, 12345, "ATM", "CARD")
        entry_id, answer = await on(bad, lambda: teller.pay(order))
    # The payment is booked; the bank was handed a refusal of ours with a right seal, and keeps the money all the same.
    assert len(played.ledger.calls) == 1
    assert (answer.meaning, answer.code) == (Meaning.UNKNOWN, attack.code)
    assert teller.book.entry(entry_id).state is EntryState.SUSPECT
    # It does what the class says: the same payment again, on another line, gets the booked payment's answer.
    good = make(replace(setup, address=address_of(played)))
    teller.settle(entry_id, await on(good, lambda: good.pay(order)))
    assert teller.book.entry(entry_id).state is EntryState.ACCEPTED
    assert teller.book.entry(entry_id).reference_no == PAID.reference_no
    assert len({call.key for call in played.ledger.calls}) == 1
    teller.book.close()
