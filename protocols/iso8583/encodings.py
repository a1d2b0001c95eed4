"""Encodings: how the text of a value becomes bytes.

Strategy: an encoding is a pair of functions between text and bytes and a rule that tells how many bytes a length of so
many units takes. A unit is a digit for BCD and hexadecimal, a byte for text. Every encoding is strict both ways:
`decode(encode(x)) == x` and `encode(decode(b)) == b`, or a ProtocolError. Control characters are refused in text, so
that a value can be shown in a log or on a screen without doing something there.

BCD with an odd number of digits has one nibble over. Its filling is part of the encoding: `BCD` refuses odd lengths,
`BCD_F_RIGHT` fills with a trailing F (Guangzhou LLVAR numbers), `BCD_ZERO_LEFT` with a leading 0 (field 70).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocols.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Encoding:
    """`unpack(bytes, units, where) -> text`, `pack(text, where) -> bytes`, `size(units)` in bytes.

    `counts_digits`: a unit is a character of the text (digits), else a byte on the wire. `odd_allowed`: an odd number
    of units can be written.
    """

    name: str
    unpack: Callable[[bytes, int, str], str]
    pack: Callable[[str, str], bytes]
    size: Callable[[int], int]
    counts_digits: bool = True
    odd_allowed: bool = True


def _bytes_for_nibbles(digits: int) -> int:
    return (digits + 1) // 2


def _same(units: int) -> int:
    return units


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _check_digits(text: str, where: str) -> str:
    if not _is_digits(text):
        raise ProtocolError(where, "digits only")
    return text


def _unpack_bcd(data: bytes, units: int, where: str) -> str:
    digits = data.hex()
    if units % 2:
        raise ProtocolError(where, "an even number of digits is expected")
    if not digits.isdigit():
        raise ProtocolError(where, "not BCD: a nibble is above 9")
    return digits


def _pack_bcd(text: str, where: str) -> bytes:
    if len(text) % 2:
        raise ProtocolError(where, "an even number of digits is expected")
    return bytes.fromhex(_check_digits(text, where))


def _unpack_bcd_f_right(data: bytes, units: int, where: str) -> str:
    nibbles = data.hex()
    if units % 2:
        if nibbles[-1:] != "f":
            raise ProtocolError(where, "an odd number of digits must be filled with a trailing F nibble")
        nibbles = nibbles[:-1]
    if not nibbles.isdigit():
        raise ProtocolError(where, "not BCD: a nibble is above 9")
    return nibbles


def _pack_bcd_f_right(text: str, where: str) -> bytes:
    _check_digits(text, where)
    return bytes.fromhex(text + "f" if len(text) % 2 else text)


def _unpack_bcd_zero_left(data: bytes, units: int, where: str) -> str:
    nibbles = data.hex()
    if not nibbles.isdigit():
        raise ProtocolError(where, "not BCD: a nibble is above 9")
    if units % 2:
        if nibbles[0] != "0":
            raise ProtocolError(where, "an odd number of digits must be filled with a leading 0 nibble")
        nibbles = nibbles[1:]
    return nibbles


def _pack_bcd_zero_left(text: str, where: str) -> bytes:
    _check_digits(text, where)
    return bytes.fromhex("0" + text if len(text) % 2 else text)


def _unpack_digits(data: bytes, _units: int, where: str) -> str:
    if not data.isdigit():  # of bytes: ASCII digits and nothing else
        raise ProtocolError(where, "digits only")
    return data.decode("ascii")


def _pack_digits(text: str, where: str) -> bytes:
    if not (text.isascii() and text.isdigit()):
        raise ProtocolError(where, "digits only")
    return text.encode("ascii")


def _unpack_hex(data: bytes, units: int, where: str) -> str:
    if units % 2:
        raise ProtocolError(where, "an even number of hexadecimal digits is expected")
    return data.hex().upper()


def _pack_hex(text: str, where: str) -> bytes:
    if len(text) % 2 or not set(text) <= set("0123456789ABCDEF"):
        raise ProtocolError(where, "an even number of upper-case hexadecimal digits is expected")
    return bytes.fromhex(text)


def _text_codec(charset: str) -> tuple[Callable[[bytes, int, str], str], Callable[[str, str], bytes]]:
    name = charset.upper()

    def printable(text: str, where: str) -> str:
        if not text.isprintable() and any(_is_control(character) for character in text):
            raise ProtocolError(where, "a control character is not allowed")
        return text

    def unpack(data: bytes, _units: int, where: str) -> str:
        try:
            return printable(data.decode(charset), where)
        except UnicodeDecodeError as error:
            raise ProtocolError(where, f"not {name}: byte {error.start} of the field") from None

    def pack(text: str, where: str) -> bytes:
        try:
            return printable(text, where).encode(charset)
        except UnicodeEncodeError as error:
            raise ProtocolError(where, f"character {error.start} does not exist in {name}") from None

    return unpack, pack


def _is_control(character: str) -> bool:
    # str.isprintable() is False for the ideographic space U+3000 too, which stands in real GBK names.
    return character < " " or "\x7f" <= character <= "\x9f"


BCD = Encoding("BCD", _unpack_bcd, _pack_bcd, _bytes_for_nibbles, odd_allowed=False)
BCD_F_RIGHT = Encoding("BCD, trailing F", _unpack_bcd_f_right, _pack_bcd_f_right, _bytes_for_nibbles)
BCD_ZERO_LEFT = Encoding("BCD, leading 0", _unpack_bcd_zero_left, _pack_bcd_zero_left, _bytes_for_nibbles)
DIGITS = Encoding("ASCII digits", _unpack_digits, _pack_digits, _same)
HEX = Encoding("binary", _unpack_hex, _pack_hex, _bytes_for_nibbles, odd_allowed=False)
ASCII = Encoding("ASCII", *_text_codec("ascii"), _same, counts_digits=False)
GBK = Encoding("GBK", *_text_codec("gbk"), _same, counts_digits=False)
