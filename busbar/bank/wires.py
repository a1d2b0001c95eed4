"""What the simulated bank can say and hear, whatever the wire.

Strategy: a scenario speaks through the `Wire` protocol and gets an `Answer`; one module per wire turns that into
frames (`wire_iso8583`) or signed XML (`wire_bankxml`). `meaning` is the bank's own reading of the reply's code, from
the wire's public page; codes themselves are kept for the tally.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from busbar.bank.book import Share


class Meaning(StrEnum):
    """What an answer says to the bank."""

    OK = "approved"
    REFUSED = "refused"
    RETRY = "retry later"
    UNKNOWN = "unknown"
    NO_ANSWER = "no answer"


class Damage(StrEnum):
    """What is done to a request on purpose."""

    NONE = "none"
    WRONG_KEY = "wrong key"  # a forged signature, a wrong MAC
    LOST_REPLY = "lost reply"  # the connection goes away before the reply is read
    REPLAY = "replay"  # the very same bytes a second time


@dataclass(frozen=True, slots=True)
class Bill:
    receivable_id: str
    billing_month: str
    owed_fen: int
    partial_payment_allowed: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as the bank understands it."""

    meaning: Meaning
    code: str = ""
    clearing_date: date | None = None
    reference_no: str = ""
    owed_fen: int = 0
    bills: tuple[Bill, ...] = ()
    shares: tuple[Share, ...] = ()
    payment_state: str = ""  # of a status enquiry: BOOKED, CANCELLED, REFUSED, FENCED


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as the bank keyed it. `receivable_id` or `billing_month` names bills; both empty pays all.

    A deposit is money for no bill: prepayment.
    """

    trace_date: date
    trace_no: str
    paid_at: datetime
    customer_no: str = field(repr=False)
    amount_fen: int
    channel: str
    settle_method: str
    receivable_id: str = ""
    billing_month: str = ""
    is_deposit: bool = False


class Wire(Protocol):
    """One bank's line to the utility."""

    has_status_enquiry: bool  # else a resend of the payment is the status enquiry
    has_sessions: bool  # sign-on and sign-off

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def sign(self, *, on: bool, trace_no: str) -> Answer: ...
    async def enquire(self, customer_no: str, billing_month: str, trace: tuple[date, str]) -> Answer: ...
    async def pay(self, order: Order, damage: Damage = Damage.NONE) -> Answer: ...
    async def cancel(self, order: Order, reference_no: str, trace: tuple[date, str]) -> Answer: ...
    async def reverse(self, order: Order, trace: tuple[date, str]) -> Answer: ...
    async def status(self, order: Order, trace: tuple[date, str], *, fence: bool) -> Answer: ...
