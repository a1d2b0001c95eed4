"""Bitmaps in both forms: which fields, and exactly one byte string for each set of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.iso8583.bitmap import BitmapForm, decode_bitmap, encode_bitmap

DOUBLE, EXTENDABLE = BitmapForm.DOUBLE, BitmapForm.EXTENDABLE

ROWS = [
    (DOUBLE, (), "80000000000000000000000000000000"),
    (DOUBLE, (2, 64), "C0000000000000010000000000000000"),
    (DOUBLE, (65, 128), "80000000000000008000000000000001"),
    (
        DOUBLE,
        (2, 3, 4, 7, 15, 18, 28, 32, 37, 41, 42, 48, 49, 52, 100, 104, 128),
        "F202401108C190000000000011000001",
    ),
    (EXTENDABLE, (), "0000000000000000"),
    (EXTENDABLE, (3, 11, 41), "2020000000800000"),
    (EXTENDABLE, (3, 90), "A0000000000000000000004000000000"),
]


@pytest.mark.parametrize(("form", "fields", "hexadecimal"), ROWS)
def test_both_ways(form: BitmapForm, fields: tuple[int, ...], hexadecimal: str) -> None:
    data = bytes.fromhex(hexadecimal)
    assert encode_bitmap(fields, form) == data
    assert decode_bitmap(b"xx" + data + b"more", 2, form) == (fields, 2 + len(data))


@pytest.mark.parametrize(
    ("form", "hexadecimal", "what"),
    [
        (DOUBLE, "", "16 bytes expected, 0 are left"),
        (DOUBLE, "80" * 15, "16 bytes expected, 15 are left"),
        (DOUBLE, "00" * 16, "bit 1"),
        (DOUBLE, "7F" + "FF" * 15, "bit 1"),
        (EXTENDABLE, "00" * 7, "8 bytes expected, 7 are left"),
        (EXTENDABLE, "80" + "00" * 7, "16 bytes expected, 8 are left"),
        (EXTENDABLE, "A0" + "00" * 15, "no field above 64"),
    ],
)
def test_refused(form: BitmapForm, hexadecimal: str, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        decode_bitmap(bytes.fromhex(hexadecimal), 0, form)


@pytest.mark.parametrize("number", [-1, 0, 1, 129])
def test_fields_that_no_bitmap_has(number: int) -> None:
    with pytest.raises(ProtocolError, match="2 to 128"):
        encode_bitmap([3, number], DOUBLE)


@given(st.sets(st.integers(2, 128)), st.sampled_from(BitmapForm))
def test_every_set_comes_back(numbers: set[int], form: BitmapForm) -> None:
    data = encode_bitmap(numbers, form)
    assert decode_bitmap(data, 0, form) == (tuple(sorted(numbers)), len(data))


@given(st.binary(min_size=16, max_size=16), st.sampled_from(BitmapForm))
def test_every_accepted_bitmap_is_the_only_one(data: bytes, form: BitmapForm) -> None:
    try:
        numbers, end = decode_bitmap(data, 0, form)
    except ProtocolError:
        return
    assert encode_bitmap(numbers, form) == data[:end]
