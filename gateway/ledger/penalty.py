"""The late-payment penalty (违约金) of one bill, from its history (供电营业规则 98).

Strategy: a bill's principal is cut into parts, each with the last day on which it was owed: what was paid on day d was
owed up to and including d, the rest is owed on the day asked about. Each part accrues its amount times the sum of the
rates of its overdue days, in millionths of a fen, exactly; the sum is rounded once. Days are counted by intervals
between changes of rate, so a bill ten years old costs no more than one of last month. Rules:

- overdue days run from the day after the due date to the day of payment, both included (due 15th, paid 18th: 3 days);
- simple, never compound: penalty is no base of penalty;
- the cap (not above the bill's principal) comes first, then the minimum (which outranks it), then the rounding;
- accrued is of the bill's whole life, so the minimum comes once; due = accrued - received so far, never below 0;
- a line that undoes another carries its day, so both cancel out, in whatever order the days of payments come.
"""

from __future__ import annotations

from datetime import date, timedelta

from gateway.ledger.model import Customer, Receivable
from gateway.ledger.rules import MILLIONTHS, CrossYearMode, Rounding, Rules

_ONE_DAY = timedelta(days=1)


def penalty_due_fen(bill: Receivable, customer: Customer, day: date, rules: Rules) -> int:
    """What is still to be paid as penalty if the bill is paid on `day` (the payer's calendar day), in fen."""
    return max(0, accrued_fen(bill, customer, day, rules) - bill.received_penalty_fen)


def accrued_fen(bill: Receivable, customer: Customer, day: date, rules: Rules) -> int:
    """All the penalty that the bill has earned up to and including `day`, paid or not, in fen."""
    due = bill.due_date
    if day <= due or customer.penalty_exempt:
        return 0
    residential = rules.is_residential(customer.usage_category)
    raw = bill.outstanding_principal_fen * _millionths(due, day, residential, rules)
    for line in bill.settled:
        if line.principal_fen:
            raw += line.principal_fen * _millionths(due, min(line.paid_date, day), residential, rules)
    if raw <= 0:
        return 0
    if rules.cap_at_principal:
        raw = min(raw, bill.principal_fen * MILLIONTHS)
    raw = max(raw, rules.minimum_fen_on(due + _ONE_DAY) * MILLIONTHS)
    return (raw + MILLIONTHS // 2 if rules.rounding is Rounding.HALF_UP else raw) // MILLIONTHS


def _millionths(due: date, last_day: date, residential: bool, rules: Rules) -> int:
    """The sum of the daily rates over the overdue days up to and including `last_day`."""
    end = last_day.toordinal() + 1
    start = due.toordinal() + 1
    if end <= start:
        return 0
    turn = _prior_year_begins(due, last_day, rules.cross_year_mode)
    rates = rules.rates
    total = 0
    for index, rate in enumerate(rates):
        first = max(start, rate.from_date.toordinal())
        stop = min(end, rates[index + 1].from_date.toordinal()) if index + 1 < len(rates) else end
        if stop <= first:
            continue
        if residential:
            total += (stop - first) * rate.residential_millionths_per_day
        else:
            middle = min(max(turn, first), stop)
            total += (middle - first) * rate.other_current_year_millionths_per_day
            total += (stop - middle) * rate.other_prior_year_millionths_per_day
    return total


def _prior_year_begins(due: date, last_day: date, mode: CrossYearMode) -> int:
    """The ordinal of the first day at the prior-year rate (a bill belongs to the year of its due date)."""
    if mode is CrossYearMode.BY_DAY or last_day.year <= due.year:
        return date(due.year, 12, 31).toordinal() + 1
    return 0
