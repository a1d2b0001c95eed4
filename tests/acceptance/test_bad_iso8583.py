"""Bad input on the ISO 8583 line, against the real ledger: refused with our MAC, told once, and nothing changes.

Strategy: each row breaks a good payment in one way. The reply's MAC is checked with the bank's key; the log has one
line with a trace id and no secret; of all rows of all tables none is new but what the row names. Then the same payment
unbroken is accepted, under its own trace number unless the refusal was final for it, and on the same connection unless
the stream had been lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway import clock
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, encode
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_codes import CodeClass, class_of_code
from protocols.iso8583.dialects.guangzhou_layouts import Collection
from protocols.iso8583.framing import encode_frame
from protocols.money import Money
from protocols.signing.macs import MAC_TEXT_LENGTH, mac_text
from tests.gateway.servers.iso_peer import ALGORITHM, SENDER, Line, sealed, with_wrong_mac

from .house import ACCOUNT, House, Payer

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINAL = {"operation": 1, "evidence": 1}
UNKNOWN_CUSTOMER = "990000000001"


@dataclass(frozen=True, slots=True)
class Good:
    """A payment that would be accepted, and the key that its MAC is made with."""

    message: Message
    key: bytes = field(repr=False)

    @property
    def frame(self) -> bytes:
        return sealed(self.message, self.key)

    def changed(self, **fields: str) -> bytes:
        """The payment with other fields, `f4="…"`, its MAC right."""
        values = {int(name[1:]): text for name, text in fields.items()}
        return sealed(self.message.with_fields(values), self.key)

    def without(self, number: int) -> bytes:
        return sealed(self.message.without_fields(number), self.key)

    def patched(self, old: str, new: str) -> bytes:
        """The payment with bytes that our codec would not write (hexadecimal), its MAC right for them."""
        body = encode(self.message.with_fields({128: "0" * MAC_TEXT_LENGTH}), GUANGZHOU)[:-MAC_TEXT_LENGTH]
        assert body.count(bytes.fromhex(old)) == 1
        covered = body.replace(bytes.fromhex(old), bytes.fromhex(new))
        return encode_frame(covered + mac_text(ALGORITHM, self.key, covered).encode("ascii"))


def good_payment(house: House, payer: Payer) -> Good:
    """The payer's new bill, from an account, named by its month."""
    at = bank.Trace(house.trace_no(), clock.now(), house.day)
    collection = Collection(payer.customer_no, f"{payer.new_month}99")
    return Good(bank.payment(SENDER, at, collection, Money(payer.new_fen), ACCOUNT), house.mac_key())


def _amount(good: Good) -> str:
    return good.message.require(4)


def _cut_inside(good: Good) -> bytes:
    """The frame is whole, the message in it ends in the middle of a field."""
    return encode_frame(good.frame[4:][:60])


def _unknown_customer(good: Good) -> bytes:
    return good.changed(f48=good.message.require(48).replace(good.message.require(48)[:21], f"{UNKNOWN_CUSTOMER:>21}"))


@dataclass(frozen=True, slots=True)
class Row:
    """What is wrong; field 39 of the answer (None: there is nobody to answer); the log's reason; what it leaves."""

    name: str
    make: Callable[[Good], bytes]
    code: str | None
    reason: str
    line_stays: bool = True
    leaves: Mapping[str, int] = field(default_factory=dict)


ROWS = [
    Row("frame too long", lambda good: b"9999" + good.frame[4:], "30", "UNREADABLE", line_stays=False),
    Row("frame one byte too long", lambda good: b"1025" + b"0" * 1025, None, "UNREADABLE", line_stays=False),
    Row("frame too short", lambda good: b"0017" + good.frame[4:21], "30", "UNREADABLE", line_stays=False),
    Row("length zero", lambda good: b"0000" + good.frame, None, "UNREADABLE", line_stays=False),
    Row("not ISO 8583: HTTP", lambda _: b"GET / HTTP/1.1\r\n\r\n", None, "UNREADABLE", line_stays=False),
    Row("not ISO 8583: XML in a frame", lambda _: encode_frame(b"<Msg>" + b" " * 40 + b"</Msg>"), None, "UNREADABLE"),
    Row("cut inside a whole frame", _cut_inside, "30", "UNREADABLE"),
    Row("a field too many", lambda good: good.changed(f70="001"), "01", "FORMAT_ERROR"),
    Row("a field missing", lambda good: good.without(49), "01", "FORMAT_ERROR"),
    Row("not a digit in a number", lambda good: good.patched("190000", "19000C"), "30", "UNREADABLE"),
    Row("broken GBK", lambda good: good.patched("20" * 25, "20" * 23 + "FFFF"), "30", "UNREADABLE"),
    Row("amount zero", lambda good: good.changed(f4="0" * 12), "13", "AMOUNT_INVALID"),
    # A sign, and a third decimal, have no place in twelve digits of fen: only bytes that are no digits can mean them.
    Row("amount negative", lambda good: good.patched(_amount(good), "D" + _amount(good)[1:]), "30", "UNREADABLE"),
    Row("three decimals", lambda good: good.patched(_amount(good), _amount(good)[1:] + "E"), "30", "UNREADABLE"),
    Row("a fee", lambda good: good.changed(f28="000000000100"), "13", "AMOUNT_INVALID"),
    Row("another currency", lambda good: good.changed(f49="840"), "13", "AMOUNT_INVALID"),
    Row(
        "above the named bill",
        lambda good: good.changed(f4=f"{int(_amount(good)) + 1:012d}"),
        "UA",
        "AMOUNT_TOO_LARGE",
        leaves=FINAL,
    ),
    Row("30 February", lambda good: good.changed(f13="0230"), "07", "DATE_INVALID"),
    Row("month 13", lambda good: good.changed(f13="1301"), "07", "DATE_INVALID"),
    Row("25 o'clock", lambda good: good.changed(f12="250000"), "07", "DATE_INVALID"),
    Row("wrong MAC", lambda good: with_wrong_mac(good.frame), "05", "SIGNATURE_INVALID"),
    Row("MAC by another key", lambda good: sealed(good.message, b"\x02" * 16), "05", "SIGNATURE_INVALID"),
    Row(
        "changed on the way",
        lambda good: good.frame.replace(b"000001000001", b"000001000002"),
        "05",
        "SIGNATURE_INVALID",
    ),
    Row("no MAC", lambda good: encode_frame(encode(good.message, GUANGZHOU)), "05", "SIGNATURE_INVALID"),
    Row("unknown customer", _unknown_customer, "10", "CUSTOMER_NOT_FOUND", leaves=FINAL),
    Row("another bank's code", lambda good: good.changed(f32="103100"), "12", "BAD_OPERATION"),
    Row("operation not offered", lambda good: good.changed(f3="180000"), "12", "BAD_OPERATION"),
]


async def signed_on(house: House) -> Line:
    line = await Line.open(house.iso_address(), house.mac_key())
    reply = await line.ask(bank.sign_on(SENDER, house.trace_no(), clock.now()))
    assert reply.require(39) == "00"
    return line


async def accepted(house: House, line: Line, good: Good) -> dict[str, Any]:
    """The good payment is booked, once and as told."""
    reply = await line.ask(good.message)
    assert (reply.mti, reply.require(39), reply.require(11)) == ("0210", "00", good.message.require(11))
    [row] = await house.payments(good.message.require(11))
    assert (row["reference_no"], row["amount_fen"]) == (reply.require(37), int(good.message.require(4)))
    return row


def told_once(house: House, since: int, reason: str, *secrets: str) -> dict[str, Any]:
    """The one log line since then: which refusal, whose, where, under which trace id; and no secret."""
    lines = house.lines(since)
    assert [line["event"] for line in lines] == ["refused"]
    [line] = lines
    assert (line["reason"], line["bank"], line["level"]) == (reason, "GZB", "warning")
    assert len(line["trace_id"]) == 16
    house.assert_log_is_clean(UNKNOWN_CUSTOMER, *secrets)
    return line


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_refused_told_once_and_nothing_changes(house: House, row: Row) -> None:
    good = good_payment(house, house.payer())
    line = await signed_on(house)
    broken = row.make(good)
    before, logged = await house.rows(), len(house.log.getvalue())
    line.send(broken)
    if row.code is not None:
        reply = await line.receive()
        assert (reply.mti, reply.get(39), reply.get(37)) == ("0210", row.code, None)
    if not row.line_stays:
        assert await line.is_closed()
        line = await Line.open(house.iso_address(), house.mac_key())
    await house.lines_of(1, logged)
    assert (await house.rows()).added_since(before) == row.leaves
    mac = mac_field.seal(good.message, GUANGZHOU, ALGORITHM, good.key)[-MAC_TEXT_LENGTH:].decode("ascii")
    refused = told_once(house, logged, row.reason, mac)
    for kept in await house.evidence(good.message.require(11)):
        assert (kept["trace_id"], kept["bank"]) == (refused["trace_id"], "GZB")
    if row.leaves:
        good = Good(good.message.with_fields({11: house.trace_no()}), good.key)
    await accepted(house, line, good)
    line.close()
    assert len(house.lines(logged)) == 1


@pytest.mark.parametrize("damage", [with_wrong_mac, lambda frame: encode_frame(frame[4:][:60])], ids=["MAC", "cut"])
async def test_a_damaged_copy_of_a_booked_payment_says_nothing_of_it(
    house: House, damage: Callable[[bytes], bytes]
) -> None:
    """Anybody can make one; our sealed answer to it must not move the bank to give the money back."""
    good = good_payment(house, house.payer())
    line = await signed_on(house)
    row = await accepted(house, line, good)
    reply = await line.ask(damage(good.frame))
    assert class_of_code(reply.require(39)) is CodeClass.UNKNOWN_OUTCOME
    assert await house.payments(good.message.require(11)) == [row]


async def test_cut_in_the_middle(house: House) -> None:
    """Half a frame and then nothing more: there is nobody to answer, and half a payment is none."""
    good = good_payment(house, house.payer())
    line = await signed_on(house)
    before, logged = await house.rows(), len(house.log.getvalue())
    line.send(good.frame[: len(good.frame) // 2])
    line.writer.write_eof()
    assert await line.is_closed()
    refused = (await house.lines_of(1, logged))[0]
    assert "the stream ended after" in refused["note"]
    told_once(house, logged, "UNREADABLE")
    assert await house.rows() == before
    await accepted(house, await Line.open(house.iso_address(), house.mac_key()), good)


async def test_a_frame_in_many_pieces_is_no_bad_input(house: House) -> None:
    good = good_payment(house, house.payer())
    line = await signed_on(house)
    logged = len(house.log.getvalue())
    for index in range(len(good.frame) - 1):
        line.send(good.frame[index : index + 1])
        await asyncio.sleep(0)
    line.send(good.frame[-1:])
    assert (await line.receive()).require(39) == "00"
    assert house.lines(logged) == []


async def test_replayed_bytes_get_the_stored_answer_and_book_nothing(house: House) -> None:
    """This wire has no nonce: whoever replays a frame learns what the bank was told, and moves no money."""
    good = good_payment(house, house.payer())
    line = await signed_on(house)
    row = await accepted(house, line, good)
    before, logged = await house.rows(), len(house.log.getvalue())
    stranger = await Line.open(house.iso_address(), house.mac_key())
    reply = await stranger.ask(good.frame)
    assert (reply.require(39), reply.require(37)) == ("00", row["reference_no"])
    assert (await house.rows()).added_since(before) == {"evidence": 1}
    assert house.lines(logged) == []


async def test_after_three_wrong_macs_this_connection_signs_on_again(house: House) -> None:
    good = good_payment(house, house.payer())
    line, other = await signed_on(house), await signed_on(house)
    before = await house.rows()
    for _ in range(3):
        assert (await line.ask(with_wrong_mac(good.frame))).require(39) == "05"
    assert (await line.ask(good.message)).require(39) == "05"
    assert await house.rows() == before
    await accepted(house, other, good_payment(house, house.payer()))
    assert (await line.ask(bank.sign_on(SENDER, house.trace_no(), clock.now()))).require(39) == "00"
    await accepted(house, line, good)


async def test_the_books_hold_after_all_this(house: House) -> None:
    await house.check_books()
    house.assert_log_is_clean(UNKNOWN_CUSTOMER)
