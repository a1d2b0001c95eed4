"""The demo's tables, for a finance clerk: Chinese first, English beside it, amounts in yuan."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from busbar.demo.summary import Outcome
from protocols.money import Money
from reconciliation.breaks.kinds import KINDS, TREATMENTS, BreakKind
from reconciliation.receipts.rows import Level
from reconciliation.result import NightResult
from reconciliation.store import StoredBreak
from reconciliation.unresolved import words
from reconciliation.unresolved.rows import Unresolved

_OPERATIONS = {
    "BILL_ENQUIRY": "查询欠费",
    "PAYMENT": "缴费",
    "SAME_DAY_CANCEL": "当日抹账",
    "REVERSAL": "冲正",
    "STATUS_ENQUIRY": "状态查询",
    "SIGN_ON": "签到",
    "SIGN_OFF": "签退",
}
_MEANINGS = {
    "approved": "成功",
    "refused": "拒绝",
    "retry later": "稍后重试",
    "unknown": "未明",
    "no answer": "无应答(故意)",
}
_REPORT_COLUMNS = (
    "bank_name",
    "channel_name",
    "settle_method_name",
    "count",
    "principal_current_month",
    "principal_current_year",
    "principal_prior_year",
    "penalty",
    "prepayment_in",
    "cash_total",
)
_WORD_COLUMNS = 3


def operations(played: Sequence[Mapping[str, Any]]) -> Table:
    """Operations by outcome, a column a bank."""
    banks = sorted({str(bank["bank"]) for bank in played})
    counted: dict[tuple[str, str], Counter[str]] = {}
    for bank in played:
        for kind, meaning, _, count in bank["tally"]:
            counted.setdefault((kind, meaning), Counter())[str(bank["bank"])] += count
    table = Table(title="交易与结果 Operations by outcome")
    table.add_column("交易 Operation")
    table.add_column("结果 Outcome")
    for bank_code in banks:
        table.add_column(bank_code, justify="right")
    table.add_column("合计 Total", justify="right")
    for (kind, meaning), by_bank in sorted(counted.items()):
        cells = [str(by_bank[code]) for code in banks]
        table.add_row(
            f"{_OPERATIONS.get(kind, '')} {kind}",
            f"{_MEANINGS.get(meaning, '')} {meaning}",
            *cells,
            str(by_bank.total()),
        )
    total = sum(by_bank.total() for by_bank in counted.values())
    table.add_section()
    table.add_row("合计 Total", "", *[str(sum(c[code] for c in counted.values())) for code in banks], str(total))
    return table


def breaks(nights: Sequence[NightResult], stored: Sequence[StoredBreak]) -> Table:
    """Open breaks by kind, with the treatment proposed as of the last night."""
    as_of = nights[-1].clearing_date
    table = Table(title=f"差错与处理建议 Breaks and treatments proposed ({as_of})")
    for heading in ("银行 Bank", "日期 Date", "差错 Break", "处理建议 Treatment proposed"):
        table.add_column(heading)
    table.add_column("笔数", justify="right")
    table.add_column("差额(元)", justify="right")
    rows: dict[tuple[str, str, BreakKind, str], list[int]] = {}
    for item in stored:
        found = item.found
        treatment = TREATMENTS[found.treatment(as_of)]
        key = (found.bank, found.clearing_date.isoformat(), found.kind, f"{treatment.chinese} {treatment.english}")
        rows.setdefault(key, []).append(found.difference_fen)
    for (bank, day, kind, treatment_text), differences in sorted(rows.items()):
        chinese, english = KINDS[kind]
        amount = Money(sum(differences)).decimal()
        table.add_row(bank, day, f"{chinese} {english}", treatment_text, str(len(differences)), amount)
    return table


def planted(outcome: Outcome) -> Table:
    """What the banks planted, and whether the nights found it."""
    table = Table(title="埋入的差异与发现 Planted and found")
    for heading in ("银行 Bank", "差错 Kind"):
        table.add_column(heading)
    for heading in ("埋入 Planted", "发现 Found"):
        table.add_column(heading, justify="right")
    table.add_column("")
    kinds = sorted({(bank, kind) for bank, kind, *_ in (*outcome.planted, *outcome.found)})
    for bank, kind in kinds:
        wanted = {name: n for name, n in outcome.planted.items() if name[:2] == (bank, kind)}
        found = {name: n for name, n in outcome.found.items() if name[:2] == (bank, kind)}
        mark = "[green]✓[/green]" if wanted == found else "[red]✗[/red]"
        table.add_row(bank, kind, str(sum(wanted.values())), str(sum(found.values())), mark)
    return table


def unresolved(rows: Sequence[Unresolved]) -> Table:
    """Money whose end was in doubt, by what it was, by what closed it, and how long it took."""
    table = Table(title="未决资金的了结 Unresolved money, and what closed it")
    for heading in ("银行 Bank", "交易 Operation", "缘由 Cause", "了结 Closed by"):
        table.add_column(heading)
    table.add_column("笔数", justify="right")
    table.add_column("金额(元)", justify="right")
    table.add_column("最长(秒) Longest (s)", justify="right")
    grouped: dict[tuple[str, str, str, str], list[Unresolved]] = {}
    for one in rows:
        end = words.CLOSED_BY[one.closed_by] if one.closed_by else ("等待T+2文件", "waits for the T+2 file")
        kind, cause = words.KINDS[one.kind], words.CAUSES[one.cause]
        grouped.setdefault((one.bank, " ".join(kind), " ".join(cause), " ".join(end)), []).append(one)
    for key, group in sorted(grouped.items()):
        amount = Money(sum(one.amount_fen for one in group)).decimal()
        table.add_row(*key, str(len(group)), amount, str(max(one.age_seconds for one in group)))
    return table


def receipts(night: NightResult) -> Table:
    """The receipts report as issued: its CSV, the columns that fit a screen."""
    table = Table(title=f"实收电费日报表 Daily receipts {night.clearing_date} (元)")
    paths = [path for path in night.report.paths if path.suffix == ".csv"]
    if not paths:
        table.add_column(night.report.refused or "未出报表 not issued")
        return table
    with paths[0].open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    place = {heading.split(" ")[-1]: index for index, heading in enumerate(rows[0])}
    for name in _REPORT_COLUMNS:
        heading = rows[0][place[name]].rpartition(" ")[0]
        table.add_column(heading, justify="left" if name in _REPORT_COLUMNS[:_WORD_COLUMNS] else "right")
    for row in rows[1:]:
        is_sum = row[place["level"]] != Level.DETAIL.value
        table.add_row(*[row[place[name]] for name in _REPORT_COLUMNS], style="bold" if is_sum else None)
    return table


def identities(named: Mapping[str, bool]) -> Table:
    """Every identity and whether it holds."""
    table = Table(title="恒等式 Identities")
    table.add_column("恒等式 Identity")
    table.add_column("成立 Holds")
    for name, holds in named.items():
        table.add_row(name, "[green]✓[/green]" if holds else "[red]✗[/red]")
    return table
