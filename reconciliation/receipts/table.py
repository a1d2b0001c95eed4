"""The report as text cells, shared by all formats: amounts in yuan with two decimals, words in Chinese.

Amounts become text by integer arithmetic; no format sees a float that was computed.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocols.money import Money
from reconciliation.receipts.rows import Level, ReceiptsReport, ReceiptsRow
from reconciliation.receipts.words import (
    CHANNELS,
    INTERNAL,
    MEASURES,
    NEXT_DAY_REVERSAL,
    SETTLE_METHODS,
    SUBTOTAL,
    TOTAL,
    Measure,
)

DIMENSION_HEADINGS = (("bank", "代收单位"), ("channel", "收费方式"), ("settle_method", "结算方式"))


def dimension_words(report: ReceiptsReport, row: ReceiptsRow) -> tuple[str, str, str]:
    """Collecting unit, channel and settle method as printed; a sum says so in the first empty place."""
    bank = report.bank_names.get(row.bank) or INTERNAL.get(row.bank, row.bank)
    if row.level is Level.TOTAL:
        return TOTAL, "", ""
    if row.level is Level.SUBTOTAL:
        return bank, SUBTOTAL, ""
    method = SETTLE_METHODS.get(row.settle_method, row.settle_method)
    if row.is_reversal:
        method = f"{method}({NEXT_DAY_REVERSAL})"
    return bank, CHANNELS.get(row.channel, row.channel), method


def cell(row: ReceiptsRow, measure: Measure) -> str:
    """A measure as text: "34.06" or "3"."""
    value = row.measures[measure.name]
    return Money(value).decimal() if measure.is_money else str(value)


def cells(row: ReceiptsRow, measures: Iterable[Measure] = MEASURES) -> list[str]:
    return [cell(row, measure) for measure in measures]
