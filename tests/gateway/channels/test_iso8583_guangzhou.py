"""The Guangzhou channel: every request to its operation, one row per refusal, every reason to its code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.banks.profile import BankProfile, BankXmlWire, Iso8583Wire
from gateway.channels.guangzhou_codes import CODE_OF, UNDO_DETAIL_OF, UNDO_DETAIL_OF_RESULT, undo_refusal_codes
from gateway.channels.iso8583_guangzhou import CHANNELS, mac_is_required, to_message, to_operation
from gateway.operations import (
    ALL_BILLS,
    BillEnquiry,
    BillSelection,
    Channel,
    Echo,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    SignOff,
    SignOn,
    canonical_digest,
)
from gateway.outcomes import (
    Approved,
    BillOwed,
    BillsFound,
    Declined,
    Outcome,
    OutcomeClass,
    Reason,
    Receipt,
    Undo,
    UndoResult,
    Unknown,
)
from protocols.iso8583 import mac_field
from protocols.iso8583.codec import Message, decode
from protocols.iso8583.dialects import guangzhou_messages as bank
from protocols.iso8583.dialects.guangzhou import GUANGZHOU, OPTIONAL, REQUIRED, check_fields
from protocols.iso8583.dialects.guangzhou_codes import CODES, DETAILS, CodeClass
from protocols.iso8583.dialects.guangzhou_layouts import Collection
from protocols.money import Money
from protocols.signing.macs import MacAlgorithm

ZONE = ZoneInfo("Asia/Shanghai")
PROFILE = BankProfile(
    code="GZB",
    name="银行甲",
    name_english="Bank A",
    wire=Iso8583Wire(
        protocol="iso8583-guangzhou",
        listen="127.0.0.1:0",
        institution="315810",
        mac_key="gzb-mac",
        mac_algorithm="X9.19",
    ),
)
RECEIVED = datetime(2024, 4, 3, 9, 5, 3, tzinfo=ZONE)
AT = RECEIVED - timedelta(seconds=2)
SENDER = bank.Sender("315810", channel="2", terminal_no="17", outlet="230", teller="6062")
TRACE = bank.Trace("240403000001", AT, date(2024, 4, 3))
PAYS = Collection("012345678901", "20240399")
AMOUNT = Money(10001)
REFERENCE = "240403000077"
ACCOUNT = "62220000000000018"


def key(kind: OperationKind, trace_date: date = date(2024, 4, 3)) -> OperationKey:
    return OperationKey("GZB", kind, trace_date, "240403000001")


PAYMENT = bank.payment(SENDER, TRACE, PAYS, AMOUNT)
ENQUIRY = bank.enquiry(SENDER, TRACE, PAYS)
CANCEL = bank.cancel(SENDER, TRACE, replace(PAYS, original_reference=REFERENCE), AMOUNT, at=AT)
REVERSAL = bank.reversal(SENDER, TRACE, PAYS, AMOUNT, at=AT)
SIGN_ON = bank.sign_on(SENDER, TRACE.number, AT)

BY_REFERENCE = OriginalReference(reference_no=REFERENCE)
BY_TRACE = OriginalReference(trace_date=date(2024, 4, 3), trace_no="240403000001")


def sealed(message: Message) -> Message:
    """As it arrives: with its MAC, through bytes."""
    data = mac_field.seal(message, GUANGZHOU, MacAlgorithm.X9_19, b"0123456789abcdef")
    return decode(data, GUANGZHOU)


OPERATIONS: list[tuple[str, Message, Operation]] = [
    ("sign on", SIGN_ON, SignOn(key(OperationKind.SIGN_ON))),
    ("sign off", bank.sign_off(SENDER, TRACE.number, AT), SignOff(key(OperationKind.SIGN_OFF))),
    ("echo", bank.echo(SENDER, TRACE.number, AT), Echo(key(OperationKind.ECHO))),
    (
        "enquiry of one month",
        ENQUIRY,
        BillEnquiry(key(OperationKind.BILL_ENQUIRY), "012345678901", BillSelection(billing_month=202403), AT),
    ),
    (
        "enquiry of all months",
        bank.enquiry(SENDER, TRACE, replace(PAYS, month="9", collect_kind=bank.NO_COLLECT_KIND), ACCOUNT),
        BillEnquiry(key(OperationKind.BILL_ENQUIRY), "012345678901", ALL_BILLS, AT),
    ),
    (
        "payment",
        PAYMENT,
        Payment(
            key=key(OperationKind.PAYMENT),
            customer_no="012345678901",
            selection=BillSelection(billing_month=202403),
            amount=AMOUNT,
            paid_at=AT,
            channel=Channel.INTERNET_BANK,
            settle_method=SettleMethod.CASH,
            outlet="230",
            operator="6062",
        ),
    ),
    (
        "a cheque as prepayment",
        bank.payment(SENDER, TRACE, replace(PAYS, month="99999999", collect_kind="11", cheque_no="A17"), AMOUNT),
        PrepaymentDeposit(
            key=key(OperationKind.PAYMENT),
            customer_no="012345678901",
            amount=AMOUNT,
            paid_at=AT,
            channel=Channel.INTERNET_BANK,
            settle_method=SettleMethod.CHEQUE,
            outlet="230",
            operator="6062",
        ),
    ),
    (
        "same-day cancel by reference",
        CANCEL,
        SameDayCancel(key(OperationKind.SAME_DAY_CANCEL), "012345678901", BY_REFERENCE, AMOUNT),
    ),
    (
        "same-day cancel by trace",
        bank.cancel(SENDER, TRACE, PAYS, AMOUNT, at=AT),
        SameDayCancel(key(OperationKind.SAME_DAY_CANCEL), "012345678901", BY_TRACE, AMOUNT),
    ),
    (
        "reversal by trace",
        REVERSAL,
        Reversal(key(OperationKind.REVERSAL), "012345678901", BY_TRACE, AMOUNT),
    ),
    (
        "reversal by reference",
        bank.reversal(SENDER, TRACE, replace(PAYS, original_reference=REFERENCE), AMOUNT, at=AT),
        Reversal(key(OperationKind.REVERSAL), "012345678901", BY_REFERENCE, AMOUNT),
    ),
]


@pytest.mark.parametrize(("name", "message", "expected"), OPERATIONS, ids=[row[0] for row in OPERATIONS])
def test_every_request_becomes_its_operation(name: str, message: Message, expected: Operation) -> None:
    assert to_operation(sealed(message), PROFILE, RECEIVED) == expected


@pytest.mark.parametrize(("digit", "channel"), CHANNELS.items())
@pytest.mark.parametrize(
    ("collect_kind", "account", "card", "other"),
    [
        ("10", None, SettleMethod.CASH, SettleMethod.CASH),
        ("10", ACCOUNT, SettleMethod.CARD, SettleMethod.TRANSFER),
        ("12", None, SettleMethod.CHEQUE, SettleMethod.CHEQUE),
        ("12", ACCOUNT, SettleMethod.CHEQUE, SettleMethod.CHEQUE),
    ],
)
def test_channel_and_settle_method(
    digit: str, channel: Channel, collect_kind: str, account: str | None, card: SettleMethod, other: SettleMethod
) -> None:
    message = bank.payment(
        replace(SENDER, channel=digit), TRACE, replace(PAYS, collect_kind=collect_kind), AMOUNT, account
    )
    operation = to_operation(sealed(message), PROFILE, RECEIVED)
    assert isinstance(operation, Payment)
    assert operation.channel is channel
    assert operation.settle_method is (card if channel in (Channel.ATM, Channel.POS) else other)


def test_the_channels_are_those_of_the_bank() -> None:
    assert {digit: channel.name for digit, channel in CHANNELS.items()} == {
        "0": "BANK_COUNTER",
        "1": "PHONE_BANK",
        "2": "INTERNET_BANK",
        "3": "ATM",
        "4": "POS",
        "5": "KIOSK",
        "6": "MOBILE_BANK",
        "T": "AGENT_OUTLET",
    }


@pytest.mark.parametrize(
    ("trace_date", "payer_time", "received", "expected_date", "expected_paid_at"),
    [
        # The bank's clearing date is tomorrow; the payer's day is today.
        ("0404", "220000", "2024-04-03T22:00:05+08:00", "2024-04-04", "2024-04-03T22:00:00+08:00"),
        # Received just after midnight, paid just before.
        ("0403", "235958", "2024-04-04T00:00:01+08:00", "2024-04-03", "2024-04-03T23:59:58+08:00"),
        # The bank's clock is ahead of ours over midnight.
        ("0404", "000002", "2024-04-03T23:59:59+08:00", "2024-04-04", "2024-04-04T00:00:02+08:00"),
        # Over the year's end, both ways.
        ("1231", "235958", "2025-01-01T00:00:01+08:00", "2024-12-31", "2024-12-31T23:59:58+08:00"),
        ("0102", "180500", "2024-12-31T18:05:01+08:00", "2025-01-02", "2024-12-31T18:05:00+08:00"),
        # A receipt in another zone is turned into the bank's.
        ("0404", "000002", "2024-04-03T16:00:03+00:00", "2024-04-04", "2024-04-04T00:00:02+08:00"),
        # 29 February.
        ("0229", "120000", "2024-02-29T12:00:00+08:00", "2024-02-29", "2024-02-29T12:00:00+08:00"),
    ],
)
def test_trace_date_and_payers_time(
    trace_date: str, payer_time: str, received: str, expected_date: str, expected_paid_at: str
) -> None:
    message = PAYMENT.with_fields({12: payer_time, 13: trace_date})
    operation = to_operation(sealed(message), PROFILE, datetime.fromisoformat(received))
    assert isinstance(operation, Payment)
    assert operation.key.trace_date == date.fromisoformat(expected_date)
    assert operation.paid_at == datetime.fromisoformat(expected_paid_at)


def test_a_resend_is_the_same_operation_and_other_content_is_not() -> None:
    first = to_operation(sealed(PAYMENT), PROFILE, RECEIVED)
    again = to_operation(sealed(PAYMENT.with_fields({7: "0404100000"})), PROFILE, RECEIVED + timedelta(hours=20))
    other = to_operation(sealed(PAYMENT.with_fields({4: "000000010002"})), PROFILE, RECEIVED)
    assert isinstance(first, Payment)
    assert isinstance(again, Payment)
    assert isinstance(other, Payment)
    assert first.key == again.key == other.key
    assert canonical_digest(first) == canonical_digest(again) != canonical_digest(other)


def with_48(**parts: str) -> Callable[[Message], Message]:
    return lambda message: message.with_fields({48: replace(PAYS, **parts).text()})


def with_field(number: int, text: str) -> Callable[[Message], Message]:
    return lambda message: message.with_fields({number: text})


def without(number: int) -> Callable[[Message], Message]:
    return lambda message: message.without_fields(number)


REFUSED: list[tuple[str, Message, Callable[[Message], Message], Reason, str]] = [
    ("field missing", PAYMENT, without(4), Reason.FORMAT_ERROR, "field 4: missing in a 0200"),
    ("MAC missing", PAYMENT, without(128), Reason.FORMAT_ERROR, "field 128: missing"),
    ("PIN", PAYMENT, with_field(52, "00000000"), Reason.FORMAT_ERROR, "field 52: not used"),
    ("processing code missing", PAYMENT, without(3), Reason.FORMAT_ERROR, "field 3: missing"),
    ("processing code of an enquiry", PAYMENT, with_field(3, "310000"), Reason.BAD_OPERATION, "field 3: one of 190000"),
    ("cancel as 0200", PAYMENT, with_field(3, "200000"), Reason.BAD_OPERATION, "field 3"),
    ("payment as 0400", CANCEL, with_field(3, "190000"), Reason.BAD_OPERATION, "field 3: one of 200000, 020000"),
    ("key change", SIGN_ON, with_field(70, "101"), Reason.BAD_OPERATION, "field 70: one of 001, 002, 301"),
    ("cut-off by the bank", SIGN_ON, with_field(70, "201"), Reason.BAD_OPERATION, "field 70"),
    ("another bank", PAYMENT, with_field(32, "315811"), Reason.BAD_OPERATION, "field 32"),
    ("another bank signs on", SIGN_ON, with_field(33, "315811"), Reason.BAD_OPERATION, "field 33"),
    ("not for us", PAYMENT, with_field(100, "315810"), Reason.BAD_OPERATION, "field 100"),
    ("debit class", PAYMENT, with_field(104, "HZ"), Reason.BAD_OPERATION, "field 104"),
    ("ISO currency", PAYMENT, with_field(49, "156"), Reason.AMOUNT_INVALID, "field 49: currency 001"),
    ("fee", PAYMENT, with_field(28, "000000000001"), Reason.AMOUNT_INVALID, "field 28"),
    ("amount zero", PAYMENT, with_field(4, "0" * 12), Reason.AMOUNT_INVALID, "field 4: the amount is zero"),
    ("reversal of zero", REVERSAL, with_field(4, "0" * 12), Reason.AMOUNT_INVALID, "field 4"),
    ("30 February", PAYMENT, with_field(13, "0230"), Reason.DATE_INVALID, "field 13: no such date"),
    ("an old message sent again", PAYMENT, with_field(13, "1015"), Reason.DATE_INVALID, "field 13: more than 100 days"),
    ("25 o'clock", PAYMENT, with_field(12, "250000"), Reason.DATE_INVALID, "field 12: no such time"),
    ("25 o'clock in a reversal", REVERSAL, with_field(12, "250000"), Reason.DATE_INVALID, "field 12"),
    ("no such day sent", PAYMENT, with_field(7, "0431090501"), Reason.DATE_INVALID, "field 7"),
    ("no such time sent", SIGN_ON, with_field(7, "0430096001"), Reason.DATE_INVALID, "field 7"),
    ("no such clearing date", PAYMENT, with_field(15, "0000"), Reason.DATE_INVALID, "field 15"),
    ("month 13", PAYMENT, with_48(month="20241399"), Reason.BILL_NOT_FOUND, "field 48 month"),
    ("month 00", ENQUIRY, with_48(month="20240099"), Reason.BILL_NOT_FOUND, "field 48 month"),
    ("month without century", PAYMENT, with_48(month="2403"), Reason.BILL_NOT_FOUND, "field 48 month"),
    ("empty month", PAYMENT, with_48(month=""), Reason.BILL_NOT_FOUND, "field 48 month"),
    ("no customer", PAYMENT, with_48(customer_no=""), Reason.FORMAT_ERROR, "field 48 customer_no"),
    ("customer with a quote", PAYMENT, with_48(customer_no="1' OR '1"), Reason.FORMAT_ERROR, "field 48 customer_no"),
    ("other product", PAYMENT, with_48(product="02"), Reason.BAD_OPERATION, "field 48 product"),
    (
        "a deposit for a month",
        PAYMENT,
        with_48(collect_kind="11", month="20240399"),
        Reason.BILL_NOT_FOUND,
        "field 48 month",
    ),
    ("no collect kind", PAYMENT, with_48(collect_kind="00"), Reason.BAD_OPERATION, "field 48 collect_kind"),
    ("payment with a reference", PAYMENT, with_48(original_reference=REFERENCE), Reason.FORMAT_ERROR, "original_refe"),
    ("field 48 of 69 bytes", PAYMENT, with_field(48, "x" * 69), Reason.FORMAT_ERROR, "field 48: .*70 bytes, 69"),
    ("channel 7", PAYMENT, with_field(41, "70000001"), Reason.FORMAT_ERROR, "field 41 channel"),
]


@pytest.mark.parametrize(("name", "message", "change", "reason", "note"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals(name: str, message: Message, change: Callable[[Message], Message], reason: Reason, note: str) -> None:
    changed = change(sealed(message))
    outcome = to_operation(changed, PROFILE, RECEIVED)
    assert isinstance(outcome, Declined)
    assert outcome.reason is reason
    assert re.search(note, outcome.note), outcome.note
    for secret in ("012345678901", ACCOUNT):
        assert secret not in outcome.note
    reply = to_message(changed, outcome, PROFILE, RECEIVED)
    assert CODES[reply.require(39)].code_class.value == reason.outcome_class.value


@pytest.mark.parametrize("mti", ["0110", "0210", "0420", "0800", "0500"])
def test_other_messages_are_refused(mti: str) -> None:
    outcome = to_operation(Message(mti, PAYMENT.fields), PROFILE, RECEIVED)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.BAD_OPERATION


def test_the_payers_time_may_be_as_far_off_as_the_profile_allows() -> None:
    strict = PROFILE.model_copy(update={"paid_at_tolerance_hours": 2})
    for hours, allowed in ((1, True), (3, False), (-1, True), (-3, False)):
        message = PAYMENT.with_fields({12: (RECEIVED + timedelta(hours=hours)).strftime("%H%M%S")})
        outcome = to_operation(sealed(message), strict, RECEIVED)
        assert isinstance(outcome, Payment) == allowed
        assert allowed or outcome == Declined(Reason.DATE_INVALID, "field 12: more than 2 hours from our receipt")
        reversal = to_operation(sealed(REVERSAL.with_fields({12: message.require(12)})), strict, RECEIVED)
        assert isinstance(reversal, Reversal)  # a reversal repeats its payment's time and may come late


def test_whether_an_enquiry_needs_a_mac_is_the_profiles_choice() -> None:
    lenient = PROFILE.model_copy(update={"wire": PROFILE.wire.model_copy(update={"mac_on_enquiry": False})})
    assert mac_is_required(ENQUIRY, PROFILE)
    assert not mac_is_required(ENQUIRY, lenient)
    for message in (PAYMENT, CANCEL, REVERSAL, SIGN_ON):
        assert mac_is_required(message, lenient)
    assert isinstance(to_operation(ENQUIRY, lenient, RECEIVED), BillEnquiry)


def test_a_bank_of_another_wire_is_our_own_mistake() -> None:
    wire = BankXmlWire(protocol="bankxml", sender="YYB", verify_keys=["a"], sign_key="b")
    with pytest.raises(TypeError, match="bank GZB is not on this wire"):
        to_operation(sealed(PAYMENT), PROFILE.model_copy(update={"wire": wire}), RECEIVED)


# --- replies

CLEARING = date(2024, 4, 4)
SENT = datetime(2024, 4, 3, 1, 5, 4, tzinfo=ZoneInfo("UTC"))  # 09:05:04 at the bank
BILL = BillOwed("R1", 202403, Money(10000), Money(1), date(2024, 3, 20), partial_payment_allowed=False, locked=False)
FOUND = BillsFound("张三", "人民路1号", (BILL,), Money(0), Money(10001))


def test_an_enquiry_reply_says_what_is_owed_and_by_whom() -> None:
    reply = to_message(sealed(ENQUIRY), Approved(CLEARING, detail=FOUND), PROFILE, SENT)
    assert dict(reply.fields) == {
        3: "310000",
        4: "000000010001",
        7: "0403090504",
        11: "240403000001",
        12: "090501",
        13: "0403",
        15: "0404",
        32: "315810",
        39: "00",
        41: "20000017",
        42: "000000230006062",
        48: "         0123456789012024039901000000000000张三 人民路1号".ljust(99 - 6),
        49: "001",
        100: "333333",
        104: "JF",
    }
    read = bank.read_reply(reply, date(2024, 4, 3))
    assert (read.amount, read.name_address) == (Money(10001), "张三 人民路1号")


def test_a_name_that_gbk_lacks_does_not_stop_the_reply() -> None:
    found = replace(FOUND, customer_name="𠮷田", supply_address="很长的地址" * 20)
    reply = to_message(sealed(ENQUIRY), Approved(CLEARING, detail=found), PROFILE, SENT)
    assert (bank.read_reply(sealed(reply), CLEARING).name_address or "").startswith("〓田 很长的地址")


def test_a_payment_reply() -> None:
    outcome = Approved(CLEARING, REFERENCE, AMOUNT, Receipt((), Money(0)))
    reply = to_message(sealed(PAYMENT), outcome, PROFILE, SENT)
    expected = {**PAYMENT.fields, 7: "0403090504", 15: "0404", 37: REFERENCE, 39: "00"}
    assert dict(reply.fields) == dict(sorted(expected.items()))


@pytest.mark.parametrize(
    ("request_message", "outcome", "codes"),
    [
        (CANCEL, Approved(CLEARING, REFERENCE, AMOUNT, Undo(UndoResult.DONE_SAME_DAY, REFERENCE)), ("00", "0000")),
        (REVERSAL, Approved(CLEARING, REFERENCE, AMOUNT, Undo(UndoResult.DONE_NEXT_DAY, REFERENCE)), ("00", "0000")),
        (REVERSAL, Approved(CLEARING, None, None, Undo(UndoResult.NOTHING_TO_UNDO, None)), ("00", "8072")),
        (CANCEL, Declined(Reason.ORIGINAL_NOT_FOUND), ("80", "8072")),
        (CANCEL, Declined(Reason.AMOUNT_DIFFERS), ("80", "8075")),
        (CANCEL, Declined(Reason.ALREADY_REVERSED), ("80", "8081")),
        (CANCEL, Declined(Reason.CANCEL_NOT_ALLOWED), ("80", "8082")),
        (CANCEL, Declined(Reason.PREPAYMENT_USED), ("80", "8083")),
        (REVERSAL, Unknown(Reason.IN_PROGRESS), ("U2", "8093")),
        (REVERSAL, Unknown(Reason.TIMEOUT), ("06", "8093")),
        (REVERSAL, Declined(Reason.SYSTEM_ERROR), ("96", "8099")),
        (REVERSAL, Unknown(Reason.SIGNATURE_INVALID), ("05", "8093")),
        (REVERSAL, Unknown(Reason.UNREADABLE), ("30", "8093")),
    ],
)
def test_cancel_and_reversal_replies(request_message: Message, outcome: Outcome, codes: tuple[str, str]) -> None:
    reply = to_message(sealed(request_message), outcome, PROFILE, SENT)
    assert (reply.require(39), reply.require(60)) == codes
    assert reply.get(37) == (outcome.reference_no if isinstance(outcome, Approved) else None)
    assert reply.get(15) == ("0404" if isinstance(outcome, Approved) else None)


def test_a_network_reply_is_sent_by_the_utility() -> None:
    reply = to_message(sealed(SIGN_ON), Approved(CLEARING), PROFILE, SENT)
    assert dict(reply.fields) == {7: "0403090504", 11: "240403000001", 33: "333333", 39: "00", 70: "001"}


def outcomes(request: Message) -> list[Outcome]:
    undo = Undo(UndoResult.DONE_SAME_DAY, REFERENCE)
    detail = {"0100": FOUND, "0200": Receipt((), Money(0)), "0400": undo}.get(request.mti)
    refused = [
        Unknown(reason) if reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME else Declined(reason, "", CLEARING)
        for reason in Reason
    ]
    return [Approved(CLEARING, REFERENCE, AMOUNT, detail), *refused]


@pytest.mark.parametrize("request_message", [SIGN_ON, ENQUIRY, PAYMENT, CANCEL, REVERSAL])
def test_every_outcome_of_every_request_has_a_reply_of_the_right_class(request_message: Message) -> None:
    """No refusal can be read as success, and the reply has exactly the fields of its table."""
    for outcome in outcomes(request_message):
        reply = sealed(to_message(sealed(request_message), outcome, PROFILE, SENT))
        row = CODES[reply.require(39)]
        if isinstance(outcome, Approved):
            assert row.code_class is CodeClass.SUCCESS
            check_fields(reply)
        else:
            assert row.code_class.value == outcome.reason.outcome_class.value
        assert reply.fields.keys() <= REQUIRED[reply.mti] | OPTIONAL[reply.mti]
        assert REQUIRED[reply.mti] <= reply.fields.keys()


def test_the_tables_are_complete_and_no_code_is_left_over() -> None:
    assert CODE_OF.keys() == set(Reason)
    assert len(set(CODE_OF.values())) == len(Reason)
    assert set(CODE_OF.values()) | {"00", "80"} == CODES.keys()
    for reason, code in CODE_OF.items():
        assert CODES[code].code_class.value == reason.outcome_class.value, reason
    assert UNDO_DETAIL_OF_RESULT.keys() == set(UndoResult)
    assert {undo_refusal_codes(reason)[1] for reason in Reason} | set(UNDO_DETAIL_OF_RESULT.values()) == DETAILS.keys()
    assert all(reason.outcome_class is OutcomeClass.FINAL_REFUSAL for reason in UNDO_DETAIL_OF)


@pytest.mark.parametrize("request_message", [ENQUIRY, CANCEL])
def test_an_approval_without_its_detail_is_our_own_mistake(request_message: Message) -> None:
    with pytest.raises(TypeError):
        to_message(sealed(request_message), Approved(CLEARING, REFERENCE), PROFILE, SENT)


digits = st.text("0123456789", min_size=1, max_size=12)


@given(
    request_message=st.sampled_from([SIGN_ON, ENQUIRY, PAYMENT, CANCEL, REVERSAL]),
    fields=st.dictionaries(st.sampled_from(sorted(GUANGZHOU.fields)), digits | st.text(max_size=99), max_size=4),
    dropped=st.sets(st.sampled_from(sorted(GUANGZHOU.fields)), max_size=2),
)
def test_any_content_is_an_operation_or_a_refusal(
    request_message: Message, fields: dict[int, str], dropped: set[int]
) -> None:
    """Nothing that a bank can put into the fields raises, and every refusal can be answered."""
    message = sealed(request_message).with_fields(fields).without_fields(*dropped)
    try:
        message = sealed(message)
    except ValueError:
        return  # not a message that can be on the wire
    outcome = to_operation(message, PROFILE, RECEIVED)
    if isinstance(outcome, Declined):
        sealed(to_message(message, outcome, PROFILE, RECEIVED))
    else:
        assert outcome.key.bank == "GZB"
