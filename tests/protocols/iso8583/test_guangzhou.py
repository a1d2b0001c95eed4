"""The Guangzhou dialect: which fields a message has, the rows inside fields, dates, requests, replies, refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError, SignatureError
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode, encode
from protocols.iso8583.dates import DateError, check_date_time, field_7, nearest_date, nearest_moment, parse_time
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU, OPTIONAL, REQUIRED, check_fields
from protocols.iso8583.dialects.guangzhou_codes import CODES, DETAILS, CodeClass, class_of_code
from protocols.iso8583.dialects.guangzhou_layouts import (
    COLLECTION,
    DEBIT,
    ENQUIRY_REPLY,
    Acceptor,
    Collection,
    EnquiryReply,
    Terminal,
    read_acceptor,
    read_collection,
    read_enquiry_reply,
    read_terminal,
)
from protocols.iso8583.dialects.guangzhou_replies import refusal_for, reply_to
from protocols.iso8583.mti import REPLY_OF
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm

ZONE = ZoneInfo("Asia/Shanghai")
AT = datetime(2024, 4, 3, 9, 5, 1, tzinfo=ZONE)
SENDER = bank.Sender("315810", channel="2", terminal_no="17", outlet="230", teller="6062")
TRACE = bank.Trace("240403000001", AT, date(2024, 4, 3))
PAYS = Collection("012345678901", "20240399")
AMOUNT = Money(10000)
KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")

REQUESTS: dict[str, tuple[Message, frozenset[int]]] = {
    "sign on": (bank.sign_on(SENDER, TRACE.number, AT), frozenset({7, 11, 33, 70})),
    "sign off": (bank.sign_off(SENDER, TRACE.number, AT), frozenset({7, 11, 33, 70})),
    "echo": (bank.echo(SENDER, TRACE.number, AT), frozenset({7, 11, 33, 70})),
    "enquiry": (
        bank.enquiry(SENDER, TRACE, PAYS, "62220000000000018"),
        frozenset({2, 3, 11, 12, 13, 32, 41, 42, 48, 49, 100, 104}),
    ),
    "payment": (
        bank.payment(SENDER, TRACE, PAYS, AMOUNT, "62220000000000018"),
        frozenset({2, 3, 4, 11, 12, 13, 18, 28, 32, 41, 42, 48, 49, 100, 104}),
    ),
    "cancel": (
        bank.cancel(SENDER, TRACE, PAYS, AMOUNT, at=AT, account="62220000000000018"),
        frozenset({2, 3, 4, 7, 11, 12, 13, 18, 28, 32, 41, 42, 48, 49, 100, 104}),
    ),
    "reversal": (
        bank.reversal(SENDER, TRACE, PAYS, AMOUNT, at=AT, account="62220000000000018"),
        frozenset({2, 3, 4, 7, 11, 12, 13, 18, 28, 32, 41, 42, 48, 49, 100, 104}),
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_request_has_the_fields_of_its_bitmap(name: str) -> None:
    message, fields = REQUESTS[name]
    assert set(message.fields) == fields
    sealed = mac_field.seal(message, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    received = decode(sealed, GUANGZHOU)
    check_fields(received)
    mac_field.check(sealed, received, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    assert received.without_fields(128) == message


def test_a_payment_field_by_field() -> None:
    message, _fields = REQUESTS["payment"]
    assert dict(message.fields) == {
        2: "62220000000000018",
        3: "190000",
        4: "000000010000",
        11: "240403000001",
        12: "090501",
        13: "0403",
        18: "0000",
        28: "000000000000",
        32: "315810",
        41: "20000017",
        42: "000000230006062",
        48: "         012345678901202403990100000000000010" + " " * 25,
        49: "001",
        100: "333333",
        104: "JF",
    }


@pytest.mark.parametrize("mti", REQUIRED)
def test_missing_and_unused_fields_are_named(mti: str) -> None:
    full = Message(mti, dict.fromkeys(REQUIRED[mti] | OPTIONAL[mti], "x"))
    check_fields(full)
    check_fields(full.without_fields(*OPTIONAL[mti]))
    for number in REQUIRED[mti]:
        with pytest.raises(ProtocolError, match=f"field {number}: missing in a {mti}"):
            check_fields(full.without_fields(number))
    for number in set(GUANGZHOU.fields) - set(full.fields):
        with pytest.raises(ProtocolError, match=f"field {number}: not used in a {mti}"):
            check_fields(full.with_fields({number: "x"}))


def test_the_tables_speak_of_the_same_messages() -> None:
    assert REQUIRED.keys() == OPTIONAL.keys() == REPLY_OF.keys() | set(REPLY_OF.values())
    for mti, required in REQUIRED.items():
        assert not required & OPTIONAL[mti]
        assert required | OPTIONAL[mti] <= GUANGZHOU.fields.keys()
    with pytest.raises(ProtocolError, match="expected one of 0100"):
        check_fields(Message("0420", {}))


def test_the_widths_of_field_48() -> None:
    assert (COLLECTION.width, DEBIT.width, ENQUIRY_REPLY.width) == (70, 63, 99)


@pytest.mark.parametrize("customer_no", ["1", "012345678901", "012345678901.0505", "x" * 21])
@pytest.mark.parametrize("month", ["20240399", "99999999", "9"])
def test_field_48_of_a_collection(customer_no: str, month: str) -> None:
    collection = Collection(customer_no, month, original_reference="240403000009", collect_kind="12", cheque_no="A 17")
    text = collection.text()
    assert len(text.encode("gbk")) == 70
    assert text[:21] == customer_no.rjust(21)
    assert text[21:29] == month.rjust(8)
    assert read_collection(text) == collection
    assert customer_no not in repr(collection) or len(customer_no) == 1
    assert "A 17" not in repr(collection)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"customer_no": "x" * 22}, "customer_no: at most 21"),
        ({"customer_no": "户号"}, "customer_no: .*ASCII"),
        ({"month": "2024-03"}, "month: digits only"),
        ({"month": "202403991"}, "month: at most 8"),
        ({"product": "1"}, "product: exactly 2"),
        ({"original_reference": "0"}, "original_reference: exactly 12"),
        ({"collect_kind": "  "}, "collect_kind: digits only"),
        ({"cheque_no": "1" * 26}, "cheque_no: at most 25"),
    ],
)
def test_field_48_that_can_not_be_written(change: dict[str, str], what: str) -> None:
    with pytest.raises(ProtocolError, match=f"field 48 {what}"):
        Collection(**{"customer_no": "012345678901", **change}).text()


def test_field_48_of_an_enquiry_reply() -> None:
    reply = EnquiryReply(
        "012345678901", "99999999", "01", "0" * 12, "张三 广州市天河区人民路100号之二十五栋三单元五〇二房东侧"
    )
    text = reply.text()
    assert len(text.encode("gbk")) == 99
    read = read_enquiry_reply(text)
    assert reply.name_address.startswith(read.name_address)
    assert len(read.name_address.encode("gbk")) in (55, 56)
    assert read_enquiry_reply(read.text()) == read
    assert "张三" not in repr(reply)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Terminal("2", "17"), "20000017"),
        (Terminal("T", "A000017"), "TA000017"),
        (Terminal("0", "0"), "00000000"),
        (Acceptor("230", "6062"), "000000230006062"),
        (Acceptor("0", "0"), "0" * 15),
    ],
)
def test_terminal_and_acceptor(value: Terminal | Acceptor, text: str) -> None:
    assert value.text() == text
    read = read_terminal if isinstance(value, Terminal) else read_acceptor
    assert read(text) == value


# --- dates


@pytest.mark.parametrize(
    ("text", "near", "expected"),
    [
        ("0403", date(2024, 4, 3), date(2024, 4, 3)),
        ("1231", date(2025, 1, 1), date(2024, 12, 31)),
        ("0101", date(2024, 12, 31), date(2025, 1, 1)),
        ("0229", date(2024, 3, 1), date(2024, 2, 29)),
        ("0229", date(2025, 1, 15), date(2024, 2, 29)),
        ("0229", date(2027, 12, 1), date(2028, 2, 29)),
    ],
)
def test_the_year_nearest(text: str, near: date, expected: date) -> None:
    assert nearest_date(text, near, "field 13") == expected


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("0230", date(2024, 2, 28)),
        ("0229", date(2026, 2, 28)),
        ("1301", date(2024, 1, 1)),
        ("0001", date(2024, 1, 1)),
        ("0100", date(2024, 1, 1)),
        ("0431", date(2024, 4, 30)),
    ],
)
def test_a_date_that_does_not_exist(text: str, near: date) -> None:
    with pytest.raises(DateError, match="field 13: no such date"):
        nearest_date(text, near, "field 13")


@pytest.mark.parametrize("text", ["240000", "236000", "235960", "990000"])
def test_a_time_that_does_not_exist(text: str) -> None:
    with pytest.raises(DateError, match="no such time"):
        parse_time(text, "field 12")
    with pytest.raises(DateError):
        check_date_time(f"0403{text}", date(2024, 4, 3), "field 7")


@pytest.mark.parametrize(
    ("text", "near", "expected"),
    [
        ("090501", "2024-04-03T09:05:03+08:00", "2024-04-03T09:05:01+08:00"),
        ("235959", "2024-04-04T00:00:02+08:00", "2024-04-03T23:59:59+08:00"),
        ("000001", "2024-04-03T23:59:58+08:00", "2024-04-04T00:00:01+08:00"),
        ("000001", "2024-04-03T15:59:58+00:00", "2024-04-04T00:00:01+08:00"),
        ("210000", "2024-04-03T09:00:01+08:00", "2024-04-03T21:00:00+08:00"),
        ("210000", "2024-04-03T08:59:59+08:00", "2024-04-02T21:00:00+08:00"),
        ("235959", "2025-01-01T00:30:00+08:00", "2024-12-31T23:59:59+08:00"),
    ],
)
def test_the_day_nearest(text: str, near: str, expected: str) -> None:
    moment = nearest_moment(text, datetime.fromisoformat(near), ZONE, "field 12")
    assert moment == datetime.fromisoformat(expected)
    assert moment.utcoffset() == timedelta(hours=8)


@given(st.integers(0, 2**31), st.times())
def test_the_day_nearest_is_within_half_a_day(near_seconds: int, clock: time) -> None:
    near = datetime.fromtimestamp(near_seconds, UTC)
    # Three quarters of an hour of slack: China had summer time from 1986 to 1991.
    assert abs(nearest_moment(clock.strftime("%H%M%S"), near, ZONE, "x") - near) <= timedelta(hours=12, minutes=45)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        field_7(AT.replace(tzinfo=None), ZONE)


# --- replies


def test_codes_have_one_class_and_unknown_codes_leave_the_outcome_open() -> None:
    assert [code for code, row in CODES.items() if row.code_class is CodeClass.SUCCESS] == ["00"]
    assert all(len(code) == 2 and code.isascii() for code in CODES)
    assert all(len(code) == 4 and code.isdigit() for code in DETAILS)
    for code in ("77", "", "0", "000", " 0"):
        assert class_of_code(code) is CodeClass.UNKNOWN_OUTCOME


@pytest.mark.parametrize("name", REQUESTS)
def test_a_reply_returns_the_request(name: str) -> None:
    request, _fields = REQUESTS[name]
    reply = reply_to(request.with_fields({7: "0403090501", 128: "01234567"}), {39: "00"})
    assert reply.mti == REPLY_OF[request.mti]
    assert reply.require(11) == request.require(11)
    assert set(reply.fields) <= REQUIRED[reply.mti] | OPTIONAL[reply.mti]
    assert not {7, 128} & set(reply.fields)
    assert reply.get(4) == (None if request.mti == "0100" else request.get(4))


def test_an_enquiry_reply_is_read() -> None:
    request, _fields = REQUESTS["enquiry"]
    text = EnquiryReply("012345678901", "99999999", "01", "0" * 12, "张三 人民路1号").text()
    message = reply_to(request, {4: "000000010001", 7: "0403090502", 15: "0404", 39: "00", 48: text})
    reply = bank.read_reply(decode(encode(message, GUANGZHOU), GUANGZHOU), date(2024, 4, 3))
    assert reply == bank.Reply(
        mti="0110",
        trace_no="240403000001",
        code="00",
        code_class=CodeClass.SUCCESS,
        clearing_date=date(2024, 4, 4),
        reference_no=None,
        amount=Money(10001),
        detail=None,
        name_address="张三 人民路1号",
    )
    assert "张三" not in repr(reply)


def test_refusals_are_read() -> None:
    request, _fields = REQUESTS["reversal"]
    reply = bank.read_reply(reply_to(request, {39: "80", 60: "8075"}), date(2024, 4, 3))
    assert (reply.code, reply.code_class, reply.detail) == ("80", CodeClass.FINAL_REFUSAL, "8075")
    assert (reply.clearing_date, reply.reference_no, reply.name_address) == (None, None, None)
    enquiry, _fields = REQUESTS["enquiry"]
    refused = bank.read_reply(reply_to(enquiry, {39: "09"}), date(2024, 4, 3))
    assert (refused.code_class, refused.amount, refused.name_address) == (CodeClass.FINAL_REFUSAL, None, None)
    with pytest.raises(ProtocolError, match="field 39: missing"):
        bank.read_reply(Message("0210", {11: "1"}), date(2024, 4, 3))


def broken(name: str, cut: Callable[[bytes], bytes]) -> bytes:
    return cut(mac_field.seal(REQUESTS[name][0], GUANGZHOU, MacAlgorithm.X9_19, KEY))


@pytest.mark.parametrize(
    ("name", "data", "returned"),
    [
        ("cut in field 48", broken("payment", lambda data: data[:100]), {2, 3, 4, 11, 12, 13, 18, 28, 32, 41, 42, 39}),
        ("trailing byte", broken("echo", lambda data: data + b"x"), {11, 70, 39}),
        ("a reversal says that its outcome is unknown", broken("reversal", lambda data: data[:30]), {2, 39, 60}),
        ("only the MTI", broken("enquiry", lambda data: data[:2]), {39}),
        ("unknown field", broken("echo", lambda data: data[:2] + b"\xff" * 16 + data[18:]), {39}),
    ],
)
def test_a_message_that_can_not_be_read_is_refused_with_what_was_read(
    name: str, data: bytes, returned: set[int]
) -> None:
    reply = refusal_for(data, "30")
    assert reply is not None
    assert reply.mti == REPLY_OF[data[:2].hex()]
    assert reply.require(39) == "30"
    assert set(reply.fields) == returned
    assert reply.get(60) == ("8093" if reply.mti == "0410" else None)
    sealed = mac_field.seal(reply, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    assert decode(sealed, GUANGZHOU).without_fields(128) == reply


@pytest.mark.parametrize("data", [b"", b"\x02", b"GE", bytes.fromhex("0210") + bytes(30), bytes.fromhex("0999")])
def test_nobody_to_answer(data: bytes) -> None:
    assert refusal_for(data, "30") is None


@given(st.sampled_from(sorted(REPLY_OF)), st.binary(max_size=200))
def test_any_bytes_can_be_refused(mti: str, data: bytes) -> None:
    reply = refusal_for(bytes.fromhex(mti) + data, "30")
    assert reply is not None
    assert decode(mac_field.seal(reply, GUANGZHOU, MacAlgorithm.X9_19, KEY), GUANGZHOU).require(39) == "30"


# --- the MAC's place


@pytest.mark.parametrize("algorithm", MacAlgorithm)
def test_a_sealed_message_passes_and_every_changed_byte_fails(algorithm: MacAlgorithm) -> None:
    sealed = mac_field.seal(REQUESTS["echo"][0], GUANGZHOU, algorithm, KEY)
    mac_field.check(sealed, decode(sealed, GUANGZHOU), GUANGZHOU, algorithm, KEY)
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        try:
            message = decode(changed, GUANGZHOU)
        except ProtocolError:
            continue
        with pytest.raises(SignatureError, match="field 128: the MAC is"):
            mac_field.check(changed, message, GUANGZHOU, algorithm, KEY)


def test_the_mac_covers_the_bitmap_with_its_own_bit_and_not_the_length() -> None:
    message = REQUESTS["echo"][0]
    sealed = mac_field.seal(message, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    assert sealed[:2].hex() == "0820"
    assert sealed[17] & 1
    assert mac_field.seal(decode(sealed, GUANGZHOU), GUANGZHOU, MacAlgorithm.X9_19, KEY) == sealed


def test_missing_wrong_and_impossible_macs() -> None:
    message = REQUESTS["echo"][0]
    bare = encode(message, GUANGZHOU)
    with pytest.raises(SignatureError, match="the MAC is missing"):
        mac_field.check(bare, message, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    stub = message.with_fields({128: "11111111"})
    with pytest.raises(SignatureError, match="the MAC is wrong"):
        mac_field.check(encode(stub, GUANGZHOU), stub, GUANGZHOU, MacAlgorithm.X9_19, KEY)
    with pytest.raises(SignatureError, match="takes 16 bytes, the key has 8"):
        mac_field.seal(message, GUANGZHOU, MacAlgorithm.X9_19, KEY[:8])
