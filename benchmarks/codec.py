"""Our ISO 8583 codec against pyiso8583: the same messages, the same field table, both ways.

Strategy: before the race every message goes through both libraries and must come out as the same bytes and the same
values; otherwise their speed can't be compared. Decoding starts at the bytes and ends at the values of all fields;
encoding starts at plain values (making our `Message` is part of it) and ends at the bytes. Neither does a MAC, a frame
or a typed value there, because the yardstick has none; what a whole Guangzhou message costs us with frame and MAC, and
what a payment's MAC alone costs, are told as facts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.harness import (
    BenchmarkError,
    Contestant,
    Effort,
    Sample,
    Series,
    Watch,
    race,
    timed,
    times_as_fast,
    turns,
)
from benchmarks.messages_1987 import Plain, messages, pyiso8583_table
from benchmarks.results import Result, microseconds, ratio
from protocols.iso8583 import codec, mac_field
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU
from protocols.iso8583.dialects.guangzhou_layouts import Collection
from protocols.iso8583.dialects.iso1987_ascii import ISO_1987_ASCII
from protocols.iso8583.framing import FrameReader, NeedData, encode_frame
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm, mac_text

_MESSAGES = 64
_ALGORITHM = MacAlgorithm.X9_19
_BEIJING = ZoneInfo("Asia/Shanghai")


def measure(effort: Effort, watch: Watch) -> Result:
    """Raises BenchmarkError without pyiso8583, or where the two libraries don't agree."""
    yardstick = _pyiso8583()
    plain = messages(effort.seed, _MESSAGES)
    _check_agreement(plain, yardstick)
    rounds, repeats = effort.choose(15, 3), effort.choose(20, 2)
    contestants = [*_race_1987(plain, yardstick, repeats), *_race_guangzhou(effort.seed, repeats)]
    watch.expect(turns(len(contestants), rounds))
    series = race(contestants, rounds, watch)
    return _result(series)


def _result(series: dict[str, Series]) -> Result:
    decode = times_as_fast(series["busbar decode"], series["pyiso8583 decode"])
    encode = times_as_fast(series["busbar encode"], series["pyiso8583 encode"])
    facts = tuple(microseconds(name, series[name], what, chinese) for name, what, chinese in _FACTS)
    return Result(
        "codec",
        (
            ratio("codec.decode_vs_pyiso8583", decode, "decoding, times as fast", "解码速度倍数"),
            ratio("codec.encode_vs_pyiso8583", encode, "encoding, times as fast", "编码速度倍数"),
        ),
        facts,
        tuple(series.values()),
        "pure Python, one processor: the time goes into a handful of calls for every field",
    )


_FACTS = (
    ("busbar decode", "an ISO 8583:1987 message decoded, ours", "解码一条 1987 报文"),
    ("pyiso8583 decode", "the same, pyiso8583", "同上，pyiso8583"),
    ("busbar encode", "an ISO 8583:1987 message encoded, ours", "编码一条 1987 报文"),
    ("pyiso8583 encode", "the same, pyiso8583", "同上，pyiso8583"),
    ("guangzhou read", "a Guangzhou payment from its frame, decoded, MAC checked", "广州缴费报文：拆帧、解码、验 MAC"),
    ("guangzhou write", "a Guangzhou payment encoded, MAC put in, framed", "广州缴费报文：编码、加 MAC、组帧"),
    ("guangzhou MAC", "its MAC alone (X9.19)", "其中 MAC (X9.19)"),
)


def _pyiso8583() -> Any:
    try:
        import iso8583
    except ImportError:
        raise BenchmarkError("pyiso8583 is not installed: run `make setup`") from None
    return iso8583


def _check_agreement(plain: Sequence[Plain], yardstick: Any) -> None:
    table = pyiso8583_table()
    for one in plain:
        ours = codec.encode(codec.Message(one.mti, one.fields), ISO_1987_ASCII)
        theirs, _parts = yardstick.encode(one.for_pyiso8583(), table)
        values, _parts = yardstick.decode(ours, table)
        read = codec.decode(ours, ISO_1987_ASCII)
        same_values = read.fields == {int(key): text for key, text in values.items() if key.isdigit() and key != "1"}
        if ours != bytes(theirs) or not same_values or read.fields != dict(one.fields):
            raise BenchmarkError(f"the two libraries read or write a {one.mti} differently: compare them in the tests")


def _race_1987(plain: Sequence[Plain], yardstick: Any, repeats: int) -> list[Contestant]:
    table = pyiso8583_table()
    received = [codec.encode(codec.Message(one.mti, one.fields), ISO_1987_ASCII) for one in plain]
    ours = [(one.mti, dict(one.fields)) for one in plain]
    theirs = [one.for_pyiso8583() for one in plain]
    decode, encode, message = codec.decode, codec.encode, codec.Message

    def our_encode(one: tuple[str, dict[int, str]]) -> bytes:
        return encode(message(one[0], one[1]), ISO_1987_ASCII)

    return [
        _over("busbar decode", lambda data: decode(data, ISO_1987_ASCII), received, repeats),
        _over("pyiso8583 decode", lambda data: yardstick.decode(data, table), received, repeats),
        _over("busbar encode", our_encode, ours, repeats),
        _over("pyiso8583 encode", lambda values: yardstick.encode(values, table), theirs, repeats),
    ]


def _race_guangzhou(seed: int, repeats: int) -> list[Contestant]:
    # Derived from the seed: this key protects nothing but made-up messages.
    key = seed.to_bytes(16, "big", signed=True)
    payments = [_payment(number) for number in range(_MESSAGES)]
    sealed = [mac_field.seal(payment, GUANGZHOU, _ALGORITHM, key) for payment in payments]

    def read(frame: bytes) -> codec.Message:
        reader = FrameReader()
        reader.receive_data(frame)
        data = reader.next_frame()
        if isinstance(data, NeedData):
            raise BenchmarkError("a frame of our own is not whole")
        message = codec.decode(data, GUANGZHOU)
        mac_field.check(data, message, GUANGZHOU, _ALGORITHM, key)
        return message

    def write(payment: codec.Message) -> bytes:
        return encode_frame(mac_field.seal(payment, GUANGZHOU, _ALGORITHM, key))

    return [
        _over("guangzhou read", read, [encode_frame(data) for data in sealed], repeats),
        _over("guangzhou write", write, payments, repeats),
        _over("guangzhou MAC", lambda data: mac_text(_ALGORITHM, key, data), sealed, repeats),
    ]


def _payment(number: int) -> codec.Message:
    at = datetime(2024, 4, 5, 11, 28, 54, tzinfo=_BEIJING) + timedelta(seconds=number)
    sender = bank.Sender("315810", channel="6", terminal_no="2", outlet="60", teller="62")
    trace = bank.Trace(f"{number:012d}", at, date(2024, 4, 5))
    return bank.payment(sender, trace, Collection(f"06{number:010d}"), Money(10_000 + number), "62220000000000018")


def _over(name: str, function: Callable[[Any], object], inputs: Sequence[Any], repeats: int) -> Contestant:
    def work() -> int:
        for _ in range(repeats):
            for one in inputs:
                function(one)
        return repeats * len(inputs)

    turn: Callable[[], Sample] = timed(work)
    return Contestant(name, turn)
