"""What an event says, as values and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.events.event import PaymentEvent, SettledBill, body_of
from gateway.events.signature import header_value
from protocols.money import Money
from protocols.signing.keys import SigningKey

EVENT = PaymentEvent(
    event_id="260000000012",
    sequence=41,
    kind="PAYMENT",
    customer_no="060000012340",
    amount=Money(31_500),
    prepayment_movement=Money(-200),
    bank="GZB",
    channel="MOBILE_BANK",
    paid_at=datetime(2026, 3, 3, 9, 30, 0, 123_456, tzinfo=ZoneInfo("Asia/Shanghai")),
    recorded_at=datetime(2026, 3, 3, 1, 30, 1, tzinfo=UTC),
    clearing_date=date(2026, 3, 3),
    original_event_id=None,
    settled=(SettledBill("R04", 202602, "010", Money(30_000), Money(1_500)),),
)


def test_the_body() -> None:
    body = json.loads(body_of("call-centre", 3, [EVENT, replace(EVENT, event_id="260000000013", settled=())]))
    assert [event["event_id"] for event in body.pop("events")] == ["260000000012", "260000000013"]
    assert body == {"version": 1, "subscriber": "call-centre", "partition": 3}


def test_an_event_as_json() -> None:
    [told] = json.loads(body_of("call-centre", 3, [EVENT]))["events"]
    assert told == {
        "event_id": "260000000012",
        "sequence": 41,
        "kind": "PAYMENT",
        "customer_no": "060000012340",
        "amount": {"minor": 31_500, "currency": "CNY"},
        "bank": "GZB",
        "channel": "MOBILE_BANK",
        "paid_at": "2026-03-03T01:30:00.123Z",
        "recorded_at": "2026-03-03T01:30:01.000Z",
        "clearing_date": "2026-03-03",
        "settled": [
            {
                "receivable_id": "R04",
                "billing_month": "202602",
                "charge_kind": "010",
                "principal": {"minor": 30_000, "currency": "CNY"},
                "penalty": {"minor": 1_500, "currency": "CNY"},
            }
        ],
        "prepayment_movement": {"minor": -200, "currency": "CNY"},
        "original_event_id": None,
    }


def test_customers_do_not_show() -> None:
    assert "060000012340" not in repr(EVENT)


@pytest.mark.parametrize("name", ["paid_at", "recorded_at"])
def test_naive_times_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="timezone-aware"):
        replace(EVENT, **{name: datetime(2026, 3, 3)})  # type: ignore[arg-type]  # noqa: DTZ001


def test_only_rsa_signs() -> None:
    key = SigningKey("curve", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(TypeError, match="RSA"):
        header_value(key, "call-centre", b"{}", datetime(2026, 3, 3, tzinfo=UTC))
