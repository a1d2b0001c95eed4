"""Specifications, layouts, paddings and masks refuse their own contradictions and keep their promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.iso8583.bitmap import BitmapForm
from protocols.iso8583.codec import Message
from protocols.iso8583.describe import describe
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.encodings import ASCII, BCD, BCD_F_RIGHT, DIGITS, GBK
from protocols.iso8583.layout import Layout, Part, choose_layout
from protocols.iso8583.masking import Mask
from protocols.iso8583.mti import reply_mti
from protocols.iso8583.padding import SPACES_LEFT, SPACES_RIGHT, ZEROS_LEFT, Padding, Side
from protocols.iso8583.prefixes import ASCII_LLL, BCD_LL, BCD_LLL, FIXED
from protocols.iso8583.spec import FieldSpec, Spec

NAME = Layout("name", GBK, (Part("no", 3, DIGITS, ZEROS_LEFT), Part("name", 5, GBK, SPACES_RIGHT, display=True)))


def one_field(number: int, mac_field: int | None = None) -> Spec:
    field = FieldSpec("x", ASCII, FIXED, 8)
    return Spec("x", BCD, BitmapForm.DOUBLE, {number: field, 3: field}, mac_field)


WRONG: list[tuple[str, Callable[[], object], str]] = [
    ("no length", lambda: FieldSpec("x", BCD, FIXED, 0), "lengths"),
    ("minimum above length", lambda: FieldSpec("x", BCD, BCD_LL, 4, minimum=5), "lengths"),
    ("too long for its prefix", lambda: FieldSpec("x", BCD_F_RIGHT, BCD_LL, 100), "at most 99"),
    ("odd BCD", lambda: FieldSpec("x", BCD, FIXED, 3), "odd length 3"),
    ("two layouts of one width", lambda: FieldSpec("x", GBK, BCD_LL, 99, layouts=(NAME, NAME)), "distinct widths"),
    ("layout too wide", lambda: FieldSpec("x", GBK, BCD_LL, 7, layouts=(NAME,)), "at most 7"),
    ("field 1", lambda: one_field(1), "can't define field 1"),
    ("field 65", lambda: one_field(65), "can't define field 65"),
    ("field 129", lambda: one_field(129), "can't define field 129"),
    ("MAC not a field", lambda: one_field(64, 128), "MAC must be the last"),
    ("MAC not last", lambda: one_field(64, 3), "MAC must be the last"),
    ("layout without parts", lambda: Layout("x", GBK, ()), "distinct names"),
    ("layout with a name twice", lambda: Layout("x", GBK, (NAME.parts[0], NAME.parts[0])), "distinct names"),
    ("part without width", lambda: Layout("x", GBK, (Part("x", 0, ASCII),)), "width"),
    ("padding of two bytes", lambda: Padding(b"  ", Side.LEFT), "one byte"),
    ("padding inside GBK", lambda: Padding(b"A", Side.LEFT), "below 0x40"),
]


@pytest.mark.parametrize(("name", "make", "what"), WRONG, ids=[row[0] for row in WRONG])
def test_a_contradiction_is_refused_on_construction(name: str, make: Callable[[], object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        make()


def test_a_specification_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        GUANGZHOU.fields[5] = GUANGZHOU.fields[4]  # type: ignore[index]


@pytest.mark.parametrize(("prefix", "maximum", "size"), [(BCD_LL, 99, 1), (BCD_LLL, 999, 2), (ASCII_LLL, 999, 3)])
def test_prefixes(prefix: object, maximum: int, size: int) -> None:
    assert (prefix.maximum, prefix.size_bytes) == (maximum, size)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("padding", "value", "place"),
    [
        (SPACES_LEFT, b"12", b"   12"),
        (SPACES_RIGHT, b"12", b"12   "),
        (ZEROS_LEFT, b"12", b"00012"),
        (ZEROS_LEFT, b"0", b"00000"),
        (SPACES_LEFT, b"", b"     "),
        (SPACES_RIGHT, b" a b", b" a b "),
    ],
)
def test_padding(padding: Padding, value: bytes, place: bytes) -> None:
    assert padding.fill(value, 5, "x") == place
    assert padding.strip(place) == value


@pytest.mark.parametrize(
    ("padding", "value", "what"),
    [
        (SPACES_LEFT, b" 1", "begin with"),
        (SPACES_RIGHT, b"1 ", "end with"),
        (ZEROS_LEFT, b"01", "begin with"),
        (ZEROS_LEFT, b"", "may not be empty"),
        (SPACES_LEFT, b"123456", "at most 5 bytes, 6 were given"),
    ],
)
def test_values_that_padding_would_swallow(padding: Padding, value: bytes, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        padding.fill(value, 5, "x")


@given(st.binary(max_size=8), st.sampled_from([SPACES_LEFT, SPACES_RIGHT, ZEROS_LEFT]))
def test_padding_comes_off_again(value: bytes, padding: Padding) -> None:
    try:
        place = padding.fill(value, 8, "x")
    except ProtocolError:
        return
    assert len(place) == 8
    assert padding.strip(place) == value


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("张三", "张三 "),
        ("张三丰", "张三 "),  # the third character would need bytes 5 and 6 of 5
        ("a张三", "a张三"),
        ("ab张三", "ab张 "),  # one byte is left, half a character is not written
        ("𠮷野", "〓野 "),  # not in GBK
        ("a\nb", "a〓b "),
        ("", "     "),
        (" 张", "张   "),
        ("a     bcd", "a    "),
    ],
)
def test_a_name_is_cut_in_bytes_at_a_whole_character(name: str, written: str) -> None:
    text = NAME.join({"no": "7", "name": name}, "field 48")
    assert text == f"007{written}"
    assert len(text.encode("gbk")) == 8
    assert NAME.split(text, "field 48")["name"] == written.rstrip(" ")


@given(st.text(max_size=12))
def test_any_name_can_be_shown(name: str) -> None:
    values = NAME.split(NAME.join({"no": "7", "name": name}, "x"), "x")
    assert NAME.join(values, "x") == NAME.join({"no": "7", "name": name}, "x")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("007张三", "has 8 bytes, 7 were given"),
        ("007张三丰", "has 8 bytes, 9 were given"),
        ("00x张三 ", "field 48 no: digits only"),
        ("00张三aa", "field 48 no: "),  # the place of the number ends inside a character
    ],
)
def test_a_layout_that_does_not_fit(text: str, what: str) -> None:
    with pytest.raises(ProtocolError, match=what):
        NAME.split(text, "field 48")


def test_a_layout_needs_exactly_its_parts() -> None:
    with pytest.raises(ProtocolError, match="has the parts no, name"):
        NAME.join({"no": "7"}, "x")
    with pytest.raises(ProtocolError, match="at most 3 bytes, 4 were given"):
        NAME.join({"no": "7777", "name": ""}, "x")
    with pytest.raises(ProtocolError, match="exactly 2 bytes expected, 1 were given"):
        Layout("x", ASCII, (Part("two", 2, ASCII),)).join({"two": "1"}, "x")
    with pytest.raises(ProtocolError, match="a length of 8 bytes"):
        choose_layout((NAME,), "x", "field 48")


@pytest.mark.parametrize(
    ("mask", "text", "shown"),
    [
        (Mask.SHOWN, "020000", "020000"),
        (Mask.ACCOUNT, "62220000000000018", "622200****0018"),
        (Mask.ACCOUNT, "1234567890123", "123456****0123"),
        (Mask.ACCOUNT, "123456789012", "****"),
        (Mask.ACCOUNT, "", ""),
        (Mask.HIDDEN, "张三", "****"),
        (Mask.HIDDEN, "", ""),
    ],
)
def test_masks(mask: Mask, text: str, shown: str) -> None:
    assert mask.apply(text) == shown


def test_a_description_hides_account_customer_and_name() -> None:
    layout = GUANGZHOU.fields[48].layouts[2]
    parts = {
        "customer_no": "012345678901",
        "month": "99999999",
        "product": "01",
        "original_reference": "0" * 12,
        "name_address": "张三 人民路1号",
    }
    fields = {2: "62220000000000018", 39: "00", 48: layout.join(parts, "x"), 52: "87654321", 5: "unknown-content"}
    text = describe(Message("0110", fields), GUANGZHOU)
    for secret in ("62220000000000018", "012345678901", "张三", "人民路", "87654321", "unknown-content"):
        assert secret not in text
    for shown in (
        "0110",
        "622200****0018",
        "response code (应答码): 00",
        "enquiry reply (99 bytes)",
        "month: 99999999",
    ):
        assert shown in text


def test_a_description_hides_a_field_48_that_fits_no_layout() -> None:
    text = describe(Message("0200", {48: "some secret of the customer"}), GUANGZHOU)
    assert "secret" not in text
    assert "48  private data (附加数据): ****" in text


@pytest.mark.parametrize(
    ("request_mti", "reply"), [("0100", "0110"), ("0200", "0210"), ("0400", "0410"), ("0820", "0830")]
)
def test_reply_types(request_mti: str, reply: str) -> None:
    assert reply_mti(request_mti) == reply


@pytest.mark.parametrize("mti", ["0110", "0800", "0000", "0220"])
def test_types_that_are_not_answered(mti: str) -> None:
    with pytest.raises(ProtocolError, match="expected one of 0100, 0200, 0400, 0820"):
        reply_mti(mti)
