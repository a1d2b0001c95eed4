"""Framing: a stream of bytes cut into messages, without I/O.

Strategy: three verbs. `FrameReader.receive_data` takes whatever arrived, `next_frame` gives one message or `NEED_DATA`,
`encode_frame` puts a length in front of a message. `receive_end` tells that the peer has closed. How the length is
written is a row of a table (`Framing`). The reader keeps at most what it was handed: call `next_frame` until it says
`NEED_DATA` before handing it more, and the buffer never exceeds one frame and one read.

After a FramingError the place of the next length is unknown: the reader stays broken and repeats its error, and the
connection has to be closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from protocols.errors import FramingError


class NeedData(Enum):
    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True)
class Framing:
    """How a length of `header_bytes` is written, and the shortest and longest message it may announce, in bytes."""

    name: str
    header_bytes: int
    minimum_bytes: int
    maximum_bytes: int
    read_length: Callable[[bytes], int]
    write_length: Callable[[int], bytes]

    def check(self, length: int) -> int:
        if not self.minimum_bytes <= length <= self.maximum_bytes:
            raise FramingError("frame length", f"{self.minimum_bytes} to {self.maximum_bytes} bytes are allowed")
        return length


def _read_ascii(header: bytes) -> int:
    if not header.isdigit():
        raise FramingError("frame length", "four ASCII digits are expected")
    return int(header)


def _write_ascii(length: int) -> bytes:
    return b"%04d" % length


def _read_binary(header: bytes) -> int:
    return int.from_bytes(header, "big")


def _write_binary(length: int) -> bytes:
    return length.to_bytes(2, "big")


# Guangzhou dialect: MTI and bitmap alone are 18 bytes. The longest message its table can express is below 300 bytes;
# 1024 leaves room for fields that a bank adds and bounds what a stranger can make us hold.
ASCII_4 = Framing("4 ASCII digits", 4, 18, 1024, _read_ascii, _write_ascii)
# ISO 8583:1987 as commonly framed: MTI and one bitmap are 12 bytes; LLLVAR fields make longer messages, and 8192 is
# above what networks are seen to use.
BINARY_2 = Framing("2 bytes, big-endian", 2, 12, 8192, _read_binary, _write_binary)


def encode_frame(message: bytes, framing: Framing = ASCII_4) -> bytes:
    """`message` with its length in front; raises FramingError where the length is outside the limits."""
    return framing.write_length(framing.check(len(message))) + message


class FrameReader:
    """Cuts one connection's incoming bytes into messages."""

    __slots__ = ("_buffer", "_error", "_framing")

    def __init__(self, framing: Framing = ASCII_4) -> None:
        self._framing = framing
        self._buffer = bytearray()
        self._error: FramingError | None = None

    def receive_data(self, data: bytes) -> None:
        """Takes bytes as they arrived, in pieces of any size."""
        if self._error is None:
            self._buffer += data

    def next_frame(self) -> bytes | NeedData:
        """The next whole message without its length, or `NEED_DATA`; raises FramingError where none can follow."""
        if self._error is not None:
            raise self._error
        header_bytes = self._framing.header_bytes
        if len(self._buffer) < header_bytes:
            return NEED_DATA
        try:
            length = self._framing.check(self._framing.read_length(bytes(self._buffer[:header_bytes])))
        except FramingError as error:
            raise self._broken(error) from None
        end = header_bytes + length
        if len(self._buffer) < end:
            return NEED_DATA
        frame = bytes(self._buffer[header_bytes:end])
        del self._buffer[:end]
        return frame

    def receive_end(self) -> None:
        """The peer has closed; raises FramingError where it did so inside a frame. Take out the whole frames first."""
        if self._error is None and self._buffer:
            raise self._broken(FramingError("frame", f"the stream ended after {len(self._buffer)} bytes of a frame"))

    def _broken(self, error: FramingError) -> FramingError:
        self._error = error
        self._buffer.clear()
        return error
