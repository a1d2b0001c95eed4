"""The receipts report as values: rows by collecting unit, channel and settle method, and what they must agree with.

Strategy: plain SQL over the day's ledger evidence (all banks). Detail, subtotals and total are each summed from the
postings, so that "subtotals add up" is a question and not a definition; the day's cash is the postings' amounts while
what was received comes from the entries. Choices: principal (电费) is the charge kind 010, other charge kinds are
other charges; a bill of the report's month or a later one is of the current month; a receipt is counted where it stands
at the day's end, a next-day reversal is a negative row and takes back no count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from gateway.database import load_sql
from reconciliation.receipts.words import MEASURES
from reconciliation.tie_out import POSTING_KINDS

_DIMENSIONS = ("level", "bank", "channel", "settle_method", "is_reversal")


class Level(StrEnum):
    DETAIL = "DETAIL"
    SUBTOTAL = "SUBTOTAL"  # of a bank
    TOTAL = "TOTAL"


@dataclass(frozen=True, slots=True)
class ReceiptsRow:
    """One row; `measures` by the names of `words.MEASURES`, money in fen. Dimensions are empty where summed over."""

    level: Level
    bank: str
    channel: str
    settle_method: str
    is_reversal: bool
    measures: Mapping[str, int]

    @property
    def label(self) -> str:
        """Names the row in a message."""
        parts = [self.bank, self.channel, self.settle_method, "next-day reversal" if self.is_reversal else ""]
        return " ".join([self.level.value.lower(), *filter(None, parts)])


@dataclass(frozen=True, slots=True)
class OtherFigures:
    """The same money from elsewhere, in fen, and the prepayment balances of the day."""

    by_org_unit_fen: int
    by_channel_fen: int
    by_bank_fen: int
    opening_prepayment_fen: int
    closing_prepayment_fen: int


@dataclass(frozen=True, slots=True)
class ReceiptsReport:
    """What is printed. `prepared_at` is fixed by the first issue, so that a second one changes nothing."""

    clearing_date: date
    prepared_at: datetime
    utility_name: str
    bank_names: Mapping[str, str]
    rows: tuple[ReceiptsRow, ...]
    other: OtherFigures

    @property
    def total(self) -> ReceiptsRow:
        """The last row."""
        return self.rows[-1]


@dataclass(frozen=True, slots=True)
class ReceiptsInputs:
    """The day's ledger evidence of all banks."""

    payments: Path
    receipt_lines: Path
    due_from_bank: Path
    prepayment: Path


def compute_rows(inputs: ReceiptsInputs, clearing_date: date) -> tuple[tuple[ReceiptsRow, ...], OtherFigures]:
    """Rows in printing order with the total last, and the figures to compare them with."""
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, path in (
            ("payment", inputs.payments),
            ("receipt_line", inputs.receipt_lines),
            ("due_from_bank", inputs.due_from_bank),
            ("prepayment", inputs.prepayment),
        ):
            connection.read_parquet(str(path)).create_view(name)
        month = {"report_month": clearing_date.year * 100 + clearing_date.month}
        rows = _fetch(connection, "receipts", month)
        kinds = {"clearing_date": clearing_date, "posting_kinds": list(POSTING_KINDS)}
        other = _fetch(connection, "receipts_checks", kinds)[0]
    figures = OtherFigures(**{name: int(value) for name, value in other.items()})
    return tuple(_row(values) for values in rows), figures


def _fetch(connection: Any, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = connection.execute(load_sql("reconciliation.sql", name), parameters)
    columns = [column[0] for column in result.description]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]


def _row(values: Mapping[str, Any]) -> ReceiptsRow:
    return ReceiptsRow(
        level=Level(values["level"]),
        bank=values["bank"] or "",
        channel=values["channel"] or "",
        settle_method=values["settle_method"] or "",
        is_reversal=bool(values["is_reversal"]),
        measures={measure.name: int(values[measure.name]) for measure in MEASURES},
    )
