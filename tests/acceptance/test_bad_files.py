"""A bad settlement file: the bank is told why, the ledger is untouched, and the night goes on with the other bank.

Strategy: a clearing day for each row. Both banks take a payment over their own wire, the day is cut off, one bank's
file is spoilt on purpose, and the night runs as the operator runs it. Then the bank sends the file again under the next
sequence number, and the same night ends with both banks reconciled to the fen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from busbar.bank.wires import Answer, Order
from protocols.money import Money
from protocols.settlement.layouts import layout_named
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader
from protocols.settlement.names import FileName, format_name
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import FileStatement, digest_of, make_sig
from reconciliation.nightly import run_night
from reconciliation.result import BankResult, NightResult
from reconciliation.setup import setup_from

from .house import BANK_OF, WIRES, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE_KEY = {"GZB": "gzb-file", "YYB": "yyb-2026"}
Spoil = Callable[[bytes], bytes]


def replaced(old: bytes, new: bytes) -> Spoil:
    def spoil(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return spoil


def wrong_total(content: bytes) -> bytes:
    """A fen less or more in the header's total than the lines hold; each payment is of a hundred yuan and some fen."""
    header, newline, lines = content.partition(b"\r\n")
    last_digit = re.compile(rb"(\|10[0-9](?:[0-9]|\.[0-9]))([0-9])\|")
    spoilt, count = last_digit.subn(lambda found: found[1] + (b"1|" if found[2] == b"0" else b"0|"), header, count=1)
    assert count == 1
    return spoilt + newline + lines


@dataclass(frozen=True, slots=True)
class Row:
    """Whose file, what is done to it before or after it was signed, and the code of the first failed check."""

    name: str
    bank: str
    code: str
    before: Spoil = bytes
    after: Spoil = bytes


ROWS = [
    Row("wrong total .bil", "GZB", "HEADER_AMOUNT", before=wrong_total),
    Row("wrong total pipe", "YYB", "HEADER_AMOUNT", before=wrong_total),
    Row("wrong digest .bil", "GZB", "DIGEST_WRONG", after=replaced(b"|0200|", b"|0400|")),
    Row("wrong digest pipe", "YYB", "DIGEST_WRONG", after=replaced(b"|OK|", b"|NO|")),
    Row("broken GBK .bil", "GZB", "LINES_UNREADABLE", before=replaced(b"|0200|", b"|\xff\xff|")),
    Row("broken GBK pipe", "YYB", "LINES_UNREADABLE", before=replaced(b"|BANK_COUNTER|", b"|\xb9\xff|")),
    Row("missing field .bil", "GZB", "LINES_UNREADABLE", before=replaced(b"|0200|", b"|")),
    Row("missing field pipe", "YYB", "LINES_UNREADABLE", before=replaced(b"|OK|", b"|")),
]


def entry(order: Order, answer: Answer, day: date) -> SettlementEntry:
    """The bank's own line of a payment."""
    return SettlementEntry(
        line_no=0,
        kind=EntryKind.PAY,
        trace_date=order.trace_date,
        trace_no=order.trace_no,
        paid_at=order.paid_at,
        customer_no=order.customer_no,
        amount=Money(order.amount_fen),
        clearing_date=day,
        billing_month=order.billing_month,
        channel=order.channel,
        settle_method=order.settle_method,
        reference_no=answer.reference_no,
    )


def send(house: House, day: date, bank: str, lines: list[SettlementEntry], row: Row | None, sequence: int) -> Path:
    """The bank's signed file in its inbox; spoilt as `row` says."""
    profile = house.installation.bank(bank)
    rules = profile.settlement
    assert rules is not None
    layout = layout_named(rules.layout, rules.charset, rules.amounts)
    header = SettlementHeader(clearing_date=day, bank=rules.bank_in_file, utility=rules.utility_in_file)
    content = write_settlement(header, lines, layout, profile.zone)
    content = row.before(content) if row else content
    name = format_name(FileName(rules.bank_in_file, day, sequence), layout)
    private = house.installation.keyring.signing_key(FILE_KEY[bank]).private
    assert isinstance(private, RSAPrivateKey)
    statement = FileStatement(rules.bank_in_file, day, sequence, name, digest_of([content]))
    folder = house.installation.inbox_folder(bank)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.sig").write_bytes(make_sig(statement, FILE_KEY[bank], private))
    (folder / name).write_bytes(row.after(content) if row else content)
    return folder / name


async def night(house: House, day: date) -> dict[str, BankResult]:
    result: NightResult = await run_night(setup_from(house.installation, house.night_dsn), day)
    assert result.is_ok
    assert result.report.paths
    assert all(path.is_file() for path in result.report.paths)
    return {bank.bank: bank for bank in result.banks}


async def open_breaks(house: House, bank: str) -> list[str]:
    rows = await house.database.fetch(
        "SELECT kind FROM reconciliation.break JOIN reconciliation.break_state USING (break_id)"
        " WHERE bank = $1 AND state = 'open' ORDER BY kind",
        bank,
    )
    return [row["kind"] for row in rows]


async def one_payment_each(house: House) -> dict[str, list[SettlementEntry]]:
    """Both banks take one payment; their own lines of it, by bank. The day is cut off then."""
    day, lines = house.day, {}
    for name in WIRES:
        order = house.order(house.payer())
        async with house.wire(name) as wire:
            answer = await wire.pay(order)
        assert answer.code == "00"
        lines[BANK_OF[name]] = [entry(order, answer, day)]
    await house.cut_off()
    return lines


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_bad_file_is_told_and_the_night_goes_on(house: House, row: Row) -> None:
    day, other = house.day, next(code for code in FILE_KEY if code != row.bank)
    lines = await one_payment_each(house)
    bad = send(house, day, row.bank, lines[row.bank], row, 1)
    send(house, day, other, lines[other], None, 1)
    before, logged = await house.rows(), len(house.log.getvalue())
    banks = await night(house, day)
    refused, good = banks[row.bank], banks[other]
    assert (refused.file.verdict, refused.file.failed_check) == ("refused", row.code)
    assert (refused.matched, refused.is_reconciled) == (0, False)
    assert [item.kind.value for item in refused.breaks] == ["FILE_ERROR"]
    letter = bad.with_name(f"{bad.name}.refused.txt").read_text("utf-8-sig")
    assert row.code in letter
    assert "重" in letter  # in the bank's language too: the file is to be sent again
    assert lines[row.bank][0].customer_no not in letter
    assert (good.file.verdict, good.matched, good.breaks, good.is_reconciled) == ("accepted", 1, (), True)
    assert await house.rows() == before
    assert house.lines(logged) == []


@pytest.mark.parametrize("bank", FILE_KEY)
async def test_file_sent_again_under_the_next_number_ends_the_same_night(house: House, bank: str) -> None:
    day, row = house.day, next(row for row in ROWS if row.bank == bank)
    lines = await one_payment_each(house)
    for code in FILE_KEY:
        send(house, day, code, lines[code], row if code == bank else None, 1)
    earlier = await open_breaks(house, bank)
    await night(house, day)
    assert await open_breaks(house, bank) == [*earlier, "FILE_ERROR"]
    send(house, day, bank, lines[bank], None, 2)
    corrected = (await night(house, day))[bank]
    assert (corrected.file.verdict, corrected.matched, corrected.breaks) == ("accepted", 1, ())
    assert corrected.bank_net_fen == corrected.utility_net_fen == lines[bank][0].amount.minor
    assert await open_breaks(house, bank) == earlier
