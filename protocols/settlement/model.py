"""What a settlement file says, free of any layout.

Strategy: a file is a header, entries in the bank's order, and totals. Every layout is read into these frozen values and
written from them, so that the match and the simulated banks know no layout. Rules:

- What a layout can't show is None, never a guess: a `.bil` file has no channel, a pipe file no reference number.
- An entry's amount is positive; its direction is its kind. `signed_fen` is what it adds to the net.
- A line that can't be read is a `LineError`, a value: a bad line never stops the file (all of them are told to the
  bank at once). Its text names places and rules, never content, and is safe to log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from protocols.money import CURRENCY, Money

_NOTHING = Money(0)
STATUS_SUCCESS = "OK"
"""The one status of an entry: a bank's file lists successes only."""


class EntryKind(StrEnum):
    """缴费, 当日抹账, 冲正. The last two count negatively."""

    PAY = "PAY"
    CANCEL = "CANCEL"
    REVERSAL = "REVERSAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementEntry:
    """One detail line. Several lines with one trace and different receivables are one payment of several bills.

    `line_no` counts the file's lines from 1 (the header). `trace_date` and `trace_no` are the bank's own; `paid_at` is
    the payer's local time, aware; `billing_month` is "yyyymm"; `clearing_date` is the line's own where the layout has
    one, else the header's; `reference_no` and `utility_at` are what the utility answered. `original_*` name the
    payment that a cancel or a reversal takes back: by the bank's trace, by the utility's reference, or by both.
    """

    line_no: int
    kind: EntryKind
    trace_date: date
    trace_no: str
    customer_no: str = field(repr=False)
    amount: Money
    clearing_date: date
    paid_at: datetime | None = None
    receivable_id: str | None = None
    billing_month: str | None = None
    org_code: str | None = None
    charge_kind: str | None = None
    principal: Money | None = None
    penalty: Money | None = None
    channel: str | None = None
    settle_method: str | None = None
    status: str = STATUS_SUCCESS
    reference_no: str | None = None
    utility_at: datetime | None = None
    original_trace_date: date | None = None
    original_trace_no: str | None = None
    original_reference_no: str | None = None
    account: str | None = field(default=None, repr=False)
    cheque_no: str | None = field(default=None, repr=False)
    remark: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.amount.minor <= 0:
            raise ValueError("an entry's amount is positive; its direction is its kind")
        for moment in (self.paid_at, self.utility_at):
            if moment is not None and moment.tzinfo is None:
                raise ValueError("paid_at and utility_at need a time zone")

    @property
    def signed_fen(self) -> int:
        """What the entry adds to the net, in minor units: a cancel or a reversal takes away."""
        return self.amount.minor if self.kind is EntryKind.PAY else -self.amount.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementHeader:
    """What the bank says about the whole file. A writer is given one too and puts its own counts and amounts in.

    Gross payments and gross cancels stand beside the net because two equal mistakes can hide in a net; they are None
    where the layout has the net only, as `bank` and `utility` are where only the file's name tells them.
    """

    clearing_date: date
    bank: str | None = None
    utility: str | None = None
    currency: str = CURRENCY
    count: int = 0
    net: Money = _NOTHING
    payment_count: int | None = None
    payment_amount: Money | None = None
    cancel_count: int | None = None
    cancel_amount: Money | None = None
    utility_reference: str | None = None


@dataclass(frozen=True, slots=True)
class Trailer:
    """The last line's count and net; a file that was cut has none."""

    count: int
    net: Money


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """Payments and cancels of one group, gross, positive; `channel` and `settle_method` None where not shown."""

    channel: str | None
    settle_method: str | None
    payment_count: int
    payment_amount: Money
    cancel_count: int
    cancel_amount: Money


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts and amounts computed from the detail lines; `groups` are ordered by channel and settle method."""

    count: int
    net: Money
    payment_count: int
    payment_amount: Money
    cancel_count: int
    cancel_amount: Money
    groups: tuple[GroupTotals, ...]


@dataclass(frozen=True, slots=True)
class LineError:
    """A line, or one column of it, that can't be read. `what` holds no content of the file."""

    line_no: int
    column: str | None
    what: str

    def __str__(self) -> str:
        place = f"line {self.line_no}" if self.column is None else f"line {self.line_no} column {self.column}"
        return f"{place}: {self.what}"


class RunningTotals:
    """Totals while a file is read or written; per group four ints (payments, their fen, cancels, their fen)."""

    __slots__ = ("_groups",)

    def __init__(self) -> None:
        self._groups: dict[tuple[str | None, str | None], list[int]] = {}

    def add(self, entry: SettlementEntry) -> None:
        """Count one entry."""
        sums = self._groups.setdefault((entry.channel, entry.settle_method), [0, 0, 0, 0])
        place = 0 if entry.kind is EntryKind.PAY else 2
        sums[place] += 1
        sums[place + 1] += entry.amount.minor

    def totals(self, currency: str) -> Totals:
        """The totals so far, in `currency` (a file has one)."""
        payments, paid_fen, cancels, cancelled_fen = (sum(s[i] for s in self._groups.values()) for i in range(4))
        ordered = sorted(self._groups.items(), key=lambda item: (item[0][0] or "", item[0][1] or ""))
        return Totals(
            count=payments + cancels,
            net=Money(paid_fen - cancelled_fen, currency),
            payment_count=payments,
            payment_amount=Money(paid_fen, currency),
            cancel_count=cancels,
            cancel_amount=Money(cancelled_fen, currency),
            groups=tuple(
                GroupTotals(channel, method, s[0], Money(s[1], currency), s[2], Money(s[3], currency))
                for (channel, method), s in ordered
            ),
        )
