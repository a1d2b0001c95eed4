"""The receipts report as a printed page, by typst and a Chinese font.

Strategy: `report.typ` is the page, the data goes in as JSON text; nothing is spliced into the page's source. Without
the font the report is refused with one line that names the Debian package, never printed as boxes. The file carries no
time but the report's own, so that the same report is the same bytes.
"""

from __future__ import annotations

import json
from datetime import UTC
from importlib import resources

import typst

from protocols.money import Money
from reconciliation.errors import FontMissing
from reconciliation.receipts.rows import Level, ReceiptsReport
from reconciliation.receipts.table import cells, dimension_words
from reconciliation.receipts.words import MEASURES, TITLE, TITLE_ENGLISH

FONT_FAMILY = "WenQuanYi Micro Hei"
FONT_PACKAGE = "fonts-wqy-microhei"


def check_font(families: list[str] | None = None) -> None:
    """Raise FontMissing where the page's font is not installed."""
    found = typst.Fonts(include_embedded_fonts=False).families() if families is None else families
    if FONT_FAMILY not in found:
        raise FontMissing(
            f"the PDF needs the font {FONT_FAMILY}: install it with `apt-get install {FONT_PACKAGE}` and run again"
        )


def pdf_bytes(report: ReceiptsReport) -> bytes:
    """The page as PDF/A-2b; raises FontMissing."""
    check_font()
    source = resources.files("reconciliation.receipts").joinpath("report.typ").read_bytes()
    pdf: bytes = typst.compile(
        source,
        format="pdf",
        sys_inputs={"data": json.dumps(_data(report), ensure_ascii=False)},
        pdf_standards=["a-2b"],
        timestamp=report.prepared_at.astimezone(UTC).replace(microsecond=0),
    )
    return pdf


def _data(report: ReceiptsReport) -> dict[str, object]:
    printed = [measure for measure in MEASURES if measure.is_printed]
    rows = []
    last_bank = None
    for row in report.rows:
        words = list(dimension_words(report, row))
        if row.level is not Level.TOTAL and row.bank == last_bank:
            words[0] = ""
        last_bank = row.bank
        rows.append({"cells": [*words, *cells(row, printed)], "sum": row.level is not Level.DETAIL})
    of = report.total.measures
    return {
        "font": FONT_FAMILY,
        "title": TITLE,
        "title_english": TITLE_ENGLISH,
        "utility": report.utility_name,
        "clearing_date": report.clearing_date.isoformat(),
        "prepared_at": f"{report.prepared_at:%Y-%m-%d %H:%M}",
        "headings": ["代收单位", "收费方式", "结算", *(measure.chinese for measure in printed)],
        "rows": rows,
        "memo": [
            f"当日冲正 {of['same_day_cancel_count']} 笔 {Money(of['same_day_cancel_amount']).decimal()} 元(不计入上表)",
            f"隔日冲正 {of['next_day_reversal_count']} 笔 {Money(of['next_day_reversal_amount']).decimal()} 元(已减)",
            f"期初预收 {Money(report.other.opening_prepayment_fen).decimal()} 元",
            f"期末预收 {Money(report.other.closing_prepayment_fen).decimal()} 元",
        ],
    }
