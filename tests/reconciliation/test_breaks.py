"""Kinds, treatments, ids, masks and look-ups of breaks, each by its table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from reconciliation.breaks.build import build_breaks, file_error, finish
from reconciliation.breaks.kinds import KINDS, PROPOSALS, TREATMENTS, BillState, BreakKind, Treatment, propose
from reconciliation.breaks.lookups import Bill, LookUps, read_lookups
from reconciliation.breaks.model import Break, Record, masked, record_from_json
from reconciliation.result import break_rows

DAY = date(2024, 4, 3)
RECORD = Record(
    direction="PAY",
    kind="PAY",
    trace_date=DAY,
    trace_no="000000000001",
    customer_no="0600012345",
    amount_fen=1000,
    clearing_date=DAY,
    key_date=DAY,
    key_no="000000000001",
    receivable_ids="R1 R2",
    line_no=2,
)
BANK_ONLY = Break("BANKA", DAY, BreakKind.BANK_ONLY, 1000, bank_record=RECORD, side="BANK")


def test_every_kind_has_words_and_a_treatment_of_last_resort() -> None:
    assert set(KINDS) == set(BreakKind)
    assert set(TREATMENTS) == set(Treatment)
    assert {row.treatment for row in PROPOSALS} == set(Treatment)
    for kind in BreakKind:
        for state in BillState:
            for side in ("", "BANK", "UTILITY"):
                assert propose(kind, bill_state=state, side=side, netted_over_days=False, age_days=0) in TREATMENTS


# Kind, bill state, side, netted over days, age, and the treatment that is proposed.
CASES = [
    ("BANK_ONLY", "OPEN", "BANK", False, 0, "LATE_POST"),
    ("BANK_ONLY", "SETTLED", "BANK", False, 0, "REFUND_OR_PREPAYMENT"),
    ("BANK_ONLY", "NOT_FOUND", "BANK", False, 0, "SUSPENSE"),
    ("BANK_ONLY", "OPEN", "BANK", False, 9, "LATE_POST"),
    ("UTILITY_ONLY", "", "UTILITY", False, 0, "HOLD"),
    ("UTILITY_ONLY", "", "UTILITY", False, 1, "HOLD"),
    ("UTILITY_ONLY", "", "UTILITY", False, 2, "ASK_THEN_REVERSE"),
    ("SUSPECT", "", "UTILITY", False, 0, "WAIT_OR_ASK"),
    ("SUSPECT", "", "UTILITY", False, 2, "WAIT_OR_ASK"),
    ("AMOUNT_MISMATCH", "", "", False, 0, "REVERSE_AND_REPOST"),
    ("DUPLICATE_BANK", "", "BANK", False, 0, "REFUND_OR_PREPAYMENT"),
    ("DUPLICATE_UTILITY", "", "UTILITY", False, 0, "REVERSE_SECOND"),
    ("CROSS_DAY", "", "BANK", False, 0, "MOVE_SETTLEMENT"),
    ("STATUS_MISMATCH", "", "BANK", False, 0, "REVERSE_AT_UTILITY"),
    ("STATUS_MISMATCH", "", "UTILITY", False, 0, "POST_AGAIN"),
    ("STATUS_MISMATCH", "", "UTILITY", True, 0, "CLOSE_NETTED"),
    ("CUSTOMER_MISMATCH", "", "", False, 0, "REPOST_TO_CUSTOMER"),
    ("CHANNEL_MISMATCH", "", "", False, 0, "CORRECT_ATTRIBUTE"),
    ("FILE_ERROR", "", "", False, 0, "ASK_FILE_AGAIN"),
]


@pytest.mark.parametrize(("kind", "state", "side", "netted", "age", "treatment"), CASES)
def test_treatments(kind: str, state: str, side: str, netted: bool, age: int, treatment: str) -> None:
    proposed = propose(BreakKind(kind), bill_state=BillState(state), side=side, netted_over_days=netted, age_days=age)
    assert proposed.value == treatment


def test_id_is_what_a_break_describes() -> None:
    assert BANK_ONLY.break_id == replace(BANK_ONLY, bill_state=BillState.OPEN, proposed_match="x").break_id
    assert BANK_ONLY.break_id == replace(BANK_ONLY, bank_record=replace(RECORD, line_no=99)).break_id


@pytest.mark.parametrize(
    "other",
    [
        replace(BANK_ONLY, bank="BANKB"),
        replace(BANK_ONLY, clearing_date=date(2024, 4, 4)),
        replace(BANK_ONLY, kind=BreakKind.DUPLICATE_BANK),
        replace(BANK_ONLY, bank_record=replace(RECORD, amount_fen=1001)),
        replace(BANK_ONLY, bank_record=None, utility_record=RECORD),
        replace(BANK_ONLY, rank=2),
    ],
)
def test_another_break_has_another_id(other: Break) -> None:
    assert other.break_id != BANK_ONLY.break_id


def test_records_survive_the_database() -> None:
    assert record_from_json(RECORD.to_json()) == RECORD


@pytest.mark.parametrize(
    ("number", "shown"),
    [("0600012345", "******2345"), ("12345678", "********"), ("123456789", "*****6789"), ("", "")],
)
def test_masks(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_no_customer_number_shows() -> None:
    assert "0600012345" not in repr(BANK_ONLY)
    assert "R1" not in repr(BANK_ONLY)
    told = str(break_rows([finish(BANK_ONLY)], DAY))
    assert "0600012345" not in told
    assert "******2345" in told


def look_ups(**received: int) -> LookUps:
    bills = {
        name: Bill(name, "0600012345", 202403, 600 if name == "R1" else 400, 0, received.get(name, 0))
        for name in ("R1", "R2")
    }
    return LookUps(bills=bills)


STATES: list[tuple[Record, LookUps, BillState]] = [
    (RECORD, look_ups(), BillState.OPEN),
    (RECORD, look_ups(R1=600), BillState.SETTLED),
    (RECORD, look_ups(R1=100), BillState.OPEN),
    (replace(RECORD, receivable_ids="R1 R9"), look_ups(), BillState.NOT_FOUND),
    (replace(RECORD, customer_no="0600000000"), look_ups(), BillState.NOT_FOUND),
    (replace(RECORD, receivable_ids=None), look_ups(), BillState.OPEN),
    (replace(RECORD, receivable_ids=None), look_ups(R1=600, R2=400), BillState.SETTLED),
    (replace(RECORD, receivable_ids=None, customer_no="0600000000"), look_ups(), BillState.NOT_FOUND),
]


@pytest.mark.parametrize(("record", "lookups", "state"), STATES)
def test_state_of_the_bills(record: Record, lookups: LookUps, state: BillState) -> None:
    assert lookups.bill_state(record) is state


def line(trace_no: str, fen: int) -> dict[str, Any]:
    return {"trace_date": DAY, "trace_no": trace_no, "receivable_id": "R1", "principal_fen": fen}


# Lines of the file on the bill (principal 600), what it had received before, and whether that is one payment too many.
PAID = [
    ([line("1", 600), line("2", 600)], 0, True),
    ([line("1", 300), line("2", 300)], 0, False),  # part payments are no duplicates
    ([line("1", 300), line("2", 301)], 0, True),
    ([line("1", 600)], 0, False),
    ([line("1", 600), line("1", 600)], 0, False),  # one trace: found by the repeated trace already
    ([line("1", 600), line("2", 600)], 600, False),  # it owed nothing when the day began: settled, no duplicate
]


@pytest.mark.parametrize(("lines", "before", "twice"), PAID)
def test_a_bill_paid_twice_in_one_file(lines: list[dict[str, Any]], before: int, twice: bool) -> None:
    bill = {
        "receivable_id": "R1",
        "customer_no": "0600012345",
        "billing_month": 202403,
        "principal_fen": 600,
        "received_before_fen": before,
        "received_fen": 600,
    }
    lookups = read_lookups([bill], [], lines)
    assert lookups.is_paid_twice(replace(RECORD, receivable_ids="R1")) is twice


def test_file_error_says_why_in_both_languages() -> None:
    found = file_error("BANKA", DAY, "x.txt abc HEADER_COUNT", "笔数不符", "the counts differ")
    assert found.explanation_chinese.endswith("笔数不符")
    assert found.explanation_english.endswith("the counts differ")
    assert found.treatment(DAY) is Treatment.ASK_FILE_AGAIN


def test_no_differences_no_breaks() -> None:
    assert build_breaks("BANKA", DAY, [], [], LookUps()) == ()
