"""Issues the receipts report: computes it, checks every identity, then writes the three files.

Nothing is written before every identity holds and the font is there; the files are written whole under temporary names
and renamed, so a killed night leaves no half report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from reconciliation.evidence import publish_bytes
from reconciliation.identity import Identity
from reconciliation.receipts.checks import check
from reconciliation.receipts.csv_file import csv_bytes
from reconciliation.receipts.pdf_file import check_font, pdf_bytes
from reconciliation.receipts.rows import ReceiptsInputs, ReceiptsReport, compute_rows
from reconciliation.receipts.xlsx_file import xlsx_bytes


@dataclass(frozen=True, slots=True)
class IssuedReport:
    """A report that was written: its values, its identities, and path to SHA-256."""

    report: ReceiptsReport
    identities: tuple[Identity, ...]
    digests: Mapping[Path, str]


def issue(
    inputs: ReceiptsInputs,
    clearing_date: date,
    *,
    prepared_at: datetime,
    utility_name: str,
    bank_names: Mapping[str, str],
    folder: Path,
) -> IssuedReport:
    """Write receipts_<date>.csv, .xlsx and .pdf to `folder`; raises ReceiptsRefused or FontMissing and writes nothing.

    `prepared_at` is aware, in the zone in which it is to be printed.
    """
    rows, other = compute_rows(inputs, clearing_date)
    report = ReceiptsReport(clearing_date, prepared_at, utility_name, bank_names, rows, other)
    equations = check(report)
    check_font()
    stem = folder / f"receipts_{clearing_date:%Y%m%d}"
    contents = {
        stem.with_suffix(".csv"): csv_bytes(report),
        stem.with_suffix(".xlsx"): xlsx_bytes(report, equations),
        stem.with_suffix(".pdf"): pdf_bytes(report),
    }
    return IssuedReport(report, equations, {path: publish_bytes(path, data) for path, data in contents.items()})
