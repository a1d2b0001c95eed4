"""The pool of neighbouring days, and the ages at which a break changes its standing.

Strategy: what one side alone has may turn up in another day's file, nearly always the next one. The same trace is the
same payment however late it is filed, so the pool of a day's match is every one-sided break of a month before and after
that is still open (after, because a file can come late: then the later days were matched first). At T+2 absence counts
and a break is treated as real; at T+5 somebody's superior hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from reconciliation.breaks.kinds import ESCALATED_AFTER_DAYS, TREATED_AS_REAL_AFTER_DAYS, BreakKind
from reconciliation.breaks.model import Break

POOL_DAYS = 31
MARKS = ((TREATED_AS_REAL_AFTER_DAYS, "T+2"), (ESCALATED_AFTER_DAYS, "T+5"))
_POOLED = (BreakKind.BANK_ONLY, BreakKind.UTILITY_ONLY, BreakKind.SUSPECT, BreakKind.STATUS_MISMATCH)


def pool_window(clearing_date: date) -> tuple[date, date]:
    """First and last clearing date whose open breaks a day's match may look at."""
    return clearing_date - timedelta(days=POOL_DAYS), clearing_date + timedelta(days=POOL_DAYS)


def pool_rows(breaks: Iterable[Break]) -> Iterator[Mapping[str, Any]]:
    """One-sided breaks as rows of the pool's evidence."""
    for found in breaks:
        record = found.record
        if found.kind not in _POOLED or not found.side or record is None or found.netted_over_days:
            continue
        yield {
            "break_id": found.break_id,
            "side": found.side,
            "direction": record.direction,
            "key_date": record.key_date,
            "key_no": record.key_no,
            "clearing_date": found.clearing_date,
            "customer_no": record.customer_no,
            "amount_fen": record.amount_fen,
            "reference_no": record.reference_no if found.side == "UTILITY" else None,
            "receivable_ids": record.receivable_ids,
            "record": record.to_json(),
        }


def age_marks(breaks: Iterable[Break], as_of: date) -> Iterator[tuple[str, str]]:
    """(break id, mark) for every age that an open break has reached by `as_of`."""
    for found in breaks:
        for days, mark in MARKS:
            if found.age_days(as_of) >= days:
                yield found.break_id, mark
