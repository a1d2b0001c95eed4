"""What a night found, as values for people, pages and summaries. Nothing here is computed; it is collected.

Customer numbers stay inside the breaks' records, which never show them in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from reconciliation.breaks.kinds import TREATMENTS, BreakKind
from reconciliation.breaks.model import Break, masked
from reconciliation.identity import Identity
from reconciliation.matching.totals import GroupTotal


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What became of the bank's settlement file. `reasons` are (Chinese, English), in the order of the checks."""

    name: str
    sequence: int
    verdict: str  # accepted, refused, missing
    failed_check: str = ""
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BankResult:
    """One bank's night. `failure` is the identity that does not hold, as a line; then nothing was recorded."""

    bank: str
    file: FileVerdict
    matched: int = 0
    netted: int = 0
    bank_net_fen: int = 0
    utility_net_fen: int = 0
    totals: tuple[GroupTotal, ...] = ()
    breaks: tuple[Break, ...] = ()
    identities: tuple[Identity, ...] = ()
    failure: str = ""

    @property
    def is_reconciled(self) -> bool:
        """A file was matched and every identity holds."""
        return bool(self.identities) and not self.failure

    def breaks_by_kind(self) -> Mapping[BreakKind, tuple[int, int]]:
        """Kind to (count, sum of the effects in fen), in the order of the kinds' table."""
        counted: dict[BreakKind, tuple[int, int]] = {}
        for kind in BreakKind:
            of_kind = [found.difference_fen for found in self.breaks if found.kind is kind]
            if of_kind:
                counted[kind] = (len(of_kind), sum(of_kind))
        return counted


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """The receipts report as issued: paths and identities; or why it was refused."""

    paths: tuple[Path, ...] = ()
    identities: tuple[Identity, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class NightResult:
    """A night of one clearing date over all its banks."""

    clearing_date: date
    banks: tuple[BankResult, ...]
    report: ReportFiles

    @property
    def failures(self) -> tuple[str, ...]:
        """What must wake somebody: identities that do not hold, a report that was refused."""
        failed = [bank.failure for bank in self.banks if bank.failure]
        return (*failed, self.report.refused) if self.report.refused else tuple(failed)

    @property
    def is_ok(self) -> bool:
        """Every identity holds. A file that a bank has to send again is a break, not a failure."""
        return not self.failures

    def identities(self) -> Mapping[str, bool]:
        """Name to truth, of all banks and the report."""
        named = {f"{bank.bank} {item.name}": item.holds for bank in self.banks for item in bank.identities}
        named.update({f"{bank.bank} tie-out": False for bank in self.banks if bank.failure})
        named.update({f"receipts {item.name}": item.holds for item in self.report.identities})
        if self.report.refused:
            named["receipts report issued"] = False
        return named


def break_rows(breaks: Sequence[Break], as_of: date) -> list[dict[str, Any]]:
    """Breaks for a page or a summary: customers masked, the payment's trace, age and proposed treatment."""
    rows = []
    for found in breaks:
        record = found.record
        treatment = TREATMENTS[found.treatment(as_of)]
        rows.append(
            {
                "break_id": found.break_id,
                "bank": found.bank,
                "clearing_date": found.clearing_date.isoformat(),
                "kind": found.kind.value,
                "trace_date": record.key_date.isoformat() if record else "",
                "trace_no": record.key_no if record else "",
                "customer": masked(record.customer_no) if record else "",
                "difference_fen": found.difference_fen,
                "age_days": found.age_days(as_of),
                "treatment": found.treatment(as_of).value,
                "treatment_chinese": treatment.chinese,
                "treatment_english": treatment.english,
                "needs_second_person": treatment.moves_money,
                "explanation_chinese": found.explanation_chinese,
                "explanation_english": found.explanation_english,
                "supersedes": found.supersedes or "",
                "proposed_match": found.proposed_match or "",
            }
        )
    return rows
