"""The identities can fail: each is broken once, by a side that lies or a break that is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from reconciliation.errors import IdentityFailed
from reconciliation.evidence import LEDGER_DUE_FROM_BANK
from reconciliation.tie_out import check, compute_terms, identities

NET = "bank file net = utility net + differences"
DUE = "due from bank = utility net + treatments"
OPEN = "bank file net - due from bank = open breaks"


def filled(make_day: Callable[..., Any]) -> Any:
    day = make_day()
    day.bank("1", 1000)
    day.ours("1", 1000)
    day.bank("2", 500)
    day.ours("3", 750)
    return day


def failing(day: Any, bank_net_fen: int, breaks: Any) -> list[str]:
    terms = compute_terms(day.write()[1])
    return [item.name for item in identities(terms, bank_net_fen, breaks) if not item.holds]


def test_all_hold(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    assert failing(day, 1500, day.breaks()) == []


def test_file_that_declares_another_net(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    assert failing(day, 1501, day.breaks()) == [NET, OPEN]


def test_break_that_the_match_lost(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    breaks = [found for found in day.breaks() if found.kind.value != "UTILITY_ONLY"]
    assert failing(day, 1500, breaks) == [OPEN, "breaks explain: one-sided with us"]


def test_break_of_another_kind_than_the_evidence_shows(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    breaks = [
        replace(found, kind=type(found.kind)("STATUS_MISMATCH")) if found.side == "BANK" else found
        for found in day.breaks()
    ]
    assert failing(day, 1500, breaks) == [
        "breaks explain: one-sided at the bank",
        "breaks explain: undone on one side",
    ]


def test_entries_that_differ_from_the_postings(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    breaks = day.breaks()
    inputs = day.write()[1]
    due = [{**row, "amount_fen": row["signed_fen"] + (row["trace_no"] == "1")} for row in day.postings]
    day.path("due", LEDGER_DUE_FROM_BANK, due)
    broken = [item.name for item in identities(compute_terms(inputs), 1500, breaks) if not item.holds]
    assert broken == [NET, OPEN]


def test_treatments_settle_on_their_day(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    inputs = day.write()[1]
    due = [{**row, "amount_fen": row["signed_fen"]} for row in day.postings]
    due.append({**due[0], "kind": "LATE_POSTING", "payment_id": 99, "amount_fen": 500})
    day.path("due", LEDGER_DUE_FROM_BANK, due)
    terms = compute_terms(inputs)
    assert (terms.utility_net_fen, terms.treatments_fen, terms.due_from_bank_fen) == (1750, 500, 2250)
    [due_identity] = [item for item in identities(terms, 1500, ()) if item.name == DUE]
    assert due_identity.holds


def test_a_failing_identity_names_both_figures(make_day: Callable[..., Any]) -> None:
    day = filled(make_day)
    terms = compute_terms(day.write()[1])
    with pytest.raises(IdentityFailed, match="1501 fen on its left, 1500 fen on its right"):
        check("BANKA 2024-04-03", identities(terms, 1501, day.breaks()))


async def test_a_bank_whose_identity_fails_is_not_recorded_and_the_night_is_loud(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.pay("BANKB", "000000000001", 700)
    # An entry that does not belong to its payment's amount: the books are wrong, and no file can mend it.
    world.sql(
        "UPDATE ledger_00.entry SET amount_fen = amount_fen + 1 WHERE account = 'DUE_FROM_BANK' AND bank = 'BANKA'"
    )
    world.cut_off(date(2024, 4, 4))
    world.send("BANKA", [world.line("1", 1000)])
    bare = {"channel": None, "settle_method": None, "charge_kind": None}
    world.send("BANKB", [world.line("000000000001", 700, **bare)])
    result = await world.night()
    broken, good = result.banks
    assert "the identity" in broken.failure
    assert good.is_reconciled
    assert not result.is_ok
    assert len(result.failures) == 2  # the bank's, and the report's
    assert "due from bank" in result.report.refused
    assert world.stored_breaks() == []
    assert not list(world.setup.reports_folder.rglob("*"))
