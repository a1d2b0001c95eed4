"""What settlement files say of money whose end is in doubt: the judgement as a table and a property, then whole nights.

Rows are put into the ledger as the gateway writes them; the nights run on a real PostgreSQL with the night's own login.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.database import PermissionRefused, connect
from reconciliation.breaks.kinds import BreakKind
from reconciliation.unresolved.judge import (
    ABSENT,
    BANK_ALONE,
    BOTH_SIDES,
    CLOSED,
    FOUND,
    NEITHER_SIDE,
    UTILITY_ALONE,
    Known,
    OpenRow,
    judge,
)
from reconciliation.unresolved.rows import list_unresolved

DAY = date(2024, 4, 3)
KEY = ("PAY", DAY, "000000000001")
DAYS = frozenset(DAY + timedelta(days=n) for n in range(-3, 8))
ROW = OpenRow(0, 1, KEY, DAY, "BOOKED")


def known(age_days: int, **changes: Any) -> Known:
    """A night `age_days` after DAY, every file before it read."""
    night = DAY + timedelta(days=age_days)
    given_: dict[str, Any] = {
        "clearing_date": night,
        "file_name": "f",
        "in_file": frozenset(),
        "bank_alone": {},
        "utility_alone": {KEY: "b1"},
        "clearing_days": DAYS,
        "read_days": frozenset(day for day in DAYS if day <= night),
    }
    return Known(**{**given_, **changes})


FOUND_NOW = {"in_file": frozenset([KEY]), "utility_alone": {}}
JUDGEMENTS: list[tuple[str, int, dict[str, Any], list[tuple[str, str, str]]]] = [
    ("BOOKED", 0, FOUND_NOW, [(FOUND, "", "f"), (CLOSED, BOTH_SIDES, "f")]),
    ("BOOKED", 1, FOUND_NOW, [(FOUND, "", "f"), (CLOSED, BOTH_SIDES, "f")]),
    ("BOOKED", 0, {}, [(ABSENT, "", "f")]),
    ("BOOKED", 1, {}, [(ABSENT, "", "f")]),
    ("BOOKED", 2, {}, [(ABSENT, "", "f"), (CLOSED, UTILITY_ALONE, "b1")]),
    ("BOOKED", 4, {}, [(ABSENT, "", "f"), (CLOSED, UTILITY_ALONE, "b1")]),
    # A day in between whose file was never read, our own day's among them, proves nothing.
    ("BOOKED", 2, {"read_days": DAYS - {DAY}}, [(ABSENT, "", "f")]),
    ("BOOKED", 2, {"read_days": DAYS - {DAY + timedelta(days=1)}}, [(ABSENT, "", "f")]),
    # Opened after its own day's match, which left no break: it was found there.
    ("BOOKED", 1, {"utility_alone": {}}, [(FOUND, "", ""), (CLOSED, BOTH_SIDES, "")]),
    ("BOOKED", 0, {"utility_alone": {}}, [(ABSENT, "", "f")]),
    ("BOOKED", -1, FOUND_NOW, []),
    *[
        (side, age, changes, expected)
        for side in ("NOT_BOOKED", "REFUSED", "FENCED", "NOTHING_TO_UNDO", "CANCELLED")
        for age, changes, expected in [
            (0, {"utility_alone": {}}, [(ABSENT, "", "f")]),
            (1, {"utility_alone": {}}, [(ABSENT, "", "f")]),
            (2, {"utility_alone": {}}, [(ABSENT, "", "f"), (CLOSED, NEITHER_SIDE, "")]),
            (1, {**FOUND_NOW, "bank_alone": {KEY: "b2"}}, [(FOUND, "", "f"), (CLOSED, BANK_ALONE, "b2")]),
            (1, FOUND_NOW, [(FOUND, "", "f"), (CLOSED, BOTH_SIDES, "f")]),
            (2, {"bank_alone": {KEY: "b2"}}, [(ABSENT, "", "f"), (CLOSED, BANK_ALONE, "b2")]),
        ]
    ],
]


@pytest.mark.parametrize(("our_side", "age_days", "changes", "expected"), JUDGEMENTS)
def test_judgement(our_side: str, age_days: int, changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    events = judge(replace(ROW, our_side=our_side), known(age_days, **changes))
    assert [(event.event, event.reason, event.detail) for event in events] == expected
    assert all(event.age_days == (event.file_date - DAY).days for event in events)


@given(
    our_side=st.sampled_from(["BOOKED", "CANCELLED", "REFUSED", "FENCED", "NOT_BOOKED", "NOTHING_TO_UNDO"]),
    age_days=st.integers(-2, 6),
    in_file=st.booleans(),
    bank_alone=st.booleans(),
    utility_alone=st.booleans(),
    read=st.sets(st.sampled_from(sorted(DAYS))),
)
def test_absence_closes_nothing_before_t_2(
    our_side: str, age_days: int, in_file: bool, bank_alone: bool, utility_alone: bool, read: set[date]
) -> None:
    night = DAY + timedelta(days=age_days)
    state = known(
        age_days,
        in_file=frozenset([KEY]) if in_file else frozenset(),
        bank_alone={KEY: "b2"} if bank_alone else {},
        utility_alone={KEY: "b1"} if utility_alone else {},
        read_days=frozenset(read | {night}),
    )
    for event in judge(replace(ROW, our_side=our_side), state):
        if event.event == CLOSED and event.reason in (UTILITY_ALONE, NEITHER_SIDE):
            assert event.age_days >= 2
            assert {DAY + timedelta(days=n) for n in range(age_days + 1)} <= read | {night}
            assert not in_file


def open_row(world: Any, posting: dict[str, Any], cause: str = "REPLY_NOT_DELIVERED", kind: str = "PAYMENT") -> None:
    """As the gateway notes that a posting's reply was lost."""
    about = posting.get("about", posting)
    world.sql(
        f"INSERT INTO ledger_{posting['partition']:02d}.unresolved (bank, kind, trace_date, trace_no, about_trace_date,"
        " about_trace_no, customer_no, amount_fen, currency, cause, clearing_date, opened_at, trace_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'CNY', $9, $10, '2024-04-03 10:00+08', 't')",
        posting["bank"],
        kind,
        posting["trace_date"],
        posting["trace_no"],
        about["trace_date"],
        about["trace_no"],
        posting["customer_no"],
        posting["amount_fen"],
        cause,
        posting["clearing_date"],
    )


async def rows(world: Any) -> list[tuple[str, bool, str, str | None, int | None, str]]:
    found = await list_unresolved(world.setup.source, everything=True)
    return [(r.trace_no, r.is_open, r.bank_side, r.closed_by, r.absent_days, r.next_action) for r in found]


def breaks(world: Any) -> list[tuple[str, str, str]]:
    return sorted(
        (row["kind"], row["state"], row["difference"])
        for row in world.sql(
            "SELECT kind, state, difference_fen::text AS difference FROM reconciliation.break"
            " JOIN reconciliation.break_state USING (break_id) WHERE kind <> 'FILE_ERROR'"
        )
    )


def day(number: int) -> date:
    return DAY + timedelta(days=number)


async def test_from_doubt_to_the_real_break(world: Any) -> None:
    """One that the file has, one that no file has, one that the next day's file has; then every night again."""
    filed = world.pay("BANKA", "000000000001", 1000)
    absent = world.pay("BANKA", "000000000002", 2000, partition=1)
    late = world.pay("BANKA", "000000000003", 3000)
    world.pay("BANKA", "000000000004", 4000)  # nobody ever doubted this one
    for posting in (filed, absent, late):
        open_row(world, posting)
    for number in range(4):
        world.cut_off(day(number + 1))
    world.send("BANKA", [world.line("000000000001", 1000)])
    first = await world.night()
    kinds = sorted(found.kind for found in first.banks[0].breaks)
    assert kinds == [BreakKind.SUSPECT, BreakKind.SUSPECT, BreakKind.UTILITY_ONLY]
    assert first.is_ok
    assert await rows(world) == [
        ("000000000001", False, "FOUND_IN_FILE", "SETTLEMENT_FILE", None, "NOTHING"),
        ("000000000002", True, "ABSENT_FROM_FILE", None, 0, "ASK_BANK"),
        ("000000000003", True, "ABSENT_FROM_FILE", None, 0, "ASK_BANK"),
    ]

    late_line = world.line("000000000003", 3000, day=day(1), trace_date=DAY)
    world.send("BANKA", [late_line], day=day(1))
    await world.night(day(1))
    assert (await rows(world))[1:] == [
        ("000000000002", True, "ABSENT_FROM_FILE", None, 1, "ASK_BANK"),
        ("000000000003", False, "FOUND_IN_FILE", "SETTLEMENT_FILE", 0, "NOTHING"),
    ]
    assert ("SUSPECT", "open", "-2000") in breaks(world)

    world.send("BANKA", [], day=day(2))
    await world.night(day(2))
    after = await rows(world)
    assert after[1] == ("000000000002", False, "ABSENT_FROM_FILE", "ABSENT_BREAK", 2, "TREAT_BREAK")
    real = [item for item in breaks(world) if item[2] == "-2000"]
    assert real == [("SUSPECT", "superseded", "-2000"), ("UTILITY_ONLY", "open", "-2000")]
    [told] = world.sql("SELECT * FROM reconciliation.break WHERE kind = 'UTILITY_ONLY' AND supersedes IS NOT NULL")
    assert (told["clearing_date"], told["first_seen_date"]) == (DAY, DAY)
    assert "in doubt" in told["explanation_english"]

    before = world.stored_breaks()
    for number in (2, 1, 0):
        assert (await world.night(day(number))).is_ok
    assert world.stored_breaks() == before
    assert await rows(world) == after


async def test_a_replacement_file_takes_the_real_break_back(world: Any) -> None:
    payment = world.pay("BANKA", "000000000001", 1000)
    open_row(world, payment)
    for number in range(4):
        world.cut_off(day(number + 1))
    for number in range(3):
        world.send("BANKA", [], day=day(number))
        await world.night(day(number))
    assert breaks(world) == [("SUSPECT", "superseded", "-1000"), ("UTILITY_ONLY", "open", "-1000")]
    world.send("BANKA", [world.line("000000000001", 1000)], sequence=2)
    assert (await world.night()).is_ok
    assert breaks(world) == [("SUSPECT", "withdrawn", "-1000"), ("UTILITY_ONLY", "withdrawn", "-1000")]


async def test_a_missing_file_proves_nothing(world: Any) -> None:
    payment = world.pay("BANKA", "000000000001", 1000)
    open_row(world, payment)
    for number in range(4):
        world.cut_off(day(number + 1))
    world.send("BANKA", [])
    await world.night()
    await world.night(day(1))  # no file has come
    world.send("BANKA", [], day=day(2))
    await world.night(day(2))
    assert await rows(world) == [("000000000001", True, "ABSENT_FROM_FILE", None, 2, "ASK_BANK")]
    assert breaks(world) == [("SUSPECT", "open", "-1000")]
    world.send("BANKA", [], day=day(1))
    await world.night(day(1))
    await world.night(day(2))
    assert (await rows(world))[0][3] == "ABSENT_BREAK"


async def test_undone_and_refused_ones_close_without_a_break(world: Any) -> None:
    payment = world.pay("BANKA", "000000000001", 1000)
    undo = world.undo(payment, "000000000002", "REVERSAL")
    open_row(world, payment)
    open_row(world, {**undo, "about": payment}, cause="NO_ANSWER_IN_TIME", kind="REVERSAL")
    never = {**payment, "trace_no": "000000000009"}
    open_row(world, never, cause="COMMIT_UNKNOWN")
    for number in range(4):
        world.cut_off(day(number + 1))
    for number in range(3):
        assert [r[1] for r in await rows(world)] == [True, True, True]
        world.send("BANKA", [], day=day(number))
        assert (await world.night(day(number))).is_ok
    closed = {r[0]: r[3] for r in await rows(world)}
    assert closed["000000000001"] == closed["000000000009"] == "ABSENT_BOTH"
    assert breaks(world) == []


async def test_the_bank_alone_has_it(world: Any) -> None:
    payment = world.pay("BANKA", "000000000001", 1000)
    open_row(world, {**payment, "trace_no": "000000000009"}, cause="NO_ANSWER_IN_TIME")
    world.cut_off(day(1))
    world.send("BANKA", [world.line("000000000001", 1000), world.line("000000000009", 1000)])
    await world.night()
    [row] = await list_unresolved(world.setup.source, everything=True)
    [kind] = world.sql("SELECT kind FROM reconciliation.break WHERE break_id = $1", row.closed_detail)
    assert (row.closed_by, row.our_side, kind[0]) == ("FILE_BREAK", "NOT_BOOKED", "BANK_ONLY")


FORBIDDEN = [
    "SELECT 1 FROM ledger_00.unresolved_event",
    "SELECT 1 FROM ledger_00.unresolved",
    "INSERT INTO ledger_00.unresolved DEFAULT VALUES",
    "UPDATE ledger_00.unresolved_event SET reason = ''",
    "DELETE FROM ledger_00.unresolved_event",
    "INSERT INTO ledger_00.unresolved_event (unresolved_id, event, happened_at, trace_id) VALUES (1, '', now(), '')",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_night_may_add_events_and_nothing_else(world: Any, statement: str) -> None:
    connection = await connect(world.setup.dsn)
    try:
        with pytest.raises(PermissionRefused):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("age_days", "reason", "refused"),
    [
        (0, "ABSENT_BREAK", True),
        (1, "ABSENT_BREAK", True),
        (1, "ABSENT_BOTH", True),
        (None, "ABSENT_BOTH", True),
        (2, "ABSENT_BOTH", False),
        (0, "SETTLEMENT_FILE", False),
    ],
)
async def test_the_database_too_lets_absence_close_nothing_early(
    world: Any, age_days: int | None, reason: str, refused: bool
) -> None:
    open_row(world, world.pay("BANKA", "000000000001", 1000))
    statement = (
        "INSERT INTO ledger_00.unresolved_event (unresolved_id, event, reason, file_date, age_days, happened_at)"
        " VALUES (1, 'CLOSED', $1, $2, $3, now())"
    )
    if refused:
        with pytest.raises(Exception, match="unresolved_event_absence_waits"):
            world.sql(statement, reason, DAY, age_days)
    else:
        world.sql(statement, reason, DAY, age_days)
