"""Random days with planted differences: the break list is exactly the planted list, and every identity holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciliation.breaks.ageing import pool_rows
from reconciliation.breaks.kinds import BreakKind
from reconciliation.breaks.model import Break, Record

YESTERDAY = date(2024, 4, 2)
BANK = "BANKA"
# What a planter leaves to be found: (kind, effect in fen), several where one mistake shows twice.
Planted = list[tuple[str, int]]
Planter = Callable[[Any, str, int], Planted]


def pooled(day: Any, side: str, trace_no: str, fen: int, direction: str = "PAY") -> None:
    """An open break of yesterday: `side` has the entry, the other has not."""
    record = Record(
        direction=direction,
        kind="PAY" if side == "BANK" else "PAYMENT",
        trace_date=YESTERDAY,
        trace_no=trace_no,
        customer_no="0600012345",
        amount_fen=fen,
        clearing_date=YESTERDAY,
        key_date=YESTERDAY,
        key_no=trace_no,
    )
    kind = BreakKind.BANK_ONLY if side == "BANK" else BreakKind.UTILITY_ONLY
    records = {"bank_record": record} if side == "BANK" else {"utility_record": record}
    sign = 1 if side == "BANK" else -1
    day.pool += pool_rows([Break(BANK, YESTERDAY, kind, sign * fen, side=side, **records)])


def matched(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.ours(trace, fen)
    return []


def matched_of_two_bills(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen, receivable_id="RA")
    day.bank(trace, fen + 1, receivable_id="RB")
    day.ours(trace, 2 * fen + 1)
    return []


def cancelled_on_both(day: Any, trace: str, fen: int) -> Planted:
    original = day.ours(trace, fen)
    day.ours(f"{trace}c", fen, "SAME_DAY_CANCEL", of=original)
    day.bank(trace, fen)
    day.bank(f"{trace}d", fen, "CANCEL", original_reference_no=original["reference_no"])
    return []


def reversed_on_both_with_the_payments_own_trace(day: Any, trace: str, fen: int) -> Planted:
    day.ours(trace, fen, "REVERSAL", of=day.ours(trace, fen))
    day.bank(trace, fen)
    day.bank(trace, fen, "REVERSAL")
    return []


def cancelled_on_both_and_shown_by_none(day: Any, trace: str, fen: int) -> Planted:
    day.ours(f"{trace}c", fen, "SAME_DAY_CANCEL", of=day.ours(trace, fen))
    return []


def bank_only(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    return [("BANK_ONLY", fen)]


def utility_only(day: Any, trace: str, fen: int) -> Planted:
    day.ours(trace, fen)
    return [("UTILITY_ONLY", -fen)]


def amount(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen + 54)
    day.ours(trace, fen)
    return [("AMOUNT_MISMATCH", 54)]


def customer(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.ours(trace, fen, customer_no="0600099999")
    return [("CUSTOMER_MISMATCH", 0)]


def channel(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.ours(trace, fen, channel="ATM")
    return [("CHANNEL_MISMATCH", 0)] if day.layout == "pipe" else []


def listed_twice(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.bank(trace, fen)
    day.ours(trace, fen)
    return [("DUPLICATE_BANK", fen)]


def posted_twice(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.ours(trace, fen)
    day.ours(trace, fen, partition=1, customer_no="0600088888")
    return [("DUPLICATE_UTILITY", -fen)]


def undone_by_us(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.ours(f"{trace}r", fen, "REVERSAL", of=day.ours(trace, fen))
    return [("STATUS_MISMATCH", fen)]


def undone_by_bank(day: Any, trace: str, fen: int) -> Planted:
    day.bank(trace, fen)
    day.bank(f"{trace}r", fen, "CANCEL", original_reference_no=day.ours(trace, fen)["reference_no"])
    return [("STATUS_MISMATCH", -fen)]


def filed_late(day: Any, trace: str, fen: int) -> Planted:
    pooled(day, "UTILITY", trace, fen)
    day.bank(trace, fen, trace_date=YESTERDAY)
    return [("CROSS_DAY", fen)]


def filed_early(day: Any, trace: str, fen: int) -> Planted:
    pooled(day, "BANK", trace, fen)
    day.ours(trace, fen, trace_date=YESTERDAY)
    return [("CROSS_DAY", -fen)]


def filed_late_and_reversed_today(day: Any, trace: str, fen: int) -> Planted:
    pooled(day, "UTILITY", trace, fen)
    day.bank(trace, fen, trace_date=YESTERDAY)
    original = {
        "trace_date": YESTERDAY,
        "trace_no": trace,
        "clearing_date": YESTERDAY,
        "reference_no": f"0009{int(trace):08d}",
    }
    day.ours(f"{trace}n", fen, "NEXT_DAY_REVERSAL", of=original)
    return [("CROSS_DAY", fen), ("STATUS_MISMATCH", fen)]


def left_out_and_reversed_today(day: Any, trace: str, fen: int) -> Planted:
    pooled(day, "UTILITY", trace, fen)
    original = {
        "trace_date": YESTERDAY,
        "trace_no": trace,
        "clearing_date": YESTERDAY,
        "reference_no": f"0009{int(trace):08d}",
    }
    day.ours(f"{trace}n", fen, "NEXT_DAY_REVERSAL", of=original)
    return [("STATUS_MISMATCH", fen)]


PLANTERS: tuple[Planter, ...] = (
    matched,
    matched_of_two_bills,
    cancelled_on_both,
    reversed_on_both_with_the_payments_own_trace,
    cancelled_on_both_and_shown_by_none,
    bank_only,
    utility_only,
    amount,
    customer,
    channel,
    listed_twice,
    posted_twice,
    undone_by_us,
    undone_by_bank,
    filed_late,
    filed_early,
    filed_late_and_reversed_today,
    left_out_and_reversed_today,
)
PLANS = st.lists(st.tuples(st.sampled_from(PLANTERS), st.integers(1, 10**9)), min_size=1, max_size=40)


@pytest.mark.parametrize("layout", ["pipe", "bil"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=PLANS, shuffle=st.randoms(use_true_random=False))
def test_breaks_are_exactly_what_was_planted(
    make_day: Callable[..., Any], layout: str, plan: list[tuple[Planter, int]], shuffle: Any
) -> None:
    day = make_day(layout)
    planted: list[tuple[str, str, int]] = []
    for number, (planter, fen) in enumerate(plan, 1):
        trace = f"{number:012d}"
        planted += [(trace, kind, effect) for kind, effect in planter(day, trace, fen)]
    shuffle.shuffle(day.lines)
    for line_no, line in enumerate(day.lines, 2):
        line["line_no"] = line_no
    shuffle.shuffle(day.postings)
    breaks = day.breaks()
    found = [(item.record.key_no, item.kind.value, item.difference_fen) for item in breaks if item.record]
    assert sorted(found) == sorted(planted)
    assert len({item.break_id for item in breaks}) == len(breaks)
    _, equations = day.tie_out(breaks)
    assert [equation for equation in equations if not equation.holds] == []


def test_every_planter_is_used_at_once(make_day: Callable[..., Any]) -> None:
    day = make_day()
    planted = []
    for number, planter in enumerate(PLANTERS, 1):
        planted += [(f"{number:012d}", kind, fen) for kind, fen in planter(day, f"{number:012d}", 100 * number)]
    found = [(item.record.key_no, item.kind.value, item.difference_fen) for item in day.breaks() if item.record]
    assert sorted(found) == sorted(planted)
    assert {kind for _, kind, _ in planted} == {kind.value for kind in BreakKind} - {"FILE_ERROR", "SUSPECT"}


def test_key_2_looks_one_day_around(make_day: Callable[..., Any]) -> None:
    day = make_day()
    day.bank("1", 1000)
    for distance in (1, 2):
        day.pool += pool_rows(
            [
                Break(
                    BANK,
                    day.clearing_date - timedelta(days=distance),
                    BreakKind.UTILITY_ONLY,
                    -1000,
                    side="UTILITY",
                    utility_record=Record(
                        direction="PAY",
                        kind="PAYMENT",
                        trace_date=YESTERDAY,
                        trace_no=f"9{distance}",
                        customer_no="0600012345",
                        amount_fen=1000,
                        clearing_date=day.clearing_date - timedelta(days=distance),
                        key_date=YESTERDAY,
                        key_no=f"9{distance}",
                    ),
                )
            ]
        )
    [row] = day.match().proposals
    assert row["utility_key_no"] == "91"
