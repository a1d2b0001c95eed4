"""Padding: how a value that is shorter than its place fills it.

Strategy: a padding is a byte and a side. `fill` lengthens, `strip` takes the padding off again. So that the two are
inverse to each other, a value that itself begins (or ends) with the padding on that side is refused by `fill`. A place
of padding alone is an empty value; where `keeps_one` is set it is one such character ("0" padded with zeros is "0"),
and then an empty value is refused. Everything works on bytes, because a GBK character takes two of them and places are
counted in bytes; a padding byte is below 0x40, so that it is never the second half of a GBK character.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocols.errors import ProtocolError


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Padding:
    """Fill with `byte` (one byte) on `side`; `keeps_one`: a place of padding alone means one such character."""

    byte: bytes
    side: Side
    keeps_one: bool = False

    def __post_init__(self) -> None:
        if len(self.byte) != 1 or self.byte >= b"\x40":
            raise ValueError("padding is one byte below 0x40")

    def fill(self, value: bytes, width: int, where: str) -> bytes:
        """`value` lengthened to `width` bytes; raises ProtocolError where it is longer or could not be read back."""
        if len(value) > width:
            raise ProtocolError(where, f"at most {width} bytes, {len(value)} were given")
        if self.keeps_one and not value:
            raise ProtocolError(where, "may not be empty")
        if self.strip(value) != value:
            raise ProtocolError(where, f"may not {_EDGE[self.side]} with its own padding character")
        return value.rjust(width, self.byte) if self.side is Side.LEFT else value.ljust(width, self.byte)

    def strip(self, data: bytes) -> bytes:
        """`data` without its padding."""
        value = data.lstrip(self.byte) if self.side is Side.LEFT else data.rstrip(self.byte)
        return self.byte if not value and data and self.keeps_one else value


_EDGE = {Side.LEFT: "begin", Side.RIGHT: "end"}

SPACES_LEFT = Padding(b" ", Side.LEFT)
SPACES_RIGHT = Padding(b" ", Side.RIGHT)
ZEROS_LEFT = Padding(b"0", Side.LEFT, keeps_one=True)
