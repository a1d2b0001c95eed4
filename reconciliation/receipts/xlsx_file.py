"""The receipts report as a workbook: the report on one sheet, its identities with both figures on another.

Strategy: a spreadsheet's cells are binary floats by nature. An amount goes in as the exact decimal with two places and
is written with 16 significant digits, so a cell reads back as exactly the fen it was for any amount below ten billion
yuan; nothing is computed in floats here. Rows are written one by one in constant memory; the file's dates are fixed, so
that the same report is the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import xlsxwriter

from protocols.money import Money
from reconciliation.identity import Identity
from reconciliation.receipts.rows import Level, ReceiptsReport
from reconciliation.receipts.table import DIMENSION_HEADINGS, dimension_words
from reconciliation.receipts.words import MEASURES, TITLE, TITLE_ENGLISH

_FIRST_ROW = 3  # below title, page line and an empty line
_WIDTHS = (18, 14, 22)


def xlsx_bytes(report: ReceiptsReport, equations: Iterable[Identity]) -> bytes:
    """The whole workbook."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"constant_memory": True, "strings_to_formulas": False}) as book:
        created = datetime(*report.clearing_date.timetuple()[:3])  # noqa: DTZ001 - a file property has no zone
        book.set_properties({"title": TITLE, "created": created})
        _report_sheet(book, report)
        _identity_sheet(book, equations)
    return buffer.getvalue()


def _report_sheet(book: Any, report: ReceiptsReport) -> None:
    sheet = book.add_worksheet(TITLE)
    bold = book.add_format({"bold": True})
    heading = book.add_format({"bold": True, "text_wrap": True, "border": 1, "align": "center"})
    formats = {
        (is_money, is_sum): book.add_format(
            {"num_format": "#,##0.00" if is_money else "0", "bold": is_sum, "border": 1}
        )
        for is_money in (False, True)
        for is_sum in (False, True)
    }
    text = {is_sum: book.add_format({"bold": is_sum, "border": 1}) for is_sum in (False, True)}
    for column, width in enumerate(_WIDTHS):
        sheet.set_column(column, column, width)
    sheet.set_column(len(_WIDTHS), len(_WIDTHS) + len(MEASURES) - 1, 13)
    sheet.freeze_panes(_FIRST_ROW + 1, len(_WIDTHS))
    sheet.write_string(0, 0, f"{TITLE} ({TITLE_ENGLISH})", bold)
    sheet.write_string(1, 0, f"单位: {report.utility_name}")
    sheet.write_string(1, 3, f"清算日期: {report.clearing_date.isoformat()}")
    sheet.write_string(1, 6, "单位: 元")
    headings = [f"{chinese}\n{name}" for name, chinese in DIMENSION_HEADINGS]
    headings += [f"{measure.chinese}\n{measure.name}" for measure in MEASURES]
    for column, words in enumerate(headings):
        sheet.write_string(_FIRST_ROW, column, words, heading)
    for offset, row in enumerate(report.rows, _FIRST_ROW + 1):
        is_sum = row.level is not Level.DETAIL
        for column, word in enumerate(dimension_words(report, row)):
            sheet.write_string(offset, column, word, text[is_sum])
        for column, measure in enumerate(MEASURES, len(_WIDTHS)):
            value = row.measures[measure.name]
            number = Decimal(Money(value).decimal()) if measure.is_money else value
            sheet.write_number(offset, column, number, formats[measure.is_money, is_sum])


def _identity_sheet(book: Any, equations: Iterable[Identity]) -> None:
    sheet = book.add_worksheet("校验")
    sheet.set_column(0, 0, 90)
    for column, words in enumerate(("恒等式 identity", "左边 left", "右边 right", "成立 holds")):
        sheet.write_string(0, column, words)
    for offset, equation in enumerate(equations, 1):
        # Counts are among them, so both figures are shown as the integers that were compared.
        sheet.write_string(offset, 0, equation.name)
        sheet.write_number(offset, 1, equation.left_fen)
        sheet.write_number(offset, 2, equation.right_fen)
        sheet.write_string(offset, 3, "是 yes" if equation.holds else "否 no")
