"""The codec: bytes to a message and back, by a specification.

Strategy: two functions and a value. `decode(bytes, spec)` gives a `Message` or raises one ProtocolError that names the
field and the byte; `encode(message, spec)` is its exact inverse. Nothing is repaired on the way in: trailing bytes,
a wrong filling, a nibble above 9, a bitmap that contradicts itself are refused, because two byte strings for one
message would be two MACs for one meaning. Field content never appears in an error or in `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from protocols.errors import ProtocolError
from protocols.iso8583.bitmap import LAST_FIELD, decode_bitmap, encode_bitmap
from protocols.iso8583.mti import MTI_DIGITS, check_mti
from protocols.iso8583.prefixes import FIXED
from protocols.iso8583.spec import FIRST_FIELD, LABELS, FieldSpec, Spec


@dataclass(frozen=True, slots=True)
class Message:
    """An immutable message: the MTI and the text of each field by number, ascending.

    Numbers are text of digits with their leading zeros ("000000010000"), binary fields upper-case hexadecimal.
    Whether a text fits its field is decided by `encode`, which knows the dialect.
    """

    mti: str
    fields: Mapping[int, str] = field(repr=False)

    def __post_init__(self) -> None:
        check_mti(self.mti)
        numbers = sorted(self.fields)
        if numbers and (numbers[0] < FIRST_FIELD or numbers[-1] > LAST_FIELD):
            raise ProtocolError("message", f"fields are numbered {FIRST_FIELD} to {LAST_FIELD}")
        object.__setattr__(self, "fields", MappingProxyType({number: self.fields[number] for number in numbers}))

    def __repr__(self) -> str:
        return f"Message({self.mti}, fields {' '.join(map(str, self.fields))})"

    def get(self, number: int) -> str | None:
        """The text of a field, or None where it is absent."""
        return self.fields.get(number)

    def require(self, number: int) -> str:
        """The text of a field; raises ProtocolError where it is absent."""
        try:
            return self.fields[number]
        except KeyError:
            raise ProtocolError(f"field {number}", f"missing in a {self.mti}") from None

    def with_fields(self, fields: Mapping[int, str]) -> Message:
        """Another message with these fields added or replaced."""
        return Message(self.mti, {**self.fields, **fields})

    def without_fields(self, *numbers: int) -> Message:
        """Another message without these fields."""
        return Message(self.mti, {number: text for number, text in self.fields.items() if number not in numbers})


def decode(data: bytes, spec: Spec) -> Message:
    """The message in `data` (without frame header); raises ProtocolError naming the field and the byte."""
    message, error = decode_partly(data, spec)
    if error is not None:
        raise error
    assert message is not None  # noqa: S101 - one of the two is always there
    return message


def decode_partly(data: bytes, spec: Spec) -> tuple[Message | None, ProtocolError | None]:
    """What could be read before the first error, and that error: for answering a message that is not understood.

    The message is None where not even the MTI could be read; the error is None where everything could.
    """
    fields: dict[int, str] = {}
    try:
        mti, offset = _decode_mti(data, spec)
    except ProtocolError as error:
        return None, error
    try:
        numbers, offset = decode_bitmap(data, offset, spec.bitmap)
        for number in numbers:
            fields[number], offset = _decode_field(data, offset, number, spec)
        if offset != len(data):
            raise ProtocolError(f"byte {offset}", f"{len(data) - offset} bytes follow the last field of the bitmap")
    except ProtocolError as error:
        return Message(mti, fields), error
    return Message(mti, fields), None


def _decode_mti(data: bytes, spec: Spec) -> tuple[str, int]:
    size = spec.mti.size(MTI_DIGITS)
    if len(data) < size:
        raise ProtocolError("MTI", f"{size} bytes expected, {len(data)} are there")
    return check_mti(spec.mti.unpack(data[:size], MTI_DIGITS, "MTI")), size


def _decode_field(data: bytes, offset: int, number: int, spec: Spec) -> tuple[str, int]:
    field_spec = spec.fields.get(number)
    if field_spec is None:
        raise ProtocolError("bitmap", f"field {number} is not part of {spec.name}")
    try:
        return _read(data, offset, field_spec, LABELS[number])
    except ProtocolError as error:
        raise ProtocolError(f"{error.where} at byte {offset}", error.what) from None


def _read(data: bytes, offset: int, field_spec: FieldSpec, where: str) -> tuple[str, int]:
    length = field_spec.length
    if field_spec.prefix is not FIXED:
        length, offset = field_spec.prefix.read(data, offset, where)
        _check_length(length, field_spec, where)
        if not length:
            return "", offset
    end = offset + field_spec.encoding.size(length)
    value = data[offset:end]
    if len(data) < end:
        raise ProtocolError(where, f"{end - offset} bytes expected, {len(value)} are left")
    return field_spec.encoding.unpack(value, length, where), end


def _check_length(length: int, field_spec: FieldSpec, where: str) -> None:
    if not field_spec.minimum <= length <= field_spec.length:
        raise ProtocolError(where, f"the length must be {field_spec.minimum} to {field_spec.length}, not {length}")


def encode(message: Message, spec: Spec) -> bytes:
    """The bytes of `message` (without frame header); raises ProtocolError naming the field that does not fit."""
    parts = [spec.mti.pack(message.mti, "MTI"), encode_bitmap(message.fields, spec.bitmap)]
    for number, text in message.fields.items():
        field_spec = spec.fields.get(number)
        if field_spec is None:
            raise ProtocolError(f"field {number}", f"not part of {spec.name}")
        parts.append(_write(text, field_spec, LABELS[number]))
    return b"".join(parts)


def _write(text: str, field_spec: FieldSpec, where: str) -> bytes:
    counts_digits = field_spec.encoding.counts_digits
    if counts_digits:
        _check_written(len(text), field_spec, where)
    value = field_spec.encoding.pack(text, where) if text else b""
    # Digits are counted in the text, text in its bytes: GBK characters take two.
    length = len(text) if counts_digits else len(value)
    if not counts_digits:
        _check_written(length, field_spec, where)
    return value if field_spec.prefix is FIXED else field_spec.prefix.write(length, where) + value


def _check_written(length: int, field_spec: FieldSpec, where: str) -> None:
    if field_spec.prefix is not FIXED:
        _check_length(length, field_spec, where)
    elif length != field_spec.length:
        raise ProtocolError(where, f"exactly {field_spec.length} expected, {length} were given")
