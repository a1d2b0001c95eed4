"""The simulated bank's XML line: signed requests by HTTP, signed replies believed only after verification.

Strategy: built with the same public functions a bank's engineer would write from the wire page. Every request has a
new MsgId, nonce and time; trace date and number stay with the order. A reply whose signature does not verify with the
utility's key is no answer at all.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import date, datetime
from zoneinfo import ZoneInfo

import aiohttp
from cryptography.hazmat.primitives.asymmetric import rsa

from busbar.bank.book import Share
from busbar.bank.config import BankSetup, BankSetupError
from busbar.bank.wires import Answer, Bill, Damage, Meaning, Order
from protocols import xml
from protocols.bankxml import codec, messages
from protocols.errors import ProtocolError
from protocols.money import Money
from protocols.signing import keys, xmldsig

ANSWER_TIMEOUT_SECONDS = 30.0
_MEANINGS = {
    "success": Meaning.OK,
    "final_refusal": Meaning.REFUSED,
    "retry_later": Meaning.RETRY,
    "unknown_outcome": Meaning.UNKNOWN,
}


class BankXmlWire:
    """`Wire` over POST /bankxml."""

    has_status_enquiry = True
    has_sessions = False

    def __init__(self, setup: BankSetup) -> None:
        if setup.private_key_file is None or setup.utility_public_key_file is None:
            raise BankSetupError("bankxml needs private_key_file and utility_public_key_file")
        self._setup = setup
        self._zone = ZoneInfo(setup.time_zone)
        self._key = keys.load_signing_key(setup.private_key_file.read_bytes(), setup.key_id)
        self._utility_pem = setup.utility_public_key_file.read_bytes()
        self._stranger = keys.SigningKey(setup.key_id, rsa.generate_private_key(65537, 2048))
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_SECONDS)
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def sign(self, *, on: bool, trace_no: str) -> Answer:
        raise NotImplementedError("the bankxml protocol has no sign-on")

    async def enquire(self, customer_no: str, billing_month: str, trace: tuple[date, str]) -> Answer:
        bills = messages.Bills(billing_month=int(billing_month)) if billing_month else messages.Bills(all_bills=True)
        body = messages.BillEnquiryRequest(trace[0], trace[1], customer_no, bills)
        return await self._ask("bill.enquiry.req", body)

    async def pay(self, order: Order, damage: Damage = Damage.NONE) -> Answer:
        if order.is_deposit:
            return await self._ask("deposit.req", self._deposit(order), damage)
        if order.receivable_id:
            bills = messages.Bills(receivable_ids=(order.receivable_id,))
        elif order.billing_month:
            bills = messages.Bills(billing_month=int(order.billing_month))
        else:
            bills = messages.Bills(all_bills=True)
        body = messages.PaymentRequest(
            trace_date=order.trace_date,
            trace_no=order.trace_no,
            customer_no=order.customer_no,
            bills=bills,
            amount=Money(order.amount_fen),
            paid_at=order.paid_at,
            channel=order.channel,
            settle_method=order.settle_method,
            outlet="OUTLET0001",
            operator="TELLER01",
        )
        return await self._ask("payment.req", body, damage)

    async def cancel(self, order: Order, reference_no: str, trace: tuple[date, str]) -> Answer:
        return await self._ask("cancel.req", self._undo(order, reference_no or None, trace))

    async def reverse(self, order: Order, trace: tuple[date, str]) -> Answer:
        return await self._ask("reversal.req", self._undo(order, None, trace))

    async def status(self, order: Order, trace: tuple[date, str], *, fence: bool) -> Answer:
        original = messages.Original(order.trace_date, order.trace_no)
        body = messages.StatusEnquiryRequest(trace[0], trace[1], order.customer_no, original, fence)
        return await self._ask("status.enquiry.req", body)

    def _deposit(self, order: Order) -> messages.DepositRequest:
        return messages.DepositRequest(
            trace_date=order.trace_date,
            trace_no=order.trace_no,
            customer_no=order.customer_no,
            amount=Money(order.amount_fen),
            paid_at=order.paid_at,
            channel=order.channel,
            settle_method=order.settle_method,
        )

    def _undo(self, order: Order, reference_no: str | None, trace: tuple[date, str]) -> messages.UndoRequest:
        original = messages.Original(order.trace_date, order.trace_no, reference_no)
        return messages.UndoRequest(trace[0], trace[1], order.customer_no, original, Money(order.amount_fen))

    def _header(self, message_type: str) -> messages.Header:
        return messages.Header(
            version="1",
            message_type=message_type,
            sender=self._setup.sender,
            receiver=self._setup.receiver,
            message_id=secrets.token_hex(12),
            original_message_id=None,
            sent_at=datetime.now(self._zone),
            clearing_date=None,
            key_id=self._key.key_id,
            nonce=secrets.token_hex(16),
        )

    async def _ask(self, message_type: str, body: messages.Body, damage: Damage = Damage.NONE) -> Answer:
        key = self._stranger if damage is Damage.WRONG_KEY else self._key
        header = self._header(message_type)
        request = xmldsig.sign(codec.build(messages.BankXmlMessage(header, body)), key)
        if damage is Damage.LOST_REPLY:
            return await self._lose_the_reply(request)
        answer = await self._post(request, header, body)
        return await self._post(request, header, body) if damage is Damage.REPLAY else answer

    async def _post(self, request: bytes, header: messages.Header, body: messages.Body) -> Answer:
        assert self._session is not None  # noqa: S101 - open() comes first
        url = f"http://{self._setup.address}/bankxml"
        try:
            async with self._session.post(url, data=request, headers={"Content-Type": "application/xml"}) as response:
                return self._believe(await response.read(), header, body)
        except (aiohttp.ClientError, TimeoutError):
            return Answer(Meaning.NO_ANSWER)

    async def _lose_the_reply(self, request: bytes) -> Answer:
        """Send everything, and hang up before the answer: the utility books, the bank does not know."""
        host, _, port = self._setup.address.rpartition(":")
        head = (
            f"POST /bankxml HTTP/1.1\r\nHost: {self._setup.address}\r\nContent-Type: application/xml\r\n"
            f"Content-Length: {len(request)}\r\n\r\n"
        )
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head.encode("ascii") + request)
        await writer.drain()
        writer.close()
        return Answer(Meaning.NO_ANSWER)

    def _believe(self, reply: bytes, asked: messages.Header, question: messages.Body) -> Answer:
        """The answer of a verified reply to this very request; no answer where it can't be trusted."""
        try:
            root = xml.parse(reply)
            key_id = codec.read_claim(root).key_id or ""
            signed = xmldsig.verify(root, keys.load_verifying_key(self._utility_pem, key_id))
            message = codec.parse(signed)
        except (ProtocolError, keys.KeyLoadError):
            return Answer(Meaning.NO_ANSWER, code="untrusted")
        told = message.header
        if (told.original_message_id, told.sender, told.receiver) != (asked.message_id, asked.receiver, asked.sender):
            return Answer(Meaning.NO_ANSWER, code="not ours")
        if _trace_of(message.body) not in (None, _trace_of(question)):
            return Answer(Meaning.NO_ANSWER, code="not ours")
        return read_answer(message)


def _trace_of(body: messages.Body) -> tuple[date, str] | None:
    return None if isinstance(body, messages.RefusalReply) else (body.trace_date, body.trace_no)


def read_answer(message: messages.BankXmlMessage) -> Answer:
    """What a reply of the XML profile means to the bank."""
    body, day = message.body, message.header.clearing_date
    if not isinstance(body, messages.Reply):
        return Answer(Meaning.NO_ANSWER, code="no reply")
    meaning, code = _MEANINGS[body.result.outcome_class], body.result.code
    match body:
        case messages.BillEnquiryReply():
            bills = tuple(
                Bill(b.receivable_id, str(b.billing_month), b.owed.minor, b.partial_payment_allowed) for b in body.bills
            )
            return Answer(meaning, code, day, owed_fen=sum(bill.owed_fen for bill in bills), bills=bills)
        case messages.PaymentReply():
            shares = tuple(
                Share(s.receivable_id, str(s.billing_month), s.principal.minor, s.penalty.minor) for s in body.lines
            )
            return Answer(meaning, code, day, body.reference_no or "", shares=shares)
        case messages.UndoReply():
            booked = body.undo_result != "NOTHING_TO_UNDO"
            return Answer(meaning, code, day, (body.reference_no or "") if booked else "")
        case messages.StatusEnquiryReply() if body.status is not None:
            status = body.status
            return Answer(meaning, code, status.clearing_date, status.reference_no or "", payment_state=status.state)
        case _:
            return Answer(meaning, code, day)
