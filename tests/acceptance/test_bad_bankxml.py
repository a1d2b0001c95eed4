"""Bad input as XML over HTTP, against the real ledger: refused under our signature, told once, and nothing changes.

Strategy: each row breaks a good payment in one way. The answer's signature is checked with the utility's key; the log
has one line with a trace id and no secret; of all rows of all tables none is new but what the row names. Then the same
payment, unbroken and in a message of its own, is accepted on the same connection, under its own trace number unless
the refusal was final for it.
"""

from __future__ import annotations

import asyncio
import copy
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector, TraceConfig
from lxml import etree

from gateway import clock
from gateway.keyring import Keyring
from protocols import xml
from protocols.bankxml import codec
from protocols.bankxml.messages import BankXmlMessage, Bills, Header, PaymentRequest
from protocols.money import Money
from protocols.signing import xmldsig
from protocols.signing.keys import SigningKey
from tests.gateway.servers.xml_peer import NAMESPACE, element

from .house import House, Payer

pytestmark = pytest.mark.asyncio(loop_scope="module")

FINAL = {"operation": 1, "evidence": 1}
UNKNOWN_CUSTOMER = "990000000001"
# Nobody knows who sent it, or whether it is a copy of what was booked: its refusal is no word about the payment.
UNTRUSTED = {"UNREADABLE", "SIGNATURE_INVALID", "REPLAYED"}
DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE Msg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@dataclass(frozen=True, slots=True)
class Good:
    """A payment that would be accepted. Each `tree` is a message of its own: other id, nonce and time."""

    body: PaymentRequest
    keyring: Keyring = field(repr=False)

    def tree(self, **header: object) -> etree._Element:
        base = Header(
            version="1",
            message_type="payment.req",
            sender="YYB",
            receiver="UTILITY",
            message_id=secrets.token_hex(8),
            original_message_id=None,
            sent_at=clock.now(),
            clearing_date=None,
            key_id="yyb-2026",
            nonce=secrets.token_hex(16),
        )
        return codec.build(BankXmlMessage(replace(base, **header), self.body))  # type: ignore[arg-type]

    def signed(self, tree: etree._Element, key_id: str = "yyb-2026") -> bytes:
        return xmldsig.sign(tree, self.keyring.signing_key(key_id))

    def whole(self, **header: object) -> bytes:
        return self.signed(self.tree(**header))

    def signed_with(self, tag: str, text: str) -> bytes:
        """The payment with the text of one element changed before it was signed: content, no forgery."""
        tree = self.tree()
        element(tree, tag).text = text
        return self.signed(tree)

    def changed_after(self, tag: str, text: str) -> bytes:
        tree = xml.parse(self.whole())
        element(tree, tag).text = text
        return etree.tostring(tree)


def good_payment(house: House, payer: Payer) -> Good:
    """The payer's new bill, named."""
    body = PaymentRequest(
        trace_date=house.day,
        trace_no=house.trace_no(),
        customer_no=payer.customer_no,
        bills=Bills(receivable_ids=(payer.new_bill,)),
        amount=Money(payer.new_fen),
        paid_at=clock.now(),
        channel="MOBILE_BANK",
        settle_method="TRANSFER",
    )
    return Good(body, house.installation.keyring)


def _unknown_element(good: Good) -> bytes:
    tree = good.tree()
    etree.SubElement(element(tree, "Body"), f"{{{NAMESPACE}}}Extra").text = "1"
    return good.signed(tree)


def _two_signatures(good: Good) -> bytes:
    tree = xml.parse(good.whole())
    tree.append(copy.deepcopy(tree[-1]))
    return etree.tostring(tree)


def _forged(good: Good) -> bytes:
    """Signed with a key that we know, under the name of the bank's."""
    forger = SigningKey("yyb-2026", good.keyring.signing_key("gzb-file").private)
    return xmldsig.sign(good.tree(), forger)


def _wrapped(good: Good) -> bytes:
    """The signed document inside the signature of another one: the classic of signature wrapping."""
    signed = xml.parse(good.whole())
    other = replace(good, body=replace(good.body, trace_no="T666")).tree()
    signature = signed[-1]
    other.append(signature)
    signature.append(signed)
    return etree.tostring(other)


def _above(good: Good) -> bytes:
    return good.signed_with("Amt", (good.body.amount + Money(1)).decimal())


@dataclass(frozen=True, slots=True)
class Row:
    """What is wrong; (status, code); the bank and reason of the log line; what it leaves in the ledger."""

    name: str
    make: Callable[[Good], bytes]
    status: int
    code: str
    reason: str
    bank: str = "YYB"
    leaves: Mapping[str, int] = field(default_factory=dict)


def bad_xml(name: str, make: Callable[[Good], bytes]) -> Row:
    """No XML that we accept: nobody can be told from it, so the installation's own key signs the refusal."""
    return Row(name, make, 400, "254", "UNREADABLE", bank="")


def forgery(name: str, make: Callable[[Good], bytes]) -> Row:
    return Row(name, make, 200, "253", "SIGNATURE_INVALID")


ROWS = [
    bad_xml("nothing", lambda _: b""),
    bad_xml("too short", lambda _: b"<Msg/>"),
    bad_xml("cut inside a whole request", lambda good: good.whole()[:-40]),
    bad_xml("not XML: ISO 8583", lambda _: b"0100\x02\x00" + b"\x00" * 60),
    bad_xml("DOCTYPE", lambda good: DOCTYPE + etree.tostring(good.tree())),
    bad_xml("an entity", lambda good: DOCTYPE + good.whole().replace(b"YYB", b"&x;", 1)),
    bad_xml("too deep", lambda _: b"<a>" * 1000 + b"</a>" * 1000),
    bad_xml("broken UTF-8", lambda good: good.whole().replace(b"MOBILE_BANK", b"MOBILE\xffBANK")),
    Row("a stranger", lambda good: good.whole(sender="NOBODY"), 403, "253", "SIGNATURE_INVALID", bank=""),
    Row("unknown element", _unknown_element, 200, "0a", "FORMAT_ERROR"),
    Row("unknown message", lambda good: good.signed_with("MsgTp", "refund.req"), 200, "13", "BAD_OPERATION"),
    Row("for another utility", lambda good: good.whole(receiver="OTHER"), 200, "0a", "FORMAT_ERROR"),
    forgery("no signature", lambda good: etree.tostring(good.tree())),
    forgery("two signatures", _two_signatures),
    forgery("wrong signature: another key", _forged),
    forgery("wrong signature: amount changed", lambda good: good.changed_after("Amt", "1.00")),
    forgery("wrong signature: customer changed", lambda good: good.changed_after("CstmrNo", UNKNOWN_CUSTOMER)),
    forgery("wrapped signature", _wrapped),
    forgery("a key that is not this bank's", lambda good: good.signed(good.tree(key_id="gzb-file"), "gzb-file")),
    Row("amount zero", lambda good: good.signed_with("Amt", "0.00"), 200, "204", "AMOUNT_INVALID"),
    Row("amount negative", lambda good: good.signed_with("Amt", "-1.00"), 200, "204", "AMOUNT_INVALID"),
    Row("three decimals", lambda good: good.signed_with("Amt", "100.010"), 200, "204", "AMOUNT_INVALID"),
    Row("above the named bill", _above, 200, "211", "AMOUNT_TOO_LARGE", leaves=FINAL),
    Row("30 February", lambda good: good.signed_with("TrcDt", "2026-02-30"), 200, "203", "DATE_INVALID"),
    Row(
        "25 o'clock", lambda good: good.signed_with("PdTm", "2026-03-03T25:00:00.000+08:00"), 200, "203", "DATE_INVALID"
    ),
    Row(
        "unknown customer",
        lambda good: good.signed_with("CstmrNo", UNKNOWN_CUSTOMER),
        200,
        "03",
        "CUSTOMER_NOT_FOUND",
        leaves=FINAL,
    ),
    Row(
        "sent too long ago", lambda good: good.whole(sent_at=clock.now() - timedelta(minutes=6)), 200, "252", "REPLAYED"
    ),
]


@dataclass
class Client:
    """The bank's HTTP side: one connection, which is counted."""

    house: House
    session: ClientSession
    connections: int = 0

    async def post(self, data: bytes) -> tuple[int, bytes]:
        url = f"http://{self.house.addresses['http']}/bankxml"
        async with self.session.post(url, data=data, headers={"Content-Type": "application/xml"}) as response:
            return response.status, await response.read()

    async def ask(self, data: bytes) -> tuple[int, Any]:
        """Status and body of the answer; raises SignatureError where it is not signed with the utility's key."""
        status, answer = await self.post(data)
        key = self.house.installation.keyring.verifying_key("utility-2026")
        return status, codec.parse(xmldsig.verify(xml.parse(answer), key)).body

    async def accepted(self, good: Good) -> dict[str, Any]:
        """The good payment is booked, once and as told."""
        status, body = await self.ask(good.whole())
        assert (status, body.result.outcome_class, body.result.code) == (200, "success", "00")
        [row] = await self.house.payments(good.body.trace_no)
        assert (row["reference_no"], row["amount_fen"]) == (body.reference_no, good.body.amount.minor)
        return row


@asynccontextmanager
async def bank(house: House) -> AsyncIterator[Client]:
    trace = TraceConfig()

    async def count(*_: object) -> None:
        client.connections += 1

    trace.on_connection_create_end.append(count)
    async with ClientSession(connector=TCPConnector(limit=1), trace_configs=[trace]) as session:
        client = Client(house, session)
        yield client


def signature_parts(message: bytes) -> list[str]:
    """Digest and signature of a message: neither belongs in a log."""
    found = re.findall(rb"<[A-Za-z:]*(?:DigestValue|SignatureValue)>([^<]{20,})<", message)
    return [part.decode("ascii")[:30] for part in found]


def told_once(house: House, since: int, reason: str, bank_code: str, *secret_words: str) -> dict[str, Any]:
    """The one log line since then: which refusal, whose, where, under which trace id; and no secret."""
    lines = house.lines(since)
    assert [line["event"] for line in lines] == ["refused"]
    [line] = lines
    assert (line["reason"], line["bank"], line["level"]) == (reason, bank_code, "warning")
    assert len(line["trace_id"]) == 16
    house.assert_log_is_clean(UNKNOWN_CUSTOMER, "passwd", *secret_words)
    return line


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_refused_signed_told_once_and_nothing_changes(house: House, row: Row) -> None:
    good = good_payment(house, house.payer())
    broken = row.make(good)
    async with bank(house) as client:
        before, logged = await house.rows(), len(house.log.getvalue())
        status, body = await client.ask(broken)
        assert (status, body.result.code) == (row.status, row.code)
        assert body.result.outcome_class == ("unknown_outcome" if row.reason in UNTRUSTED else "final_refusal")
        assert (await house.rows()).added_since(before) == row.leaves
        refused = told_once(house, logged, row.reason, row.bank, *signature_parts(broken))
        for kept in await house.evidence(good.body.trace_no):
            assert (kept["trace_id"], kept["bank"]) == (refused["trace_id"], "YYB")
        if row.leaves:
            good = replace(good, body=replace(good.body, trace_no=house.trace_no()))
        await client.accepted(good)
        assert client.connections == 1
    assert len(house.lines(logged)) == 1


async def test_too_long_is_refused_unread(house: House) -> None:
    """Nobody can be told from a message that was not read: HTTP's own status, in plain text."""
    good = good_payment(house, house.payer())
    limit = house.installation.settings.http.body_limit_bytes
    async with bank(house) as client:
        before, logged = await house.rows(), len(house.log.getvalue())
        status, answer = await client.post(good.whole() + b" " * limit)
        assert (status, answer) == (413, f"a message has at most {limit} bytes\n".encode())
        assert await house.rows() == before
        told_once(house, logged, "UNREADABLE", "")
        await client.accepted(good)


async def test_replay_of_the_very_same_bytes(house: House) -> None:
    """The outcome is unknown to whoever replays, never a refusal: one copy was booked."""
    good = good_payment(house, house.payer())
    data = good.whole()
    async with bank(house) as client:
        _, first = await client.ask(data)
        assert first.result.code == "00"
        before, logged = await house.rows(), len(house.log.getvalue())
        status, again = await client.ask(data)
        assert (status, again.result.outcome_class, again.result.code) == (200, "unknown_outcome", "252")
        assert await house.rows() == before
        told_once(house, logged, "REPLAYED", "YYB", *signature_parts(data))
        # The same payment in a new message is a resend, and gets the stored answer.
        _, resent = await client.ask(good.whole())
        assert (resent.result.code, resent.reference_no) == ("00", first.reference_no)
        assert (await house.rows()).added_since(before) == {"evidence": 1}


@pytest.mark.parametrize("damage", [_two_signatures, lambda good: good.changed_after("Amt", "1.00")])
async def test_a_damaged_copy_of_a_booked_payment_says_nothing_of_it(
    house: House, damage: Callable[[Good], bytes]
) -> None:
    """Anybody can make one; our signed answer to it must not move the bank to give the money back."""
    good = good_payment(house, house.payer())
    async with bank(house) as client:
        row = await client.accepted(good)
        _, told = await client.ask(damage(good))
        assert told.result.outcome_class == "unknown_outcome"
        assert await house.payments(good.body.trace_no) == [row]


async def test_cut_in_the_middle(house: House) -> None:
    """Half a request and then nothing more: there is nobody to answer, and half a payment is none."""
    good = good_payment(house, house.payer())
    data = good.whole()
    host, port = house.addresses["http"].rsplit(":", 1)
    before, logged = await house.rows(), len(house.log.getvalue())
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /bankxml HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode("ascii") + data[: len(data) // 2])
    await writer.drain()
    writer.close()
    await house.lines_of(1, logged)
    told_once(house, logged, "UNREADABLE", "")
    assert await house.rows() == before
    async with bank(house) as client:
        await client.accepted(good)


async def test_the_books_hold_after_all_this(house: House) -> None:
    await house.check_books()
    house.assert_log_is_clean(UNKNOWN_CUSTOMER)
