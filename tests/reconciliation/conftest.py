"""Made-up evidence for the night's tests: a small book of each side, written as the Parquet files that a night reads.

Strategy: a `Day` collects bank lines, our postings and the pool of open breaks with short calls, writes them through
the production writer, and runs the match and the tie-out on them. Nothing here judges; tests do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reconciliation.breaks.build import build_breaks
from reconciliation.breaks.lookups import LookUps
from reconciliation.breaks.model import Break
from reconciliation.evidence import (
    BANK_LINES,
    LEDGER_DUE_FROM_BANK,
    LEDGER_PAYMENTS,
    LEDGER_RECEIPT_LINES,
    POOL,
    EvidenceWriter,
    Layout,
)
from reconciliation.identity import Identity
from reconciliation.matching.engine import MatchInputs, MatchResult, run_match
from reconciliation.tie_out import Terms, TieOutInputs, compute_terms, identities

BANK = "BANKA"
DAY = date(2024, 4, 3)


@dataclass
class Day:
    """One bank's day on both sides."""

    folder: Path
    layout: str = "pipe"
    clearing_date: date = DAY
    lines: list[dict[str, Any]] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    pool: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)

    def bank(self, trace_no: str, fen: int, kind: str = "PAY", **values: Any) -> dict[str, Any]:
        """A line of the bank's file."""
        shows = self.layout == "pipe"
        row = {
            "line_no": len(self.lines) + 2,
            "kind": kind,
            "trace_date": self.clearing_date,
            "trace_no": trace_no,
            "customer_no": "0600012345",
            "receivable_id": f"R{trace_no}" if shows else None,
            "billing_month": "202403",
            "amount_fen": fen,
            "channel": "BANK_COUNTER" if shows else None,
            "settle_method": "CASH" if shows else None,
            "status": "OK" if shows else None,
            "clearing_date": self.clearing_date,
            **values,
        }
        self.lines.append(row)
        return row

    def ours(self, trace_no: str, fen: int, kind: str = "PAYMENT", **values: Any) -> dict[str, Any]:
        """A posting of ours. `of` names the posting that it undoes."""
        number = len(self.postings) + 1
        original = values.pop("of", None)
        partition = values.pop("partition", 0)
        row = {
            "partition": partition,
            "payment_id": number,
            "kind": kind,
            "bank": BANK,
            "trace_date": self.clearing_date,
            "trace_no": trace_no,
            "customer_no": "0600012345",
            "org_code": "06000101",
            "amount_fen": fen,
            "signed_fen": fen if kind == "PAYMENT" else -fen,
            "currency": "CNY",
            "channel": "BANK_COUNTER",
            "settle_method": "CASH",
            "paid_at": "2024-04-03T01:05:01.000000Z",
            "recorded_at": f"2024-04-03T01:{number // 60:02d}:{number % 60:02d}.000000Z",
            "clearing_date": self.clearing_date,
            "settles_date": self.clearing_date,
            "reference_no": f"{partition:02d}{number:010d}",
            "prepayment_opening_fen": 0,
            "prepayment_movement_fen": 0,
            "prepayment_closing_fen": 0,
        }
        if original is not None:
            row["original_trace_date"] = original["trace_date"]
            row["original_trace_no"] = original["trace_no"]
            row["original_clearing_date"] = original["clearing_date"]
            row["original_reference_no"] = original["reference_no"]
        row.update(values)
        self.postings.append(row)
        return row

    def path(self, name: str, layout: Layout, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / f"{name}.parquet"
        with EvidenceWriter(path, layout) as writer:
            writer.write_rows(rows)
        return path

    def write(self) -> tuple[MatchInputs, TieOutInputs]:
        bank_lines = self.path("bank", BANK_LINES, self.lines)
        payments = self.path("payments", LEDGER_PAYMENTS, self.postings)
        receipts = self.path("receipt_lines", LEDGER_RECEIPT_LINES, self.receipts)
        pool = self.path("pool", POOL, self.pool)
        due = [{**row, "amount_fen": row["signed_fen"]} for row in self.postings]
        due_path = self.path("due", LEDGER_DUE_FROM_BANK, due)
        return (
            MatchInputs(BANK, self.layout, bank_lines, payments, receipts, pool),
            TieOutInputs(BANK, self.clearing_date, bank_lines, payments, due_path, pool),
        )

    @property
    def bank_net_fen(self) -> int:
        return sum(line["amount_fen"] * (1 if line["kind"] == "PAY" else -1) for line in self.lines)

    def match(self) -> MatchResult:
        return run_match(self.write()[0], self.folder / "matched.parquet", self.folder)

    def breaks(self, lookups: LookUps | None = None) -> tuple[Break, ...]:
        result = self.match()
        return build_breaks(BANK, self.clearing_date, result.differences, result.proposals, lookups or LookUps())

    def tie_out(self, breaks: tuple[Break, ...]) -> tuple[Terms, tuple[Identity, ...]]:
        terms = compute_terms(self.write()[1])
        return terms, identities(terms, self.bank_net_fen, breaks)


@pytest.fixture
def make_day(tmp_path: Path) -> Callable[..., Day]:
    """`make_day(layout="pipe")`: an empty day in a folder of its own."""
    count = iter(range(10_000))

    def make(layout: str = "pipe", clearing_date: date = DAY) -> Day:
        return Day(tmp_path / str(next(count)), layout, clearing_date)

    return make
