"""`busbar db`, `night` and `report` on a fresh sample installation, as an operator runs them.

The database is kept running around the commands, which then find it by its note instead of starting their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from busbar.cli import main
from busbar.installations import create_sample, load_installation, open_database
from busbar.postgresql import remove_data

DAY, NEXT_DAY = "2024-04-03", "2024-04-04"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commands") / "installation"
    create_sample(folder)
    with open_database(load_installation(folder)):
        with pytest.raises(SystemExit) as ended:
            main(["db", "init", "--first-date", DAY, "--installation", str(folder)])
        assert ended.value.code == 0
        yield folder
    remove_data(folder / "var" / "postgresql")  # as root it lies outside the temporary folder


@pytest.fixture
def run(installation: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--installation", str(installation)])
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


def cut_off(run: Run) -> None:
    code, told, _ = run("db", "cut-off", "--next-date", NEXT_DAY)
    assert code == 0
    assert told.count(NEXT_DAY) == 4


def test_a_day_that_is_not_cut_off_has_no_night(run: Run) -> None:
    code, told, error = run("night", NEXT_DAY)
    assert (code, told) == (2, "")
    assert f"busbar: {NEXT_DAY} is not cut off yet" in error


def test_a_bank_that_there_is_not(run: Run) -> None:
    code, _, error = run("night", DAY, "--bank", "NONE")
    assert code == 2
    assert "no bank has the code NONE; there are: GZB, YYB" in error


def test_missing_files_are_told_and_asked_for(run: Run, installation: Path) -> None:
    cut_off(run)
    code, told, _ = run("night", DAY)
    assert code == 1
    for bank in ("GZB", "YYB"):
        assert f"{bank} file - missing" in told
        letter = installation / "inbox" / bank / f"{bank}_20240403.missing.txt"
        assert f"no settlement file of {DAY} has come" in letter.read_text(encoding="utf-8-sig")
    assert told.count("FILE_ERROR") == 2


def test_the_night_can_be_repeated_and_the_report_issued_alone(run: Run) -> None:
    cut_off(run)
    first = run("night", DAY)
    assert run("night", DAY) == first
    paths = [Path(line.removeprefix("report ")) for line in first[1].splitlines() if line.startswith("report ")]
    assert [path.suffix for path in paths] == [".csv", ".xlsx", ".pdf"]
    before = [path.read_bytes() for path in paths]
    code, told, _ = run("report", DAY)
    assert (code, [Path(line) for line in told.splitlines()]) == (0, paths)
    assert [path.read_bytes() for path in paths] == before


def test_one_bank_alone(run: Run) -> None:
    cut_off(run)
    code, told, _ = run("night", DAY, "--bank", "YYB")
    assert code == 1
    assert "YYB file" in told
    assert "GZB" not in told


def test_initialising_again_keeps_the_dates(run: Run) -> None:
    cut_off(run)
    code, told, _ = run("db", "init", "--first-date", "2030-01-01")
    assert code == 0
    assert told.count(f"clearing date {NEXT_DAY}") == 4
