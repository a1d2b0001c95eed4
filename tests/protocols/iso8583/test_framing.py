"""Framing: whole, byte by byte, several at once, cut off; and what breaks a stream for good."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import FramingError
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.framing import ASCII_4, BINARY_2, NEED_DATA, FrameReader, Framing, encode_frame

MESSAGE = bytes(range(100))


def drain(reader: FrameReader) -> list[bytes]:
    frames = []
    while isinstance(frame := reader.next_frame(), bytes):
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("framing", "head"), [(ASCII_4, b"0100"), (BINARY_2, b"\x00\x64")], ids=["4 digits", "2 bytes"]
)
def test_one_frame_whole_and_byte_by_byte(framing: Framing, head: bytes) -> None:
    frame = encode_frame(MESSAGE, framing)
    assert frame == head + MESSAGE
    reader = FrameReader(framing)
    for index in range(len(frame)):
        assert reader.next_frame() is NEED_DATA
        reader.receive_data(frame[index : index + 1])
    assert drain(reader) == [MESSAGE]
    reader.receive_end()


def test_two_frames_and_the_beginning_of_a_third_in_one_segment() -> None:
    reader = FrameReader()
    other = MESSAGE[::-1]
    reader.receive_data(encode_frame(MESSAGE) + encode_frame(other) + b"01")
    assert drain(reader) == [MESSAGE, other]
    reader.receive_data(b"00" + MESSAGE)
    assert drain(reader) == [MESSAGE]


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"01A4", "four ASCII digits"),
        (b"    ", "four ASCII digits"),
        (b"-001", "four ASCII digits"),
        (b"+100", "four ASCII digits"),
        (b"\x00\x64\x02\x00", "four ASCII digits"),
        (b"POST", "four ASCII digits"),
        ("１".encode() + b"1", "four ASCII digits"),
        (b"0000", "18 to 1024"),
        (b"0017", "18 to 1024"),
        (b"1025", "18 to 1024"),
        (b"9999", "18 to 1024"),
    ],
)
def test_a_broken_length_ends_the_stream(head: bytes, what: str) -> None:
    reader = FrameReader()
    reader.receive_data(encode_frame(MESSAGE) + head)
    assert reader.next_frame() == MESSAGE
    for _attempt in range(2):
        with pytest.raises(FramingError, match=what):
            reader.next_frame()
        reader.receive_data(encode_frame(MESSAGE))  # too late: nobody knows where this begins
    reader.receive_end()


@pytest.mark.parametrize("length", [18, 1024])
def test_the_limits_themselves_are_allowed(length: int) -> None:
    reader = FrameReader()
    reader.receive_data(encode_frame(bytes(length)))
    assert reader.next_frame() == bytes(length)


@pytest.mark.parametrize(("framing", "length"), [(ASCII_4, 17), (ASCII_4, 1025), (BINARY_2, 11), (BINARY_2, 8193)])
def test_we_write_no_frame_outside_the_limits(framing: Framing, length: int) -> None:
    with pytest.raises(FramingError):
        encode_frame(bytes(length), framing)


@pytest.mark.parametrize("received", [b"0", b"0100", b"0100" + MESSAGE[:-1]])
def test_a_stream_that_ends_inside_a_frame(received: bytes) -> None:
    reader = FrameReader()
    reader.receive_data(received)
    assert reader.next_frame() is NEED_DATA
    with pytest.raises(FramingError, match=f"after {len(received)} bytes"):
        reader.receive_end()
    with pytest.raises(FramingError):
        reader.next_frame()


def test_the_limits_hold_every_message_of_the_dialect() -> None:
    assert GUANGZHOU.minimum_bytes == ASCII_4.minimum_bytes
    assert GUANGZHOU.maximum_bytes < 300 < ASCII_4.maximum_bytes


@given(
    messages=st.lists(st.binary(min_size=18, max_size=60), max_size=5),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=10),
)
def test_the_cuts_of_a_stream_do_not_matter(messages: list[bytes], cuts: list[int]) -> None:
    stream, reader, frames, offset, turn = b"".join(map(encode_frame, messages)), FrameReader(), [], 0, 0
    while offset < len(stream):
        size = cuts[turn % len(cuts)]
        reader.receive_data(stream[offset : offset + size])
        frames += drain(reader)
        offset, turn = offset + size, turn + 1
    reader.receive_end()
    assert frames == messages


@given(st.binary(max_size=200))
def test_any_stream_gives_frames_or_a_framing_error(data: bytes) -> None:
    reader = FrameReader()
    reader.receive_data(data)
    try:
        frames = drain(reader)
        reader.receive_end()
    except FramingError:
        return
    assert b"".join(map(encode_frame, frames)) == data
