"""The demo in small, as anybody would run it: it exits 0, and its summary says what others read from it.

Strategy: the real command in a process of its own, once, hence one test over everything that it left. `summary.json` is
read as its readers do, and its figures are held against each other and against the reports that it names; that planted
differences were found is one of its identities.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

# What the smallest day is made of; every story of the simulated banks occurs in it.
CUSTOMERS, VISITS = 1000, 60
PLANTED_KINDS = {
    "BANK_ONLY",
    "UTILITY_ONLY",
    "AMOUNT_MISMATCH",
    "CROSS_DAY",
    "DUPLICATE_BANK",
    "STATUS_MISMATCH",
    "CUSTOMER_MISMATCH",
    "SUSPECT",
}


# Many times what it takes on a quiet machine: it fails for being wrong, never for being slow.
PATIENCE_SECONDS = 500


def play(folder: Path) -> dict[str, Any]:
    """A demo in `folder`, played to its end; its summary."""
    command = [sys.executable, "-m", "busbar", "demo", "--folder", str(folder)]
    command += ["--customers", str(CUSTOMERS), "--visits", str(VISITS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert "everything holds" in done.stdout
    assert "实收" in done.stdout
    told: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    return told


@pytest.mark.timeout(PATIENCE_SECONDS + 20)
def test_the_demo_in_small(tmp_path: Path) -> None:
    folder = tmp_path / "played"
    summary = play(folder)
    check_what_others_read(summary)
    check_operations(summary)
    check_reports(folder, summary)
    check_logs(folder)


def check_what_others_read(summary: dict[str, Any]) -> None:
    assert {"banks", "operations", "payments", "amount", "breaks", "identities", "reports"} <= summary.keys()
    assert summary["banks"] == ["GZB", "YYB"]
    assert summary["complaints"] == []
    assert len(summary["identities"]) > 30
    assert {name for name, holds in summary["identities"].items() if holds is not True} == set()
    assert summary["breaks"].keys() >= PLANTED_KINDS
    assert summary["identities"]["planted differences are the open breaks"] is True
    unresolved = summary["unresolved"]
    assert unresolved["open"] == 0
    assert unresolved["waiting_for_t2"] == summary["breaks"]["SUSPECT"] > 0
    assert unresolved["closed"].keys() >= {"RESEND", "STATUS_ENQUIRY", "REVERSAL", "SETTLEMENT_FILE"}


def check_operations(summary: dict[str, Any]) -> None:
    operations = summary["operations"]
    assert operations.keys() >= {"BILL_ENQUIRY", "PAYMENT", "SAME_DAY_CANCEL", "REVERSAL", "STATUS_ENQUIRY"}
    total = sum(count for counted in operations.values() for count in counted.values())
    assert total == summary["operations_total"] > 4 * VISITS
    # Resends are approved too, and payments whose reply was lost are booked all the same.
    assert 0 < summary["payments"] <= operations["PAYMENT"]["approved"] + operations["PAYMENT"]["no answer"]


def read_report(path: Path) -> list[dict[str, str]]:
    """Rows of a report's CSV by the English half of its headings."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        headings, *rows = csv.reader(lines)
    return [dict(zip([heading.split()[-1] for heading in headings], row, strict=True)) for row in rows]


def check_reports(folder: Path, summary: dict[str, Any]) -> None:
    paths = [folder / name for name in summary["reports"]]
    assert sorted(path.suffix for path in paths) == [".csv", ".csv", ".pdf", ".pdf", ".xlsx", ".xlsx"]
    assert all(path.stat().st_size > 0 for path in paths)
    issued = Decimal(0)
    for path in paths:
        if path.suffix == ".csv":
            rows = read_report(path)
            [total] = [row for row in rows if row["level"] == "TOTAL"]
            for column in ("count", "principal_total", "penalty", "prepayment_in", "cash_total"):
                detail = sum((Decimal(row[column]) for row in rows if row["level"] == "DETAIL"), Decimal(0))
                assert detail == Decimal(total[column]), f"{path.name} {column}"
            issued += Decimal(total["cash_total"])
    # What was paid after the second cut-off is in the ledger and in the report of a third day, which is not played.
    assert 0 < issued * 100 <= summary["amount"]["minor"]


def check_logs(folder: Path) -> None:
    """No customer and no key stands in what gateway and banks wrote."""
    with (folder / "population" / "customers.csv").open(encoding="utf-8", newline="") as lines:
        customers = list(csv.DictReader(lines))
    text = "".join(path.read_text("utf-8") for path in folder.glob("*.log"))
    assert '"event": "ready"' in text
    key = (folder / "installation" / "keys" / "gzb-mac.mac").read_text("ascii").strip()
    assert key.lower() not in text.lower()
    assert [one["customer_no"] for one in customers if one["customer_no"] in text] == []
    assert [one["supply_address"] for one in customers if one["supply_address"] in text] == []
