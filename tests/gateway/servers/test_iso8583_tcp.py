"""ISO 8583 over real sockets: bad input, pipelining, slow and broken peers. The ledger sees only what is right."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from gateway.operations import Payment
from gateway.outcomes import Declined, Reason
from gateway.servers.exchange import ServerLimits
from protocols.iso8583.codec import Message
from protocols.iso8583.framing import encode_frame

from .iso_peer import Line, Requests, sealed, with_wrong_mac
from .world import ACCOUNT, CUSTOMER, Played, iso_profile

Play = Callable[..., Any]


def asking(world: Played) -> Requests:
    return Requests(world.now, CUSTOMER, ACCOUNT)


def secret(world: Played) -> bytes:
    return world.keyring.mac_key("gzb").secret


async def line_to(world: Played) -> Line:
    return await Line.open(world.iso_address, secret(world))


def server_socket(world: Played) -> socket.socket:
    """The server's end of its only connection."""
    (connection,) = world.iso_server.connections
    found: socket.socket = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
    return found


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something that another task does has happened; a failure is the test's time limit."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.005)


async def test_a_day_on_one_line(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    story = [ask.sign_on(), ask.echo(), ask.enquiry(), ask.payment(), ask.cancel(), ask.reversal()]
    replies = [await line.ask(message) for message in story]
    assert [(reply.mti, reply.require(39)) for reply in replies] == [
        ("0830", "00"),
        ("0830", "00"),
        ("0110", "00"),
        ("0210", "00"),
        ("0410", "00"),
        ("0410", "00"),
    ]
    assert replies[2].require(4) == "000000012345"
    assert replies[3].require(15) == "0303"
    # The line test needs no ledger; everything else was asked of it, each under the trace id of its frame.
    assert [call.key.kind.value for call in played.ledger.calls] == [
        "SIGN_ON",
        "BILL_ENQUIRY",
        "PAYMENT",
        "SAME_DAY_CANCEL",
        "REVERSAL",
    ]
    assert len({evidence.trace_id for evidence in played.ledger.evidence}) == 5
    assert played.refusals() == []
    played.assert_no_secret_in_log()
    line.close()


def _changed(message: Message, changes: dict[int, str], *absent: int) -> Message:
    return message.with_fields(changes).without_fields(*absent)


MONTH_13 = f"{CUSTOMER:>21}20261399" + "01" + "0" * 12 + "10" + " " * 25
# What is wrong, the message made of a right one, field 39 of the refusal, the reason in the log.
BAD_CONTENT: list[tuple[str, Callable[[Requests], Message], str, str]] = [
    ("amount zero", lambda ask: _changed(ask.payment(), {4: "0" * 12}), "13", "AMOUNT_INVALID"),
    ("a fee", lambda ask: _changed(ask.payment(), {28: "000000000001"}), "13", "AMOUNT_INVALID"),
    ("another currency", lambda ask: _changed(ask.payment(), {49: "156"}), "13", "AMOUNT_INVALID"),
    ("30 February", lambda ask: _changed(ask.payment(), {13: "0230"}), "07", "DATE_INVALID"),
    ("25 o'clock", lambda ask: _changed(ask.payment(), {12: "250000"}), "07", "DATE_INVALID"),
    ("another institution", lambda ask: _changed(ask.payment(), {32: "105581"}), "12", "BAD_OPERATION"),
    ("another receiver", lambda ask: _changed(ask.payment(), {100: "444444"}), "12", "BAD_OPERATION"),
    ("a debit", lambda ask: _changed(ask.payment(), {104: "HZ"}), "12", "BAD_OPERATION"),
    ("another operation", lambda ask: _changed(ask.payment(), {3: "999999"}), "12", "BAD_OPERATION"),
    ("field missing", lambda ask: _changed(ask.payment(), {}, 41), "01", "FORMAT_ERROR"),
    ("field not used", lambda ask: _changed(ask.payment(), {60: "0000"}), "01", "FORMAT_ERROR"),
    ("field 48 too short", lambda ask: _changed(ask.payment(), {48: "0" * 69}), "01", "FORMAT_ERROR"),
    ("month 13", lambda ask: _changed(ask.payment(), {48: MONTH_13}), "08", "BILL_NOT_FOUND"),
    ("unknown network code", lambda ask: _changed(ask.echo(), {70: "999"}), "12", "BAD_OPERATION"),
]


@pytest.mark.parametrize(
    ("change", "code", "reason"), [row[1:] for row in BAD_CONTENT], ids=[r[0] for r in BAD_CONTENT]
)
async def test_bad_content_is_refused_and_the_line_stays(
    played: Played, change: Callable[[Requests], Message], code: str, reason: str
) -> None:
    ask, line = asking(played), await line_to(played)
    reply = await line.ask(change(ask))
    assert reply.require(39) == code
    assert played.ledger.calls == []
    assert played.refusals() == [("GZB", reason)]
    assert (await line.ask(ask.payment("9"))).require(39) == "00"
    played.assert_no_secret_in_log()


def _garbage_after(frame: bytes, more: bytes) -> bytes:
    return encode_frame(frame[4:] + more)


def _flip(frame: bytes, offset: int, value: int) -> bytes:
    return frame[:offset] + bytes([value]) + frame[offset + 1 :]


# What is wrong, the frame made of a right payment's, field 39 of the refusal (None: no answer can be made).
BAD_FRAMES: list[tuple[str, Callable[[bytes], bytes], str | None, str]] = [
    ("wrong MAC", with_wrong_mac, "05", "SIGNATURE_INVALID"),
    ("wrong amount under the MAC", lambda f: _flip(f, 4 + 18 + 11 + 3 + 5, 0x99), "05", "SIGNATURE_INVALID"),
    ("bytes after the last field", lambda f: _garbage_after(f, b"xx"), "30", "UNREADABLE"),
    ("cut inside, length right", lambda f: encode_frame(f[4:-30]), "30", "UNREADABLE"),
    ("no digits in an amount", lambda f: _flip(f, 4 + 18 + 11 + 3 + 5, 0xFF), "30", "UNREADABLE"),
    ("unknown MTI", lambda f: _flip(f, 4, 0x09), None, "SIGNATURE_INVALID"),
    ("made a reply", lambda f: _flip(f, 5, 0x10), None, "SIGNATURE_INVALID"),
    ("not ISO 8583", lambda f: b"0024<xml>not a message</xml>", None, "UNREADABLE"),
    ("only zeros", lambda f: encode_frame(bytes(60)), None, "UNREADABLE"),
]


@pytest.mark.parametrize(("change", "code", "reason"), [row[1:] for row in BAD_FRAMES], ids=[r[0] for r in BAD_FRAMES])
async def test_garbage_in_a_good_frame_is_refused_and_the_line_stays(
    played: Played, change: Callable[[bytes], bytes], code: str | None, reason: str
) -> None:
    ask, line = asking(played), await line_to(played)
    line.send(change(sealed(ask.payment(), secret(played))))
    if code is not None:
        assert (await line.receive()).require(39) == code
    assert (await line.ask(ask.payment("9"))).require(39) == "00"
    assert [call.key.trace_no for call in played.ledger.calls] == ["9".rjust(12, "0")]
    assert played.refusals() == [("GZB", reason)]
    played.assert_no_secret_in_log()


@pytest.mark.parametrize("mti", ["0210", "0220", "0800"])
async def test_a_sealed_message_that_has_no_answer_is_logged_and_the_line_stays(played: Played, mti: str) -> None:
    ask, line = asking(played), await line_to(played)
    line.send(Message(mti, ask.payment().fields))
    assert (await line.ask(ask.payment("9"))).require(39) == "00"
    assert played.refusals() == [("GZB", "BAD_OPERATION")]
    assert len(played.ledger.calls) == 1


# Framing is lost: what is sent, and field 39 of a refusal where one can be made.
LOST: list[tuple[str, Callable[[bytes], bytes], str | None]] = [
    ("too long, a message behind", lambda f: b"9999" + f[4:], "30"),
    ("too short", lambda f: b"0017" + f[4:21], "30"),
    ("length zero", lambda f: b"0000", None),
    ("no digits", lambda f: b"GET / HTTP/1.1\r\n\r\n", None),
    ("sign in the length", lambda f: b"+100" + f[4:], "30"),
    ("length in full-width digits", lambda f: "０１".encode() + f[4:], None),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in LOST], ids=[row[0] for row in LOST])
async def test_lost_framing_is_refused_and_the_line_closed(
    played: Played, change: Callable[[bytes], bytes], code: str | None
) -> None:
    ask, line = asking(played), await line_to(played)
    line.send(change(sealed(ask.payment(), secret(played))))
    if code is not None:
        assert (await line.receive()).require(39) == code
    assert await line.is_closed()
    assert played.ledger.calls == []
    assert played.refusals() == [("GZB", "UNREADABLE")]
    played.assert_no_secret_in_log()
    again = await line_to(played)
    assert (await again.ask(ask.payment())).require(39) == "00"


async def test_a_frame_cut_in_the_middle_changes_nothing(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    line.send(sealed(ask.payment(), secret(played))[:-1])
    line.writer.write_eof()
    assert await line.is_closed()
    assert played.ledger.calls == []
    assert played.refusals() == [("GZB", "UNREADABLE")]


async def test_byte_by_byte(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    for byte in sealed(ask.payment(), secret(played)):
        line.send(bytes([byte]))
        await line.writer.drain()
        await asyncio.sleep(0)
    assert (await line.receive()).require(39) == "00"


async def test_two_frames_in_one_segment_and_answers_out_of_order(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    played.ledger.delays["1".rjust(12, "0")] = 0.1
    line.send(sealed(ask.payment("1"), secret(played)) + sealed(ask.payment("2"), secret(played)))
    first, second = await line.receive(), await line.receive()
    assert [first.require(11), second.require(11)] == ["2".rjust(12, "0"), "1".rjust(12, "0")]


async def test_many_requests_at_once_each_get_their_own_answer(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    numbers = [str(number).rjust(12, "0") for number in range(1, 101)]
    for number in numbers:
        line.send(ask.payment(number))
    assert {(await line.receive()).require(11) for _ in numbers} == set(numbers)


async def test_a_client_that_leaves_in_flight_cancels_nothing(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    played.ledger.gate.clear()
    line.send(ask.payment())
    await eventually(lambda: len(played.ledger.calls) == 1)
    # A reset, not an orderly end.
    sock = line.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()
    await eventually(lambda: not played.iso_server.connections)
    assert played.handler.in_flight == 1
    played.ledger.gate.set()
    await played.handler.drain(5)
    assert played.ledger.finished == 1
    again = await line_to(played)
    assert (await again.ask(ask.payment())).require(39) == "00"


async def test_a_client_that_ends_its_side_still_gets_its_answer(played: Played) -> None:
    ask, line = asking(played), await line_to(played)
    played.ledger.gate.clear()
    line.send(ask.payment())
    await eventually(lambda: len(played.ledger.calls) == 1)
    line.writer.write_eof()
    await asyncio.sleep(0.05)
    played.ledger.gate.set()
    assert (await line.receive()).require(39) == "00"
    assert await line.is_closed()


async def test_wrong_macs_stop_this_line_only(play: Play) -> None:
    world: Played = await play(iso=iso_profile(wire={"mac_failures_before_sign_on": 2}))
    ask, bad, good = asking(world), await line_to(world), await line_to(world)
    for _ in range(2):
        assert (await bad.ask(with_wrong_mac(sealed(ask.payment(), secret(world))))).require(39) == "05"
    assert (await bad.ask(ask.payment())).require(39) == "05"
    assert (await good.ask(ask.payment())).require(39) == "00"
    assert (await bad.ask(ask.sign_on("8"))).require(39) == "00"
    assert (await bad.ask(ask.payment("9"))).require(39) == "00"
    assert world.refusals() == [("GZB", "SIGNATURE_INVALID")] * 3


@pytest.mark.parametrize("peers", [["192.0.2.1"], ["192.0.2.0/24", "::1"]])
async def test_strangers_are_closed_at_once(play: Play, peers: list[str]) -> None:
    world: Played = await play(iso=iso_profile(allowed_addresses=peers))
    line = await line_to(world)
    line.send(asking(world).payment())
    assert await line.is_closed()
    assert world.ledger.calls == []
    assert [line["why"] for line in world.lines("connection_refused")] == ["address"]


async def test_connections_are_limited_and_free_again(play: Play) -> None:
    world: Played = await play(limits=ServerLimits(connections=1))
    ask, first = asking(world), await line_to(world)
    assert (await first.ask(ask.payment("1"))).require(39) == "00"
    second = await line_to(world)
    assert await second.is_closed()
    first.close()
    await eventually(lambda: not world.iso_server.connections)
    third = await line_to(world)
    assert (await third.ask(ask.payment("2"))).require(39) == "00"


async def test_half_open_and_dripping_peers_are_closed(play: Play) -> None:
    world: Played = await play(iso=iso_profile(wire={"idle_timeout_seconds": 0.15}))
    silent, dripping = await line_to(world), await line_to(world)

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            for byte in sealed(asking(world).payment(), secret(world))[:-1]:
                dripping.send(bytes([byte]))
                await dripping.writer.drain()
                await asyncio.sleep(0.01)

    dripped = asyncio.create_task(drip())
    assert await silent.is_closed()
    assert await dripping.is_closed()
    dripped.cancel()
    assert len(world.lines("connection_idle")) == 2


async def test_a_line_that_waits_for_its_answer_is_not_idle(play: Play) -> None:
    world: Played = await play(iso=iso_profile(wire={"idle_timeout_seconds": 0.05}))
    line = await line_to(world)
    world.ledger.delays["4".rjust(12, "0")] = 0.3
    assert (await line.ask(asking(world).payment())).require(39) == "00"


async def test_a_peer_that_does_not_read_is_dropped(played: Played) -> None:
    line = await line_to(played)
    await eventually(lambda: len(played.iso_server.connections) == 1)
    # Small buffers in the kernel, or it would take megabytes of answers until anybody notices.
    line.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server_socket(played).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    echo = sealed(asking(played).echo(), secret(played))

    async def flood() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                line.send(echo * 100)
                await line.writer.drain()

    flooding = asyncio.create_task(flood())
    await eventually(lambda: bool(played.lines("slow_reader_dropped")))
    flooding.cancel()
    other = await line_to(played)
    assert (await other.ask(asking(played).payment())).require(39) == "00"


async def test_stopping_lets_answers_out_and_takes_nothing_new(played: Played) -> None:
    ask, line, quiet = asking(played), await line_to(played), await line_to(played)
    assert (await quiet.ask(ask.echo())).require(39) == "00"
    played.ledger.gate.clear()
    line.send(ask.payment("1"))
    await eventually(lambda: len(played.ledger.calls) == 1)
    stopping = asyncio.create_task(played.iso_server.stop(5))
    await asyncio.sleep(0.05)
    line.send(ask.payment("2"))
    with pytest.raises(ConnectionRefusedError):
        await line_to(played)
    assert await quiet.is_closed()
    played.ledger.gate.set()
    assert (await line.receive()).require(11) == "1".rjust(12, "0")
    await stopping
    assert await line.is_closed()
    assert len(played.ledger.calls) == 1


async def test_stopping_is_bounded(played: Played) -> None:
    line = await line_to(played)
    played.ledger.gate.clear()
    line.send(asking(played).payment())
    await eventually(lambda: len(played.ledger.calls) == 1)
    await asyncio.wait_for(played.iso_server.stop(0.05), 5)
    assert played.ledger.finished == 0
    played.ledger.gate.set()
    await played.handler.drain(5)
    assert played.ledger.finished == 1


async def test_refusals_of_the_ledger_are_one_line_each(played: Played) -> None:
    played.ledger.answer = lambda operation: Declined(Reason.NO_ARREARS, clearing_date=None)
    line = await line_to(played)
    assert (await line.ask(asking(played).payment("77"))).require(39) == "09"
    (entry,) = played.lines("refused")
    assert (entry["wire"], entry["bank"], entry["reason"]) == ("iso8583-guangzhou", "GZB", "NO_ARREARS")
    assert entry["trace_no"] == "77".rjust(12, "0")
    assert entry["trace_id"] == played.ledger.evidence[0].trace_id
    assert isinstance(played.ledger.calls[0], Payment)
    played.assert_no_secret_in_log()
