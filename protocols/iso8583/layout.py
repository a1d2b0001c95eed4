"""Layouts: a field that is itself a row of fixed places (field 48, field 42, field 41).

Strategy: a layout is a tuple of parts; a part is a name, a width in bytes, an encoding and a padding. `split` cuts the
bytes of the text at the places and takes the padding off; `join` does the reverse. Both are strict and inverse to each
other. Places are counted in bytes of the layout's charset and a cut through the middle of a GBK character is an error,
never a broken character. Only a part marked `display` (a name that is there to be read by a person) is made to fit by
`join`: a character that the charset lacks becomes 〓, and what is too long ends at the last whole character that fits.
Anything else that does not fit is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocols.errors import ProtocolError
from protocols.iso8583.encodings import Encoding
from protocols.iso8583.masking import Mask
from protocols.iso8583.padding import Padding


@dataclass(frozen=True, slots=True)
class Part:
    """One place of `width` bytes; without `padding` the value fills it exactly."""

    name: str
    width: int
    encoding: Encoding
    padding: Padding | None = None
    mask: Mask = Mask.SHOWN
    display: bool = False

    def read(self, data: bytes, where: str) -> str:
        value = self.padding.strip(data) if self.padding else data
        return self.encoding.unpack(value, len(value), where) if value else ""

    def write(self, text: str, where: str) -> bytes:
        if self.display:
            text = _displayable(text, self.width, self.encoding)
        value = self.encoding.pack(text, where) if text else b""
        if self.padding:
            return self.padding.fill(value, self.width, where)
        if len(value) != self.width:
            raise ProtocolError(where, f"exactly {self.width} bytes expected, {len(value)} were given")
        return value


# The printers' sign for a character that is not in the case; GBK has it.
_MISSING_CHARACTER = "〓"


def _displayable(text: str, width: int, encoding: Encoding) -> str:
    """As many leading characters of `text` as fit `width` bytes, each one that can't be written replaced."""
    shown, size = "", 0
    for character in text:
        possible = _writable(character, encoding)
        size += len(encoding.pack(possible, "text"))
        if size > width:
            break
        shown += possible
    return shown.strip(" ")


def _writable(character: str, encoding: Encoding) -> str:
    try:
        encoding.pack(character, "text")
    except ProtocolError:
        return _MISSING_CHARACTER
    return character


@dataclass(frozen=True, slots=True)
class Layout:
    """A named row of parts in `charset` (the charset of the field that holds it)."""

    name: str
    charset: Encoding
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) != len(names) or any(part.width < 1 for part in self.parts):
            raise ValueError(f"layout {self.name}: parts need distinct names and a width of at least one byte")

    @property
    def width(self) -> int:
        """Bytes of the whole layout."""
        return sum(part.width for part in self.parts)

    def split(self, text: str, where: str) -> dict[str, str]:
        """The value of every part by name; raises ProtocolError naming `where` and the part."""
        data = self.charset.pack(text, where)
        if len(data) != self.width:
            raise ProtocolError(where, f"{self.name} has {self.width} bytes, {len(data)} were given")
        values, offset = {}, 0
        for part in self.parts:
            values[part.name] = part.read(data[offset : offset + part.width], f"{where} {part.name}")
            offset += part.width
        return values

    def join(self, values: Mapping[str, str], where: str) -> str:
        """The text of the whole field; `values` has exactly the parts of the layout."""
        if values.keys() != {part.name for part in self.parts}:
            raise ProtocolError(where, f"{self.name} has the parts {', '.join(part.name for part in self.parts)}")
        data = b"".join(part.write(values[part.name], f"{where} {part.name}") for part in self.parts)
        return self.charset.unpack(data, len(data), where)


def choose_layout(layouts: Iterable[Layout], text: str, where: str) -> Layout:
    """The layout whose width is the length of `text` in bytes; raises ProtocolError where there is none."""
    known = tuple(layouts)
    for layout in known:
        length = len(layout.charset.pack(text, where))
        if length == layout.width:
            return layout
    widths = ", ".join(str(layout.width) for layout in known)
    raise ProtocolError(where, f"a length of {widths} bytes is expected")
