"""`busbar breaks` on an installation whose banks have sent nothing: the breaks are there, as table and as lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from busbar.cli import main
from busbar.installations import create_sample, load_installation, open_database


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_lists_open_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "installation"
    create_sample(folder)
    where = ("--installation", str(folder))
    with open_database(load_installation(folder)):
        assert run("db", "init", "--first-date", "2024-04-03", *where) == 0
        assert run("breaks", *where) == 0
        assert "没有差错 no breaks" in capsys.readouterr().out
        assert run("db", "cut-off", "--next-date", "2024-04-04", *where) == 0
        assert run("night", "2024-04-03", *where) == 1
        capsys.readouterr()
        assert run("breaks", "--lines", "--bank", "GZB", "--as-of", "2024-04-05", *where) == 0
        [line] = capsys.readouterr().out.splitlines()
        assert line.split()[1:] == ["GZB", "2024-04-03", "FILE_ERROR", *"---", "0.00", "T+2", "open", "ASK_FILE_AGAIN"]
        assert run("breaks", "--date", "2024-04-03", *where) == 0
        table = capsys.readouterr().out
        assert "差错清单 Breaks" in table
        assert "请银行重送文件" in table
        assert run("breaks", "--date", "2024-04-09", *where) == 0
        assert "no breaks" in capsys.readouterr().out
