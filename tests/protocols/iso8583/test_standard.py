"""The standard's own dialect against an independent implementation: same bytes, same values, both ways."""

from __future__ import annotations

from typing import Any

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.iso8583.codec import Message, decode, encode
from protocols.iso8583.dialects.iso1987_ascii import ISO_1987_ASCII
from protocols.iso8583.encodings import DIGITS, HEX
from protocols.iso8583.framing import BINARY_2, FrameReader, encode_frame

PREFIX_DIGITS = {"fixed": 0, "ASCII LL": 2, "ASCII LLL": 3}


def reference_field(number: int) -> dict[str, Any]:
    field = ISO_1987_ASCII.fields[number]
    binary = field.encoding is HEX
    return {
        "data_enc": "b" if binary else "ascii",
        "len_enc": "ascii",
        "len_type": PREFIX_DIGITS[field.prefix.name],
        "max_len": field.length // 2 if binary else field.length,
        "desc": field.name,
    }


REFERENCE: dict[str, dict[str, Any]] = {
    "h": {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 0, "desc": "none"},
    "t": {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 4, "desc": "MTI"},
    "p": {"data_enc": "b", "len_enc": "ascii", "len_type": 0, "max_len": 8, "desc": "bitmap"},
    "1": {"data_enc": "b", "len_enc": "ascii", "len_type": 0, "max_len": 8, "desc": "second bitmap"},
    **{str(number): reference_field(number) for number in ISO_1987_ASCII.fields},
}


def values(number: int) -> st.SearchStrategy[str]:
    field = ISO_1987_ASCII.fields[number]
    minimum = field.length if field.prefix.digits == 0 else 1
    if field.encoding is DIGITS:
        return st.text("0123456789", min_size=minimum, max_size=field.length)
    if field.encoding is HEX:
        return st.text("0123456789ABCDEF", min_size=minimum, max_size=field.length)
    return st.text([chr(code) for code in range(0x20, 0x7F)], min_size=minimum, max_size=min(field.length, 120))


MESSAGES = st.builds(
    Message,
    st.text("0123456789", min_size=4, max_size=4),
    st.sets(st.sampled_from(sorted(ISO_1987_ASCII.fields)), max_size=12).flatmap(
        lambda numbers: st.fixed_dictionaries({number: values(number) for number in numbers})
    ),
)


@given(MESSAGES)
def test_we_write_what_the_reference_writes(message: Message) -> None:
    theirs = {"t": message.mti, **{str(number): text for number, text in message.fields.items()}}
    expected, _parts = iso8583.encode(theirs, REFERENCE)
    assert encode(message, ISO_1987_ASCII) == bytes(expected)


@given(MESSAGES)
def test_we_read_what_the_reference_reads(message: Message) -> None:
    data = encode(message, ISO_1987_ASCII)
    theirs, _parts = iso8583.decode(data, REFERENCE)
    read = decode(data, ISO_1987_ASCII)
    assert read == message
    assert {key: text for key, text in theirs.items() if key.isdigit() and key != "1"} == {
        str(number): text for number, text in read.fields.items()
    }
    assert theirs["t"] == read.mti


@given(st.binary(max_size=60))
def test_what_we_read_the_reference_reads(noise: bytes) -> None:
    """Where we accept bytes the reference does too; the other way round it is more lenient than we are."""
    data = b"0800" + noise
    try:
        message = decode(data, ISO_1987_ASCII)
    except ProtocolError:
        return
    theirs, _parts = iso8583.decode(data, REFERENCE)
    assert {int(key): text for key, text in theirs.items() if key.isdigit() and key != "1"} == dict(message.fields)


def test_one_and_two_bitmaps_in_a_two_byte_frame() -> None:
    for fields, bitmap_bytes in (({3: "310000", 11: "000001"}, 8), ({3: "310000", 70: "301"}, 16)):
        data = encode(Message("0800", fields), ISO_1987_ASCII)
        assert len(data) == 4 + bitmap_bytes + sum(len(text) for text in fields.values())
        reader = FrameReader(BINARY_2)
        reader.receive_data(encode_frame(data, BINARY_2))
        assert reader.next_frame() == data


def test_every_field_of_the_standard_is_there() -> None:
    assert sorted(ISO_1987_ASCII.fields) == [number for number in range(2, 129) if number != 65]


def test_a_field_given_twice_would_be_noticed() -> None:
    from protocols.iso8583.dialects.iso1987_ascii import _ROWS

    listed = [number for numbers, *_rest in _ROWS for number in numbers]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("text", ["ab" * 8, "G" * 16, " " * 16])
def test_binary_fields_are_upper_case_hexadecimal(text: str) -> None:
    with pytest.raises(ProtocolError, match="upper-case hexadecimal"):
        encode(Message("0800", {64: text}), ISO_1987_ASCII)
