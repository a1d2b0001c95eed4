"""What a subscriber is told of one posting: pure values and their JSON.

Strategy: an event holds facts of the posting's own row and of what it settled, and nothing that changes later (no
arrears, no balance), so that an event told again a day later says the same. Rules:

- `event_id` is the reference number of the posting. A dump restored to an earlier moment may give a number again, so
  that a receiver tells events apart by `event_id` and `recorded_at` together;
- `sequence` only grows within a partition and is the order of one customer's postings;
- an event of what undoes names the event of what it undoes; its amount is what was taken back, so it is positive,
  and what it settled is negative;
- amounts are integers of minor units with their currency; times are RFC 3339 in UTC; dates are of the utility's
  calendar.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from protocols.money import Money

VERSION = 1


@dataclass(frozen=True, slots=True)
class SettledBill:
    """What the posting settled of one bill; negative where it undid."""

    receivable_id: str
    billing_month: int  # yyyymm
    charge_kind: str
    principal: Money
    penalty: Money


@dataclass(frozen=True, slots=True)
class PaymentEvent:
    """One posting, as its subscribers see it. `kind` is the posting's; `original_event_id` is None for a payment."""

    event_id: str
    sequence: int
    kind: str
    customer_no: str = field(repr=False)
    amount: Money
    prepayment_movement: Money  # how the customer's prepayment balance moved
    bank: str
    channel: str
    paid_at: datetime
    recorded_at: datetime
    clearing_date: date
    original_event_id: str | None
    settled: tuple[SettledBill, ...]

    def __post_init__(self) -> None:
        if self.paid_at.tzinfo is None or self.recorded_at.tzinfo is None:
            raise ValueError("times of an event are timezone-aware")


def body_of(subscriber: str, partition: int, events: Sequence[PaymentEvent]) -> bytes:
    """The request's body: JSON in UTF-8, the events in the order given."""
    content = {
        "version": VERSION,
        "subscriber": subscriber,
        "partition": partition,
        "events": [_as_json(event) for event in events],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _as_json(event: PaymentEvent) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "sequence": event.sequence,
        "kind": event.kind,
        "customer_no": event.customer_no,
        "amount": _money(event.amount),
        "bank": event.bank,
        "channel": event.channel,
        "paid_at": _time(event.paid_at),
        "recorded_at": _time(event.recorded_at),
        "clearing_date": event.clearing_date.isoformat(),
        "settled": [_bill(bill) for bill in event.settled],
        "prepayment_movement": _money(event.prepayment_movement),
        "original_event_id": event.original_event_id,
    }


def _bill(bill: SettledBill) -> dict[str, Any]:
    return {
        "receivable_id": bill.receivable_id,
        "billing_month": str(bill.billing_month),
        "charge_kind": bill.charge_kind,
        "principal": _money(bill.principal),
        "penalty": _money(bill.penalty),
    }


def _money(amount: Money) -> dict[str, Any]:
    return {"minor": amount.minor, "currency": amount.currency}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
