"""The end of a bank's night for unresolved money: what its file closes, and which suspects are real from now on.

Strategy: after the day's breaks are stored, suspect breaks of earlier days that no file up to T+2 has answered give way
to real ones; then every row that was open at the match is judged, and its events are written. All of it may be done
again: breaks are named by what they describe, and events are unique.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciliation.breaks.build import real_break
from reconciliation.breaks.kinds import BreakKind
from reconciliation.context import Night
from reconciliation.store import StoredBreak
from reconciliation.unresolved.judge import Key, Known, OpenRow, judge
from reconciliation.unresolved.rows import clearing_days, write_events

_GONE = ("withdrawn", "superseded")


async def settle(night: Night, bank: str, file_name: str, rows: Iterable[OpenRow], in_file: frozenset[Key]) -> None:
    """Judge `rows`, the bank's open ones, by a file that was matched and whose breaks are stored."""
    stored = await night.store.breaks(bank=bank)
    known = Known(
        clearing_date=night.clearing_date,
        file_name=file_name,
        in_file=in_file,
        bank_alone=_alone(stored, "BANK"),
        utility_alone=_alone(stored, "UTILITY"),
        clearing_days=await clearing_days(night.setup.source),
        read_days=frozenset({*await night.store.reconciled_days(bank), night.clearing_date}),
    )
    known = await _make_real(night, stored, known)
    events = [(row, event) for row in rows for event in judge(row, known)]
    await write_events(night.setup.source, events, night.now())


async def _make_real(night: Night, stored: Iterable[StoredBreak], known: Known) -> Known:
    """Real breaks in the place of suspects whose absence counts now; what is known, with these instead."""
    suspects = [item.found for item in stored if item.found.kind is BreakKind.SUSPECT and item.state == "open"]
    real = [real_break(found) for found in suspects if known.absence_counts(found.seen_from)]
    if not real:
        return known
    await night.store.supersede_breaks(night.claim, real)
    alone = dict(known.utility_alone)
    for found in real:
        if found.record is not None:
            alone[found.record.direction, found.record.key_date, found.record.key_no] = found.break_id
    return replace(known, utility_alone=alone)


def _alone(stored: Iterable[StoredBreak], side: str) -> dict[Key, str]:
    """Key to break id of what one side alone has, as it stands."""
    return {
        (item.found.record.direction, item.found.record.key_date, item.found.record.key_no): item.found.break_id
        for item in stored
        if item.found.side == side and item.state not in _GONE and item.found.record is not None
    }
