"""The receipts report as CSV: UTF-8 with a byte order mark, CRLF, so that a spreadsheet on a clerk's desk reads it.

One heading line, "中文 name" per column, then the report's rows in printing order; codes stand beside the words.
"""

from __future__ import annotations

import csv
import io

from reconciliation.receipts.rows import ReceiptsReport
from reconciliation.receipts.table import cells, dimension_words
from reconciliation.receipts.words import MEASURES

_HEADINGS = (
    "清算日期 clearing_date",
    "层次 level",
    "代收单位代码 bank",
    "代收单位 bank_name",
    "收费方式代码 channel",
    "收费方式 channel_name",
    "结算方式代码 settle_method",
    "结算方式 settle_method_name",
    "隔日冲正 is_next_day_reversal",
)


def csv_bytes(report: ReceiptsReport) -> bytes:
    """The whole file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*_HEADINGS, *(f"{measure.chinese} {measure.name}" for measure in MEASURES)])
    for row in report.rows:
        bank_name, channel_name, method_name = dimension_words(report, row)
        dimensions = (
            report.clearing_date.isoformat(),
            row.level.value,
            row.bank,
            bank_name,
            row.channel,
            channel_name,
            row.settle_method,
            method_name,
            "1" if row.is_reversal else "0",
        )
        writer.writerow([*dimensions, *cells(row)])
    return text.getvalue().encode("utf-8-sig")
