"""Specifications: a dialect as a table.

Strategy: field = encoding x length prefix. A dialect is one frozen `Spec` with one line per field; everything that can
be wrong in such a table is refused when it is constructed, so that the codec never meets a contradiction. Odd numbers
of BCD digits are filled as the encoding says; padded places inside a field are a `Layout` (layout.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols.iso8583.bitmap import HALF_BYTES, LAST_FIELD, BitmapForm
from protocols.iso8583.encodings import Encoding
from protocols.iso8583.layout import Layout
from protocols.iso8583.masking import Mask
from protocols.iso8583.mti import MTI_DIGITS
from protocols.iso8583.prefixes import FIXED, Prefix

FIRST_FIELD = 2
# Bit 65 announces a third bitmap, which no dialect of ours has.
_THIRD_BITMAP = 65
# "field 4", made once: the codec names a field on every read and write.
LABELS = tuple(f"field {number}" for number in range(LAST_FIELD + 1))


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: `length` units exactly (prefix `FIXED`), or `minimum` to `length` units behind a prefix.

    A unit is a digit for numbers and binary data, a byte for text. `layouts` name the rows of parts that the field may
    hold, told apart by their width.
    """

    name: str
    encoding: Encoding
    prefix: Prefix
    length: int
    minimum: int = 1
    mask: Mask = Mask.SHOWN
    layouts: tuple[Layout, ...] = ()

    def __post_init__(self) -> None:
        fixed = self.prefix is FIXED
        if self.length < 1 or not 0 <= self.minimum <= self.length:
            raise ValueError(f"{self.name}: lengths must satisfy 0 <= minimum <= length and 1 <= length")
        if not fixed and self.length > self.prefix.maximum:
            raise ValueError(f"{self.name}: {self.prefix.name} holds at most {self.prefix.maximum}")
        if fixed and self.length % 2 and not self.encoding.odd_allowed:
            raise ValueError(f"{self.name}: {self.encoding.name} can't have the odd length {self.length}")
        widths = [layout.width for layout in self.layouts]
        if len(set(widths)) != len(widths) or any(width > self.length for width in widths):
            raise ValueError(f"{self.name}: layouts need distinct widths of at most {self.length} bytes")

    @property
    def maximum_bytes(self) -> int:
        return self.prefix.size_bytes + self.encoding.size(self.length)


@dataclass(frozen=True, slots=True)
class Spec:
    """A dialect: how the MTI and the bitmap are written, the fields by number, and which field holds the MAC."""

    name: str
    mti: Encoding
    bitmap: BitmapForm
    fields: Mapping[int, FieldSpec]
    mac_field: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", MappingProxyType(dict(sorted(self.fields.items()))))
        for number in self.fields:
            if not FIRST_FIELD <= number <= LAST_FIELD or number == _THIRD_BITMAP:
                raise ValueError(f"{self.name}: a dialect can't define field {number}")
        if self.mac_field is not None:
            self._check_mac_field(self.mac_field)

    def _check_mac_field(self, number: int) -> None:
        field = self.fields.get(number)
        if field is None or field.prefix is not FIXED or number != max(self.fields):
            raise ValueError(f"{self.name}: the MAC must be the last field and of fixed length")

    @property
    def minimum_bytes(self) -> int:
        """MTI and bitmap: nothing shorter can be a message."""
        return self.mti.size(MTI_DIGITS) + (2 if self.bitmap is BitmapForm.DOUBLE else 1) * HALF_BYTES

    @property
    def maximum_bytes(self) -> int:
        """The longest message that the table can express."""
        return self.mti.size(MTI_DIGITS) + 2 * HALF_BYTES + sum(field.maximum_bytes for field in self.fields.values())
