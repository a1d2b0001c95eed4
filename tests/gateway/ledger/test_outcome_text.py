"""Stored outcomes come back as they went, and damaged text says so without its content."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ledger.outcome_text import outcome_from_json, outcome_to_json
from gateway.outcomes import (
    Approved,
    BillsFound,
    Declined,
    Outcome,
    OutcomeClass,
    PaymentState,
    PaymentStatus,
    Reason,
    Receipt,
    ReceiptLine,
    Undo,
    UndoResult,
    Unknown,
)
from protocols.money import Money

from .worlds import day

_unknown = [reason for reason in Reason if reason.outcome_class is OutcomeClass.UNKNOWN_OUTCOME]
_known = [reason for reason in Reason if reason not in _unknown]
_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
_money = st.builds(Money, st.integers(-(10**14), 10**14), st.sampled_from(["CNY", "HKD"]))
_details = st.one_of(
    st.none(),
    st.builds(
        Receipt,
        st.lists(st.builds(ReceiptLine, _text, st.integers(190001, 299912), _money, _money), max_size=3).map(tuple),
        _money,
    ),
    st.builds(Undo, st.sampled_from(UndoResult), st.none() | _text),
    st.builds(
        PaymentStatus,
        st.sampled_from(PaymentState),
        st.none() | _text,
        st.none() | st.dates(),
        st.none() | _money,
        st.none() | st.sampled_from(Reason),
    ),
)
_outcomes = st.one_of(
    st.builds(Approved, st.dates(), st.none() | _text, st.none() | _money, _details),
    st.builds(Declined, st.sampled_from(_known), _text, st.none() | st.dates()),
    st.builds(Unknown, st.sampled_from(_unknown), _text),
)


@given(outcome=_outcomes)
def test_exact_round_trip(outcome: Outcome) -> None:
    assert outcome_from_json(outcome_to_json(outcome)) == outcome


@given(outcome=_outcomes)
def test_the_order_of_keys_and_white_space_do_not_matter(outcome: Outcome) -> None:
    """A database that keeps JSON as values gives it back in an order and with spaces of its own."""
    text = json.dumps(json.loads(outcome_to_json(outcome)), sort_keys=True, indent=1)
    assert outcome_from_json(text) == outcome


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_stored_by_name(reason: Reason) -> None:
    outcome: Outcome = Unknown(reason) if reason in _unknown else Declined(reason, "field 4", day("2024-05-20"))
    text = outcome_to_json(outcome)
    assert f'"{reason.name}"' in text
    assert outcome_from_json(text) == outcome


def test_the_stored_form_is_pinned() -> None:
    """Stored text outlives versions: if this fails, old rows can't be read any more."""
    receipt = Receipt((ReceiptLine("R04", 202404, Money(30_000), Money(1_500)),), Money(0))
    approved = Approved(day("2024-05-20"), "030000000001", Money(31_500), receipt)
    assert outcome_to_json(approved) == (
        '{"result":"approved","clearing_date":"2024-05-20","reference_no":"030000000001","amount":[31500,"CNY"],'
        '"detail":{"kind":"receipt","lines":[["R04",202404,[30000,"CNY"],[1500,"CNY"]]],"prepayment":[0,"CNY"]}}'
    )
    assert outcome_to_json(Declined(Reason.FENCED)) == (
        '{"result":"declined","reason":"FENCED","note":"","clearing_date":null}'
    )


def test_the_answer_to_an_enquiry_is_not_stored() -> None:
    found = BillsFound("张三", "天河路1号", (), Money(0), Money(0))
    with pytest.raises(ValueError, match="not stored"):
        outcome_to_json(Approved(day("2024-05-20"), detail=found))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"result":"perhaps"}',
        '{"result":"declined","reason":"SECRET-9","note":"","clearing_date":null}',
        '{"result":"declined","reason":"TIMEOUT","note":"","clearing_date":null}',
        '{"result":"unknown","reason":"FENCED","note":""}',
        '{"result":"declined","reason":"FENCED","note":""}',
        '{"result":"declined","reason":"FENCED","note":"","clearing_date":"2024-02-30"}',
        '{"result":"approved","clearing_date":"2024-05-20","reference_no":null,"amount":[1.5,"CNY"],"detail":null}',
        '{"result":"approved","clearing_date":"2024-05-20","reference_no":null,"amount":[1],"detail":null}',
        '{"result":"approved","clearing_date":"2024-05-20","reference_no":null,"amount":null,"detail":{"kind":"x"}}',
    ],
)
def test_damaged_text_is_refused_without_its_content(text: str) -> None:
    with pytest.raises(ValueError, match="not the text of a stored outcome") as caught:
        outcome_from_json(text)
    assert "SECRET" not in str(caught.value)
