"""The demo's verdict and `summary.json`: what was planted against what was found, and every identity.

Strategy: a difference is named by bank, kind and the payment's trace. The open breaks after the last night must be the
planted ones, each once, and nothing else; a planted difference that was not found and a break that nobody planted are
both complaints. Only if there is none, and every identity holds, is the demo a success.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from busbar.demo.ledger_facts import LedgerFacts
from reconciliation.breaks.kinds import BreakKind
from reconciliation.result import NightResult
from reconciliation.store import StoredBreak
from reconciliation.unresolved.rows import Unresolved

# The ways in which the simulated banks' stories end what they lost a reply for.
WAYS_PLAYED = ("RESEND", "STATUS_ENQUIRY", "REVERSAL", "SETTLEMENT_FILE")
Named = tuple[str, str, str, str]  # bank, kind, trace date, trace number


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict. `planted` and `found` are by name; complaints are lines for people."""

    planted: Counter[Named]
    found: Counter[Named]
    identities: Mapping[str, bool]
    complaints: tuple[str, ...]
    operations: int

    @property
    def is_ok(self) -> bool:
        return not self.complaints


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the demo saw: the banks' own accounts of their days and files, the nights, the breaks, the ledger."""

    played: Sequence[Mapping[str, Any]]
    planted: Sequence[Mapping[str, Any]]
    nights: Sequence[NightResult]
    breaks: Sequence[StoredBreak]
    facts: LedgerFacts
    unresolved: Sequence[Unresolved]


def check(seen: Seen) -> Outcome:
    """Hold everything against everything."""
    played, nights, facts = seen.played, seen.nights, seen.facts
    wanted = Counter(
        (str(file["bank"]), str(item["kind"]), str(item["trace_date"]), str(item["trace_no"]))
        for file in seen.planted
        for item in file["planted"]
    )
    found = Counter(_name(item) for item in seen.breaks)
    wanted = _as_the_utility_may_know(wanted, found)
    identities: dict[str, bool] = {}
    for night in nights:
        for name, holds in night.identities().items():
            # The report's identities are checked on every row of it; one line here for each equation.
            equation = f"{night.clearing_date} {name.split(' (')[0]}"
            identities[equation] = identities.get(equation, True) and holds
    identities |= {f"ledger {name.replace('_', ' ')} is zero": value == 0 for name, value in facts.must_be_zero.items()}
    identities["planted differences are the open breaks"] = wanted == found
    identities |= _unresolved_identities(seen, wanted)
    complaints = [f"planted, not found: {' '.join(name)}" for name in (wanted - found).elements()]
    complaints += [f"found, not planted: {' '.join(name)}" for name in (found - wanted).elements()]
    complaints += [f"does not hold: {name}" for name, holds in identities.items() if not holds]
    complaints += [f"{bank['bank']} was surprised: {line}" for bank in played for line in bank["surprises"]]
    complaints += [f"{night.clearing_date}: {line}" for night in nights for line in night.failures]
    operations = sum(count for bank in played for *_, count in bank["tally"])
    return Outcome(wanted, found, identities, tuple(complaints), operations)


def _as_the_utility_may_know(planted: Counter[Named], found: Counter[Named]) -> Counter[Named]:
    """A reply that left just before the line broke counts as delivered: TCP can't tell. Then the same payment, missing
    from the file, is one-sided instead of in doubt; it has to be found all the same, under its trace.
    """
    known: Counter[Named] = Counter()
    for (bank, kind, *trace), count in planted.items():
        one_sided: Named = (bank, BreakKind.UTILITY_ONLY.value, trace[0], trace[1])
        name: Named = (bank, kind, trace[0], trace[1])
        is_doubt = kind == BreakKind.SUSPECT and name not in found and one_sided in found
        known[one_sided if is_doubt else name] += count
    return known


def _unresolved_identities(seen: Seen, planted: Counter[Named]) -> dict[str, bool]:
    """Every lost reply came to its end, in each of the ways; only what the banks left out waits for its T+2 file."""
    suspects = {name for name in planted if name[1] == BreakKind.SUSPECT}
    waiting = {
        (one.bank, "SUSPECT", one.trace_date.isoformat(), one.trace_no) for one in seen.unresolved if one.is_open
    }
    closed = {one.closed_by for one in seen.unresolved}
    return {
        "unresolved money is closed, or waits for its T+2 file": waiting == suspects,
        **{f"unresolved money was closed by {way}": way in closed for way in WAYS_PLAYED},
    }


def unresolved_summary(unresolved: Sequence[Unresolved], last_day: date) -> dict[str, Any]:
    """Closed by way of closing; open, and of these what waits for its T+2 file."""
    opened = [one for one in unresolved if one.is_open]
    waiting = [one for one in opened if one.absent_days is not None and (last_day - one.clearing_date).days < 2]
    return {
        "closed": dict(sorted(Counter(str(one.closed_by) for one in unresolved if not one.is_open).items())),
        "waiting_for_t2": len(waiting),
        "open": len(opened) - len(waiting),
    }


def _name(item: StoredBreak) -> Named:
    record = item.found.record
    trace = (record.key_date.isoformat(), record.key_no) if record else ("", "")
    return (item.found.bank, item.found.kind.value, *trace)


def write_summary(path: Path, seen: Seen, outcome: Outcome, seconds: float) -> Path:
    """`summary.json`: banks, operations by kind and outcome, payments, amount, breaks, identities, reports."""
    played, nights, facts = seen.played, seen.nights, seen.facts
    operations: dict[str, Counter[str]] = {}
    for bank in played:
        for kind, meaning, _, count in bank["tally"]:
            operations.setdefault(kind, Counter())[meaning] += count
    summary = {
        "banks": sorted({str(bank["bank"]) for bank in played}),
        "clearing_dates": [night.clearing_date.isoformat() for night in nights],
        "operations": {kind: dict(sorted(counted.items())) for kind, counted in sorted(operations.items())},
        "operations_total": outcome.operations,
        "payments": facts.payments,
        "amount": {"minor": facts.amount_fen, "currency": "CNY"},
        "breaks": dict(sorted(Counter(item.found.kind.value for item in seen.breaks).items())),
        "unresolved": unresolved_summary(seen.unresolved, nights[-1].clearing_date),
        "identities": dict(outcome.identities),
        "reports": [f"reports/{path.name}" for night in nights for path in night.report.paths],
        "seconds": round(seconds, 1),
        "ok": outcome.is_ok,
        "complaints": list(outcome.complaints),
    }
    path.write_text(json.dumps(summary, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path
