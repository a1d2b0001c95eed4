"""`busbar unresolved` and the days of `busbar db status`, on an installation with one payment whose end is in doubt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from busbar.cli import main
from busbar.commands.unresolved import age
from busbar.installations import create_sample, load_installation, open_database
from gateway.database import connect

CUSTOMER = "060000012340"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m 0s"), (725, "12m 5s"), (12_000, "3h 20m"), (188_000, "2d 4h"), (86_400, "1d 0h")],
)
def test_ages(seconds: int, text: str) -> None:
    assert age(seconds) == text


async def put_in_doubt(dsn: str) -> None:
    connection = await connect(dsn, search_path="ledger_02")
    try:
        for bank, number in (("GZB", "000000000001"), ("YYB", "000000000002")):
            await connection.execute(
                "INSERT INTO unresolved (bank, kind, trace_date, trace_no, about_trace_date, about_trace_no,"
                " customer_no, amount_fen, currency, cause, clearing_date, opened_at, trace_id)"
                " VALUES ($1, 'PAYMENT', '2024-04-03', $2, '2024-04-03', $2, $3, 12345, 'CNY', 'COMMIT_UNKNOWN',"
                " '2024-04-03', now() - interval '75 minutes', 't')",
                bank,
                number,
                CUSTOMER,
            )
        await connection.execute(
            "INSERT INTO unresolved_event (unresolved_id, event, reason, happened_at)"
            " VALUES (2, 'STATUS_ENQUIRY_ANSWERED', '', now()), (2, 'CLOSED', 'STATUS_ENQUIRY', now())"
        )
    finally:
        await connection.close()


def test_lists_what_is_in_doubt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "installation"
    create_sample(folder)
    where = ("--installation", str(folder))
    with open_database(load_installation(folder)) as access:
        assert run("db", "init", "--first-date", "2024-04-03", *where) == 0
        assert "day 2024-04-03  OPEN       营业 open" in capsys.readouterr().out
        assert run("unresolved", *where) == 0
        assert "没有未决资金 nothing is unresolved" in capsys.readouterr().out
        asyncio.run(put_in_doubt(access.admin_dsn))
        assert run("unresolved", "--lines", *where) == 0
        [line] = capsys.readouterr().out.splitlines()
        words = line.split()
        assert words[:7] == ["GZB", "PAYMENT", "2024-04-03", "000000000001", "********2340", "123.45", "COMMIT_UNKNOWN"]
        assert 4500 <= int(words[7]) < 4600
        assert words[8:] == ["NOT_BOOKED", "SILENT", "-", "OPEN", "WAIT_FOR_FILE"]
        assert run("unresolved", "--lines", "--all", "--bank", "YYB", *where) == 0
        assert capsys.readouterr().out.split()[-4:] == [
            "STATUS_ENQUIRY_ANSWERED",
            "-",
            "CLOSED:STATUS_ENQUIRY",
            "NOTHING",
        ]
        assert run("unresolved", "--all", *where) == 0
        table = capsys.readouterr().out
        assert "未决资金 Unresolved money" in table
        assert "1h 15m" in table
        assert "状态查询" in table
        assert CUSTOMER not in table
        assert run("unresolved", "--bank", "NOBODY", *where) == 2
        assert "--bank NOBODY: no such bank; there are GZB, YYB" in capsys.readouterr().err
        assert run("db", "cut-off", "--next-date", "2024-04-04", *where) == 0
        capsys.readouterr()
        assert run("db", "status", *where) == 0
        assert capsys.readouterr().out.splitlines()[-2:] == [
            "day 2024-04-04  OPEN       营业 open",
            "day 2024-04-03  CLOSED     已日切 closed; 未对账 not reconciled GZB, YYB",
        ]
