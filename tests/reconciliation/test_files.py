"""What becomes of a settlement file: each check, missing files, replacements, and the letter to the bank."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

DAY = date(2024, 4, 3)
NEXT = date(2024, 4, 4)


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def spoil(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    return spoil


# What the bank did to its file before it signed it, and the code of the first failed check.
SPOILT: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("wrong header net", replaced(b"|CNY|2|15.00|", b"|CNY|2|15.01|"), "HEADER_AMOUNT"),
    ("wrong header count", replaced(b"|CNY|2|15.00|2|", b"|CNY|3|15.00|2|"), "HEADER_COUNT"),
    ("wrong trailer", replaced(b"T|2|15.00|", b"T|2|15.10|"), "TRAILER_AMOUNT"),
    ("no trailer", replaced(b"T|2|15.00|\r\n", b""), "LINES_UNREADABLE"),
    ("broken GBK", replaced(b"|BANK_COUNTER|", b"|\xff\xff|"), "LINES_UNREADABLE"),
    ("missing field", replaced(b"|OK|", b"|"), "LINES_UNREADABLE"),
    ("three decimals", replaced(b"|10.00|", b"|10.000|"), "LINES_UNREADABLE"),
    ("other bank", replaced(b"|301581000230|", b"|301581000231|"), "HEADER_BANK"),
    ("other day", replaced(b"|20240403|CNY", b"|20240402|CNY"), "HEADER_DATE"),
    ("empty", lambda _: b"", "LINES_UNREADABLE"),
]


@pytest.mark.parametrize(("spoil", "code"), [row[1:] for row in SPOILT], ids=[row[0] for row in SPOILT])
async def test_bad_file_is_a_file_break_and_the_night_goes_on(
    world: Any, spoil: Callable[[bytes], bytes], code: str
) -> None:
    world.pay("BANKA", "1", 1000)
    world.pay("BANKB", "000000000001", 700)
    world.cut_off(NEXT)
    path = world.send("BANKA", [world.line("1", 1000), world.line("2", 500)], spoil=spoil)
    bare = {"channel": None, "settle_method": None, "charge_kind": None}
    world.send("BANKB", [world.line("000000000001", 700, **bare)])
    result = await world.night()
    bad, good = result.banks
    assert (bad.file.verdict, bad.file.failed_check) == ("refused", code)
    assert [item.kind.value for item in bad.breaks] == ["FILE_ERROR"]
    assert bad.matched == 0
    assert not bad.is_reconciled
    assert (good.matched, good.breaks) == (1, ())
    assert result.is_ok
    letter = path.with_name(path.name + ".refused.txt").read_text("utf-8-sig")
    assert code in letter
    assert "检查" in letter
    assert not list(world.setup.work_folder.rglob("BANKA/*/bank.parquet"))


async def test_unsigned_and_changed_files_are_never_read(world: Any) -> None:
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("1", 1000)], sig=False)
    changed = world.send("BANKB", [])
    changed.write_bytes(changed.read_bytes() + b"x")
    result = await world.night()
    assert [bank.file.failed_check for bank in result.banks] == ["SIG_MISSING", "DIGEST_WRONG"]


async def test_missing_file_is_a_file_break_until_it_comes(world: Any) -> None:
    world.cut_off(NEXT)
    (world.setup.inbox_folder("BANKA")).mkdir(parents=True)
    (world.setup.inbox_folder("BANKA") / "recon.txt").write_text("x")
    world.send("BANKB", [])
    first = await world.night()
    assert first.banks[0].file.verdict == "missing"
    assert "recon.txt" in first.banks[0].breaks[0].explanation_english
    assert first.banks[0].breaks[0].treatment(DAY).value == "ASK_FILE_AGAIN"
    world.send("BANKA", [])
    second = await world.night()
    assert second.banks[0].is_reconciled
    assert [(row["kind"], state) for row, state, _ in world.stored_breaks()] == [("FILE_ERROR", "withdrawn")]


async def test_numbered_replacement_supersedes_and_deletes_nothing(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.pay("BANKA", "2", 2000)
    world.cut_off(NEXT)
    world.send("BANKB", [])
    world.send("BANKA", [world.line("1", 1000), world.line("3", 300)])
    first = await world.night()
    assert sorted(item.kind.value for item in first.banks[0].breaks) == ["BANK_ONLY", "UTILITY_ONLY"]
    world.send("BANKA", [world.line("1", 1000), world.line("2", 2000), world.line("3", 300)], sequence=2)
    second = await world.night()
    assert second.banks[0].file.sequence == 2
    assert [item.kind.value for item in second.banks[0].breaks] == ["BANK_ONLY"]
    states = {row["kind"]: state for row, state, _ in world.stored_breaks()}
    assert states == {"BANK_ONLY": "open", "UTILITY_ONLY": "withdrawn"}
    third = await world.night()
    assert third.banks[0].breaks == second.banks[0].breaks


async def test_replacement_that_withdraws_a_cross_day_break_opens_what_it_superseded(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(date(2024, 4, 5))
    world.send("BANKA", [])
    await world.night()
    world.send("BANKA", [world.line("1", 1000, day=NEXT, trace_date=DAY)], day=NEXT)
    await world.night(NEXT)
    world.send("BANKA", [], day=NEXT, sequence=2)
    await world.night(NEXT)
    states = {row["kind"]: state for row, state, _ in world.stored_breaks() if row["bank"] == "BANKA"}
    assert states == {"UTILITY_ONLY": "open", "CROSS_DAY": "withdrawn"}
    world.send("BANKA", [world.line("1", 1000, day=NEXT, trace_date=DAY)], day=NEXT, sequence=3)
    await world.night(NEXT)
    states = {row["kind"]: state for row, state, _ in world.stored_breaks() if row["bank"] == "BANKA"}
    assert states == {"UTILITY_ONLY": "superseded", "CROSS_DAY": "open"}


async def test_another_file_under_a_used_number_is_refused_and_the_first_stays(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("1", 1000)])
    await world.night()
    world.send("BANKA", [world.line("1", 999)])
    result = await world.night()
    [bank, _] = result.banks
    assert (bank.file.verdict, bank.file.failed_check) == ("refused", "SEQUENCE_REPEATED")
    assert any("DAY_DONE" in english for _, english in bank.file.reasons)
    assert (bank.matched, [item.kind.value for item in bank.breaks]) == (1, ["FILE_ERROR"])
    assert bank.is_reconciled


async def test_bad_replacement_leaves_the_first_file_standing(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("1", 1000)])
    await world.night()
    world.send("BANKA", [world.line("1", 1000)], sequence=3)
    result = await world.night()
    assert result.banks[0].file.failed_check == "SEQUENCE_GAP"
    assert result.banks[0].matched == 1
