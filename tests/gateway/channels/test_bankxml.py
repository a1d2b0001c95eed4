"""The XML channel: every request to its operation, every outcome to its reply, codes complete and unambiguous."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from lxml import etree

from gateway.banks.profile import BankProfile
from gateway.channels.bankxml import (
    STORE_AND_FORWARD,
    Stamp,
    code_of,
    refusal,
    refusal_of,
    to_message,
    to_operation,
)
from gateway.channels.bankxml_codes import CODES, SUCCESS_CODE
from gateway.operations import (
    BillEnquiry,
    BillSelection,
    Channel,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    StatusEnquiry,
    canonical_digest,
)
from gateway.outcomes import (
    Approved,
    BillOwed,
    BillsFound,
    Declined,
    Outcome,
    OutcomeClass,
    PaymentState,
    PaymentStatus,
    Reason,
    Receipt,
    ReceiptLine,
    Undo,
    UndoResult,
    Unknown,
)
from protocols import xml
from protocols.bankxml import messages as m
from protocols.bankxml import tables
from protocols.bankxml.codec import MessageTypeError, build, parse
from protocols.errors import DateError, MoneyError, ProtocolError, SignatureError
from protocols.money import Money

BEIJING = timezone(timedelta(hours=8))
RECEIVED_AT = datetime(2024, 4, 5, 3, 28, 55, tzinfo=UTC)
STAMP = Stamp("U1", "0123456789abcdef", datetime(2024, 4, 5, 3, 28, 55, 500000, tzinfo=UTC))
DAY = date(2024, 4, 5)
CUSTOMER = "0301000012345678"


def bank(**changes: object) -> BankProfile:
    data: dict[str, Any] = {
        "code": "0002",
        "name": "示例银行",
        "name_english": "Example Bank",
        "wire": {
            "protocol": "bankxml",
            "sender": "BANK0002",
            "receiver": "UTILITY",
            "verify_keys": ["bank0002-2024", "bank0002-2025"],
            "sign_key": "utility-2024",
        },
    }
    return BankProfile.model_validate(data | changes)


PROFILE = bank()
ORIGINAL = m.Original(DAY, "77", "240405000017")
BODIES: dict[str, m.Request] = {
    "bill.enquiry.req": m.BillEnquiryRequest(DAY, "12", CUSTOMER, m.Bills(billing_month=202403)),
    "payment.req": m.PaymentRequest(
        DAY,
        "12",
        CUSTOMER,
        m.Bills(receivable_ids=("R2", "R1")),
        Money(12345),
        datetime(2024, 4, 5, 4, 28, 50, tzinfo=timezone(timedelta(hours=1))),
        "ATM",
        "CARD",
        "440106",
    ),
    "cancel.req": m.UndoRequest(DAY, "12", CUSTOMER, ORIGINAL, Money(12345)),
    "deposit.req": m.DepositRequest(
        DAY,
        "12",
        CUSTOMER,
        Money(5000),
        datetime(2024, 4, 5, 3, 28, 50, tzinfo=UTC),
        "BANK_COUNTER",
        "CHEQUE",
        operator="T0231",
    ),
    "reversal.req": m.UndoRequest(DAY, "12", CUSTOMER, replace(ORIGINAL, reference_no=None), Money(12345)),
    "status.enquiry.req": m.StatusEnquiryRequest(DAY, "12", CUSTOMER, ORIGINAL, True),
}


def request(message_type: str, /, **header: object) -> m.BankXmlMessage:
    base = m.Header(
        "1", message_type, "BANK0002", "UTILITY", "B1", None, RECEIVED_AT, None, "bank0002-2024", "0123456789abcdef"
    )
    return m.BankXmlMessage(replace(base, **header), BODIES[message_type])  # type: ignore[arg-type]


def key(kind: OperationKind) -> OperationKey:
    return OperationKey("0002", kind, DAY, "12")


OPERATIONS = {
    "deposit.req": PrepaymentDeposit(
        key(OperationKind.PAYMENT),
        CUSTOMER,
        Money(5000),
        datetime(2024, 4, 5, 11, 28, 50, tzinfo=BEIJING),
        Channel.BANK_COUNTER,
        SettleMethod.CHEQUE,
        operator="T0231",
    ),
    "bill.enquiry.req": BillEnquiry(
        key(OperationKind.BILL_ENQUIRY), CUSTOMER, BillSelection(billing_month=202403), RECEIVED_AT
    ),
    "payment.req": Payment(
        key(OperationKind.PAYMENT),
        CUSTOMER,
        BillSelection(("R2", "R1")),
        Money(12345),
        datetime(2024, 4, 5, 11, 28, 50, tzinfo=BEIJING),
        Channel.ATM,
        SettleMethod.CARD,
        "440106",
    ),
    "cancel.req": SameDayCancel(
        key(OperationKind.SAME_DAY_CANCEL), CUSTOMER, OriginalReference(DAY, "77", "240405000017"), Money(12345)
    ),
    "reversal.req": Reversal(key(OperationKind.REVERSAL), CUSTOMER, OriginalReference(DAY, "77"), Money(12345)),
    "status.enquiry.req": StatusEnquiry(
        key(OperationKind.STATUS_ENQUIRY), CUSTOMER, OriginalReference(DAY, "77", "240405000017"), True
    ),
}


@pytest.mark.parametrize("message_type", tables.REPLY_OF)
def test_request_to_operation(message_type: str) -> None:
    assert to_operation(request(message_type), PROFILE, RECEIVED_AT) == OPERATIONS[message_type]


def test_times_are_the_banks_local_times() -> None:
    payment = to_operation(request("payment.req"), PROFILE, RECEIVED_AT)
    assert isinstance(payment, Payment)
    assert payment.paid_at.isoformat() == "2024-04-05T11:28:50+08:00"
    enquiry = to_operation(request("bill.enquiry.req"), PROFILE, datetime(2024, 4, 5, 16, 30, tzinfo=UTC))
    assert isinstance(enquiry, BillEnquiry)
    assert enquiry.asked_at.date() == date(2024, 4, 6)


def test_all_bills() -> None:
    message = replace(request("bill.enquiry.req"), body=m.BillEnquiryRequest(DAY, "12", CUSTOMER, m.Bills(True)))
    operation = to_operation(message, PROFILE, RECEIVED_AT)
    assert isinstance(operation, BillEnquiry)
    assert operation.selection.is_all


def test_a_retry_is_the_same_operation() -> None:
    """A new MsgId, Nonce and SndTm change neither the key nor the digest."""
    first = to_operation(request("payment.req"), PROFILE, RECEIVED_AT)
    again = to_operation(
        request("payment.req", message_id="B2", nonce="f" * 16, sent_at=RECEIVED_AT + timedelta(seconds=40)),
        PROFILE,
        RECEIVED_AT + timedelta(seconds=41),
    )
    assert first == again
    assert isinstance(first, Payment)
    assert isinstance(again, Payment)
    assert canonical_digest(first) == canonical_digest(again)


@pytest.mark.parametrize(
    ("header", "reason", "where"),
    [
        ({"sender": "BANK0003"}, Reason.SIGNATURE_INVALID, "/Msg/Hdr/Sndr"),
        ({"key_id": "bank0003-2024"}, Reason.SIGNATURE_INVALID, "/Msg/Hdr/KeyId"),
        ({"receiver": "WATER"}, Reason.FORMAT_ERROR, "/Msg/Hdr/Rcvr"),
        ({"message_type": "payment.rsp"}, Reason.BAD_OPERATION, "/Msg/Hdr/MsgTp"),
        ({"message_type": "refusal.rsp"}, Reason.BAD_OPERATION, "/Msg/Hdr/MsgTp"),
    ],
)
def test_headers_refused(header: dict[str, object], reason: Reason, where: str) -> None:
    refused = to_operation(request("payment.req", **header), PROFILE, RECEIVED_AT)
    assert isinstance(refused, Unknown if reason is Reason.SIGNATURE_INVALID else Declined)
    assert refused.reason is reason
    assert refused.note.startswith(where)


@pytest.mark.parametrize("message_type", ["payment.req", "deposit.req"])
@pytest.mark.parametrize(
    ("hours", "seconds", "refused"), [(36, 0, False), (-36, 0, False), (36, 1, True), (-36, -1, True)]
)
def test_paid_at_near_receipt(hours: int, seconds: int, refused: bool, message_type: str) -> None:
    body = BODIES[message_type]
    assert isinstance(body, m.PaymentRequest | m.DepositRequest)
    paid_at = RECEIVED_AT + timedelta(hours=hours, seconds=seconds)
    message = replace(request(message_type), body=replace(body, paid_at=paid_at))
    outcome = to_operation(message, PROFILE, RECEIVED_AT)
    assert isinstance(outcome, Declined) is refused
    if isinstance(outcome, Declined):
        assert outcome.reason is Reason.DATE_INVALID


def test_paid_at_at_the_ends_of_the_calendar() -> None:
    body = BODIES["payment.req"]
    assert isinstance(body, m.PaymentRequest)
    for paid_at in (
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
    ):
        outcome = to_operation(
            replace(request("payment.req"), body=replace(body, paid_at=paid_at)), PROFILE, RECEIVED_AT
        )
        assert isinstance(outcome, Declined)


def test_a_profile_of_another_wire_is_a_mistake_of_ours() -> None:
    other = bank(
        wire={"protocol": "iso8583-guangzhou", "listen": "127.0.0.1:0", "institution": "1", "mac_key": "k"},
    )
    with pytest.raises(ValueError, match="does not speak bankxml"):
        to_operation(request("payment.req"), other, RECEIVED_AT)


# --- replies ----------------------------------------------------------------------------------------------------

BILL = BillOwed("R1", 202403, Money(1000), Money(5), date(2024, 3, 20), False, True)
FOUND = BillsFound("陈\t嘉怡", "广州市\n天河区", (BILL,), Money(100), Money(905))
APPROVALS = {
    "bill.enquiry.req": Approved(DAY, detail=FOUND),
    "payment.req": Approved(
        DAY,
        "240405000017",
        Money(1105),
        Receipt((ReceiptLine("R1", 202403, Money(1000), Money(5)),), Money(100)),
    ),
    "deposit.req": Approved(DAY, "240405000018", Money(5000), Receipt((), Money(5000))),
    "cancel.req": Approved(DAY, "240405000031", Money(1105), Undo(UndoResult.DONE_SAME_DAY, "240405000017")),
    "reversal.req": Approved(DAY, None, None, Undo(UndoResult.NOTHING_TO_UNDO, None)),
    "status.enquiry.req": Approved(
        DAY,
        detail=PaymentStatus(PaymentState.BOOKED, "240405000017", DAY, Money(1105)),
    ),
}


def on_the_wire(message: m.BankXmlMessage) -> m.BankXmlMessage:
    """The message as the bank reads it: whatever the channel makes must be sendable."""
    return parse(xml.parse(etree.tostring(build(message), encoding="UTF-8")))


@pytest.mark.parametrize("message_type", tables.REPLY_OF)
def test_approved(message_type: str) -> None:
    reply = on_the_wire(to_message(request(message_type), APPROVALS[message_type], PROFILE, STAMP))
    assert reply.header == m.Header(
        "1",
        tables.REPLY_OF[message_type],
        "UTILITY",
        "BANK0002",
        "U1",
        "B1",
        datetime(2024, 4, 5, 3, 28, 55, 500000, tzinfo=UTC),
        DAY,
        "utility-2024",
        "0123456789abcdef",
    )
    body: Any = reply.body
    assert (body.trace_date, body.trace_no, body.customer_no) == (DAY, "12", CUSTOMER)
    assert body.result == m.Result("success", "00", "success", "成功")


def test_details_of_approvals() -> None:
    bodies: dict[str, Any] = {
        name: on_the_wire(to_message(request(name), outcome, PROFILE, STAMP)).body
        for name, outcome in APPROVALS.items()
    }
    enquiry = bodies["bill.enquiry.req"]
    assert (enquiry.customer_name, enquiry.supply_address, enquiry.bill_count) == ("陈 嘉怡", "广州市 天河区", 1)
    assert enquiry.bills == (
        m.BillLine("R1", 202403, Money(1000), Money(5), Money(1005), date(2024, 3, 20), False, True),
    )
    assert (enquiry.prepayment_balance, enquiry.amount_to_pay) == (Money(100), Money(905))
    payment = bodies["payment.req"]
    assert (payment.reference_no, payment.amount, payment.line_count) == ("240405000017", Money(1105), 1)
    assert payment.lines == (m.SettledLine("R1", 202403, Money(1000), Money(5)),)
    assert payment.prepayment == Money(100)
    cancel = bodies["cancel.req"]
    assert (cancel.undo_result, cancel.original_reference_no) == ("DONE_SAME_DAY", "240405000017")
    assert bodies["reversal.req"].undo_result == "NOTHING_TO_UNDO"
    assert bodies["status.enquiry.req"].status == m.PaymentStatus("BOOKED", "240405000017", DAY, Money(1105))


def test_a_payment_that_draws_the_prepayment_balance() -> None:
    receipt = Receipt((ReceiptLine("R1", 202403, Money(1000), Money(5)),), Money(-100))
    outcome = Approved(DAY, "240405000017", Money(905), receipt)
    body: Any = on_the_wire(to_message(request("payment.req"), outcome, PROFILE, STAMP)).body
    assert (body.amount, body.prepayment) == (Money(905), Money(-100))


def test_the_status_of_a_refused_payment_has_its_code() -> None:
    outcome = Approved(DAY, detail=PaymentStatus(PaymentState.REFUSED, refusal=Reason.BILL_CHANGED))
    body: Any = on_the_wire(to_message(request("status.enquiry.req"), outcome, PROFILE, STAMP)).body
    assert body.status == m.PaymentStatus("REFUSED", code="73")


def test_more_bills_than_fit_are_counted() -> None:
    outcome = Approved(DAY, detail=replace(FOUND, bills=(BILL,) * 501))
    body: Any = on_the_wire(to_message(request("bill.enquiry.req"), outcome, PROFILE, STAMP)).body
    assert (len(body.bills), body.bill_count) == (500, 501)


def outcome_for(reason: Reason) -> Outcome:
    if reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME:
        return Unknown(reason, "where\x00it is" + "x" * 400)
    return Declined(reason, "where\x00it is" + "x" * 400, clearing_date=DAY)


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("message_type", tables.REPLY_OF)
def test_every_refusal_of_every_request(message_type: str, reason: Reason) -> None:
    outcome = outcome_for(reason)
    reply = on_the_wire(to_message(request(message_type), outcome, PROFILE, STAMP))
    body: Any = reply.body
    assert reply.header.message_type == tables.REPLY_OF[message_type]
    assert body.result.code == CODES[reason] == code_of(outcome)
    assert body.result.outcome_class == reason.outcome_class.value != "success"
    assert body.result.note.startswith("where it is")
    assert (reply.header.clearing_date is None) is isinstance(outcome, Unknown)


@pytest.mark.parametrize("original_message_id", ["B1", None])
def test_refusals_of_what_was_not_understood(original_message_id: str | None) -> None:
    reply = on_the_wire(refusal(Unknown(Reason.SIGNATURE_INVALID), PROFILE, original_message_id, STAMP))
    assert reply.header.message_type == "refusal.rsp"
    assert reply.header.original_message_id == original_message_id
    assert reply.body == m.RefusalReply(
        m.Result("unknown_outcome", "253", Reason.SIGNATURE_INVALID.english, Reason.SIGNATURE_INVALID.chinese)
    )


def test_a_reply_sent_as_a_request_is_refused() -> None:
    message = request("payment.req", message_type="payment.rsp")
    outcome = to_operation(message, PROFILE, RECEIVED_AT)
    assert isinstance(outcome, Declined)
    assert to_message(message, outcome, PROFILE, STAMP).header.message_type == "refusal.rsp"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ProtocolError("/Msg", "x"), Declined(Reason.FORMAT_ERROR, "/Msg: x")),
        (SignatureError("/Msg", "x"), Unknown(Reason.SIGNATURE_INVALID, "/Msg: x")),
        (MoneyError("/Msg", "x"), Declined(Reason.AMOUNT_INVALID, "/Msg: x")),
        (DateError("/Msg", "x"), Declined(Reason.DATE_INVALID, "/Msg: x")),
        (MessageTypeError("/Msg", "x"), Declined(Reason.BAD_OPERATION, "/Msg: x")),
    ],
)
def test_errors_to_refusals(error: ProtocolError, outcome: Outcome) -> None:
    assert refusal_of(error) == outcome


def test_a_detail_of_the_wrong_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="Receipt expected, not Undo"):
        to_message(request("payment.req"), APPROVALS["cancel.req"], PROFILE, STAMP)


# --- tables -----------------------------------------------------------------------------------------------------


def test_every_reason_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(Reason)
    assert len(set(CODES.values())) == len(CODES)
    assert SUCCESS_CODE not in CODES.values()


def test_no_code_is_in_two_classes() -> None:
    classes: dict[str, set[OutcomeClass]] = {SUCCESS_CODE: {OutcomeClass.SUCCESS}}
    for reason, code in CODES.items():
        classes.setdefault(code, set()).add(reason.outcome_class)
    assert all(len(found) == 1 for found in classes.values())


def test_our_own_numbers_tell_their_class() -> None:
    ranges = {
        OutcomeClass.FINAL_REFUSAL: range(200, 230),
        OutcomeClass.RETRY_LATER: range(230, 250),
        OutcomeClass.UNKNOWN_OUTCOME: range(250, 270),
    }
    for reason, code in CODES.items():
        if code.startswith("2") and len(code) == 3:
            assert int(code) in ranges[reason.outcome_class], reason


def test_the_protocols_words_are_the_gateways() -> None:
    assert tuple(Channel) == tables.CHANNELS
    assert tuple(SettleMethod) == tables.SETTLE_METHODS
    assert tuple(OutcomeClass) == tables.OUTCOME_CLASSES
    assert tuple(UndoResult) == tables.UNDO_RESULTS
    assert tuple(PaymentState) == tables.PAYMENT_STATES


def test_only_reversals_may_be_late() -> None:
    assert list(STORE_AND_FORWARD) == ["reversal.req"]
