"""The front door: every command helps, every mistake is one line with exit code 2, and `serve` serves."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from busbar.cli import main
from busbar.installations import create_sample
from gateway.config import load


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(str(ended.value.code or 0)), out, err


def finished(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


HELP = [
    ("--help",),
    ("serve", "--help"),
    ("keys", "--help"),
    ("keys", "new", "--help"),
    ("keys", "new", "mac", "--help"),
    ("keys", "new", "rsa", "--help"),
    ("keys", "list", "--help"),
    ("keys", "show-public", "--help"),
    ("db", "--help"),
    ("db", "init", "--help"),
    ("db", "migrate", "--help"),
    ("db", "import", "--help"),
    ("db", "cut-off", "--help"),
    ("db", "status", "--help"),
    ("unresolved", "--help"),
]


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_every_command_helps_in_english_and_chinese(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "Usage: busbar" in out
    assert any("\u4e00" <= character <= "\u9fff" for character in out)


USAGE = [
    (("nonsense",), "No such command 'nonsense'"),
    (("keys", "new", "mac"), "Missing argument 'ID'"),
    (("db", "cut-off"), "Missing option '--next-date'"),
    (("db", "cut-off", "--next-date", "2026-02-30"), "does not match"),
    (("serve", "--nonsense"), "No such option"),
]


@pytest.mark.parametrize(("arguments", "what"), USAGE)
def test_wrong_usage_is_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], what: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert what in err
    assert err.startswith("busbar: ")
    assert "--help" in err


@pytest.mark.parametrize("arguments", [("serve",), ("db", "init"), ("db", "status")])
def test_an_installation_that_is_not_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, _, err = run(capsys, *arguments, "--installation", str(tmp_path / "none"))
    assert (code, err.count("\n")) == (2, 1)
    assert "there is no such folder" in err


def test_every_mistake_of_an_installation_is_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    create_sample(tmp_path)
    (tmp_path / "keys/gzb-mac.mac").unlink()
    (tmp_path / "busbar.toml").write_text("[utility]\n", "utf-8")
    code, _, err = run(capsys, "db", "status", "--installation", str(tmp_path))
    lines = err.splitlines()
    assert code == 2
    assert [line.split(": ")[1] for line in lines] == ["banks/GZB.toml:30", *["busbar.toml:1"] * 3]


def test_keys_are_made_listed_and_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    at = ("--installation", str(tmp_path))
    code, out, _ = run(capsys, "keys", "new", "mac", "line-1", *at)
    secret = (tmp_path / "keys/line-1.mac").read_text().strip()
    assert code == 0
    assert "3DES" in out
    assert secret not in out
    assert run(capsys, "keys", "new", "rsa", "file-1", *at)[0] == 0
    assert run(capsys, "keys", "show-public", "file-1", *at)[1] == (tmp_path / "keys/file-1.pub.pem").read_text()
    code, out, _ = run(capsys, "keys", "list", *at)
    assert (code, len(out.splitlines())) == (0, 3)
    assert "PRIVATE" not in out
    code, _, err = run(capsys, "keys", "new", "mac", "line-1", *at)
    assert (code, "exists already" in err) == (2, True)
    (tmp_path / "keys/line-1.mac").chmod(0o644)
    code, out, err = run(capsys, "keys", "list", *at)
    assert code == 2
    assert "chmod 600" in out
    assert secret not in out + err


def test_the_sample_is_repeatable_and_keeps_what_is_there(tmp_path: Path) -> None:
    create_sample(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    create_sample(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert [bank.code for bank in load(tmp_path).banks] == ["GZB", "YYB"]


def test_serve_says_where_it_listens_and_ends_in_order(tmp_path: Path) -> None:
    """The whole command, as a process of its own: embedded database, servers, SIGTERM. Meanwhile `db` reaches it."""
    create_sample(tmp_path)
    busbar = [sys.executable, "-m", "busbar"]
    process = subprocess.Popen(
        [*busbar, "serve", "--installation", str(tmp_path), "--ready-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"http://{ready['addresses']['http']}/readyz", timeout=10) as response:
            assert response.read() == b"ready\n"
        note = tmp_path / "var/database.dsn"
        assert stat.S_IMODE(note.stat().st_mode) == 0o600
        at = ("--installation", str(tmp_path))
        status = finished(*busbar, "db", "status", *at)
        *partitions, days = status.stdout.splitlines()
        assert len(partitions) == 4
        day = partitions[-1].split()[-1]
        assert days == f"day {day}  OPEN       营业 open"
        moved = finished(*busbar, "db", "cut-off", "--next-date", day, *at)
        assert moved.returncode == 0
        assert moved.stdout.count("ALREADY_MOVED") == 4
        back = finished(*busbar, "db", "cut-off", "--next-date", "2000-01-01", *at)
        assert (back.returncode, back.stderr.count("\n")) == (2, 1)
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["ready", "stopping", "stopped"]
    assert not note.exists()
