"""The late-payment penalty against the printed exercises, its points of choice, and a naive count day by day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.model import Customer, Receivable
from gateway.ledger.penalty import accrued_fen, penalty_due_fen
from gateway.ledger.rules import CrossYearMode, PenaltyMinimum, PenaltyRates, Rounding, Rules

from .worlds import bill, customer, day

RESIDENTIAL, OTHER = "201", "301"
WHOLE_BILL = Rules(cross_year_mode=CrossYearMode.WHOLE_BILL)


def accrued(usage: str, principal_fen: int, due: str, paid: str, rules: Rules | None = None) -> int:
    return accrued_fen(bill("R", 202401, principal_fen, due), customer(usage=usage), day(paid), rules or Rules())


@pytest.mark.parametrize(
    ("usage", "principal_fen", "due", "paid", "penalty_fen"),
    [
        pytest.param(RESIDENTIAL, 10_000, "2024-03-15", "2024-03-15", 0, id="1 paid on the due day"),
        pytest.param(RESIDENTIAL, 10_000, "2024-03-15", "2024-03-16", 100, id="2 minimum of one yuan"),
        pytest.param(RESIDENTIAL, 10_000, "2024-03-15", "2024-03-25", 100, id="3 ten days"),
        pytest.param(RESIDENTIAL, 12_345, "2024-02-25", "2024-03-20", 296, id="4 leap year, rounded down"),
        pytest.param(RESIDENTIAL, 100_000, "2023-12-20", "2024-01-10", 2_100, id="5 residents know no cross-year rate"),
        pytest.param(OTHER, 300_000, "2001-01-15", "2001-01-18", 1_800, id="6 three days"),
        pytest.param(OTHER, 200_000, "2000-12-15", "2001-01-18", 17_200, id="7 by day over the year-end"),
        pytest.param(OTHER, 90_000, "2000-12-21", "2001-01-15", 5_850, id="8 ten days and fifteen"),
        pytest.param(OTHER, 5, "2024-03-15", "2024-03-16", 100, id="9 minimum outranks rounding and cap"),
        pytest.param(OTHER, 10_000, "2024-03-15", "2024-03-01", 0, id="paid early"),
        pytest.param(OTHER, 100_000, "2023-12-31", "2024-01-01", 300, id="due on the last day: carried over at once"),
        pytest.param(OTHER, 10_000, "2022-12-31", "2023-06-01", 4_560, id="prior year only"),
    ],
)
def test_printed_table(usage: str, principal_fen: int, due: str, paid: str, penalty_fen: int) -> None:
    assert accrued(usage, principal_fen, due, paid) == penalty_fen


@pytest.mark.parametrize(
    ("rules", "due", "principal_fen", "penalty_fen"),
    [
        pytest.param(Rules(), "2000-12-15", 200_000, 17_200, id="by day, December"),
        pytest.param(Rules(), "2001-01-15", 300_000, 1_800, id="by day, January"),
        pytest.param(WHOLE_BILL, "2000-12-15", 200_000, 20_400, id="whole bill, December"),
        pytest.param(WHOLE_BILL, "2001-01-15", 300_000, 1_800, id="whole bill, January"),
    ],
)
def test_both_readings_of_the_year_end(rules: Rules, due: str, principal_fen: int, penalty_fen: int) -> None:
    assert accrued(OTHER, principal_fen, due, "2001-01-18", rules) == penalty_fen


def test_whole_bill_leaves_alone_what_was_paid_in_its_own_year() -> None:
    paid_in_time = bill("R", 200012, 200_000, "2000-12-15", settled=[("2000-12-20", 200_000, 2_000)])
    half = bill("R", 200012, 200_000, "2000-12-15", settled=[("2000-12-20", 100_000, 2_000)])
    assert penalty_due_fen(paid_in_time, customer(), day("2001-01-18"), WHOLE_BILL) == 0
    # 1,000.00 x 5 days x 2 per mille stays; 1,000.00 x 34 days x 3 per mille for the rest; 20.00 were paid.
    assert penalty_due_fen(half, customer(), day("2001-01-18"), WHOLE_BILL) == 1_000 + 10_200 - 2_000


def test_a_penalty_of_many_years_with_and_without_the_cap() -> None:
    free = Rules(cap_at_principal=False)
    assert accrued(OTHER, 10_000, "2021-12-30", "2024-01-01", free) == 20 + 731 * 30
    assert accrued(OTHER, 10_000, "2021-12-30", "2024-01-01") == 10_000


@pytest.mark.parametrize(
    ("rules", "penalty_fen"),
    [
        pytest.param(Rules(), 1_643, id="half up"),
        pytest.param(Rules(rounding=Rounding.TRUNCATE), 1_642, id="truncated"),
    ],
)
def test_rounding_happens_once(rules: Rules, penalty_fen: int) -> None:
    # 821.25 x 10 days x 2 per mille = 16.425 exactly: rounding day by day (1.6425 a day) would give 16.40.
    assert accrued(OTHER, 82_125, "2024-03-15", "2024-03-25", rules) == penalty_fen


def test_part_payment_lowers_the_base_from_the_next_day() -> None:
    part_paid = bill("R", 202404, 30_000, "2024-04-25", settled=[("2024-05-20", 22_900, 1_500)])
    assert accrued_fen(part_paid, customer(), day("2024-05-20"), Rules()) == 1_500
    assert accrued_fen(part_paid, customer(), day("2024-05-30"), Rules()) == 1_642
    assert penalty_due_fen(part_paid, customer(), day("2024-05-30"), Rules()) == 142


def test_minimum_comes_once_in_a_bills_life() -> None:
    # 0.20 accrued on the second day is charged as 1.00; the 1.00 counts against all that comes later.
    part_paid = bill("R", 202403, 10_000, "2024-03-15", settled=[("2024-03-17", 5_000, 100)])
    resident = customer(usage=RESIDENTIAL)
    assert penalty_due_fen(part_paid, resident, day("2024-03-18"), Rules()) == 0
    assert penalty_due_fen(part_paid, resident, day("2024-04-02"), Rules()) == 0  # 0.20 + 16 x 0.05 = 1.00
    assert penalty_due_fen(part_paid, resident, day("2024-04-03"), Rules()) == 5


def test_a_bill_paid_whole_accrues_no_more() -> None:
    settled = bill("R", 202403, 10_000, "2024-03-15", settled=[("2024-03-25", 10_000, 200)])
    assert penalty_due_fen(settled, customer(), day("2034-03-25"), Rules()) == 0


def test_a_line_and_its_undoing_cancel_out() -> None:
    untouched = bill("R", 202403, 50_000, "2024-03-25")
    lines = [("2024-04-10", 20_000, 1_600), ("2024-04-10", -20_000, -1_600)]
    undone = bill("R", 202403, 50_000, "2024-03-25", settled=lines)
    for text in ("2024-03-25", "2024-04-01", "2024-04-10", "2024-05-20", "2025-02-01"):
        expected = penalty_due_fen(untouched, customer(), day(text), Rules())
        assert penalty_due_fen(undone, customer(), day(text), Rules()) == expected


def test_a_day_before_an_earlier_part_payment_is_no_error() -> None:
    ahead = bill("R", 202403, 50_000, "2024-03-25", settled=[("2024-05-20", 10_000, 5_600)])
    # On 10 May the whole principal was still owed: 500.00 x 46 days x 2 per mille = 46.00, less than was received.
    assert accrued_fen(ahead, customer(), day("2024-05-10"), Rules()) == 4_600
    assert penalty_due_fen(ahead, customer(), day("2024-05-10"), Rules()) == 0


def test_exempt_customers_owe_no_penalty() -> None:
    late = bill("R", 202001, 50_000, "2020-03-25")
    assert penalty_due_fen(late, customer(exempt=True), day("2024-05-10"), Rules()) == 0


def test_rates_change_inside_the_overdue_time() -> None:
    rates = (PenaltyRates(date.min), PenaltyRates(day("2024-04-01"), 500, 1_000, 1_500))
    rules = Rules(rates=rates, minimums=())
    # due 25 March: six days of March at the old rate, ten of April at the new one.
    assert accrued(OTHER, 100_000, "2024-03-25", "2024-04-10", rules) == 6 * 200 + 10 * 100
    assert accrued(RESIDENTIAL, 100_000, "2024-03-25", "2024-04-10", rules) == 6 * 100 + 10 * 50
    # over the year-end: two days of December at the current-year rate, one of January at the prior-year rate.
    assert accrued(OTHER, 100_000, "2024-12-29", "2025-01-01", rules) == 2 * 100 + 150


def test_days_before_the_first_rates_accrue_nothing() -> None:
    rules = Rules(rates=(PenaltyRates(day("2024-04-01")),), minimums=())
    assert accrued(OTHER, 100_000, "2024-03-25", "2024-03-31", rules) == 0
    assert accrued(OTHER, 100_000, "2024-03-25", "2024-04-02", rules) == 400


@pytest.mark.parametrize(
    ("due", "penalty_fen"),
    [
        pytest.param("2024-03-31", 2, id="overdue from the day before its first"),
        pytest.param("2024-04-01", 100, id="overdue from its first day"),
        pytest.param("2024-04-29", 100, id="overdue from its last day"),
        pytest.param("2024-04-30", 2, id="overdue after its last day"),
    ],
)
def test_the_minimum_is_dated_by_the_first_overdue_day(due: str, penalty_fen: int) -> None:
    rules = Rules(minimums=(PenaltyMinimum(day("2024-04-02"), day("2024-04-30"), 100),))
    paid = (day(due) + timedelta(days=1)).isoformat()
    assert accrued(OTHER, 1_000, due, paid, rules) == penalty_fen


def test_a_minimum_once_earned_outlives_its_range() -> None:
    rules = Rules(minimums=(PenaltyMinimum(day("2024-04-02"), day("2024-04-30"), 100),))
    assert accrued(OTHER, 1_000, "2024-04-20", "2024-05-05", rules) == 100
    assert accrued(OTHER, 1_000, "2024-03-20", "2024-04-10", rules) == 42


def test_rates_of_zero_switch_penalties_off() -> None:
    rules = Rules(rates=(PenaltyRates(date.min, 0, 0, 0),))
    assert accrued(OTHER, 100_000, "2020-03-25", "2024-03-31", rules) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rules(rates=()), "at least one"),
        (lambda: Rules(rates=(PenaltyRates(day("2024-01-01")), PenaltyRates(day("2024-01-01")))), "2024-01-01"),
        (lambda: PenaltyRates(day("2024-01-01"), -1), "2024-01-01"),
        (lambda: PenaltyRates(day("2024-01-01"), 1_000_001), "millionths"),
        (lambda: PenaltyMinimum(day("2024-01-01"), day("2023-12-31"), 100), "ends before it begins"),
        (lambda: PenaltyMinimum(day("2024-01-01"), None, -1), "negative"),
        (
            lambda: Rules(minimums=(PenaltyMinimum(date.min, None, 1), PenaltyMinimum(day("2024-01-01"), None, 1))),
            "2024-01-01: it overlaps",
        ),
        (lambda: Rules(stale_days=-1), "stale_days"),
    ],
)
def test_impossible_rules_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


# --- the count by intervals against a count day by day

_days = st.dates(date(2019, 6, 1), date(2024, 12, 31))
_rules = st.builds(
    Rules,
    rates=st.lists(st.dates(date(2019, 1, 1), date(2024, 12, 31)), min_size=1, max_size=3, unique=True).flatmap(
        lambda starts: st.tuples(
            *[
                st.builds(
                    PenaltyRates, st.just(start), st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000)
                )
                for start in sorted(starts)
            ]
        )
    ),
    minimums=st.sampled_from([(), (PenaltyMinimum(date.min, None, 100),)]),
    rounding=st.sampled_from(Rounding),
    cap_at_principal=st.booleans(),
)


@st.composite
def _part_paid_bills(draw: st.DrawFn) -> Receivable:
    principal_fen = draw(st.integers(1, 1_000_000))
    left_fen, lines = principal_fen, []
    for paid in draw(st.lists(_days, max_size=4)):
        part_fen = draw(st.integers(0, left_fen))
        left_fen -= part_fen
        lines.append((paid.isoformat(), part_fen, draw(st.integers(0, 5_000))))
        if draw(st.booleans()):
            lines.append((paid.isoformat(), -part_fen, -lines[-1][2]))
            left_fen += part_fen
    return bill("R", 202001, principal_fen, draw(_days).isoformat(), settled=lines)


def _count_day_by_day(row: Receivable, one: Customer, last: date, rules: Rules) -> int:
    residential = one.usage_category == RESIDENTIAL
    total = 0
    today = row.due_date + timedelta(days=1)
    while today <= last:
        base = row.principal_fen - sum(line.principal_fen for line in row.settled if line.paid_date < today)
        in_force = [rates for rates in rules.rates if rates.from_date <= today]
        if in_force and residential:
            total += base * in_force[-1].residential_millionths_per_day
        elif in_force and today.year == row.due_date.year:
            total += base * in_force[-1].other_current_year_millionths_per_day
        elif in_force:
            total += base * in_force[-1].other_prior_year_millionths_per_day
        today += timedelta(days=1)
    if total == 0:
        return 0
    if rules.cap_at_principal:
        total = min(total, row.principal_fen * 1_000_000)
    if rules.minimums:
        total = max(total, 100 * 1_000_000)
    return (total + 500_000) // 1_000_000 if rules.rounding is Rounding.HALF_UP else total // 1_000_000


@given(row=_part_paid_bills(), usage=st.sampled_from([RESIDENTIAL, OTHER]), last=_days, rules=_rules)
def test_intervals_count_what_days_count(row: Receivable, usage: str, last: date, rules: Rules) -> None:
    one = customer(usage=usage)
    assert accrued_fen(row, one, last, rules) == _count_day_by_day(row, one, last, rules)


@given(row=_part_paid_bills(), last=_days, more_days=st.integers(0, 500), mode=st.sampled_from(CrossYearMode))
def test_accrued_penalty_never_shrinks(row: Receivable, last: date, more_days: int, mode: CrossYearMode) -> None:
    rules = Rules(cross_year_mode=mode)
    later = last + timedelta(days=more_days)
    assert accrued_fen(row, customer(), last, rules) <= accrued_fen(row, customer(), later, rules)
