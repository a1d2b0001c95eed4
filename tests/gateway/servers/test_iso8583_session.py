"""The ISO 8583 session without sockets: what each frame leads to, in every order of its bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keyring import Keyring, MacKey
from gateway.operations import Echo, Payment, Reversal, SignOn
from gateway.outcomes import Approved, BillsFound, Declined, Reason
from gateway.servers.iso8583_session import Close, Iso8583Session, Reply, Submit
from protocols.iso8583.codec import Message
from protocols.iso8583.framing import encode_frame
from protocols.money import Money

from .iso_peer import Requests, opened, sealed, with_wrong_mac
from .world import ACCOUNT, CUSTOMER, DAY, PAID, iso_profile

NOW = datetime(2026, 3, 3, 2, 30, tzinfo=UTC)
ASK = Requests(NOW, CUSTOMER, ACCOUNT)


@pytest.fixture(scope="module")
def key(key_folder: Path) -> MacKey:
    return Keyring(key_folder).mac_key("gzb")


def session(key: MacKey, **wire: object) -> Iso8583Session:
    numbers = count(1)
    return Iso8583Session(iso_profile(wire=wire), key, lambda: f"t{next(numbers)}")


def code(reply: Reply, key: MacKey) -> str:
    assert reply.frame is not None
    return opened(reply.frame[4:], key.secret).require(39)


def test_a_payment_is_submitted_and_answered(key: MacKey) -> None:
    machine = session(key)
    frame = sealed(ASK.payment(), key.secret)
    (action,) = machine.receive(frame, NOW)
    assert isinstance(action, Submit)
    assert isinstance(action.operation, Payment)
    assert (action.evidence.request, action.evidence.key_id, action.evidence.trace_id) == (frame[4:], "gzb", "t1")
    assert machine.in_flight == 1
    reply = machine.answer(action.request_id, PAID, NOW)
    assert reply.refusal is None
    assert reply.frame is not None
    message = opened(reply.frame[4:], key.secret)
    assert (message.mti, message.require(39), message.require(37)) == ("0210", "00", "000000000077")
    assert machine.in_flight == 0
    with pytest.raises(KeyError):
        machine.answer(action.request_id, PAID, NOW)


def test_a_declined_operation_is_a_refusal_with_its_trace(key: MacKey) -> None:
    machine = session(key)
    (action,) = machine.receive(sealed(ASK.payment("4"), key.secret), NOW)
    assert isinstance(action, Submit)
    reply = machine.answer(action.request_id, Declined(Reason.NO_ARREARS), NOW)
    assert reply.refusal is not None
    assert (reply.refusal.reason, reply.refusal.trace_no) == (Reason.NO_ARREARS, "000000000004")
    assert code(reply, key) == "09"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cuts=st.lists(st.integers(1, 60), max_size=40))
def test_pieces_do_not_matter(key: MacKey, cuts: list[int]) -> None:
    stream = b"".join(sealed(message, key.secret) for message in (ASK.sign_on(), ASK.payment(), ASK.enquiry()))
    machine, kinds, offset = session(key), [], 0
    for size in [*cuts, len(stream)]:
        kinds += [type(action) for action in machine.receive(stream[offset : offset + size], NOW)]
        offset += size
    assert kinds == [Submit, Submit, Submit]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=600))
def test_any_bytes_lead_to_replies_and_a_close_only(key: MacKey, data: bytes) -> None:
    machine = session(key)
    actions = machine.receive(data, NOW) + machine.end()
    assert not any(isinstance(action, Submit) for action in actions)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(position=st.integers(4, 240), value=st.integers(0, 255))
def test_no_changed_byte_reaches_the_ledger(key: MacKey, position: int, value: int) -> None:
    frame = bytearray(sealed(ASK.payment(), key.secret))
    position %= len(frame)
    if position < 4 or frame[position] == value:
        return
    frame[position] = value
    (action,) = session(key).receive(bytes(frame), NOW)
    assert isinstance(action, Reply)
    assert action.refusal is not None
    assert action.refusal.reason in (Reason.SIGNATURE_INVALID, Reason.UNREADABLE)


def _without_mac(message: Message) -> bytes:
    from protocols.iso8583.codec import encode
    from protocols.iso8583.dialects.guangzhou import GUANGZHOU

    return encode_frame(encode(message, GUANGZHOU))


def test_wrong_macs_consume_no_trace_and_end_in_a_new_sign_on(key: MacKey) -> None:
    machine = session(key, mac_failures_before_sign_on=2)
    forged = with_wrong_mac(sealed(ASK.payment(), key.secret))
    for _ in range(2):
        assert not machine.needs_sign_on
        (action,) = machine.receive(forged, NOW)
        assert isinstance(action, Reply)
        assert code(action, key) == "05"
    assert machine.needs_sign_on
    (refused,) = machine.receive(sealed(ASK.payment(), key.secret), NOW)
    assert isinstance(refused, Reply)
    assert code(refused, key) == "05"  # unknown, not "nothing booked": the ledger was not asked
    accepted = [machine.receive(sealed(message, key.secret), NOW)[0] for message in (ASK.reversal(), ASK.echo())]
    assert [type(action.operation) for action in accepted if isinstance(action, Submit)] == [Reversal, Echo]
    (sign_on,) = machine.receive(sealed(ASK.sign_on(), key.secret), NOW)
    assert isinstance(sign_on, Submit)
    assert isinstance(sign_on.operation, SignOn)
    machine.answer(sign_on.request_id, Declined(Reason.SYSTEM_ERROR), NOW)
    assert machine.needs_sign_on
    (again,) = machine.receive(sealed(ASK.sign_on("9"), key.secret), NOW)
    assert isinstance(again, Submit)
    machine.answer(again.request_id, Approved(DAY), NOW)
    assert not machine.needs_sign_on
    assert isinstance(machine.receive(sealed(ASK.payment(), key.secret), NOW)[0], Submit)


MAC_ON_ENQUIRY = [
    (True, ASK.enquiry(), False, "05"),
    (True, ASK.enquiry(), True, None),
    (False, ASK.enquiry(), False, None),
    (False, ASK.enquiry(), True, None),
    (False, ASK.payment(), False, "05"),
    (False, ASK.sign_on(), False, "05"),
]


@pytest.mark.parametrize(("required", "message", "with_mac", "refused"), MAC_ON_ENQUIRY)
def test_which_messages_need_a_mac(
    key: MacKey, required: bool, message: Message, with_mac: bool, refused: str | None
) -> None:
    machine = session(key, mac_on_enquiry=required)
    frame = sealed(message, key.secret) if with_mac else _without_mac(message)
    (action,) = machine.receive(frame, NOW)
    if refused is None:
        assert isinstance(action, Submit)
    else:
        assert isinstance(action, Reply)
        assert code(action, key) == refused


def test_a_wrong_mac_on_an_enquiry_counts_even_where_none_is_asked_for(key: MacKey) -> None:
    machine = session(key, mac_on_enquiry=False)
    (action,) = machine.receive(with_wrong_mac(sealed(ASK.enquiry(), key.secret)), NOW)
    assert isinstance(action, Reply)
    assert code(action, key) == "05"


def test_what_can_not_be_written_is_told_as_unknown_never_as_a_refusal(key: MacKey) -> None:
    """The operation was approved; the reply does not fit its field (an amount of 13 digits)."""
    machine = session(key)
    (action,) = machine.receive(sealed(ASK.enquiry(), key.secret), NOW)
    assert isinstance(action, Submit)
    too_much = Approved(DAY, None, None, BillsFound("名", "址", (), Money(0), Money(10**13)))
    assert code(machine.answer(action.request_id, too_much, NOW), key) == "06"


END = [
    (b"", [None]),
    (b"0", ["the peer closed inside a frame"]),
    (b"0100abc", ["the peer closed inside a frame"]),
]


@pytest.mark.parametrize(("data", "closes"), END)
def test_the_end_of_the_stream(key: MacKey, data: bytes, closes: list[str | None]) -> None:
    machine = session(key)
    machine.receive(data, NOW)
    actions = machine.end()
    assert [action.why for action in actions if isinstance(action, Close)] == closes
    assert machine.end() == []
    assert machine.receive(b"0100", NOW) == []


def test_only_banks_of_this_wire(key: MacKey) -> None:
    from .world import xml_profile

    with pytest.raises(TypeError, match="not on this wire"):
        Iso8583Session(xml_profile(), key, lambda: "t")
