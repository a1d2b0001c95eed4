"""How an amount is poured over bills, and how a stale amount is told from a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.allocation import allocate, once_owed, owed_on, total_owed_fen
from gateway.ledger.rules import Rules

from .worlds import bill, customer, day, three_bills

RULES = Rules()
PAID = day("2024-05-20")


@pytest.mark.parametrize(
    ("amount_fen", "shares", "rest_fen"),
    [
        (127_100, [("R03", 50_000, 5_600), ("R04", 30_000, 1_500), ("R05", 40_000, 0)], 0),
        (80_000, [("R03", 50_000, 5_600), ("R04", 22_900, 1_500)], 0),
        (5_000, [("R03", 0, 5_000)], 0),
        (130_000, [("R03", 50_000, 5_600), ("R04", 30_000, 1_500), ("R05", 40_000, 0)], 2_900),
        (55_600, [("R03", 50_000, 5_600)], 0),
        (55_601, [("R03", 50_000, 5_600), ("R04", 0, 1)], 0),
    ],
)
def test_oldest_bill_first_and_penalty_before_principal(
    amount_fen: int, shares: list[tuple[str, int, int]], rest_fen: int
) -> None:
    owed = owed_on(reversed(three_bills()), customer(), PAID, RULES)
    poured, rest = allocate(amount_fen, owed, RULES)
    assert [(s.owed.bill.receivable_id, s.principal_fen, s.penalty_fen) for s in poured if not s.is_empty] == shares
    assert rest == rest_fen


def test_ties_go_by_receivable_id() -> None:
    bills = [bill(name, 202403, 100, "2024-06-25") for name in ("R2", "R1", "R3")]
    assert [one.bill.receivable_id for one in owed_on(bills, customer(), PAID, RULES)] == ["R1", "R2", "R3"]


def test_only_bills_that_owe_something_are_reached() -> None:
    bills = [
        bill("PAID", 202401, 100, "2024-06-25", settled=[("2024-05-01", 100, 0)]),
        bill("PENALTY", 202402, 10_000, "2024-04-10", settled=[("2024-05-20", 10_000, 100)]),
        bill("OPEN", 202403, 100, "2024-06-25"),
    ]
    owed = owed_on(bills, customer(), PAID, RULES)
    # 100.00 x 40 days x 2 per mille = 8.00, of which 1.00 was paid: a bill may owe its penalty alone.
    assert [(one.bill.receivable_id, one.owed_fen) for one in owed] == [("PENALTY", 700), ("OPEN", 100)]


@given(
    amount_fen=st.integers(0, 200_000),
    principals=st.lists(st.integers(1, 50_000), max_size=6),
    due=st.dates(day("2023-06-01"), day("2024-06-30")),
)
def test_nothing_is_lost_and_nobody_pays_ahead(amount_fen: int, principals: list[int], due: object) -> None:
    bills = [bill(f"R{i}", 202301 + i % 3, principal, str(due)) for i, principal in enumerate(principals)]
    owed = owed_on(bills, customer(), PAID, RULES)
    shares, rest_fen = allocate(amount_fen, owed, RULES)
    poured_fen = sum(share.principal_fen + share.penalty_fen for share in shares)
    assert poured_fen + rest_fen == amount_fen
    assert rest_fen == max(0, amount_fen - total_owed_fen(owed))
    assert [share.owed for share in shares] == owed
    for share in shares:
        assert 0 <= share.principal_fen <= share.owed.bill.outstanding_principal_fen
        assert 0 <= share.penalty_fen <= share.owed.penalty_fen
        assert share.principal_fen == 0 or share.penalty_fen == share.owed.penalty_fen
    whole = [share.is_whole for share in shares]
    assert whole == sorted(whole, reverse=True), "a bill was paid whole behind one that was not"
    assert sum(not share.is_whole and not share.is_empty for share in shares) <= 1


@pytest.mark.parametrize(
    ("amount_fen", "stale"),
    [
        pytest.param(31_440, True, id="yesterday"),
        pytest.param(30_000, True, id="before it became overdue"),
        pytest.param(30_100, True, id="on its first overdue day, with the minimum"),
        pytest.param(31_470, False, id="never"),
        pytest.param(31_560, False, id="tomorrow"),
    ],
)
def test_an_amount_of_an_earlier_day_is_stale(amount_fen: int, stale: bool) -> None:
    assert once_owed([amount_fen], three_bills()[1:2], customer(), PAID, RULES) is stale


def test_an_amount_from_before_a_part_payment_is_stale() -> None:
    row = bill("R04", 202404, 30_000, "2024-04-25", settled=[("2024-05-20", 22_900, 1_500)])
    assert once_owed([31_500], [row], customer(), PAID, RULES)
    assert once_owed([31_440], [row], customer(), PAID, RULES)
    assert not once_owed([31_501], [row], customer(), PAID, RULES)


def test_an_amount_from_before_a_cancel_is_stale() -> None:
    lines = [("2024-05-20", 22_900, 1_500), ("2024-05-20", -22_900, -1_500)]
    row = bill("R04", 202404, 30_000, "2024-04-25", settled=lines)
    assert once_owed([7_100], [row], customer(), PAID, RULES)


def test_an_amount_from_before_the_second_bills_payment_is_stale() -> None:
    rows = [three_bills()[1], bill("R05", 202405, 40_000, "2024-05-25", settled=[("2024-05-20", 40_000, 0)])]
    assert once_owed([71_500], rows, customer(), PAID, RULES)
    assert not once_owed([71_501], rows, customer(), PAID, RULES)


def test_the_look_back_is_bounded() -> None:
    row = bill("R03", 202403, 50_000, "2024-03-25")
    owed_at_31_days = 50_000 + 25 * 100
    assert once_owed([owed_at_31_days], [row], customer(), PAID, RULES)
    assert not once_owed([owed_at_31_days - 100], [row], customer(), PAID, RULES)
    assert not once_owed([owed_at_31_days], [row], customer(), PAID, Rules(stale_days=30))
