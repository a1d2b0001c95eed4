"""Bitmaps: which fields follow.

Strategy: a bitmap is turned into an ascending tuple of field numbers and back, byte by byte through a table of 256
entries. Bit 1 is not a field: it says that a second half of eight bytes follows. Two forms exist and both have exactly
one byte string for a set of fields, so that decode and encode are inverse to each other:

- `DOUBLE`: always 16 bytes, bit 1 always set (Guangzhou).
- `EXTENDABLE`: 8 bytes, or 16 when a field above 64 is there; bit 1 set over an empty second half is refused.

Bit 65 would announce a third bitmap, which no dialect of ours has; a specification can't define field 65 then, and the
codec refuses it as an unknown field. Source: ISO 8583:1987 field 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from protocols.errors import ProtocolError

HALF_BYTES = 8
LAST_FIELD = 128
_LAST_OF_FIRST_HALF = 64
_EXTENSION_BIT = 1
_BITS_OF_BYTE = tuple(tuple(bit for bit in range(8) if value & (0x80 >> bit)) for value in range(256))


class BitmapForm(StrEnum):
    DOUBLE = "double"
    EXTENDABLE = "extendable"


def decode_bitmap(data: bytes, offset: int, form: BitmapForm) -> tuple[tuple[int, ...], int]:
    """The field numbers in `data` at `offset`, ascending and without bit 1, and the offset after the bitmap.

    Raises ProtocolError at "bitmap" where bytes are missing or bit 1 contradicts `form`.
    """
    halves = 2 if form is BitmapForm.DOUBLE or (len(data) > offset and data[offset] & 0x80) else 1
    end = offset + halves * HALF_BYTES
    if len(data) < end:
        raise ProtocolError("bitmap", f"{halves * HALF_BYTES} bytes expected, {max(0, len(data) - offset)} are left")
    bits = [
        index * 8 + bit + 1 for index, value in enumerate(data[offset:end]) if value for bit in _BITS_OF_BYTE[value]
    ]
    _check_extension(bits, halves, form)
    return tuple(bits[1:] if halves == 2 else bits), end


def _check_extension(bits: list[int], halves: int, form: BitmapForm) -> None:
    if halves == 2 and (not bits or bits[0] != _EXTENSION_BIT):
        raise ProtocolError("bitmap", "bit 1 must be set: the bitmap has 16 bytes")
    if form is BitmapForm.EXTENDABLE and halves == 2 and bits[-1] <= _LAST_OF_FIRST_HALF:
        raise ProtocolError("bitmap", "bit 1 is set but no field above 64 follows")


def encode_bitmap(fields: Iterable[int], form: BitmapForm) -> bytes:
    """The bitmap of `fields` (each 2 to 128); 16 bytes for `DOUBLE`, else 8 or 16."""
    numbers = tuple(fields)
    if not all(_EXTENSION_BIT < number <= LAST_FIELD for number in numbers):
        raise ProtocolError("bitmap", "fields are numbered 2 to 128")
    double = form is BitmapForm.DOUBLE or any(number > _LAST_OF_FIRST_HALF for number in numbers)
    value = 1 << (LAST_FIELD - _EXTENSION_BIT) if double else 0
    for number in numbers:
        value |= 1 << (LAST_FIELD - number)
    return value.to_bytes(2 * HALF_BYTES, "big")[: (2 if double else 1) * HALF_BYTES]
