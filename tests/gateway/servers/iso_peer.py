"""A bank's end of an ISO 8583 line, for tests: requests with a MAC, replies whose MAC is checked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_layouts import Collection
from protocols.iso8583.framing import FrameReader, NeedData, encode_frame
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm

ALGORITHM = MacAlgorithm.X9_19
SENDER = bank.Sender("315810")


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of a bank at a moment, for one customer."""

    now: datetime
    customer_no: str
    account: str

    def _trace(self, number: str) -> bank.Trace:
        return bank.Trace(number.rjust(12, "0"), self.now, self.now.astimezone(SENDER.zone).date())

    def sign_on(self, number: str = "1") -> Message:
        return bank.sign_on(SENDER, number.rjust(12, "0"), self.now)

    def echo(self, number: str = "2") -> Message:
        return bank.echo(SENDER, number.rjust(12, "0"), self.now)

    def enquiry(self, number: str = "3") -> Message:
        return bank.enquiry(SENDER, self._trace(number), Collection(self.customer_no, collect_kind="00"))

    def payment(self, number: str = "4") -> Message:
        collection = Collection(self.customer_no)
        return bank.payment(SENDER, self._trace(number), collection, Money(12345), self.account)

    def cancel(self, number: str = "5") -> Message:
        collection = Collection(self.customer_no, original_reference="000000000077")
        return bank.cancel(SENDER, self._trace(number), collection, Money(12345), at=self.now)

    def reversal(self, number: str = "4") -> Message:
        return bank.reversal(SENDER, self._trace(number), Collection(self.customer_no), Money(12345), at=self.now)


def sealed(message: Message, key: bytes) -> bytes:
    """A message with its MAC, as a frame."""
    return encode_frame(mac_field.seal(message, GUANGZHOU, ALGORITHM, key))


def with_wrong_mac(frame: bytes) -> bytes:
    """The frame with the last character of its MAC changed."""
    return frame[:-1] + (b"0" if frame[-1:] != b"0" else b"1")


def opened(frame: bytes, key: bytes) -> Message:
    """A reply's message; raises SignatureError where its MAC is wrong."""
    message = decode(frame, GUANGZHOU)
    mac_field.check(frame, message, GUANGZHOU, ALGORITHM, key)
    return message


class Line:
    """A TCP connection of the bank."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes) -> None:
        self._reader, self.writer, self._key = reader, writer, key
        self._frames = FrameReader()

    @classmethod
    async def open(cls, address: tuple[str, int], key: bytes) -> Line:
        return cls(*await asyncio.open_connection(*address), key)

    def send(self, data: bytes | Message) -> None:
        self.writer.write(sealed(data, self._key) if isinstance(data, Message) else data)

    async def receive(self) -> Message:
        """The next reply, its MAC checked; raises EOFError where the server has closed."""
        while True:
            frame = self._frames.next_frame()
            if not isinstance(frame, NeedData):
                return opened(frame, self._key)
            data = await asyncio.wait_for(self._reader.read(4096), 5)
            if not data:
                raise EOFError
            self._frames.receive_data(data)

    async def ask(self, data: bytes | Message) -> Message:
        self.send(data)
        return await self.receive()

    async def is_closed(self, within_seconds: float = 5) -> bool:
        """Whether the server closes, without another byte."""
        try:
            return await asyncio.wait_for(self._reader.read(1), within_seconds) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self.writer.close()
