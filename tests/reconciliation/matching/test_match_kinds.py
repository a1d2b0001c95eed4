"""Each kind of break from the smallest pair of books that shows it, with the identities holding each time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

NEXT_DAY = date(2024, 4, 4)


def both(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("1", 1000)


def bank_only(day: Any) -> None:
    day.bank("1", 1000)


def utility_only(day: Any) -> None:
    day.ours("1", 1000)


def amount(day: Any) -> None:
    day.bank("1", 2060)
    day.ours("1", 2006)


def customer(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("1", 1000, customer_no="0600099999")


def customer_and_amount(day: Any) -> None:
    day.bank("1", 1001)
    day.ours("1", 1000, customer_no="0600099999")


def channel(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("1", 1000, channel="ATM")


def settle_method(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("1", 1000, settle_method="CARD")


def bank_status(day: Any) -> None:
    day.bank("1", 1000, status="FAILED")
    day.ours("1", 1000)


def several_bills(day: Any) -> None:
    day.bank("1", 600, receivable_id="R1")
    day.bank("1", 400, receivable_id="R2")
    day.ours("1", 1000)


def repeated_line(day: Any) -> None:
    day.bank("1", 1000)
    day.bank("1", 1000)
    day.ours("1", 1000)


def repeated_line_of_several_bills(day: Any) -> None:
    day.bank("1", 600, receivable_id="R1")
    day.bank("1", 400, receivable_id="R2")
    day.bank("1", 400, receivable_id="R2")
    day.ours("1", 1000)


def one_trace_of_two_payers(day: Any) -> None:
    day.bank("1", 1000)
    day.bank("1", 500, customer_no="0600077777")
    day.ours("1", 1000)


def posted_twice(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("1", 1000, customer_no="0600077777")
    day.ours("1", 1000, partition=1)


def posted_twice_one_undone(day: Any) -> None:
    day.bank("1", 1000)
    first = day.ours("1", 1000)
    day.ours("1", 1000, partition=1)
    day.ours("9", 1000, "REVERSAL", of=first)


def pair_on_both(day: Any) -> None:
    original = day.ours("1", 1000)
    day.ours("2", 1000, "SAME_DAY_CANCEL", of=original)
    day.bank("1", 1000)
    day.bank("2", 1000, "CANCEL", original_trace_date=original["trace_date"], original_trace_no="1")


def pair_on_ours_alone(day: Any) -> None:
    day.ours("2", 1000, "REVERSAL", of=day.ours("1", 1000))


def pair_at_bank_alone(day: Any) -> None:
    day.bank("1", 1000)
    day.bank("1", 1000, "REVERSAL")


def pair_at_bank_of_unequal_amounts(day: Any) -> None:
    day.bank("1", 1000)
    day.bank("1", 900, "REVERSAL")


def undone_by_us(day: Any) -> None:
    day.bank("1", 1000)
    day.ours("2", 1000, "REVERSAL", of=day.ours("1", 1000))


def undone_by_bank(day: Any) -> None:
    day.bank("1", 1000)
    day.bank("2", 1000, "CANCEL", original_trace_date=day.clearing_date, original_trace_no="1")
    day.ours("1", 1000)


def undo_named_by_reference(day: Any) -> None:
    original = day.ours("1", 1000)
    day.ours("8", 1000, "SAME_DAY_CANCEL", of=original)
    day.bank("1", 1000)
    day.bank("2", 1000, "CANCEL", original_reference_no=original["reference_no"])


def undo_named_by_its_own_trace(day: Any) -> None:
    original = day.ours("1", 1000)
    day.ours("8", 1000, "SAME_DAY_CANCEL", of=original)
    day.bank("1", 1000)
    day.bank("8", 1000, "CANCEL")


def next_day_reversal_on_both(day: Any) -> None:
    earlier = {
        "trace_date": date(2024, 4, 2),
        "trace_no": "1",
        "clearing_date": date(2024, 4, 2),
        "reference_no": "000000009999",
    }
    day.ours("7", 1000, "NEXT_DAY_REVERSAL", of=earlier)
    day.bank("7", 1000, "REVERSAL", original_trace_date=date(2024, 4, 2), original_trace_no="1")


def next_day_reversal_by_us(day: Any) -> None:
    earlier = {
        "trace_date": date(2024, 4, 2),
        "trace_no": "1",
        "clearing_date": date(2024, 4, 2),
        "reference_no": "000000009999",
    }
    day.ours("7", 1000, "NEXT_DAY_REVERSAL", of=earlier)


def deposit(day: Any) -> None:
    """A deposit is a payment without a bill."""
    day.bank("1", 1000, receivable_id=None, billing_month=None)
    day.ours("1", 1000, "PREPAYMENT_DEPOSIT", prepayment_movement_fen=1000)


def deposit_undone_by_us(day: Any) -> None:
    day.bank("1", 1000, receivable_id=None, billing_month=None)
    day.ours("2", 1000, "REVERSAL", of=day.ours("1", 1000, "PREPAYMENT_DEPOSIT"))


def moved_inside_the_ledger(day: Any) -> None:
    """What is applied and withdrawn is no bank's business, even under one of its trace numbers."""
    both(day)
    applied = day.ours("1", 300, "PREPAYMENT_APPLIED", bank="INTERNAL", prepayment_movement_fen=-300)
    day.ours("1", 300, "PREPAYMENT_WITHDRAWN", bank="INTERNAL", of=applied, prepayment_movement_fen=300)


# Books, what must be found as (kind, effect in fen), how many entries match, how many are netted.
CASES: list[tuple[Callable[[Any], None], list[tuple[str, int]], int, int]] = [
    (both, [], 1, 0),
    (bank_only, [("BANK_ONLY", 1000)], 0, 0),
    (utility_only, [("UTILITY_ONLY", -1000)], 0, 0),
    (amount, [("AMOUNT_MISMATCH", 54)], 0, 0),
    (customer, [("CUSTOMER_MISMATCH", 0)], 0, 0),
    (customer_and_amount, [("CUSTOMER_MISMATCH", 1)], 0, 0),
    (channel, [("CHANNEL_MISMATCH", 0)], 0, 0),
    (settle_method, [("CHANNEL_MISMATCH", 0)], 0, 0),
    (bank_status, [("STATUS_MISMATCH", 0)], 0, 0),
    (deposit, [], 1, 0),
    (deposit_undone_by_us, [("STATUS_MISMATCH", 1000)], 1, 0),
    (moved_inside_the_ledger, [], 1, 0),
    (several_bills, [], 1, 0),
    (repeated_line, [("DUPLICATE_BANK", 1000)], 1, 0),
    (repeated_line_of_several_bills, [("DUPLICATE_BANK", 400)], 1, 0),
    (one_trace_of_two_payers, [("DUPLICATE_BANK", 500)], 1, 0),
    (posted_twice, [("DUPLICATE_UTILITY", -1000)], 1, 0),
    (posted_twice_one_undone, [], 1, 2),
    (pair_on_both, [], 2, 0),
    (pair_on_ours_alone, [], 0, 2),
    (pair_at_bank_alone, [], 0, 2),
    (pair_at_bank_of_unequal_amounts, [("BANK_ONLY", 1000), ("STATUS_MISMATCH", -900)], 0, 0),
    (undone_by_us, [("STATUS_MISMATCH", 1000)], 1, 0),
    (undone_by_bank, [("STATUS_MISMATCH", -1000)], 1, 0),
    (undo_named_by_reference, [], 2, 0),
    (undo_named_by_its_own_trace, [], 2, 0),
    (next_day_reversal_on_both, [], 1, 0),
    (next_day_reversal_by_us, [("STATUS_MISMATCH", 1000)], 0, 0),
]


@pytest.mark.parametrize(("fill", "expected", "matched", "netted"), CASES, ids=[case[0].__name__ for case in CASES])
def test_every_kind(
    make_day: Callable[..., Any],
    fill: Callable[[Any], None],
    expected: list[tuple[str, int]],
    matched: int,
    netted: int,
) -> None:
    day = make_day()
    fill(day)
    result = day.match()
    assert (result.matched, result.netted) == (matched, netted)
    breaks = day.breaks(result=result)
    assert sorted((found.kind.value, found.difference_fen) for found in breaks) == sorted(expected)
    _, equations = day.tie_out(breaks)
    assert [equation for equation in equations if not equation.holds] == []
    assert all(found.explanation_chinese and found.explanation_english for found in breaks)


def test_layout_without_channel_shows_no_channel_mismatch(make_day: Callable[..., Any]) -> None:
    day = make_day("bil")
    day.bank("1", 1000)
    day.ours("1", 1000, channel="ATM", settle_method="CARD")
    assert day.breaks() == ()


def test_two_lines_of_one_month_are_two_bills_where_the_layout_shows_no_bill(make_day: Callable[..., Any]) -> None:
    day = make_day("bil")
    day.bank("1", 600)
    day.bank("1", 400)
    day.ours("1", 1000)
    assert day.breaks() == ()


def test_totals_by_the_groups_of_the_layout(make_day: Callable[..., Any]) -> None:
    day = make_day()
    day.bank("1", 1000)
    day.bank("2", 500, channel="ATM", settle_method="CARD")
    day.ours("1", 1000)
    day.ours("3", 700, channel="POS", settle_method="CARD")
    totals = {
        item.group: (item.bank_count, item.bank_fen, item.utility_count, item.utility_fen)
        for item in day.match().totals
    }
    assert totals == {
        (): (2, 1500, 2, 1700),
        ("ATM", "CARD"): (1, 500, 0, 0),
        ("BANK_COUNTER", "CASH"): (1, 1000, 1, 1000),
        ("POS", "CARD"): (0, 0, 1, 700),
    }
