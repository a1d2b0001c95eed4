"""A stored outcome as text: what a resend is answered with, kept for ever beside its key.

Strategy: one JSON object with sorted meaning, written and read by one pair of functions for each detail, held in one
table; exact in both directions. Rules: money is [minor units, currency], dates are ISO 8601, enums are their names in
the code. Stored text outlives versions: keys may be added here, never renamed. The answer to a bill enquiry is not
stored (it holds names and addresses, and is computed anew), so it has no text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

from gateway.outcomes import (
    Approved,
    Declined,
    Detail,
    Outcome,
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

_Object = dict[str, Any]
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False)


def outcome_to_json(outcome: Outcome) -> str:
    """`outcome` as compact JSON; raises ValueError for the answer to a bill enquiry, which is never stored."""
    match outcome:
        case Approved():
            content = _approved_to_object(outcome)
        case Declined():
            content = {"result": "declined", "reason": outcome.reason.name, "note": outcome.note}
            content["clearing_date"] = _date_to_text(outcome.clearing_date)
        case Unknown():
            content = {"result": "unknown", "reason": outcome.reason.name, "note": outcome.note}
    return _ENCODER.encode(content)


def outcome_from_json(text: str) -> Outcome:
    """The outcome that `outcome_to_json` wrote; raises ValueError, without the content, where it did not."""
    try:
        content = json.loads(text)
        return _FROM_OBJECT[content["result"]](content)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not the text of a stored outcome ({type(error).__name__})") from None


def _approved_to_object(outcome: Approved) -> _Object:
    return {
        "result": "approved",
        "clearing_date": outcome.clearing_date.isoformat(),
        "reference_no": outcome.reference_no,
        "amount": _money_to_list(outcome.amount),
        "detail": None if outcome.detail is None else _detail_to_object(outcome.detail),
    }


def _approved_from_object(content: _Object) -> Approved:
    detail = content["detail"]
    return Approved(
        date.fromisoformat(content["clearing_date"]),
        content["reference_no"],
        _money_from_list(content["amount"]),
        None if detail is None else _DETAIL_FROM_OBJECT[detail["kind"]](detail),
    )


def _declined_from_object(content: _Object) -> Declined:
    return Declined(Reason[content["reason"]], content["note"], _date_from_text(content["clearing_date"]))


def _unknown_from_object(content: _Object) -> Unknown:
    return Unknown(Reason[content["reason"]], content["note"])


def _detail_to_object(detail: Detail) -> _Object:
    match detail:
        case Receipt():
            return {
                "kind": "receipt",
                "lines": [_line_to_list(line) for line in detail.lines],
                "prepayment": _money_to_list(detail.prepayment),
            }
        case Undo():
            return {
                "kind": "undo",
                "result": detail.result.value,
                "original_reference_no": detail.original_reference_no,
            }
        case PaymentStatus():
            return {
                "kind": "payment_status",
                "state": detail.state.value,
                "reference_no": detail.reference_no,
                "clearing_date": _date_to_text(detail.clearing_date),
                "amount": _money_to_list(detail.amount),
                "refusal": None if detail.refusal is None else detail.refusal.name,
            }
        case _:
            raise ValueError("the answer to a bill enquiry is not stored")


def _receipt_from_object(content: _Object) -> Receipt:
    return Receipt(
        tuple(_line_from_list(line) for line in content["lines"]),
        _some_money(content["prepayment"]),
    )


def _undo_from_object(content: _Object) -> Undo:
    return Undo(UndoResult(content["result"]), content["original_reference_no"])


def _payment_status_from_object(content: _Object) -> PaymentStatus:
    refusal = content["refusal"]
    return PaymentStatus(
        PaymentState(content["state"]),
        content["reference_no"],
        _date_from_text(content["clearing_date"]),
        _money_from_list(content["amount"]),
        None if refusal is None else Reason[refusal],
    )


_FROM_OBJECT: dict[str, Callable[[_Object], Outcome]] = {
    "approved": _approved_from_object,
    "declined": _declined_from_object,
    "unknown": _unknown_from_object,
}
_DETAIL_FROM_OBJECT: dict[str, Callable[[_Object], Detail]] = {
    "receipt": _receipt_from_object,
    "undo": _undo_from_object,
    "payment_status": _payment_status_from_object,
}


def _line_to_list(line: ReceiptLine) -> list[Any]:
    return [line.receivable_id, line.billing_month, _money_to_list(line.principal), _money_to_list(line.penalty)]


def _line_from_list(items: list[Any]) -> ReceiptLine:
    receivable_id, billing_month, principal, penalty = items
    return ReceiptLine(receivable_id, billing_month, _some_money(principal), _some_money(penalty))


def _money_to_list(amount: Money | None) -> list[Any] | None:
    return None if amount is None else [amount.minor, amount.currency]


def _money_from_list(items: list[Any] | None) -> Money | None:
    return None if items is None else _some_money(items)


def _some_money(items: list[Any]) -> Money:
    minor, currency = items
    return Money(minor, currency)


def _date_to_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date_from_text(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
