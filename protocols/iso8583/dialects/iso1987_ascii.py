"""ISO 8583:1987 with ASCII text and a binary bitmap: the standard's own field table, as data.

Strategy: one line per kind of field: its numbers, encoding, prefix, length. It stands for networks that follow the
standard to the letter, usually framed by two bytes of length (`framing.BINARY_2`); where the standard says "x + n8" the
sign is the first character. Text is ASCII, numbers are ASCII digits, "b" fields are binary and shown as hexadecimal.
Field 65 (a third bitmap) is left out. Source: ISO 8583:1987 table of data elements.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocols.iso8583.bitmap import BitmapForm
from protocols.iso8583.encodings import ASCII, DIGITS, HEX, Encoding
from protocols.iso8583.masking import Mask
from protocols.iso8583.prefixes import ASCII_LL, ASCII_LLL, FIXED, Prefix
from protocols.iso8583.spec import FieldSpec, Spec

_N, _AN, _B = DIGITS, ASCII, HEX
_MASKS = {2: Mask.ACCOUNT, 34: Mask.ACCOUNT, 35: Mask.HIDDEN, 36: Mask.HIDDEN, 45: Mask.HIDDEN, 52: Mask.HIDDEN}
_MASKS |= {102: Mask.ACCOUNT, 103: Mask.ACCOUNT}

# Field numbers, encoding, prefix, length. Lengths of binary fields are hexadecimal digits: two a byte.
_ROWS: tuple[tuple[Iterable[int], Encoding, Prefix, int], ...] = (
    ((2,), _N, ASCII_LL, 19),
    ((3, 11, 12, 73), _N, FIXED, 6),
    ((4, 5, 6, 82, 83, 84, 85), _N, FIXED, 12),
    ((7, *range(74, 82)), _N, FIXED, 10),
    ((8, 9, 10), _N, FIXED, 8),
    ((*range(13, 19), 71, 72), _N, FIXED, 4),
    ((*range(19, 25), 68, 69, 70), _N, FIXED, 3),
    ((25, 26, 67), _N, FIXED, 2),
    ((27, 66), _N, FIXED, 1),
    (range(28, 32), _AN, FIXED, 9),
    ((32, 33, 99, 100), _N, ASCII_LL, 11),
    ((34, 102, 103), _AN, ASCII_LL, 28),
    ((35,), _AN, ASCII_LL, 37),
    ((36,), _AN, ASCII_LLL, 104),
    ((37,), _AN, FIXED, 12),
    ((38,), _AN, FIXED, 6),
    ((39, 92), _AN, FIXED, 2),
    ((40, 49, 50, 51), _AN, FIXED, 3),
    ((41,), _AN, FIXED, 8),
    ((42,), _AN, FIXED, 15),
    ((43,), _AN, FIXED, 40),
    ((44,), _AN, ASCII_LL, 25),
    ((45,), _AN, ASCII_LL, 76),
    ((46, 47, 48, *range(55, 64), *range(105, 128)), _AN, ASCII_LLL, 999),
    ((52, 64, 96, 128), _B, FIXED, 16),
    ((53, 86, 87, 88, 89), _N, FIXED, 16),
    ((54,), _AN, ASCII_LLL, 120),
    ((90,), _N, FIXED, 42),
    ((91,), _AN, FIXED, 1),
    ((93,), _AN, FIXED, 5),
    ((94,), _AN, FIXED, 7),
    ((95,), _AN, FIXED, 42),
    ((97,), _AN, FIXED, 17),
    ((98,), _AN, FIXED, 25),
    ((101,), _AN, ASCII_LL, 17),
    ((104,), _AN, ASCII_LLL, 100),
)

ISO_1987_ASCII = Spec(
    "ISO 8583:1987, ASCII",
    mti=DIGITS,
    bitmap=BitmapForm.EXTENDABLE,
    fields={
        number: FieldSpec(f"field {number}", encoding, prefix, length, mask=_MASKS.get(number, Mask.SHOWN))
        for numbers, encoding, prefix, length in _ROWS
        for number in numbers
    },
)
