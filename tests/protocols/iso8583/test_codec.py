"""The codec: the fixture frame byte for byte, one row per refusal, round trips, and any bytes at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.iso8583.bitmap import encode_bitmap
from protocols.iso8583.codec import Message, decode, decode_partly, encode
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_layouts import DEBIT
from protocols.iso8583.framing import FrameReader, encode_frame
from protocols.signing.macs import MacAlgorithm, compute_mac, fold_blocks

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "iso8583"


def sample() -> tuple[dict[str, Any], bytes, Message]:
    """The fixture: its description, the message's bytes without frame header, the message expected."""
    described: dict[str, Any] = json.loads((FIXTURES / "guangzhou_debit_0200.json").read_text("utf-8"))
    reader = FrameReader()
    reader.receive_data(bytes.fromhex("".join(described["frame"])))
    frame = reader.next_frame()
    assert isinstance(frame, bytes)
    fields = {int(number): text for number, text in described["fields"].items()}
    return described, frame, Message(described["mti"], fields)


def test_the_sample_decodes_and_encodes_byte_for_byte() -> None:
    described, frame, expected = sample()
    assert decode(frame, GUANGZHOU) == expected
    assert encode(expected, GUANGZHOU) == frame
    assert encode_frame(frame) == bytes.fromhex("".join(described["frame"]))
    assert DEBIT.split(expected.require(48), "field 48") == described["field_48"]
    assert DEBIT.join(described["field_48"], "field 48") == expected.require(48)


def test_the_sample_has_every_published_mac() -> None:
    described, frame, _message = sample()
    covered, key = frame[:-8], bytes.fromhex(described["mac_key"])
    assert len(covered) == described["mac_covers_bytes"]
    assert fold_blocks(covered, 8).hex().upper() == described["folded_blocks"]
    computed = {name: compute_mac(MacAlgorithm(name), key, covered).hex().upper() for name in described["macs"]}
    assert computed == described["macs"]


@pytest.mark.parametrize("length", range(174))
def test_a_message_cut_anywhere_is_refused(length: int) -> None:
    _described, frame, _message = sample()
    with pytest.raises(ProtocolError):
        decode(frame[:length], GUANGZHOU)


def wire(fields: dict[int, str], mti: str = "0200") -> bytes:
    """MTI, bitmap and fields as hexadecimal, put together without the codec's own checks."""
    return bytes.fromhex(mti) + encode_bitmap(fields, GUANGZHOU.bitmap) + bytes.fromhex("".join(fields.values()))


REFUSED = [
    ("empty", b"", "MTI", "2 bytes expected"),
    ("MTI with a letter", wire({3: "000000"}, "02A0"), "MTI", "nibble"),
    ("bitmap cut off", bytes.fromhex("0200F2"), "bitmap", "16 bytes expected"),
    ("bit 1 not set", bytes.fromhex("0200") + bytes(16), "bitmap", "bit 1"),
    ("unknown field", wire({5: ""}), "bitmap", "field 5 is not part"),
    ("field 65", wire({65: ""}), "bitmap", "field 65 is not part"),
    ("trailing byte", wire({3: "02000000"}), "byte 21", "1 bytes follow"),
    ("BCD nibble above 9", wire({3: "02A000"}), "field 3 at byte 18", "nibble"),
    ("field cut off", wire({3: "0200"}), "field 3 at byte 18", "3 bytes expected, 2 are left"),
    ("length not BCD", wire({2: "1A62"}), "field 2 length at byte 18", "nibble"),
    ("length missing", wire({2: ""}), "field 2 at byte 18", "prefix"),
    ("length zero", wire({2: "00"}), "field 2 at byte 18", "must be 1 to 19, not 0"),
    ("length too large", wire({2: "20" + "12" * 10}), "field 2 at byte 18", "not 20"),
    ("odd digits filled with 0", wire({2: "031230"}), "field 2 at byte 18", "trailing F"),
    ("even digits ending with F", wire({2: "04123F"}), "field 2 at byte 18", "nibble"),
    ("F in the middle", wire({2: "031F3F"}), "field 2 at byte 18", "nibble"),
    ("odd digits not led by 0", wire({70: "1001"}), "field 70 at byte 18", "leading 0"),
    ("not ASCII", wire({39: "B0A1"}), "field 39 at byte 18", "not ASCII"),
    ("control character", wire({39: "000A"}), "field 39 at byte 18", "control character"),
    ("broken GBK", wire({48: "0341B041"[:6] + "FF"}), "field 48 at byte 18", "GBK"),
    ("GBK cut in a character", wire({48: "0141" + "B0"}), "byte 20", "follow"),
    ("half a GBK character", wire({48: "01B0"}), "field 48 at byte 18", "not GBK"),
]


@pytest.mark.parametrize(("name", "data", "where", "what"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_bytes(name: str, data: bytes, where: str, what: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(data, GUANGZHOU)
    assert caught.value.where == where
    assert what in caught.value.what


REFUSED_VALUES = [
    ("too few digits", 4, "100", "exactly 12"),
    ("too many digits", 4, "1" * 13, "exactly 12 expected, 13"),
    ("not digits", 4, "00000000010A", "digits only"),
    ("full-width digits", 4, "０" * 12, "digits only"),
    ("superscript digits", 4, "²" * 12, "digits only"),
    ("sign", 4, "-00000000100", "digits only"),
    ("too long", 2, "1" * 20, "must be 1 to 19, not 20"),
    ("empty", 2, "", "must be 1 to 19, not 0"),
    ("empty fixed", 3, "", "exactly 6"),
    ("not ASCII", 39, "电", "does not exist in ASCII"),
    ("not GBK", 48, "𠮷", "does not exist in GBK"),
    ("control character", 41, "1234567\n", "control"),
    ("100 bytes in 50 characters", 48, "电" * 50, "not 100"),
    ("unknown field", 5, "1", "not part of"),
]


@pytest.mark.parametrize(("name", "number", "text", "what"), REFUSED_VALUES, ids=[row[0] for row in REFUSED_VALUES])
def test_refused_values(name: str, number: int, text: str, what: str) -> None:
    with pytest.raises(ProtocolError, match=what) as caught:
        encode(Message("0200", {number: text}), GUANGZHOU)
    assert caught.value.where == f"field {number}"
    assert len(text) < 3 or text not in str(caught.value)


@pytest.mark.parametrize(
    ("mti", "fields"),
    [("200", {}), ("02A0", {}), ("０２００", {}), ("0200", {1: "x"}), ("0200", {0: "x"}), ("0200", {129: "x"})],
)
def test_refused_messages(mti: str, fields: dict[int, str]) -> None:
    with pytest.raises(ProtocolError):
        Message(mti, fields)


def test_a_message_is_immutable_and_keeps_its_secrets() -> None:
    fields = {4: "000000010000", 2: "62220000000000018"}
    message = Message("0200", fields)
    fields[4] = "changed"
    assert message.require(4) == "000000010000"
    with pytest.raises(TypeError):
        message.fields[4] = "x"  # type: ignore[index]
    with pytest.raises(AttributeError):
        message.mti = "0210"  # type: ignore[misc]
    assert repr(message) == "Message(0200, fields 2 4)"
    assert message.with_fields({39: "00"}).fields == {2: "62220000000000018", 4: "000000010000", 39: "00"}
    assert message.without_fields(2, 99).fields == {4: "000000010000"}
    assert (message.get(5), message.get(4)) == (None, "000000010000")
    with pytest.raises(ProtocolError, match="field 5: missing in a 0200"):
        message.require(5)


def test_what_could_be_read_before_an_error() -> None:
    _described, frame, message = sample()
    read, error = decode_partly(frame[:60], GUANGZHOU)
    assert read is not None
    assert error is not None
    assert error.where == "field 37 at byte 56"
    assert read.fields == {number: text for number, text in message.fields.items() if number < 37}
    assert decode_partly(frame, GUANGZHOU) == (message, None)
    nothing, error = decode_partly(b"\x02", GUANGZHOU)
    assert nothing is None
    assert error is not None


def digits(length: int, minimum: int | None = None) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=length if minimum is None else minimum, max_size=length)


def text_of(charset: str, size: int, minimum: int) -> st.SearchStrategy[str]:
    alphabet = st.characters(codec=charset, exclude_categories=("Cc",))
    return st.text(alphabet, min_size=1, max_size=size).filter(
        lambda text: minimum <= len(text.encode(charset)) <= size
    )


def field_values(number: int) -> st.SearchStrategy[str]:
    """Texts that fit the field, from what the specification says of it."""
    field = GUANGZHOU.fields[number]
    fixed = field.prefix.digits == 0
    minimum = field.length if fixed else field.minimum
    if field.encoding.counts_digits:
        return digits(field.length, minimum)
    if field.encoding.name == "GBK":
        return text_of("gbk", field.length, minimum)
    return st.text([chr(code) for code in range(0x20, 0x7F)], min_size=minimum, max_size=field.length)


MESSAGES = st.builds(
    Message,
    digits(4),
    st.sets(st.sampled_from(sorted(GUANGZHOU.fields))).flatmap(
        lambda numbers: st.fixed_dictionaries({number: field_values(number) for number in numbers})
    ),
)


@given(MESSAGES)
def test_every_message_comes_back(message: Message) -> None:
    data = encode(message, GUANGZHOU)
    assert len(data) <= GUANGZHOU.maximum_bytes
    assert decode(data, GUANGZHOU) == message


@given(st.binary(max_size=400))
def test_any_bytes_give_a_value_or_a_protocol_error(data: bytes) -> None:
    try:
        message = decode(data, GUANGZHOU)
    except ProtocolError:
        return
    assert encode(message, GUANGZHOU) == data


@given(
    data=st.binary(max_size=260),
    numbers=st.sets(st.sampled_from(sorted(GUANGZHOU.fields)), max_size=6),
)
def test_any_bytes_behind_a_plausible_head(data: bytes, numbers: set[int]) -> None:
    """Random bytes seldom pass the bitmap; with a real head they reach the fields."""
    body = b"\x02\x00" + encode_bitmap(numbers, GUANGZHOU.bitmap) + data
    try:
        message = decode(body, GUANGZHOU)
    except ProtocolError:
        return
    assert encode(message, GUANGZHOU) == body


@given(index=st.integers(0, 173), value=st.integers(0, 255))
def test_one_byte_changed_never_gives_the_same_message(index: int, value: int) -> None:
    """One meaning has one byte string: otherwise one meaning would have two MACs."""
    _described, frame, message = sample()
    changed = frame[:index] + bytes([value]) + frame[index + 1 :]
    try:
        assert (decode(changed, GUANGZHOU) == message) == (changed == frame)
    except ProtocolError:
        assert changed != frame


@given(MESSAGES, st.data())
def test_error_texts_hold_no_content(message: Message, data: st.DataObject) -> None:
    secret = "62229876543210987"
    encoded = encode(message.with_fields({2: secret}), GUANGZHOU)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(ProtocolError) as caught:
        decode(encoded[:cut], GUANGZHOU)
    assert secret[:8] not in str(caught.value)
