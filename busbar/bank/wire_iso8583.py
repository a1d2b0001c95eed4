"""The simulated bank's ISO 8583 line: one connection, many requests under way, answers paired by MTI and trace.

Strategy: built with the public codec. A reader task takes frames off the connection, checks each reply's MAC, and
hands it to whoever waits for (reply MTI, trace number); a reply with a wrong MAC is no answer. A lost reply is played
on a connection of its own that is closed as soon as the request has left. The connection is made again when it is
gone. This dialect has no status enquiry: the same 0200 again is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from busbar.bank.config import BankSetup, BankSetupError
from busbar.bank.wires import Answer, Damage, Meaning, Order
from protocols.errors import ProtocolError
from protocols.iso8583 import framing, mac_field
from protocols.iso8583.codec import Message, decode
from protocols.iso8583.dialects import guangzhou_messages as guangzhou
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_codes import CodeClass
from protocols.iso8583.dialects.guangzhou_layouts import (
    ALL_MONTHS,
    CASH_OR_ACCOUNT,
    CHEQUE_AS_PREPAYMENT,
    NO_REFERENCE,
    Collection,
)
from protocols.iso8583.mti import reply_mti
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm

ANSWER_TIMEOUT_SECONDS = 30.0
_READ_BYTES = 65536
# Field 41's digit for each channel that this dialect can name (bank-side channel list).
CHANNEL_DIGITS = {
    "BANK_COUNTER": "0",
    "PHONE_BANK": "1",
    "INTERNET_BANK": "2",
    "ATM": "3",
    "POS": "4",
    "KIOSK": "5",
    "MOBILE_BANK": "6",
    "AGENT_OUTLET": "T",
}
# With an account in field 2 the money comes from it: a card at machines, a transfer elsewhere; without, it is cash.
CHANNELS = (
    ("BANK_COUNTER", "CASH"),
    ("BANK_COUNTER", "CASH"),
    ("ATM", "CARD"),
    ("INTERNET_BANK", "TRANSFER"),
    ("MOBILE_BANK", "TRANSFER"),
    ("KIOSK", "TRANSFER"),
    ("AGENT_OUTLET", "CASH"),
)
_MEANINGS = {
    CodeClass.SUCCESS: Meaning.OK,
    CodeClass.FINAL_REFUSAL: Meaning.REFUSED,
    CodeClass.RETRY_LATER: Meaning.RETRY,
    CodeClass.UNKNOWN_OUTCOME: Meaning.UNKNOWN,
}
_NOTHING_TO_UNDO = "8072"


class Iso8583Wire:
    """`Wire` over one TCP connection in the Guangzhou dialect."""

    has_status_enquiry = False
    has_sessions = True

    def __init__(self, setup: BankSetup) -> None:
        if setup.mac_key_file is None or not setup.institution:
            raise BankSetupError("iso8583-guangzhou needs mac_key_file and institution")
        self._setup = setup
        self._host, _, port = setup.address.rpartition(":")
        self._port = int(port)
        self._zone = ZoneInfo(setup.time_zone)
        self._key = bytes.fromhex(setup.mac_key_file.read_text(encoding="ascii").strip())
        self._algorithm = MacAlgorithm(setup.mac_algorithm)
        self._waiting: dict[tuple[str, str], asyncio.Future[Message]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def open(self) -> None:
        await self._connected()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._reader_task is not None:
            self._reader_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader_task

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None or self._writer.is_closing():
                reader, self._writer = await asyncio.open_connection(self._host, self._port)
                self._reader_task = asyncio.create_task(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        frames = framing.FrameReader()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_READ_BYTES):
                frames.receive_data(data)
                while (frame := frames.next_frame()) is not framing.NEED_DATA:
                    self._deliver(frame)
        if self._writer is not None:
            self._writer.close()
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(ConnectionResetError())

    def _deliver(self, frame: bytes) -> None:
        try:
            reply = decode(frame, GUANGZHOU)
            mac_field.check(frame, reply, GUANGZHOU, self._algorithm, self._key)
        except ProtocolError:
            return
        waiter = self._waiting.pop((reply.mti, reply.get(11) or ""), None)
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)

    async def sign(self, *, on: bool, trace_no: str) -> Answer:
        make = guangzhou.sign_on if on else guangzhou.sign_off
        return await self._ask(make(self._sender("BANK_COUNTER"), trace_no, datetime.now(self._zone)))

    async def enquire(self, customer_no: str, billing_month: str, trace: tuple[date, str]) -> Answer:
        collection = Collection(customer_no, _month(billing_month), collect_kind=guangzhou.NO_COLLECT_KIND)
        at = guangzhou.Trace(trace[1], datetime.now(self._zone), trace[0])
        return await self._ask(guangzhou.enquiry(self._sender("BANK_COUNTER"), at, collection))

    async def pay(self, order: Order, damage: Damage = Damage.NONE) -> Answer:
        message = guangzhou.payment(
            self._sender(order.channel), _trace(order), _collection(order), Money(order.amount_fen), _account(order)
        )
        if damage is Damage.LOST_REPLY:
            return await self._lose_the_reply(message)
        if damage is Damage.WRONG_KEY:
            return await self._forge(message)
        answer = await self._ask(message)
        return await self._ask(message) if damage is Damage.REPLAY else answer

    async def cancel(self, order: Order, reference_no: str, trace: tuple[date, str]) -> Answer:
        at = datetime.now(self._zone)
        own = guangzhou.Trace(trace[1], at, trace[0])
        return await self._ask(self._undo(guangzhou.cancel, order, own, at, reference_no))

    async def reverse(self, order: Order, trace: tuple[date, str]) -> Answer:  # noqa: ARG002 - the payment's own trace
        return await self._ask(self._undo(guangzhou.reversal, order, _trace(order), datetime.now(self._zone), ""))

    async def status(self, order: Order, trace: tuple[date, str], *, fence: bool) -> Answer:
        raise NotImplementedError("this dialect has no status enquiry: send the payment again")

    def _undo(
        self, make: Callable[..., Message], order: Order, trace: guangzhou.Trace, at: datetime, reference_no: str
    ) -> Message:
        collection = _collection(order, reference_no)
        amount, account = Money(order.amount_fen), _account(order)
        return make(self._sender(order.channel), trace, collection, amount, at=at, account=account)

    def _sender(self, channel: str) -> guangzhou.Sender:
        return guangzhou.Sender(
            institution=self._setup.institution,
            utility_institution=self._setup.utility_institution,
            channel=CHANNEL_DIGITS[channel],
            zone=self._zone,
        )

    async def _ask(self, message: Message) -> Answer:
        frame = self._frame(message, self._key)
        waiter: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        # A connection that fails in `drain` fails its waiters too: nobody will ask for the second report.
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
        pair = (reply_mti(message.mti), message.require(11))
        self._waiting[pair] = waiter
        try:
            writer = await self._connected()
            writer.write(frame)
            await writer.drain()
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                reply = await waiter
        except (OSError, TimeoutError):
            self._waiting.pop(pair, None)
            return Answer(Meaning.NO_ANSWER)
        return self._read_answer(reply)

    async def _lose_the_reply(self, message: Message) -> Answer:
        _, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(self._frame(message, self._key))
        await writer.drain()
        writer.close()
        return Answer(Meaning.NO_ANSWER)

    async def _forge(self, message: Message) -> Answer:
        """Somebody else, on a connection of their own, with a key that is not the bank's."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        writer.write(self._frame(message, secrets.token_bytes(len(self._key))))
        frames = framing.FrameReader()
        answer = Answer(Meaning.NO_ANSWER)
        with contextlib.suppress(OSError, EOFError, TimeoutError, ProtocolError):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                while (frame := frames.next_frame()) is framing.NEED_DATA:
                    frames.receive_data(await reader.readexactly(1))
                reply = decode(frame, GUANGZHOU)
                mac_field.check(frame, reply, GUANGZHOU, self._algorithm, self._key)
                answer = self._read_answer(reply)
        writer.close()
        return answer

    def _frame(self, message: Message, key: bytes) -> bytes:
        return framing.encode_frame(mac_field.seal(message, GUANGZHOU, self._algorithm, key))

    def _read_answer(self, message: Message) -> Answer:
        reply = guangzhou.read_reply(message, datetime.now(self._zone).date())
        booked = reply.code_class is CodeClass.SUCCESS and reply.detail != _NOTHING_TO_UNDO
        owed = reply.amount.minor if reply.mti == "0110" and reply.amount else 0
        reference_no = (reply.reference_no or "") if booked else ""
        return Answer(_MEANINGS[reply.code_class], reply.code, reply.clearing_date, reference_no, owed_fen=owed)


def _month(billing_month: str) -> str:
    return f"{billing_month}99" if billing_month else ALL_MONTHS


def _collection(order: Order, reference_no: str = "") -> Collection:
    return Collection(
        order.customer_no,
        _month(order.billing_month),
        original_reference=reference_no or NO_REFERENCE,
        collect_kind=CHEQUE_AS_PREPAYMENT if order.is_deposit else CASH_OR_ACCOUNT,
    )


def _account(order: Order) -> str | None:
    """A made-up card number of the payer, 16 digits; none for cash."""
    return None if order.settle_method == "CASH" else f"622202{int(order.customer_no) % 10**10:010d}"


def _trace(order: Order) -> guangzhou.Trace:
    return guangzhou.Trace(order.trace_no, order.paid_at, order.trace_date)
