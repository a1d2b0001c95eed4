"""An audit's report for people (a table, then every finding on its lines) and for programs (JSON)."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from busbar.audit.audit import AuditReport, CheckResult

_ROWS = {
    "customers": "用户",
    "bills": "账单",
    "payments": "交易",
    "entries": "分录",
    "operations": "受理记录",
    "evidence": "原始报文",
}


def as_json(report: AuditReport) -> str:
    """One JSON object; its shape is in the README."""
    content: dict[str, Any] = {
        "sound": report.is_sound,
        "partitions": report.partitions,
        "rows": report.rows,
        "acknowledged": report.acknowledged,
        "checks": [
            {
                "name": result.check.name,
                "english": result.check.english,
                "chinese": result.check.chinese,
                "offences": result.offences,
                "findings": [
                    {"partition": one.partition, "place": one.place, "what": one.what} for one in result.findings
                ],
            }
            for result in report.results
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def show(report: AuditReport, console: Console) -> None:
    counted = "  ".join(f"{report.rows.get(name, 0):,} {name} {chinese}" for name, chinese in _ROWS.items())
    console.print(Text(f"{report.partitions} partitions 分区  {counted}"))
    if report.acknowledged is not None:
        told = "  ".join(f"{count:,} {name}" for name, count in report.acknowledged.items())
        console.print(Text(f"acknowledgement logs 确认日志  {told}"))
    table = Table("检查", "check", title="账务审计 ledger audit")
    table.add_column("不符 offences", justify="right")
    for result in report.results:
        mark = Text("✓", style="green") if not result.offences else Text(f"✗ {result.offences:,}", style="bold red")
        table.add_row(result.check.chinese, result.check.english, mark)
    console.print(table)
    for result in report.results:
        if result.offences:
            _show_findings(result, console)
    broken = sum(1 for result in report.results if result.offences)
    told = f"{broken} checks fail {broken}项检查不符" if broken else "the ledger is sound 账务相符"
    console.print(Text(told, style="bold red" if broken else "bold green"))


def _show_findings(result: CheckResult, console: Console) -> None:
    more = result.offences - len(result.findings)
    head = f"{result.check.name}: {result.check.english} {result.check.chinese}"
    console.print(Text(head, style="bold"))
    for one in result.findings:
        where = "" if one.partition is None else f"partition {one.partition:02d}, "
        console.print(Text(f"  {where}{one.place}: {one.what}"), soft_wrap=True)
    if more > 0:
        console.print(Text(f"  and {more:,} more 另有{more:,}条"))
