"""The ledger's rules as data: what the utility may set, with the days from which it holds.

Strategy: one frozen value, checked on construction, handed to `decide`. Rates are integers (millionths of the principal
a day: 1 per mille is 1,000), so that a penalty is exact until its single rounding. What changes by law or contract is
dated; what a company chooses once is an enum or a flag. The defaults are the rule of 1996 (供电营业规则 98).

A payer's calendar day needs no rule here: `paid_at` arrives aware in the bank's own time zone, so `paid_at.date()` *is*
the payer's day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from itertools import pairwise

MILLIONTHS = 1_000_000


class CrossYearMode(Enum):
    """How arrears carried over the year-end accrue (both readings of 供电营业规则 98 are in use)."""

    BY_DAY = "BY_DAY"  # each calendar day at the rate of its own year
    WHOLE_BILL = "WHOLE_BILL"  # what is paid after the year-end accrues at the prior-year rate for all its days


class Rounding(Enum):
    """How a penalty becomes whole fen."""

    HALF_UP = "HALF_UP"
    TRUNCATE = "TRUNCATE"


class BillOrder(Enum):
    """Which bill a payment reaches first."""

    OLDEST_FIRST = "OLDEST_FIRST"  # billing month, then receivable id


class WithinBill(Enum):
    """What a payment settles first inside one bill."""

    PENALTY_FIRST = "PENALTY_FIRST"


class DepositWithArrears(Enum):
    """What becomes of a prepayment deposit whose customer owes something."""

    REFUSE = "REFUSE"
    APPLY_FIRST = "APPLY_FIRST"  # the arrears are settled first, as far as it reaches


@dataclass(frozen=True, slots=True)
class PenaltyRates:
    """Penalty a day from `from_date` on, in millionths of the principal outstanding that day."""

    from_date: date
    residential_millionths_per_day: int = 1_000
    other_current_year_millionths_per_day: int = 2_000
    other_prior_year_millionths_per_day: int = 3_000

    def __post_init__(self) -> None:
        rates = (
            self.residential_millionths_per_day,
            self.other_current_year_millionths_per_day,
            self.other_prior_year_millionths_per_day,
        )
        if not all(0 <= rate <= MILLIONTHS for rate in rates):
            raise ValueError(f"penalty rates from {self.from_date}: each is 0 to {MILLIONTHS} millionths per day")


@dataclass(frozen=True, slots=True)
class PenaltyMinimum:
    """The least a penalty can be, for bills that became overdue from `from_date` to `to_date` (included; None: open).

    The day on which the bill became overdue decides, not the day of payment: a penalty once earned does not shrink
    when the minimum is abolished.
    """

    from_date: date
    to_date: date | None
    minimum_fen: int

    def __post_init__(self) -> None:
        if self.minimum_fen < 0:
            raise ValueError(f"penalty minimum from {self.from_date}: it can't be negative")
        if self.to_date is not None and self.to_date < self.from_date:
            raise ValueError(f"penalty minimum from {self.from_date}: it ends before it begins ({self.to_date})")


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that `decide` may be told to do otherwise.

    `rates` and `minimums` are in order of their days; a day before the first rates accrues nothing, a
    day in no minimum's range has none. `sign_on_required` holds the codes of the banks that must sign on first.
    """

    rates: tuple[PenaltyRates, ...] = (PenaltyRates(date.min),)
    minimums: tuple[PenaltyMinimum, ...] = (PenaltyMinimum(date.min, None, 100),)
    cross_year_mode: CrossYearMode = CrossYearMode.BY_DAY
    rounding: Rounding = Rounding.HALF_UP
    cap_at_principal: bool = True  # the minimum outranks the cap
    residential_usage_prefixes: tuple[str, ...] = ("2",)
    prepayment_enabled: bool = True  # what is paid above all bills goes to prepayment; deposits are taken
    deposit_with_arrears: DepositWithArrears = DepositWithArrears.REFUSE
    bill_order: BillOrder = BillOrder.OLDEST_FIRST
    within_bill: WithinBill = WithinBill.PENALTY_FIRST
    stale_days: int = 31  # how far back an amount may have been right for the answer "bill has changed"
    sign_on_required: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.rates:
            raise ValueError("penalty rates: at least one is needed (rates of 0 switch penalties off)")
        for one, next_one in pairwise(self.rates):
            if next_one.from_date <= one.from_date:
                raise ValueError(f"penalty rates from {next_one.from_date}: give them in order, one for each day")
        for minimum, next_minimum in pairwise(self.minimums):
            if minimum.to_date is None or next_minimum.from_date <= minimum.to_date:
                raise ValueError(f"penalty minimum from {next_minimum.from_date}: it overlaps the one before it")
        if not 0 <= self.stale_days <= 366:
            raise ValueError("stale_days: 0 to 366")

    def is_residential(self, usage_category: str) -> bool:
        """Whether the residential rate holds (usage categories beginning with 2)."""
        return usage_category.startswith(self.residential_usage_prefixes)

    def minimum_fen_on(self, day: date) -> int:
        """The least penalty of a bill that became overdue on `day`, in fen."""
        for minimum in self.minimums:
            if minimum.from_date <= day and (minimum.to_date is None or day <= minimum.to_date):
                return minimum.minimum_fen
        return 0
