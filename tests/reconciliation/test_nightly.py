"""The whole night on a real database: the worked example, cross-day, replacements, and the receipts report."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from reconciliation.errors import NotCutOff
from reconciliation.nightly import issue_report
from reconciliation.result import NightResult

DAY = date(2024, 4, 3)
NEXT = date(2024, 4, 4)
LATER = date(2024, 4, 5)


def kinds(result: NightResult, bank: str = "BANKA") -> list[tuple[str, int]]:
    [found] = [item for item in result.banks if item.bank == bank]
    return sorted((item.kind.value, item.difference_fen) for item in found.breaks)


def worked_example(world: Any) -> None:
    """Utility: A 10.00, B 20.06, C 4.00, D 7.50. Bank: A 10.00, B 20.60, C 4.00, E 5.00."""
    world.pay("BANKA", "A1", 1000)
    world.pay("BANKA", "B1", 2006, partition=1, customer_no="0600012346")
    world.pay("BANKA", "C1", 400, month=202311)
    world.pay("BANKA", "D1", 750)
    world.cut_off(NEXT)
    world.send(
        "BANKA",
        [
            world.line("A1", 1000),
            world.line("B1", 2060, customer_no="0600012346"),
            world.line("C1", 400),
            world.line("E1", 500),
        ],
    )
    world.send("BANKB", [])


async def test_worked_example(world: Any) -> None:
    worked_example(world)
    result = await world.night()
    [bank, other] = result.banks
    assert kinds(result) == [("AMOUNT_MISMATCH", 54), ("BANK_ONLY", 500), ("UTILITY_ONLY", -750)]
    assert (bank.matched, bank.bank_net_fen, bank.utility_net_fen) == (2, 3960, 4156)
    assert bank.identities[0].left_fen == bank.identities[0].right_fen == 3960
    assert bank.is_reconciled
    assert other.is_reconciled
    assert result.is_ok
    assert all(result.identities().values())
    assert {path.suffix for path in result.report.paths} == {".csv", ".xlsx", ".pdf"}


async def test_day_that_is_not_cut_off_is_refused(world: Any) -> None:
    world.sql("INSERT INTO ledger_00.clearing_day VALUES ($1, now())", NEXT)
    with pytest.raises(NotCutOff, match=r"2024-04-03 is not cut off yet in partition 01 \(at 2024-04-03\)"):
        await world.night()
    assert world.sql("SELECT count(*) FROM reconciliation.run")[0][0] == 0


def run_states(world: Any) -> dict[str, str]:
    return {row["bank"]: row["state"] for row in world.sql("SELECT bank, state FROM reconciliation.run")}


async def test_a_report_alone_says_nothing_of_the_night(world: Any) -> None:
    worked_example(world)
    report = await issue_report(world.setup, DAY)
    assert not report.refused
    assert run_states(world) == {"*": "running"}
    await world.night()
    done = {"*": "done", "BANKA": "done", "BANKB": "done"}
    assert run_states(world) == done
    world.sql("UPDATE reconciliation.run SET state = 'failed' WHERE bank = '*'")
    again = await issue_report(world.setup, DAY)
    assert again.paths == report.paths
    assert run_states(world) == {**done, "*": "failed"}


async def test_a_report_of_an_open_day_is_refused(world: Any) -> None:
    with pytest.raises(NotCutOff, match="2024-04-03 is not cut off yet in partition 00"):
        await issue_report(world.setup, DAY)


async def test_cross_day_both_ways_supersedes_the_one_sided_breaks(world: Any) -> None:
    world.pay("BANKA", "1", 1000)  # the bank files it a day later
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("2", 700)])  # we book it a day later
    first = await world.night()
    assert kinds(first) == [("BANK_ONLY", 700), ("UTILITY_ONLY", -1000)]
    world.pay("BANKA", "2", 700, day=NEXT, trace_date=DAY)
    world.cut_off(LATER)
    world.send("BANKA", [world.line("1", 1000, day=NEXT, trace_date=DAY)], day=NEXT)
    second = await world.night(NEXT)
    assert kinds(second) == [("CROSS_DAY", -700), ("CROSS_DAY", 1000)]
    assert second.is_ok
    assert [item.age_days(NEXT) for item in second.banks[0].breaks] == [1, 1]
    states = {(row["kind"], row["clearing_date"]): state for row, state, _ in world.stored_breaks()}
    assert states["BANK_ONLY", "2024-04-03"] == states["UTILITY_ONLY", "2024-04-03"] == "superseded"
    assert states["CROSS_DAY", "2024-04-04"] == "open"


async def test_a_file_that_comes_late_finds_the_day_after_it(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(LATER)
    world.send("BANKA", [world.line("1", 1000, day=NEXT, trace_date=DAY)], day=NEXT)
    assert kinds(await world.night(NEXT)) == [("BANK_ONLY", 1000)]
    world.send("BANKA", [])
    result = await world.night()
    assert kinds(result) == [("CROSS_DAY", -1000)]
    assert result.is_ok


async def test_payment_left_out_by_the_bank_and_reversed_by_us_next_day_nets_over_days(world: Any) -> None:
    original = world.pay("BANKA", "1", 1000)
    world.cut_off(NEXT)
    world.send("BANKA", [])
    assert kinds(await world.night()) == [("UTILITY_ONLY", -1000)]
    world.undo(original, "9", "NEXT_DAY_REVERSAL", NEXT)
    world.cut_off(LATER)
    world.send("BANKA", [], day=NEXT)
    result = await world.night(NEXT)
    assert kinds(result) == [("STATUS_MISMATCH", 1000)]
    [found] = result.banks[0].breaks
    assert found.netted_over_days
    assert found.treatment(NEXT).value == "CLOSE_NETTED"
    assert result.is_ok


async def test_open_bill_is_late_posted_and_settled_one_refunded(world: Any) -> None:
    world.open_bill("0600077777", "ROPEN", 500)
    paid = world.pay("BANKA", "1", 1000, day=date(2024, 4, 2), trace_date=date(2024, 4, 2))
    world.cut_off(NEXT)
    world.send(
        "BANKA",
        [
            world.line("8", 500, customer_no="0600077777", receivable_id="ROPEN"),
            world.line("9", 1000, receivable_id=paid["bill"]["receivable_id"]),
            world.line("10", 300, customer_no="0600099998", receivable_id="RNONE"),
        ],
    )
    result = await world.night()
    states = {
        item.bank_record.trace_no: item.treatment(DAY).value for item in result.banks[0].breaks if item.bank_record
    }
    assert states == {"8": "LATE_POST", "9": "REFUND_OR_PREPAYMENT", "10": "SUSPENSE"}


async def test_two_traces_that_pay_one_bill_twice_are_a_duplicate_of_the_bank(world: Any) -> None:
    paid = world.pay("BANKA", "1", 1000)
    bill = paid["bill"]["receivable_id"]
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("1", 1000, receivable_id=bill), world.line("2", 1000, receivable_id=bill)])
    result = await world.night()
    assert kinds(result) == [("DUPLICATE_BANK", 1000)]
    assert result.is_ok


async def test_trace_filed_again_on_a_later_day_is_a_duplicate_of_the_bank(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(LATER)
    world.send("BANKA", [world.line("1", 1000)])
    assert kinds(await world.night()) == []
    world.send("BANKA", [world.line("1", 1000, day=NEXT, trace_date=DAY)], day=NEXT)
    assert kinds(await world.night(NEXT)) == [("DUPLICATE_BANK", 1000)]


async def test_bil_file_names_originals_by_our_reference(world: Any) -> None:
    bare = {"channel": None, "settle_method": None, "charge_kind": None}
    original = world.pay("BANKB", "000000000001", 1000)
    world.undo(original, "000000000002", "SAME_DAY_CANCEL")
    world.pay("BANKB", "000000000003", 2000)
    world.cut_off(NEXT)
    world.send("BANKA", [])
    world.send(
        "BANKB",
        [
            world.line("000000000001", 1000, reference_no=original["reference_no"], **bare),
            world.line("000000000007", 1000, "CANCEL", original_reference_no=original["reference_no"], **bare),
            world.line("000000000003", 1500, **bare),
        ],
    )
    result = await world.night()
    assert kinds(result, "BANKB") == [("AMOUNT_MISMATCH", -500)]
    assert result.banks[1].matched == 2
    assert result.is_ok


async def test_key_2_proposes_and_books_nothing(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(NEXT)
    world.send("BANKA", [world.line("2", 1000)])
    result = await world.night()
    assert kinds(result) == [("BANK_ONLY", 1000), ("UTILITY_ONLY", -1000)]
    first, second = result.banks[0].breaks
    assert (first.proposed_match, second.proposed_match) == (second.break_id, first.break_id)


async def test_breaks_age(world: Any) -> None:
    world.pay("BANKA", "1", 1000)
    world.cut_off(date(2024, 4, 9))
    for number in range(6):
        day = date(2024, 4, 3 + number)
        world.send("BANKA", [], day=day)
        await world.night(day)
    [(row, state, _)] = [item for item in world.stored_breaks() if item[0]["kind"] == "UTILITY_ONLY"]
    marks = world.sql(
        "SELECT cause FROM reconciliation.break_event WHERE event = 'aged' AND break_id = $1 ORDER BY event_no",
        row["break_id"],
    )
    assert [mark["cause"] for mark in marks] == ["T+2", "T+5"]
    assert (row["first_seen_date"], state) == ("2024-04-03", "open")
