"""Runs the match on DuckDB, in this process, from evidence files to a result.

Strategy: the expressions are engine-free; this file hands them Parquet files and takes back what a night needs: the
matched pairs as a Parquet file, the differing rows (few) as Python rows, totals and proposals. The outcome is computed
once, into a temporary table, and read in a fixed order, so that the same evidence gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa

from reconciliation.evidence import ROWS_PER_GROUP, EvidenceWriter, Layout
from reconciliation.matching.entries import bank_entries, ledger_entries
from reconciliation.matching.expressions import MATCHED, NETTED, match, proposals
from reconciliation.matching.totals import GROUPS_BY_LAYOUT, GroupTotal, group_totals, read_totals

MATCHED_PAIRS = Layout(
    {
        "verdict": "text",
        "direction": "text",
        "key_date": "date",
        "key_no": "text",
        "bank_line_no": "int",
        "utility_reference_no": "text",
        "bank_signed_fen": "int",
        "utility_signed_fen": "int",
    }
)
_ORDER = ["key_date", "key_no", "direction", "rank", "side"]


@dataclass(frozen=True, slots=True)
class MatchInputs:
    """Evidence files of one bank and day. `payments` holds all banks' postings; the match takes `bank`'s."""

    bank: str
    layout: str
    bank_lines: Path
    payments: Path
    receipt_lines: Path
    pool: Path


@dataclass(frozen=True, slots=True)
class MatchResult:
    """`differences` and `proposals` are rows as the expressions name them, in a fixed order."""

    matched: int
    netted: int
    matched_digest: str
    totals: tuple[GroupTotal, ...]
    differences: tuple[Mapping[str, Any], ...]
    proposals: tuple[Mapping[str, Any], ...]


def run_match(inputs: MatchInputs, matched_path: Path, scratch: Path) -> MatchResult:
    """Match one bank's day; writes the matched pairs to `matched_path`. `scratch` takes what memory can't hold."""
    connection = ibis.duckdb.connect(temp_directory=str(scratch), threads=2)
    try:
        return _matched(connection, inputs, matched_path)
    finally:
        connection.disconnect()


def _matched(connection: Any, inputs: MatchInputs, matched_path: Path) -> MatchResult:
    lines = connection.read_parquet(inputs.bank_lines, table_name="bank_lines")
    payments = connection.read_parquet(inputs.payments, table_name="payments")
    payments = payments.filter(payments.bank == inputs.bank)
    receipt_lines = connection.read_parquet(inputs.receipt_lines, table_name="receipt_lines")
    receipt_lines = receipt_lines.filter(receipt_lines.bank == inputs.bank)
    pool = connection.read_parquet(inputs.pool, table_name="pool")
    bank = connection.create_table("bank_entry", bank_entries(lines, payments, pool), temp=True)
    utility = connection.create_table("utility_entry", ledger_entries(payments, receipt_lines, bank), temp=True)
    groups = GROUPS_BY_LAYOUT[inputs.layout]
    totals = read_totals(group_totals(bank, utility, groups).to_pyarrow().to_pylist(), groups)
    outcome = connection.create_table("outcome", match(bank, utility, pool), temp=True)
    differing = outcome.filter(~outcome.verdict.isin([MATCHED, NETTED])).order_by(_ORDER)
    matched = outcome.filter(outcome.verdict == MATCHED).count().to_pyarrow().as_py()
    netted = outcome.filter(outcome.verdict == NETTED).count().to_pyarrow().as_py()
    digest = _write_matched(connection, outcome, matched_path)
    return MatchResult(
        matched=matched,
        netted=netted,
        matched_digest=digest,
        totals=totals,
        differences=tuple(differing.to_pyarrow().to_pylist()),
        proposals=tuple(proposals(differing, pool).to_pyarrow().to_pylist()),
    )


def _write_matched(connection: Any, outcome: Any, path: Path) -> str:
    agreeing = outcome.filter(outcome.verdict.isin([MATCHED, NETTED])).order_by(_ORDER).select(*MATCHED_PAIRS.names)
    with EvidenceWriter(path, MATCHED_PAIRS) as writer:
        # Ibis' own reader of batches calls a method that this DuckDB no longer has.
        for batch in connection.con.sql(agreeing.compile()).to_arrow_reader(ROWS_PER_GROUP):
            writer.write_table(pa.Table.from_batches([batch]).cast(MATCHED_PAIRS.schema))
    return writer.digest
