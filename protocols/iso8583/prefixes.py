"""Length prefixes: how a field says its own length.

Strategy: a prefix writes and reads one number; what the number counts (digits or bytes) is the encoding's affair. A
prefix knows the largest number it can hold, and a specification that promises more is refused when it is constructed.
`FIXED` takes no bytes: the length then stands in the specification. Source: ISO 8583:1987 LLVAR and LLLVAR.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.errors import ProtocolError
from protocols.iso8583.encodings import BCD_ZERO_LEFT, DIGITS, Encoding


@dataclass(frozen=True, slots=True)
class Prefix:
    """A decimal number of `digits` digits in `encoding`."""

    name: str
    digits: int
    encoding: Encoding

    @property
    def maximum(self) -> int:
        """The largest length that the prefix can hold."""
        return int(10**self.digits - 1)

    @property
    def size_bytes(self) -> int:
        return self.encoding.size(self.digits)

    def read(self, data: bytes, offset: int, where: str) -> tuple[int, int]:
        """The length at `offset` and the offset after the prefix."""
        end = offset + self.encoding.size(self.digits)
        if len(data) < end:
            raise ProtocolError(where, f"the length prefix ({self.size_bytes} bytes) is cut off")
        try:
            return int(self.encoding.unpack(data[offset:end], self.digits, where)), end
        except ProtocolError as error:
            raise ProtocolError(f"{error.where} length", error.what) from None

    def write(self, length: int, where: str) -> bytes:
        return self.encoding.pack(f"{length:0{self.digits}d}", f"{where} length")


FIXED = Prefix("fixed", 0, DIGITS)
BCD_LL = Prefix("BCD LL", 2, BCD_ZERO_LEFT)
BCD_LLL = Prefix("BCD LLL", 3, BCD_ZERO_LEFT)
ASCII_LL = Prefix("ASCII LL", 2, DIGITS)
ASCII_LLL = Prefix("ASCII LLL", 3, DIGITS)
