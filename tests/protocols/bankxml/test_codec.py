"""Messages of the XML profile: round trips, and one row for each way to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from protocols import xml
from protocols.bankxml import messages as m
from protocols.bankxml import tables
from protocols.bankxml.codec import MessageTypeError, build, parse, read_claim
from protocols.bankxml.elements import NAMESPACE, Group, Leaf
from protocols.bankxml.kinds import sendable
from protocols.errors import DateError, MoneyError, ProtocolError
from protocols.money import Money
from protocols.signing.keys import SigningKey
from protocols.signing.xmldsig import sign, verify

Examples = dict[str, m.BankXmlMessage]


def document(message: m.BankXmlMessage) -> bytes:
    return etree.tostring(build(message), encoding="UTF-8")


def test_there_is_an_example_of_every_type(examples: Examples) -> None:
    assert list(examples) == list(tables.BODIES)


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_round_trip(examples: Examples, message_type: str) -> None:
    message = examples[message_type]
    data = document(message)
    assert parse(xml.parse(data)) == message
    assert document(parse(xml.parse(data))) == data


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_round_trip_indented(examples: Examples, message_type: str) -> None:
    root = build(examples[message_type])
    etree.indent(root)
    assert parse(xml.parse(etree.tostring(root, encoding="UTF-8"))) == examples[message_type]


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_signed_round_trip(examples: Examples, message_type: str, bank_key: SigningKey) -> None:
    signed = sign(build(examples[message_type]), bank_key)
    assert parse(verify(xml.parse(signed), bank_key.verifying())) == examples[message_type]


def edit(old: str, new: str, message_type: str = "payment.req") -> tuple[str, Callable[[bytes], bytes]]:
    def apply(data: bytes) -> bytes:
        assert old.encode() in data
        return data.replace(old.encode(), new.encode(), 1)

    return message_type, apply


def drop(tag: str, message_type: str = "payment.req") -> tuple[str, Callable[[bytes], bytes]]:
    def apply(data: bytes) -> bytes:
        root = etree.fromstring(data)
        element = root.find(f".//{{*}}{tag}")
        element.getparent().remove(element)
        return etree.tostring(root, encoding="UTF-8")

    return message_type, apply


AMOUNT = '<Amt Ccy="CNY">123.45</Amt>'
REFUSALS = [
    (edit("<Outlt>", "<Foo>1</Foo><Outlt>"), ProtocolError, "/Msg/Body/Foo: unknown element"),
    (edit("</Body>", "<x:a xmlns:x='urn:x'/></Body>"), ProtocolError, "/Msg/Body/a: unknown element"),
    (edit("<Outlt>", "<A1234567890/><Outlt>"), ProtocolError, r"/Msg/Body/\*: unknown element"),
    (edit("<TrcDt>", "<Foo/><TrcDt>"), ProtocolError, "/Msg/Body/Foo: unknown element"),
    (drop("TrcNo"), ProtocolError, "/Msg/Body/TrcNo: TrcNo is missing"),
    (drop("Amt"), ProtocolError, "/Msg/Body/Amt: Amt is missing"),
    (drop("SttlMtd"), ProtocolError, "/Msg/Body/SttlMtd: SttlMtd is missing"),
    (drop("Nonce"), ProtocolError, "/Msg/Hdr/Nonce: Nonce is missing"),
    (drop("Body"), ProtocolError, "/Msg: Msg holds Hdr, Body"),
    (drop("Hdr"), ProtocolError, "/Msg: Msg holds Hdr, Body"),
    (drop("All", "bill.enquiry.req"), ProtocolError, "/Msg/Body/Bills: exactly one of All, Mth and RcvblId"),
    (edit(AMOUNT, AMOUNT * 2), ProtocolError, r"/Msg/Body/Amt\[2\]: Amt is repeated"),
    (edit("</Body>", "</Body><Body/>"), ProtocolError, "/Msg: Msg holds Hdr, Body"),
    (edit("<Bills>", "<Bills><All/>"), ProtocolError, "/Msg/Body/Bills: exactly one of"),
    (edit("</RcvblId>", "</RcvblId><RcvblId>2024020000000001</RcvblId>"), ProtocolError, "a RcvblId is repeated"),
    (edit("</Bills>", "<RcvblId>1</RcvblId>" * 100 + "</Bills>"), ProtocolError, "at most 100 allowed"),
    (edit("<All/>", "<All>yes</All>", "bill.enquiry.req"), ProtocolError, "/Msg/Body/Bills/All: an empty element"),
    (edit("<CstmrNo>", AMOUNT + "<CstmrNo>"), ProtocolError, "/Msg/Body/CstmrNo: CstmrNo is out of order"),
    (edit("<Outlt>440106000012</Outlt>", "<Outlt>1</Outlt><Bills/>"), ProtocolError, "Bills.*is out of order"),
    (edit("<TrcDt>2024-04-05", "<TrcDt>2024-02-30"), DateError, "/Msg/Body/TrcDt: a date that exists"),
    (edit("<TrcDt>2024-04-05", "<TrcDt>20240405"), DateError, "as YYYY-MM-DD"),
    (edit("<TrcDt>2024-04-05", "<TrcDt>0000-01-01"), DateError, "a date that exists"),
    (edit("<TrcDt>2024-04-05", "<TrcDt>２０24-04-05"), DateError, "a date that exists"),
    (edit("T11:28:50.000", "T25:28:50.000"), DateError, "/Msg/Body/PdTm: a time that exists"),
    (edit("50.000+08:00", "50.000"), DateError, "/Msg/Body/PdTm: a time that exists"),
    (edit("54.123+08:00", "54.123+99:00"), DateError, "/Msg/Hdr/SndTm: a time that exists"),
    (edit("<RcvblId>2024020000000001</RcvblId>", "<Mth>202413</Mth>"), DateError, "/Msg/Body/Bills/Mth: a month"),
    (edit("123.45", "123.456"), MoneyError, "/Msg/Body/Amt: an amount in yuan with exactly two decimals"),
    (edit("123.45", "123.4"), MoneyError, "exactly two decimals"),
    (edit("123.45", "123"), MoneyError, "exactly two decimals"),
    (edit("123.45", "1,23.45"), MoneyError, "exactly two decimals"),
    (edit("123.45", " 123.45"), MoneyError, "exactly two decimals"),
    (edit("123.45", "1e3"), MoneyError, "exactly two decimals"),
    (edit("123.45", ""), MoneyError, "exactly two decimals"),
    (edit("123.45", "0.00"), MoneyError, "/Msg/Body/Amt: an amount of zero"),
    (edit("123.45", "-123.45"), MoneyError, "/Msg/Body/Amt: an amount may not be negative"),
    (edit("123.45", "10000000000.00"), MoneyError, "does not fit 12 digits"),
    (edit('Ccy="CNY"', 'Ccy="USD"'), MoneyError, 'Ccy="CNY"'),
    (edit(' Ccy="CNY"', ""), MoneyError, 'Ccy="CNY"'),
    (edit('Ccy="CNY"', 'Ccy="CNY" Sign="1"'), ProtocolError, "/Msg/Body/Amt: an attribute"),
    (edit("123.45", "<v>123.45</v>"), ProtocolError, "/Msg/Body/Amt/v: no element is allowed here"),
    (edit("<Body>", '<Body x="1">'), ProtocolError, "/Msg/Body: an attribute"),
    (edit("<Body>", "<Body>text"), ProtocolError, "/Msg/Body: no text"),
    (edit("</CstmrNo>", "</CstmrNo>text"), ProtocolError, "/Msg/Body: no text"),
    (edit("</Hdr>", "</Hdr>text"), ProtocolError, "/Msg: Msg has no attributes and no text"),
    (edit(">MOBILE_BANK<", ">CARRIER_PIGEON<"), ProtocolError, "/Msg/Body/Chnl: one of BANK_COUNTER"),
    (edit(">TRANSFER<", ">BARTER<"), ProtocolError, "/Msg/Body/SttlMtd: one of CASH"),
    (edit(">0301000012345678<", "><"), ProtocolError, "/Msg/Body/CstmrNo: 1 to 32 letters or digits"),
    (edit(">000000012345<", f">{'1' * 33}<"), ProtocolError, "/Msg/Body/TrcNo: 1 to 32"),
    (edit(">B20240405-000002<", ">a b<"), ProtocolError, "/Msg/Hdr/MsgId: 1 to 35"),
    (edit("<Ver>1<", "<Ver>2<"), ProtocolError, "/Msg/Hdr/Ver: one of 1"),
    (edit(">payment.req<", ">payment.rsp<"), ProtocolError, "/Msg/Body/Bills: unknown element"),
    (edit(">payment.req<", ">payment.now<"), MessageTypeError, "/Msg/Hdr/MsgTp: unknown"),
    (edit(">payment.req<", "><"), ProtocolError, "/Msg/Hdr/MsgTp: a message type"),
    (edit('xmlns="urn:busbar:bankxml:1"', 'xmlns="urn:busbar:bankxml:2"'), ProtocolError, "/Msg: the root must be"),
    (edit(">true<", ">yes<", "status.enquiry.req"), ProtocolError, "/Msg/Body/Fnc: true or false"),
    (edit(">123.45<", ">123.46<", "bill.enquiry.rsp"), ProtocolError, r"/Msg/Body/Bill\[1\]: Owd is not"),
    (edit("<BillCnt>2<", "<BillCnt>two<", "bill.enquiry.rsp"), ProtocolError, "/Msg/Body/BillCnt: a number"),
    (edit("陈嘉怡", "陈&#9;怡", "bill.enquiry.rsp"), ProtocolError, "/Msg/Body/Nm: 1 to 64 characters"),
    (edit(">success<", ">perhaps<", "bill.enquiry.rsp"), ProtocolError, "/Msg/Body/Rslt/Cls: one of success"),
]


@pytest.mark.parametrize(("change", "kind", "where"), REFUSALS, ids=[str(row[2])[:60] for row in REFUSALS])
def test_refused(
    examples: Examples, change: tuple[str, Callable[[bytes], bytes]], kind: type[ProtocolError], where: str
) -> None:
    message_type, apply = change
    with pytest.raises(ProtocolError, match=where) as caught:
        parse(xml.parse(apply(document(examples[message_type]))))
    assert type(caught.value) is kind
    assert "0301000012345678" not in str(caught.value)


@pytest.mark.parametrize("message_type", tables.BODIES)
def test_every_element_is_needed_once_and_in_order(examples: Examples, message_type: str) -> None:
    """For each leaf of the body: taking it away, doubling it and moving it to the front are all noticed."""
    parts = tables.BODIES[message_type].parts
    for part in parts:
        for change in (_without, _doubled, _moved_to_the_front):
            root = build(examples[message_type])
            element = root[1].find(part.name)
            if element is None or not change(root[1], element, part):
                continue
            with pytest.raises(ProtocolError):
                parse(root)


def _without(body: etree._Element, element: etree._Element, part: Leaf | Group) -> bool:
    body.remove(element)
    return part.occurs.value == "1"


def _doubled(_body: etree._Element, element: etree._Element, part: Leaf | Group) -> bool:
    element.addnext(etree.fromstring(etree.tostring(element)))
    return part.occurs.value != "0..n"


def _moved_to_the_front(body: etree._Element, element: etree._Element, _part: Leaf | Group) -> bool:
    if element is body[0]:
        return False
    body.insert(0, element)
    return True


BAD_VALUES: list[tuple[str, dict[str, object], str]] = [
    ("amount", {"amount": Money(0)}, "zero"),
    ("amount", {"amount": Money(-1)}, "negative"),
    ("currency", {"amount": Money(1, "USD")}, "Ccy"),
    ("customer", {"customer_no": "a b"}, "letters or digits"),
    ("channel", {"channel": "NOWHERE"}, "one of"),
    ("naive time", {"paid_at": datetime(2024, 4, 5, 1, 1, 1)}, "time zone"),  # noqa: DTZ001
    ("no text", {"outlet": ""}, "letters"),
]


@pytest.mark.parametrize(("change", "reason"), [row[1:] for row in BAD_VALUES], ids=[row[0] for row in BAD_VALUES])
def test_what_could_not_be_read_is_not_written(examples: Examples, change: dict[str, object], reason: str) -> None:
    message = examples["payment.req"]
    with pytest.raises(ValueError, match=reason):
        build(replace(message, body=replace(message.body, **change)))  # type: ignore[arg-type]


def test_a_drawn_prepayment_is_negative(examples: Examples) -> None:
    body = examples["payment.rsp"].body
    assert isinstance(body, m.PaymentReply)
    message = replace(examples["payment.rsp"], body=replace(body, prepayment=Money(-5)))
    assert b'<Prpmt Ccy="CNY">-0.05</Prpmt>' in document(message)
    assert parse(xml.parse(document(message))) == message


def test_a_body_of_another_type_is_not_written(examples: Examples) -> None:
    with pytest.raises(TypeError, match="PaymentRequest expected"):
        build(m.BankXmlMessage(examples["payment.req"].header, examples["cancel.req"].body))


def test_too_many_lines_are_not_written(examples: Examples) -> None:
    body = examples["bill.enquiry.rsp"].body
    assert isinstance(body, m.BillEnquiryReply)
    message = replace(examples["bill.enquiry.rsp"], body=replace(body, bills=body.bills * 251))
    with pytest.raises(ValueError, match="at most 500 Bill"):
        build(message)


def test_the_longest_reply_fits_the_parser(examples: Examples, utility_key: SigningKey) -> None:
    body = examples["bill.enquiry.rsp"].body
    assert isinstance(body, m.BillEnquiryReply)
    message = replace(examples["bill.enquiry.rsp"], body=replace(body, bills=body.bills * 250))
    data = sign(build(message), utility_key)
    assert len(data) < xml.MAX_BYTES
    assert parse(verify(xml.parse(data), utility_key.verifying())) == message


amounts = st.integers(min_value=1, max_value=10**12 - 1).map(Money)
moments = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
numbers = st.text("0123456789ABCXYZabcxyz", min_size=1, max_size=21)
selections = st.one_of(
    st.just(m.Bills(all_bills=True)),
    st.builds(m.Bills, billing_month=st.integers(2000, 2099).map(lambda year: year * 100 + 12)),
    st.builds(m.Bills, receivable_ids=st.lists(numbers, min_size=1, max_size=5, unique=True).map(tuple)),
)
payments = st.builds(
    m.PaymentRequest,
    trace_date=st.dates(min_value=date(1970, 1, 1)),
    trace_no=numbers,
    customer_no=numbers,
    bills=selections,
    amount=amounts,
    paid_at=moments,
    channel=st.sampled_from(tables.CHANNELS),
    settle_method=st.sampled_from(tables.SETTLE_METHODS),
    outlet=st.none() | st.text("0123456789-", min_size=1, max_size=12),
    operator=st.none() | numbers.map(lambda text: text[:20]),
)


@settings(max_examples=200, deadline=None)
@given(payments)
def test_any_payment_round_trips(examples: Examples, body: m.PaymentRequest) -> None:
    message = m.BankXmlMessage(examples["payment.req"].header, body)
    assert parse(xml.parse(document(message))) == message


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=300))
def test_any_name_made_sendable_round_trips(examples: Examples, name: str) -> None:
    body = examples["bill.enquiry.rsp"].body
    assert isinstance(body, m.BillEnquiryReply)
    message = replace(examples["bill.enquiry.rsp"], body=replace(body, customer_name=sendable(name, 64)))
    assert parse(xml.parse(document(message))) == message


CLAIMS = [
    (b"<a/>", (None, None, None, None)),
    (b'<Msg xmlns="urn:busbar:bankxml:1"><Hdr/></Msg>', (None, None, None, None)),
    (b'<Msg xmlns="urn:busbar:bankxml:1"><Hdr><Sndr>B 1</Sndr><MsgId>1</MsgId></Hdr></Msg>', (None, None, "1", None)),
    (
        b'<Msg xmlns="urn:busbar:bankxml:1"><Hdr><Sndr>B1</Sndr><KeyId>k</KeyId><MsgTp>x.y</MsgTp></Hdr></Msg>',
        ("B1", "k", None, "x.y"),
    ),
]


@pytest.mark.parametrize(("data", "claim"), CLAIMS)
def test_claims(data: bytes, claim: tuple[str | None, ...]) -> None:
    found = read_claim(xml.parse(data))
    assert (found.sender, found.key_id, found.message_id, found.message_type) == claim


def test_reprs_hide_the_customer(examples: Examples) -> None:
    for message in examples.values():
        for secret in ("0301000012345678", "陈嘉怡", "体育西路"):
            assert secret not in repr(message)


def test_tables_are_checked_when_constructed() -> None:
    leaf = tables.HEADER.parts[0]
    with pytest.raises(ValueError, match="a tag stands twice"):
        Group("X", "x", m.Header, (leaf, leaf), "x")
    with pytest.raises(ValueError, match="fields of Header differ"):
        Group("X", "x", m.Header, (leaf,), "x")
    assert leaf.name == f"{{{NAMESPACE}}}Ver"
