"""From rows of the match to breaks: the last judgement that needs our own books, then words and proposals.

Strategy: the match gives every differing row a kind; here a bank-only entry may still turn out to be the bank's
duplicate (`lookups`), and a payment that we alone have is SUSPECT while its end is in doubt (`suspects`) until the real
break takes its place at the T+2 file. Nothing else changes a kind, and nothing changes an amount, so the effects go on
adding up to the day's difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from reconciliation.breaks.explain import explain
from reconciliation.breaks.kinds import BreakKind
from reconciliation.breaks.lookups import LookUps
from reconciliation.breaks.model import Break, record_from_json, record_from_row

Trace = tuple[date, str]  # a payment's trace date and number
_ONE_SIDED = (BreakKind.BANK_ONLY, BreakKind.UTILITY_ONLY, BreakKind.SUSPECT)


def build_breaks(
    bank: str,
    clearing_date: date,
    differences: Iterable[Mapping[str, Any]],
    proposals: Sequence[Mapping[str, Any]],
    lookups: LookUps,
    *,
    suspects: Collection[Trace] = (),
) -> tuple[Break, ...]:
    """The day's breaks in the order of the rows, explained, with key-2 proposals by break id.

    `suspects` are the traces of payments whose end is in doubt.
    """
    found = [_judged(_from_row(bank, clearing_date, row), lookups, suspects) for row in differences]
    partners = _partners(found, proposals)
    return tuple(finish(replace(item, proposed_match=partners.get(item.break_id))) for item in found)


def file_error(bank: str, clearing_date: date, detail: str, chinese: str, english: str) -> Break:
    """The break of a settlement file that is missing or failed a check; `detail` names file, digest and check."""
    found = Break(bank, clearing_date, BreakKind.FILE_ERROR, 0, detail=detail)
    general = explain(found)
    return replace(
        found,
        explanation_chinese=f"{general[0]}: {chinese}",
        explanation_english=f"{general[1]}: {english}",
    )


def finish(found: Break) -> Break:
    """The break with its explanations."""
    chinese, english = explain(found)
    return replace(found, explanation_chinese=chinese, explanation_english=english)


def _from_row(bank: str, clearing_date: date, row: Mapping[str, Any]) -> Break:
    kind = BreakKind(row["verdict"])
    records = {"bank": record_from_row(row, "bank"), "utility": record_from_row(row, "utility")}
    first_seen, supersedes, netted = None, None, False
    if kind is BreakKind.CROSS_DAY and row["pool_record"] is not None:
        records["bank" if row["pool_side"] == "BANK" else "utility"] = record_from_json(row["pool_record"])
        first_seen, supersedes = min(row["pool_clearing_date"], clearing_date), row["pool_break_id"]
    elif kind is BreakKind.STATUS_MISMATCH and row["related_break_id"] is not None:
        # The undo answers a payment that only its own side had: both days together are as if neither had been.
        own = records["bank"] or records["utility"]
        netted = own is not None and own.amount_fen == row["related_amount_fen"]
        supersedes = row["related_break_id"] if netted else None
    return Break(
        bank=bank,
        clearing_date=clearing_date,
        kind=kind,
        difference_fen=row["difference_fen"],
        bank_record=records["bank"],
        utility_record=records["utility"],
        rank=row["rank"],
        side="" if row["side"] == "BOTH" else row["side"],
        first_seen_date=first_seen,
        supersedes=supersedes,
        netted_over_days=netted,
        differs=row["differs"],
    )


def real_break(suspect: Break) -> Break:
    """What takes the place of a SUSPECT break that no file up to T+2 has answered: the same entry, ours alone.

    It keeps the day on which it was first seen, so that its age goes on.
    """
    return finish(
        replace(
            suspect,
            kind=BreakKind.UTILITY_ONLY,
            first_seen_date=suspect.seen_from,
            supersedes=suspect.break_id,
            proposed_match=None,
        )
    )


def _judged(found: Break, lookups: LookUps, suspects: Collection[Trace]) -> Break:
    record = found.utility_record
    if found.kind is BreakKind.UTILITY_ONLY and record is not None and (record.key_date, record.key_no) in suspects:
        return replace(found, kind=BreakKind.SUSPECT)
    if found.kind is not BreakKind.BANK_ONLY or found.bank_record is None:
        return found
    if lookups.posted_on(found.bank_record) is not None or lookups.is_paid_twice(found.bank_record):
        return replace(found, kind=BreakKind.DUPLICATE_BANK)
    return replace(found, bill_state=lookups.bill_state(found.bank_record))


def _partners(found: Sequence[Break], proposals: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Break id to the id of the break that may be its other half. Several candidates: the first in key order."""
    by_key = {
        (item.side, item.record.key_date, item.record.key_no): item.break_id
        for item in found
        if item.record is not None and item.kind in _ONE_SIDED
    }
    partners: dict[str, str] = {}
    for row in proposals:
        bank = row["bank_break_id"] or by_key.get(("BANK", row["bank_key_date"], row["bank_key_no"]))
        utility = row["utility_break_id"] or by_key.get(("UTILITY", row["utility_key_date"], row["utility_key_no"]))
        if bank is None or utility is None or bank in partners or utility in partners:
            continue
        partners[bank], partners[utility] = utility, bank
    return partners
