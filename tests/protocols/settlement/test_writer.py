"""Writing: what is written is read back as it was meant, and what a layout can't carry is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import ProtocolError
from protocols.money import Money
from protocols.settlement.bil import bil_layout
from protocols.settlement.layout import Layout
from protocols.settlement.layouts import BIL, PIPE
from protocols.settlement.model import EntryKind, LineError, SettlementEntry, SettlementHeader
from protocols.settlement.pipe import pipe_layout
from protocols.settlement.reader import read_settlement
from protocols.settlement.writer import settlement_lines, with_totals, write_settlement

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2024, 4, 3)
HEADER = SettlementHeader(clearing_date=DAY, bank="301581000230", utility="GDELEC")
PAY = SettlementEntry(
    line_no=0,
    kind=EntryKind.PAY,
    trace_date=DAY,
    trace_no="090501000001",
    customer_no="0600012345",
    amount=Money(1000),
    clearing_date=DAY,
    paid_at=datetime(2024, 4, 3, 9, 5, 1, tzinfo=ZONE),
    channel="BANK_COUNTER",
    settle_method="CASH",
)
CANCEL = replace(PAY, kind=EntryKind.CANCEL, trace_no="2", original_trace_date=DAY, original_trace_no=PAY.trace_no)

# What a column can't hold on purpose: pipes and controls anywhere in a text, everything else outside GBK (by charset).
GBK_TEXT = st.text(
    st.characters(codec="gbk", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="|"), max_size=128
)
ANY_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="|"), max_size=128
)
CODES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
AMOUNTS = st.integers(1, 10**9).map(Money)
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))


def code(width: int) -> st.SearchStrategy[str]:
    return st.text(CODES, min_size=1, max_size=width)


def reference() -> st.SearchStrategy[str | None]:
    return st.none() | st.integers(1, 10**12 - 1).map(lambda number: f"{number:012d}")


def moments(days: st.SearchStrategy[date]) -> st.SearchStrategy[datetime]:
    clock = st.times(time(0), time(23, 59, 59)).map(lambda at: at.replace(microsecond=0))
    return st.builds(lambda day, at: datetime.combine(day, at, ZONE), days, clock)


@st.composite
def pipe_days(draw: st.DrawFn, remarks: st.SearchStrategy[str]) -> tuple[SettlementHeader, list[SettlementEntry]]:
    header = replace(HEADER, clearing_date=draw(DAYS))
    entries = []
    for line_no in range(2, 2 + draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(EntryKind))
        undo = kind is not EntryKind.PAY
        entries.append(
            SettlementEntry(
                line_no=line_no,
                kind=kind,
                trace_date=draw(DAYS),
                trace_no=draw(code(32)),
                customer_no=draw(code(20)),
                amount=draw(AMOUNTS),
                clearing_date=header.clearing_date,
                paid_at=draw(moments(DAYS)),
                receivable_id=draw(st.none() | code(16)),
                billing_month=draw(st.none() | DAYS.map(lambda day: f"{day:%Y%m}")),
                org_code=draw(st.none() | code(8)),
                charge_kind=draw(st.none() | code(3)),
                principal=draw(st.none() | st.integers(0, 10**9).map(Money)),
                penalty=draw(st.none() | st.integers(0, 10**9).map(Money)),
                channel=draw(st.sampled_from(["BANK_COUNTER", "ATM", "POS"])),
                settle_method=draw(st.sampled_from(["CASH", "CARD"])),
                original_trace_date=draw(DAYS) if undo else None,
                original_trace_no=draw(code(32)) if undo else None,
                remark=draw(remarks),
            )
        )
    return header, entries


@st.composite
def bil_days(draw: st.DrawFn) -> tuple[SettlementHeader, list[SettlementEntry]]:
    header = SettlementHeader(clearing_date=draw(DAYS), utility_reference=draw(st.none() | code(32)))
    near = st.integers(-150, 150).map(lambda days: header.clearing_date + timedelta(days=days))
    entries = []
    for line_no in range(2, 2 + draw(st.integers(0, 6))):
        kind = draw(st.sampled_from([EntryKind.PAY, EntryKind.CANCEL]))
        trace_date, trace_no = draw(DAYS), draw(code(12))
        original = draw(reference()) if kind is EntryKind.CANCEL else None
        lost = kind is EntryKind.CANCEL and original is None
        entries.append(
            SettlementEntry(
                line_no=line_no,
                kind=kind,
                trace_date=trace_date,
                trace_no=trace_no,
                customer_no=draw(code(16)),
                amount=draw(AMOUNTS),
                clearing_date=draw(near),
                paid_at=draw(moments(st.just(trace_date))),
                billing_month=draw(st.none() | DAYS.map(lambda day: f"{day:%Y%m}")),
                reference_no=draw(reference()),
                utility_at=draw(st.none() | moments(DAYS)),
                original_trace_date=trace_date if lost else None,
                original_trace_no=trace_no if lost else None,
                original_reference_no=original,
                account=draw(st.none() | code(35)),
                cheque_no=draw(st.none() | code(8)),
            )
        )
    return header, entries


def check_round_trip(header: SettlementHeader, entries: list[SettlementEntry], layout: Layout) -> None:
    content = write_settlement(header, entries, layout, ZONE)
    reading = read_settlement([content], layout, ZONE)
    assert list(reading) == entries
    whole = with_totals(header, entries)
    if layout.trailer is None:  # no gross totals in the header of this layout
        whole = replace(whole, payment_count=None, payment_amount=None, cancel_count=None, cancel_amount=None)
    else:
        assert reading.trailer is not None
        assert (reading.trailer.count, reading.trailer.net) == (whole.count, whole.net)
    assert reading.header == whole
    totals = reading.totals()
    assert (totals.count, totals.net) == (whole.count, whole.net)
    assert totals.net.minor == sum(entry.signed_fen for entry in entries)
    assert sum(group.payment_count + group.cancel_count for group in totals.groups) == len(entries)


@given(pipe_days(GBK_TEXT), st.sampled_from(["GBK", "GB18030", "UTF-8"]), st.sampled_from(["yuan", "fen"]))
def test_a_pipe_day_comes_back(day: tuple[SettlementHeader, list[SettlementEntry]], charset: str, amounts: str) -> None:
    check_round_trip(*day, pipe_layout(charset, amounts))


@given(pipe_days(ANY_TEXT), st.sampled_from(["GB18030", "UTF-8"]))
def test_a_pipe_day_with_rare_characters_comes_back(
    day: tuple[SettlementHeader, list[SettlementEntry]], charset: str
) -> None:
    check_round_trip(*day, pipe_layout(charset))


@given(bil_days(), st.sampled_from(["", ".05", ".050"]))
def test_a_bil_day_comes_back(day: tuple[SettlementHeader, list[SettlementEntry]], suffix: str) -> None:
    check_round_trip(*day, bil_layout(customer_suffix=suffix))


def test_every_gbk_remark_survives() -> None:
    """All two-byte characters, those with a pipe as their second byte among them."""
    characters = []
    for code_point in range(0x80, 0x10000):
        try:
            if len(chr(code_point).encode("gbk")) == 2:
                characters.append(chr(code_point))
        except UnicodeEncodeError:
            continue
    assert len(characters) > 21000
    remarks = ["".join(characters[start : start + 128]) for start in range(0, len(characters), 128)]
    entries = [replace(PAY, line_no=number, remark=remark) for number, remark in enumerate(remarks, start=2)]
    check_round_trip(HEADER, entries, PIPE)


def test_a_day_without_entries_has_a_file_too() -> None:
    assert write_settlement(HEADER, [], PIPE, ZONE) == (
        b"H|RECON|2.0|301581000230|GDELEC|20240403|CNY|0|0.00|0|0.00|0|0.00|\r\nT|0|0.00|\r\n"
    )
    assert write_settlement(HEADER, [], BIL, ZONE) == b"20240403|0|0||\r\n"


def test_totals_are_computed_and_cancels_count_negatively() -> None:
    """What the caller says about totals is not believed."""
    lying = replace(HEADER, count=9, net=Money(9), payment_count=9, cancel_amount=Money(9))
    content = write_settlement(lying, [CANCEL], PIPE, ZONE)
    assert content.startswith(b"H|RECON|2.0|301581000230|GDELEC|20240403|CNY|1|-10.00|0|0.00|1|10.00|\r\n")
    assert content.endswith(b"T|1|-10.00|\r\n")
    undo = replace(CANCEL, original_reference_no="240403000007")
    assert write_settlement(lying, [undo], BIL, ZONE).startswith(b"20240403|1|-1000||\r\n")


def test_a_time_is_written_as_the_local_time_of_the_bank() -> None:
    utc = replace(PAY, paid_at=datetime(2024, 4, 2, 16, 30, tzinfo=UTC))
    assert b"|20240403003000|" in write_settlement(HEADER, [utc], PIPE, ZONE)


def test_a_reversal_in_a_bil_file_comes_back_as_a_cancel() -> None:
    reversal = replace(CANCEL, kind=EntryKind.REVERSAL, original_reference_no="240403000007")
    [entry] = list(read_settlement([write_settlement(HEADER, [reversal], BIL, ZONE)], BIL, ZONE))
    assert not isinstance(entry, LineError)
    assert (entry.kind, entry.signed_fen) == (EntryKind.CANCEL, -1000)


def test_lines_come_one_by_one() -> None:
    assert b"".join(settlement_lines(HEADER, [PAY], PIPE, ZONE)) == write_settlement(HEADER, [PAY], PIPE, ZONE)
    assert len(list(settlement_lines(HEADER, [PAY], PIPE, ZONE))) == 3


@pytest.mark.parametrize(
    ("layout", "entry", "changes", "where", "what"),
    [
        (PIPE, PAY, {"trace_no": "0905|01"}, "line 2 column trace_no", "letters, digits"),
        (PIPE, PAY, {"trace_no": "1" * 33}, "line 2 column trace_no", "at most 32"),
        (PIPE, PAY, {"customer_no": ""}, "line 2 column customer_no", "is empty"),
        (PIPE, PAY, {"paid_at": None}, "line 2 column paid_at", "is empty"),
        (PIPE, PAY, {"channel": None}, "line 2 column channel", "is empty"),
        (PIPE, PAY, {"status": "SUSPECT"}, "line 2 column status", "must be one of OK"),
        (PIPE, PAY, {"remark": "a\nb"}, "line 2 column remark", "control character"),
        (PIPE, PAY, {"remark": "𠮷"}, "line 2", "GB18030 has every character"),
        (PIPE, PAY, {"amount": Money(10**12)}, "line 1 column net", "12 digits"),
        (PIPE, PAY, {"amount": Money(1, "HKD")}, "line 2 column amount", "CNY"),
        (PIPE, PAY, {"clearing_date": date(2024, 4, 4)}, "line 2 column clearing_date", "must be the header's"),
        (PIPE, PAY, {"original_trace_no": "1"}, "line 2 column original_trace_no", "names no original"),
        (PIPE, CANCEL, {"original_trace_no": None}, "line 2 column original_trace_no", "must name the original"),
        (BIL, PAY, {"trace_no": "1" * 13}, "line 2 column trace_no", "at most 12"),
        (BIL, PAY, {"customer_no": "1" * 22}, "line 2 column customer_no", "at most 21"),
        (BIL, PAY, {"clearing_date": date(2025, 4, 3)}, "line 2 column utility_clearing_date", "too far"),
        (BIL, PAY, {"paid_at": None}, "line 2 column bank_time", "is empty"),
        (BIL, PAY, {"reference_no": "12AB"}, "line 2 column reference_no", "digits only"),
        (BIL, CANCEL, {}, "line 2 column original_reference_no", "by the same trace"),
        (BIL, CANCEL, {"original_reference_no": ""}, "line 2 column original_reference_no", "by the same trace"),
    ],
)
def test_what_a_layout_can_not_carry_is_refused(
    layout: Layout, entry: SettlementEntry, changes: dict[str, Any], where: str, what: str
) -> None:
    with pytest.raises(ProtocolError, match=what) as caught:
        write_settlement(HEADER, [replace(entry, **changes)], layout, ZONE)
    assert caught.value.where == where


def test_a_header_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ProtocolError, match="line 1 column bank: is empty"):
        write_settlement(replace(HEADER, bank=None), [], PIPE, ZONE)
    with pytest.raises(ProtocolError, match="line 1 column net: this layout has no currency"):
        write_settlement(replace(HEADER, currency="HKD", net=Money(0, "HKD")), [], BIL, ZONE)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Money(0)},
        {"amount": Money(-1)},
        {"paid_at": datetime(2024, 4, 3)},  # noqa: DTZ001 - what is refused
        {"utility_at": datetime(2024, 4, 3)},  # noqa: DTZ001 - what is refused
    ],
)
def test_an_entry_is_valid_on_construction(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"positive|time zone"):
        replace(PAY, **changes)
