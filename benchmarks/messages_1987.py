"""Made-up ISO 8583:1987 messages as networks send them, and the same field table for the other library.

Strategy: a seed gives the same messages for ever. Four kinds stand for what a bank's host reads all day: an enquiry, a
payment with track data and an encrypted PIN, its reply, an echo; with short and long private fields. The table of the
yardstick is derived from ours, so that both read and write exactly the same fields in the same way.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocols.iso8583.dialects.iso1987_ascii import ISO_1987_ASCII
from protocols.iso8583.encodings import DIGITS, HEX

_PREFIX_DIGITS = {"fixed": 0, "ASCII LL": 2, "ASCII LLL": 3}
_TEXT = "ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789"


@dataclass(frozen=True, slots=True)
class Plain:
    """A message as plain values: the MTI and the text of each field."""

    mti: str
    fields: Mapping[int, str]

    def for_pyiso8583(self) -> dict[str, str]:
        return {"t": self.mti, **{str(number): text for number, text in self.fields.items()}}


# Kind, fields, and how long those of variable length are.
_KINDS: tuple[tuple[str, tuple[int, ...], Mapping[int, int]], ...] = (
    ("0100", (2, 3, 7, 11, 12, 13, 18, 32, 37, 41, 42, 49, 100, 102), {2: 16, 32: 8, 100: 8, 102: 19}),
    (
        "0200",
        (2, 3, 4, 7, 11, 12, 13, 14, 18, 22, 25, 32, 35, 37, 41, 42, 43, 48, 49, 52, 60, 100, 102, 128),
        {2: 19, 32: 8, 35: 37, 48: 120, 60: 17, 100: 8, 102: 19},
    ),
    (
        "0210",
        (2, 3, 4, 7, 11, 12, 13, 15, 18, 25, 32, 37, 38, 39, 41, 42, 49, 54, 60, 100, 128),
        {2: 19, 32: 8, 54: 40, 60: 17, 100: 8},
    ),
    ("0800", (7, 11, 33, 53, 70, 128), {33: 8}),
)


def messages(seed: int, count: int) -> list[Plain]:
    """`count` messages, the kinds in turn; the same for the same seed."""
    numbers = random.Random(seed)
    made = []
    for index in range(count):
        mti, fields, lengths = _KINDS[index % len(_KINDS)]
        made.append(Plain(mti, {number: _value(number, lengths.get(number), numbers) for number in fields}))
    return made


def _value(number: int, length: int | None, numbers: random.Random) -> str:
    field = ISO_1987_ASCII.fields[number]
    alphabet = {DIGITS: "0123456789", HEX: "0123456789ABCDEF"}.get(field.encoding, _TEXT)
    return "".join(numbers.choices(alphabet, k=length or field.length))


def pyiso8583_table() -> dict[str, dict[str, Any]]:
    """Our field table in the words of pyiso8583: ASCII text and lengths, binary bitmaps."""
    plain = {"len_enc": "ascii", "len_type": 0}
    return {
        "h": {"data_enc": "ascii", **plain, "max_len": 0, "desc": "no header"},
        "t": {"data_enc": "ascii", **plain, "max_len": 4, "desc": "MTI"},
        "p": {"data_enc": "b", **plain, "max_len": 8, "desc": "bitmap"},
        "1": {"data_enc": "b", **plain, "max_len": 8, "desc": "second bitmap"},
        **{str(number): _field(number) for number in ISO_1987_ASCII.fields},
    }


def _field(number: int) -> dict[str, Any]:
    field = ISO_1987_ASCII.fields[number]
    binary = field.encoding is HEX
    return {
        "data_enc": "b" if binary else "ascii",
        "len_enc": "ascii",
        "len_type": _PREFIX_DIGITS[field.prefix.name],
        "max_len": field.length // 2 if binary else field.length,
        "desc": field.name,
    }
