"""What the bank was told, as an acknowledgement log: JSON lines by which the utility's ledger can be held to its word.

Strategy: one line an entry of the bank's own book; nobody is named in it. `success` is what the utility said yes to,
`final_refusal` what it refused, fenced, or found nothing to undo for, `unknown_outcome` what nobody has settled. A line
tells what the bank was told and nothing else: where a payment's own reply was lost and only its reversal's reply proved
that it had been booked, reference number and clearing date are null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from busbar.bank.book import Book, BookEntry, EntryKind, EntryState
from busbar.bank.config import BankSetup
from protocols.money import CURRENCY

_KINDS = {EntryKind.PAY: "PAYMENT", EntryKind.CANCEL: "SAME_DAY_CANCEL", EntryKind.REVERSAL: "REVERSAL"}
_OUTCOME_CLASSES = {
    EntryState.ACCEPTED: "success",
    EntryState.RETURNED: "final_refusal",
    EntryState.BOOKED: "unknown_outcome",
    EntryState.SUSPECT: "unknown_outcome",
}


def acknowledgement_lines(setup: BankSetup) -> Iterator[str]:
    """One JSON object for every entry of the bank's book, without the end of line."""
    book = Book(setup.book_file)
    try:
        for state in EntryState:
            for entry in book.in_state(state):
                yield json.dumps(_line(setup.code, entry), sort_keys=True)
    finally:
        book.close()


def _line(bank: str, entry: BookEntry) -> dict[str, object]:
    is_told = entry.state is EntryState.ACCEPTED and bool(entry.reference_no)
    return {
        "bank": bank,
        "kind": _KINDS[entry.kind],
        "trace_date": entry.trace_date.isoformat(),
        "trace_no": entry.trace_no,
        "amount_minor": entry.amount_fen,
        "currency": CURRENCY,
        "reference_no": entry.reference_no if is_told else None,
        "clearing_date": entry.clearing_date.isoformat() if is_told and entry.clearing_date else None,
        "outcome_class": _OUTCOME_CLASSES[entry.state],
    }
