"""The receipts report: the printed example, every measure, every identity that can fail, and what each format holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pypdf
import pytest

from reconciliation.errors import FontMissing, ReceiptsRefused
from reconciliation.evidence import LEDGER_PREPAYMENT
from reconciliation.receipts.checks import check, identities
from reconciliation.receipts.issue import IssuedReport, issue
from reconciliation.receipts.pdf_file import check_font
from reconciliation.receipts.rows import Level, ReceiptsInputs, ReceiptsReport, ReceiptsRow, compute_rows
from reconciliation.receipts.words import MEASURES

DAY = date(2024, 4, 3)
PREPARED_AT = datetime(2024, 4, 4, 1, 10, tzinfo=timezone(timedelta(hours=8)))
NAMES = {"BANKA": "银行甲", "BANKB": "银行乙"}


def bill(day: Any, posting: dict[str, Any], month: int, fen: int, penalty_fen: int = 0, kind: str = "010") -> None:
    """What a posting settled of one bill; an undo settles negatively."""
    sign = 1 if posting["kind"] in ("PAYMENT", "PREPAYMENT_DEPOSIT", "PREPAYMENT_APPLIED") else -1
    names = ("partition", "payment_id", "kind", "bank", "clearing_date", "channel", "settle_method", "org_code")
    day.receipts.append(
        {
            **{name: posting[name] for name in (*names, "customer_no")},
            "receivable_id": f"R{month}",
            "billing_month": month,
            "charge_kind": kind,
            "principal_fen": sign * fen,
            "penalty_fen": sign * penalty_fen,
        }
    )


def inputs_of(day: Any, opening_fen: int = 0, closing_fen: int = 0) -> ReceiptsInputs:
    tie_out = day.write()[1]
    prepayment = day.path(
        "prepayment",
        LEDGER_PREPAYMENT,
        [{"partition": 0, "opening_fen": opening_fen, "closing_fen": closing_fen}],
    )
    return ReceiptsInputs(tie_out.payments, day.folder / "receipt_lines.parquet", tie_out.due_from_bank, prepayment)


def printed_example(day: Any) -> ReceiptsInputs:
    """Two payers at the counter (one of last year's bill), one by internet bank: 14.00 and 20.06."""
    bill(day, day.ours("1", 1000), 202404, 1000)
    bill(day, day.ours("2", 2006, channel="INTERNET_BANK", settle_method="TRANSFER", customer_no="2"), 202404, 2006)
    bill(day, day.ours("3", 400, customer_no="3"), 202311, 400)
    return inputs_of(day)


def report_of(inputs: ReceiptsInputs) -> ReceiptsReport:
    rows, other = compute_rows(inputs, DAY)
    return ReceiptsReport(DAY, PREPARED_AT, "某某供电局", NAMES, rows, other)


def issued(inputs: ReceiptsInputs, folder: Path) -> IssuedReport:
    return issue(inputs, DAY, prepared_at=PREPARED_AT, utility_name="某某供电局", bank_names=NAMES, folder=folder)


def total(inputs: ReceiptsInputs) -> dict[str, int]:
    report = report_of(inputs)
    check(report)
    return {name: value for name, value in report.total.measures.items() if value}


def test_printed_example(make_day: Callable[..., Any]) -> None:
    report = report_of(printed_example(make_day()))
    check(report)
    names = ("count", "principal_current_month", "principal_prior_year", "cash_total")
    rows = [(row.level.value, row.channel, *(row.measures[name] for name in names)) for row in report.rows]
    assert rows == [
        ("DETAIL", "BANK_COUNTER", 2, 1000, 400, 1400),
        ("DETAIL", "INTERNET_BANK", 1, 2006, 0, 2006),
        ("SUBTOTAL", "", 3, 3006, 400, 3406),
        ("TOTAL", "", 3, 3006, 400, 3406),
    ]


def test_ages_penalty_other_charges_and_prepayment(make_day: Callable[..., Any]) -> None:
    day = make_day()
    posting = day.ours("1", 1000 + 700 + 300 + 45 + 200 + 55, prepayment_movement_fen=55)
    bill(day, posting, 202404, 1000)
    bill(day, posting, 202403, 700, 20)
    bill(day, posting, 202312, 300, 25)
    bill(day, posting, 202404, 200, kind="020")
    assert total(inputs_of(day, 100, 155)) == {
        "count": 1,
        "customer_count": 1,
        "principal_current_month": 1000,
        "principal_current_year": 700,
        "principal_prior_year": 300,
        "principal_total": 2000,
        "penalty": 45,
        "other_charges": 200,
        "prepayment_in": 55,
        "received_total": 2245,
        "cash_total": 2300,
    }


def test_prepayment_applied_reduces_cash(make_day: Callable[..., Any]) -> None:
    day = make_day()
    bill(day, day.ours("1", 700, prepayment_movement_fen=-300), 202404, 1000)
    measures = total(inputs_of(day, 300, 0))
    assert (measures["received_total"], measures["prepayment_applied"], measures["cash_total"]) == (1000, 300, 700)


def test_a_deposit_is_prepayment_in(make_day: Callable[..., Any]) -> None:
    """One that was cancelled the same day is left out; what one settled of arrears is received."""
    day = make_day()
    day.ours("1", 5000, "PREPAYMENT_DEPOSIT", prepayment_movement_fen=5000)
    cancelled = day.ours("2", 700, "PREPAYMENT_DEPOSIT", prepayment_movement_fen=700)
    day.ours("3", 700, "SAME_DAY_CANCEL", of=cancelled, prepayment_movement_fen=-700)
    arrears_first = day.ours("4", 1300, "PREPAYMENT_DEPOSIT", prepayment_movement_fen=300)
    bill(day, arrears_first, 202404, 1000)
    assert total(inputs_of(day, 0, 5300)) == {
        "count": 2,
        "customer_count": 1,
        "principal_current_month": 1000,
        "principal_total": 1000,
        "prepayment_in": 5300,
        "received_total": 1000,
        "cash_total": 6300,
        "same_day_cancel_count": 1,
        "same_day_cancel_amount": 700,
    }


def test_same_day_pair_is_a_memo(make_day: Callable[..., Any]) -> None:
    day = make_day()
    original = day.ours("1", 1000)
    bill(day, original, 202404, 1000)
    bill(day, day.ours("2", 1000, "SAME_DAY_CANCEL", of=original), 202404, 1000)
    other = day.ours("3", 500)
    bill(day, other, 202404, 500)
    bill(day, day.ours("3", 500, "REVERSAL", of=other), 202404, 500)
    assert total(inputs_of(day)) == {"same_day_cancel_count": 2, "same_day_cancel_amount": 1500}


def test_next_day_reversal_is_a_negative_row_on_its_own_date(make_day: Callable[..., Any]) -> None:
    day = make_day()
    bill(day, day.ours("1", 1000), 202404, 1000)
    earlier = {
        "trace_date": date(2024, 4, 2),
        "trace_no": "8",
        "clearing_date": date(2024, 4, 2),
        "reference_no": "000000009999",
    }
    undo = day.ours("9", 400, "NEXT_DAY_REVERSAL", of=earlier, prepayment_movement_fen=-100)
    bill(day, undo, 202404, 300)
    report = report_of(inputs_of(day, 100, 0))
    check(report)
    [negative] = [row for row in report.rows if row.is_reversal]
    assert (negative.measures["count"], negative.measures["cash_total"]) == (0, -400)
    assert negative.measures["prepayment_in"] == -100
    assert report.total.measures["next_day_reversal_amount"] == 400
    assert (report.total.measures["count"], report.total.measures["cash_total"]) == (1, 600)


def test_customers_are_counted_once_a_row(make_day: Callable[..., Any]) -> None:
    day = make_day()
    for trace, channel in (("1", "ATM"), ("2", "ATM"), ("3", "POS")):
        bill(day, day.ours(trace, 100, channel=channel), 202404, 100)
    counts = [row.measures["customer_count"] for row in report_of(inputs_of(day)).rows]
    assert counts == [1, 1, 1, 1]


def test_a_day_without_receipts_has_a_report_of_zeros(make_day: Callable[..., Any], tmp_path: Path) -> None:
    report = issued(inputs_of(make_day()), tmp_path / "out").report
    assert [row.level for row in report.rows] == [Level.TOTAL]
    assert set(report.total.measures.values()) == {0}


def changed(row: ReceiptsRow, name: str) -> ReceiptsRow:
    return replace(row, measures={**row.measures, name: row.measures[name] + 1})


# A figure of the total row that is a fen too much, and the identity that notices first.
WRONG_TOTALS = [
    ("principal_total", "principal_total = current month + current year + prior years (total)"),
    ("principal_prior_year", "principal_total = current month + current year + prior years (total)"),
    ("penalty", "received_total = principal_total + penalty + other (total)"),
    ("other_charges", "received_total = principal_total + penalty + other (total)"),
    ("received_total", "received_total = principal_total + penalty + other (total)"),
    ("prepayment_in", "cash_total = received_total + prepayment_in - prepayment_applied (total)"),
    ("cash_total", "cash_total = received_total + prepayment_in - prepayment_applied (total)"),
    ("count", "count of its rows adds up (total)"),
    ("same_day_cancel_amount", "same_day_cancel_amount of its rows adds up (total)"),
    ("next_day_reversal_count", "next_day_reversal_count of its rows adds up (total)"),
]


@pytest.mark.parametrize(("measure", "identity"), WRONG_TOTALS)
def test_a_wrong_total_refuses_the_report(make_day: Callable[..., Any], measure: str, identity: str) -> None:
    report = report_of(printed_example(make_day()))
    wrong = replace(report, rows=(*report.rows[:-1], changed(report.total, measure)))
    with pytest.raises(ReceiptsRefused) as refused:
        check(wrong)
    assert refused.value.name == identity
    assert abs(refused.value.left_fen - refused.value.right_fen) == 1
    assert identity in str(refused.value)


WRONG_FIGURES = [
    ("by_channel_fen", "cash_total = sum over channels"),
    ("by_org_unit_fen", "cash_total = sum over org units"),
    ("by_bank_fen", "cash_total = sum over banks (due from bank)"),
    ("opening_prepayment_fen", "closing prepayment = opening + prepayment_in - prepayment_applied"),
    ("closing_prepayment_fen", "closing prepayment = opening + prepayment_in - prepayment_applied"),
]


@pytest.mark.parametrize(("figure", "identity"), WRONG_FIGURES)
def test_a_figure_from_elsewhere_refuses_the_report(make_day: Callable[..., Any], figure: str, identity: str) -> None:
    report = report_of(printed_example(make_day()))
    wrong = replace(report, other=replace(report.other, **{figure: getattr(report.other, figure) + 1}))
    assert [item.name for item in identities(wrong) if not item.holds] == [identity]


def test_nothing_is_written_where_the_receipts_differ_from_the_money(
    make_day: Callable[..., Any], tmp_path: Path
) -> None:
    day = make_day()
    bill(day, day.ours("1", 1000), 202404, 999)
    with pytest.raises(ReceiptsRefused, match="1000 fen against 999 fen"):
        issued(inputs_of(day), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_csv_reads_in_a_spreadsheet(make_day: Callable[..., Any], tmp_path: Path) -> None:
    issued(printed_example(make_day()), tmp_path)
    content = (tmp_path / "receipts_20240403.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.count(b"\r\n") == content.count(b"\n") == 5
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["代收单位 bank_name"] for row in rows] == ["银行甲", "银行甲", "银行甲", "合计"]
    assert [row["收费方式 channel_name"] for row in rows] == ["柜台", "网上银行", "小计", ""]
    assert [row["实收资金 cash_total"] for row in rows] == ["14.00", "20.06", "34.06", "34.06"]
    assert [row["陈欠 principal_prior_year"] for row in rows] == ["4.00", "0.00", "4.00", "4.00"]


def test_xlsx_holds_exact_numbers_and_the_identities(make_day: Callable[..., Any], tmp_path: Path) -> None:
    day = make_day()
    bill(day, day.ours("1", 999_999_999_999), 202404, 999_999_999_999)
    bill(day, day.ours("2", 10, channel="ATM"), 202404, 10)
    issued(inputs_of(day), tmp_path)
    book = openpyxl.load_workbook(tmp_path / "receipts_20240403.xlsx")
    sheet = book["实收电费日报表"]
    headings = [cell.value for cell in sheet[4]]
    cash = headings.index("实收资金\ncash_total")
    assert [Decimal(str(sheet.cell(row, cash + 1).value)) for row in (5, 6, 7, 8)] == [
        Decimal("0.1"),
        Decimal("9999999999.99"),
        Decimal("10000000000.09"),
        Decimal("10000000000.09"),
    ]
    assert sheet.cell(5, cash + 1).number_format == "#,##0.00"
    assert [sheet.cell(row, 2).value for row in (5, 6, 7)] == ["柜员机", "柜台", "小计"]
    checks = list(book["校验"].iter_rows(min_row=2, values_only=True))
    assert len(checks) > 30
    assert {row[3] for row in checks} == {"是 yes"}


def test_pdf_shows_the_page_in_chinese(make_day: Callable[..., Any], tmp_path: Path) -> None:
    issued(printed_example(make_day()), tmp_path)
    reader = pypdf.PdfReader(tmp_path / "receipts_20240403.pdf")
    text = reader.pages[0].extract_text()
    for words in (
        "实收电费日报表 (Daily receipts)",
        "单位: 某某供电局 收费日期: 2024-04-03 单位: 元",
        "银行甲 柜台 现金 2 2 10.00 0.00 4.00 0.00 0.00 0.00 0.00 14.00",
        "网上银行 转账 1 1 20.06 0.00 0.00 0.00 0.00 0.00 0.00 20.06",
        "小计 3 3 30.06 0.00 4.00 0.00 0.00 0.00 0.00 34.06",
        "制表时间: 2024-04-04 01:10",
    ):
        assert words in text
    fonts = reader.pages[0]["/Resources"]["/Font"]
    assert all("WenQuanYi" in font.get_object()["/BaseFont"] for font in fonts.values())


def test_every_measure_is_a_column_once() -> None:
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)


def test_same_report_is_the_same_bytes(make_day: Callable[..., Any], tmp_path: Path) -> None:
    inputs = printed_example(make_day())
    first, second = issued(inputs, tmp_path / "a"), issued(inputs, tmp_path / "b")
    assert list(first.digests.values()) == list(second.digests.values())


def test_without_the_font_one_line_names_the_package() -> None:
    with pytest.raises(FontMissing, match="apt-get install fonts-wqy-microhei"):
        check_font(["DejaVu Sans"])
