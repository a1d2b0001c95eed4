"""The bank's settlement file of a day, from its own book, with differences planted on purpose.

Strategy: the day's entries become lines; then each planter changes the lines the way a real mistake would and says
what it did: its kind, and the payment's trace, by which the night must find it. Planters take entries that no other
planter touched and that were not undone, so that every planted difference is one difference. A held-back entry (filed
a day late) is put into the next file without being asked again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from busbar.bank.book import Book, BookEntry, EntryKind
from busbar.bank.config import BankSetup, BankSetupError
from busbar.bank.play import absent_payers
from protocols.money import Money
from protocols.settlement import model
from protocols.settlement.layouts import layout_named
from protocols.settlement.names import FileName, format_name
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import FileStatement, digest_of, make_sig
from protocols.signing.keys import load_signing_key

Planted = dict[str, str]


@dataclass(slots=True)
class Day:
    """The lines of a file while it is made. `lines` maps an entry of the book to its lines."""

    book: Book
    setup: BankSetup
    clearing_date: date
    chance: random.Random
    lines: dict[int, list[model.SettlementEntry]]
    entries: dict[int, BookEntry]
    free: list[int]  # entries that a planter may take

    def take(self) -> BookEntry:
        """An untouched payment of one bill; BankSetupError where the day was too quiet to plant in."""
        for index, entry_id in enumerate(self.free):
            if len(self.lines[entry_id]) == 1:
                del self.free[index]
                return self.entries[entry_id]
        raise BankSetupError("too few payments on that day to plant differences in; play more visits")


def write_day(
    setup: BankSetup, clearing_date: date, folder: Path, *, plant: bool, next_day_too: bool
) -> dict[str, object]:
    """Write the file and its .sig into `folder` (renamed when whole); returns the file's name and what was planted."""
    book = Book(setup.book_file)
    try:
        day = _open_day(book, setup, clearing_date)
        planted = _plant(day, next_day_too=next_day_too) if plant else []
        lines = [line for entry_id in sorted(day.lines) for line in day.lines[entry_id]]
        name = _write(setup, clearing_date, lines, folder)
    finally:
        book.close()
    return {"bank": setup.code, "file": name, "lines": len(lines), "planted": planted}


def _write(setup: BankSetup, clearing_date: date, lines: list[model.SettlementEntry], folder: Path) -> str:
    """The file and its .sig, each under a temporary name first; the file itself is renamed last."""
    layout = layout_named(setup.settlement_layout, setup.charset, setup.amounts)
    header = model.SettlementHeader(
        clearing_date=clearing_date, bank=setup.bank_in_file, utility=setup.utility_in_file, utility_reference="0" * 14
    )
    content = write_settlement(header, lines, layout, ZoneInfo(setup.time_zone))
    name = format_name(FileName(setup.bank_in_file, clearing_date, 1), layout)
    statement = FileStatement(setup.bank_in_file, clearing_date, 1, name, digest_of([content]))
    private_key = _file_key(setup)
    sig = make_sig(statement, setup.file_key_id if private_key else None, private_key)
    folder.mkdir(parents=True, exist_ok=True)
    for target, data in ((folder / f"{name}.sig", sig), (folder / name, content)):
        part = target.with_name(target.name + ".part")
        part.write_bytes(data)
        part.replace(target)
    return name


def _file_key(setup: BankSetup) -> RSAPrivateKey | None:
    if setup.file_private_key_file is None:
        return None
    key = load_signing_key(setup.file_private_key_file.read_bytes(), setup.file_key_id).private
    if not isinstance(key, RSAPrivateKey):
        raise BankSetupError("file_private_key_file: an RSA key is needed to sign settlement files")
    return key


def _open_day(book: Book, setup: BankSetup, clearing_date: date) -> Day:
    early = book.filed_early()
    held_back = book.take_held_back()
    entries = [entry for entry in book.accepted_on(clearing_date) if entry.entry_id not in early]
    undone = book.undone_ids()
    chance = random.Random(f"{setup.seed}/file/{clearing_date}")  # noqa: S311 - a reproducible world, no secret
    # What the bank was never answered for is no planter's but `_suspect`'s: with the utility it is in doubt as well.
    standing = [e for e in entries if e.kind is EntryKind.PAY and e.entry_id not in undone]
    free = [e.entry_id for e in standing if e.reference_no]
    chance.shuffle(free)
    everything = {entry.entry_id: entry for entry in [*held_back, *entries]}
    lines = {entry_id: _lines(book, setup, entry, clearing_date) for entry_id, entry in everything.items()}
    return Day(book, setup, clearing_date, chance, lines, everything, free)


def _lines(book: Book, setup: BankSetup, entry: BookEntry, clearing_date: date) -> list[model.SettlementEntry]:
    """One line, or in the pipe layout one per bill (and one for what went to prepayment)."""
    original = book.entry(entry.original_entry_id) if entry.original_entry_id is not None else None
    whole = model.SettlementEntry(
        line_no=0,
        kind=model.EntryKind(entry.kind.value),
        trace_date=entry.trace_date,
        trace_no=entry.trace_no,
        paid_at=entry.paid_at.astimezone(ZoneInfo(setup.time_zone)),
        customer_no=entry.customer_no,
        amount=Money(entry.amount_fen),
        clearing_date=clearing_date,
        billing_month=entry.billing_month or None,
        channel=entry.channel,
        settle_method=entry.settle_method,
        reference_no=entry.reference_no or None,
        original_trace_date=original.trace_date if original else None,
        original_trace_no=original.trace_no if original else None,
        original_reference_no=original.reference_no if original else None,
    )
    shares = book.shares(entry.entry_id)
    if setup.settlement_layout != "pipe" or not shares:
        return [whole]
    lines = [
        replace(
            whole,
            receivable_id=share.receivable_id,
            billing_month=share.billing_month,
            amount=Money(share.principal_fen + share.penalty_fen),
            principal=Money(share.principal_fen),
            penalty=Money(share.penalty_fen),
        )
        for share in shares
    ]
    rest_fen = entry.amount_fen - sum(line.amount.minor for line in lines)
    if rest_fen > 0:
        lines.append(replace(whole, billing_month=None, amount=Money(rest_fen)))
    return lines


def _plant(day: Day, *, next_day_too: bool) -> list[Planted]:
    planters: list[Callable[[Day], Planted | None]] = [
        _bank_only,
        _utility_only,
        _suspect,
        _amount_mismatch,
        _duplicate,
        _utility_cancelled,
        _bank_cancelled,
        _customer_mismatch,
    ]
    if day.setup.settlement_layout == "pipe":
        planters.append(_channel_mismatch)
    if next_day_too:
        planters += [_filed_late, _filed_early]
    return [planted for planter in planters if (planted := planter(day)) is not None]


def _told(kind: str, entry: BookEntry, how: str) -> Planted:
    return {"kind": kind, "trace_date": entry.trace_date.isoformat(), "trace_no": entry.trace_no, "how": how}


def _bank_only(day: Day) -> Planted:
    """The bank took the money of somebody who never came to our wire."""
    paper = absent_payers(day.setup)[day.book.next_number("bank only")][0]
    like = next((entry for entry in day.entries.values() if entry.kind is EntryKind.PAY), None)
    if like is None:
        raise BankSetupError("no payment on that day to make up another like it; play more visits")
    entry = replace(
        like,
        entry_id=10**9,
        trace_no=f"{day.book.next_number('trace'):012d}",
        customer_no=paper.customer_no,
        billing_month=paper.billing_month,
        amount_fen=paper.principal_fen,
        clearing_date=day.clearing_date,
        reference_no="",
    )
    [line] = _lines(day.book, day.setup, replace(entry, entry_id=0), day.clearing_date)
    day.lines[entry.entry_id] = [replace(line, receivable_id=_shown(day, paper.receivable_id))]
    return _told("BANK_ONLY", entry, "a payment that never reached the utility")


def _shown(day: Day, receivable_id: str) -> str | None:
    return receivable_id if day.setup.settlement_layout == "pipe" else None


def _utility_only(day: Day) -> Planted:
    entry = day.take()
    del day.lines[entry.entry_id]
    return _told("UTILITY_ONLY", entry, "left out of the file")


def _suspect(day: Day) -> Planted | None:
    """The reply was lost, the bank never asked, and it does not file the payment either; None where none was lost."""
    undone = day.book.undone_ids()
    for entry in day.entries.values():
        if entry.kind is EntryKind.PAY and not entry.reference_no and entry.entry_id not in undone:
            del day.lines[entry.entry_id]
            return _told("SUSPECT", entry, "its reply was lost, nobody asked, and it is left out of the file")
    return None


def _amount_mismatch(day: Day) -> Planted:
    entry = day.take()
    [line] = day.lines[entry.entry_id]
    day.lines[entry.entry_id] = [replace(line, amount=line.amount + Money(54), principal=None, penalty=None)]
    return _told("AMOUNT_MISMATCH", entry, "0.54 more than was paid")


def _duplicate(day: Day) -> Planted:
    entry = day.take()
    day.lines[entry.entry_id] *= 2
    return _told("DUPLICATE_BANK", entry, "listed twice")


def _utility_cancelled(day: Day) -> Planted | None:
    """The utility cancelled, the bank's file forgets the cancel; None on a day without a cancel of its own."""
    for entry in day.entries.values():
        original = day.entries.get(entry.original_entry_id or 0)
        if entry.kind is EntryKind.PAY or original is None or entry.entry_id not in day.lines:
            continue
        if original.entry_id in day.lines and original.clearing_date == entry.clearing_date == day.clearing_date:
            del day.lines[entry.entry_id]
            return _told("STATUS_MISMATCH", original, "its cancel left out of the file")
    return None


def _bank_cancelled(day: Day) -> Planted:
    """The bank's file shows a cancel that the utility never saw."""
    entry = day.take()
    [line] = day.lines[entry.entry_id]
    undo = replace(
        line,
        kind=model.EntryKind.CANCEL,
        trace_no=f"{day.book.next_number('trace'):012d}",
        original_trace_date=entry.trace_date,
        original_trace_no=entry.trace_no,
        original_reference_no=entry.reference_no,
        reference_no=None,
    )
    day.lines[entry.entry_id].append(undo)
    return _told("STATUS_MISMATCH", entry, "a cancel that the utility never saw")


def _customer_mismatch(day: Day) -> Planted:
    entry = day.take()
    [line] = day.lines[entry.entry_id]
    other = absent_payers(day.setup)[0][0].customer_no
    day.lines[entry.entry_id] = [replace(line, customer_no=other, receivable_id=None)]
    return _told("CUSTOMER_MISMATCH", entry, "another customer's number")


def _channel_mismatch(day: Day) -> Planted:
    entry = day.take()
    [line] = day.lines[entry.entry_id]
    other = "POS" if line.channel != "POS" else "ATM"
    day.lines[entry.entry_id] = [replace(line, channel=other)]
    return _told("CHANNEL_MISMATCH", entry, "another channel")


def _filed_late(day: Day) -> Planted:
    entry = day.take()
    del day.lines[entry.entry_id]
    day.book.hold_back(entry.entry_id)
    return _told("CROSS_DAY", entry, "filed a day late")


def _filed_early(day: Day) -> Planted | None:
    """An entry of the next day, where the bank has one already; None where it had closed by then."""
    undone = day.book.undone_ids()
    for entry in day.book.accepted_on(day.clearing_date + timedelta(days=1)):
        if entry.kind is EntryKind.PAY and entry.entry_id not in undone:
            day.lines[entry.entry_id] = _lines(day.book, day.setup, entry, day.clearing_date)
            day.book.file_early(entry.entry_id)
            return _told("CROSS_DAY", entry, "filed a day early")
    return None
