"""A day at the bank: the plan, the workers, the progress.

Strategy: the plan is a seeded list of stories in which every story occurs at least once; a few workers take them in
turn, as tellers and machines do. The bank signs on first; at the end of a signed-off day it proves that a reversal is
still answered and a payment is not. Progress and the result are JSON lines on standard output, for whoever started
the bank.
"""

from __future__ import annotations

import asyncio
import csv
import json
import random
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from busbar.bank.book import Book, EntryState
from busbar.bank.config import BankSetup, BankSetupError
from busbar.bank.scenarios import SCENARIOS, Scenario
from busbar.bank.teller import PaperBill, Teller
from busbar.bank.wire_bankxml import BankXmlWire
from busbar.bank.wire_iso8583 import CHANNELS as ISO8583_CHANNELS
from busbar.bank.wire_iso8583 import Iso8583Wire
from busbar.bank.wires import Meaning, Wire

ABSENT_PAYERS = 50


def connect(setup: BankSetup) -> Wire:
    """The wire of the set-up; BankSetupError for one that is not known."""
    if setup.wire == "iso8583-guangzhou":
        return Iso8583Wire(setup)
    if setup.wire == "bankxml":
        return BankXmlWire(setup)
    raise BankSetupError(f'wire "{setup.wire}" is not known: use "iso8583-guangzhou" or "bankxml"')


def plan(chance: random.Random, visits: int, wire: Wire) -> list[Scenario]:
    """`visits` stories in a seeded order, each kind at least once where there is room; the early ones first."""
    possible = [s for s in SCENARIOS if wire.has_status_enquiry or not s.needs_status_enquiry]
    stories = possible[:visits]
    stories += chance.choices(possible, [s.weight for s in possible], k=max(0, visits - len(stories)))
    chance.shuffle(stories)
    return sorted(stories, key=lambda story: not story.early)


def read_payers(path: Path) -> list[tuple[PaperBill, ...]]:
    """The payers with the bills on their tables, oldest bill first, grouped by customer number."""
    payers: dict[str, list[PaperBill]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            bill = PaperBill(
                customer_no=row["customer_no"],
                receivable_id=row["receivable_id"],
                billing_month=row["billing_month"],
                principal_fen=int(row["principal_fen"]),
                due_date=date.fromisoformat(row["due_date"]),
                partial_payment_allowed=row["partial_payment_allowed"] == "true",
            )
            payers.setdefault(bill.customer_no, []).append(bill)
    return [tuple(bills) for bills in payers.values()]


def _in_order(setup: BankSetup) -> list[tuple[PaperBill, ...]]:
    payers = read_payers(setup.paper_bills_file)
    random.Random(setup.seed).shuffle(payers)  # noqa: S311 - a reproducible world, no secret
    return payers


def absent_payers(setup: BankSetup) -> list[tuple[PaperBill, ...]]:
    """Payers who never come: what a settlement file makes up is theirs, and so is never what somebody really did."""
    return _in_order(setup)[-ABSENT_PAYERS:]


def queue_of_payers(setup: BankSetup, book: Book) -> Iterator[tuple[PaperBill, ...]]:
    """Payers in a seeded order, each once over all days: the book counts how many have come."""
    payers = _in_order(setup)[:-ABSENT_PAYERS]
    while True:
        index = book.next_number("payer") - 1
        if index >= len(payers):
            raise BankSetupError("the payers ran out: give the bank more paper bills or fewer visits")
        yield payers[index]


def _report(**values: object) -> None:
    sys.stdout.write(json.dumps(values, ensure_ascii=False, sort_keys=True) + "\n")
    sys.stdout.flush()


async def play_day(
    setup: BankSetup, *, visits: int, bank_date: date, last_day: bool, wait_after: int | None = None
) -> int:
    """Play one day's visits; returns the number of surprises (0 is a good day).

    After `wait_after` visits the bank waits for a line on standard input, so that whoever plays with several banks can
    let something happen while all of them are at work, however fast each is.
    """
    book = Book(setup.book_file)
    wire = connect(setup)
    chance = random.Random(f"{setup.seed}/{bank_date}")  # noqa: S311 - a reproducible world, no secret
    teller = Teller(
        book=book,
        wire=wire,
        zone=ZoneInfo(setup.time_zone),
        chance=chance,
        payers=queue_of_payers(setup, book),
        bank_date=bank_date,
    )
    if wire.has_sessions:
        teller.channels = ISO8583_CHANNELS
    stories = plan(chance, visits, wire)
    started = datetime.now(teller.zone)
    try:
        await wire.open()
        await _sign(teller, on=True)
        until = len(stories) if wait_after is None else wait_after
        await _work(teller, stories[:until], setup.workers, range(len(stories)))
        if wait_after is not None:
            _report(event="waiting", done=until)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            await _work(teller, stories[until:], setup.workers, range(until, len(stories)))
        await _settle_suspects(teller)
        if last_day and wire.has_sessions:
            await _after_sign_off(teller)
    finally:
        await wire.close()
        book.close()
    _report(
        event="played",
        bank=setup.code,
        visits=len(stories),
        seconds=round((datetime.now(teller.zone) - started).total_seconds(), 1),
        tally=[[*key, count] for key, count in sorted(teller.tally.items())],
        surprises=teller.surprises,
    )
    return len(teller.surprises)


async def _work(teller: Teller, stories: list[Scenario], workers: int, of_day: range) -> None:
    """Play the stories; `of_day` are the numbers of visits from here to the end of the day, for the progress."""
    waiting = iter(stories)
    done, total = of_day.start, of_day.stop

    async def worker() -> None:
        nonlocal done
        for story in waiting:
            await story.play(teller)
            done += 1
            if done % 5 == 0 or done == total:
                _report(event="progress", done=done, total=total)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())


async def _sign(teller: Teller, *, on: bool) -> None:
    if teller.wire.has_sessions:
        name = "SIGN_ON" if on else "SIGN_OFF"
        answer = teller.note(name, await teller.wire.sign(on=on, trace_no=teller.trace()[1]))
        teller.expect(name, answer, Meaning.OK)


async def _settle_suspects(teller: Teller) -> None:
    """No entry may stay without an end: what is still in doubt is a surprise to be looked at."""
    for state in (EntryState.BOOKED, EntryState.SUSPECT):
        teller.surprises.extend(
            f"entry {e.entry_id} ({e.kind}) left in state {state}" for e in teller.book.in_state(state)
        )


async def _after_sign_off(teller: Teller) -> None:
    """After sign-off a payment is refused, and a reversal of an earlier one is answered all the same."""
    paper = next(teller.payers)[0]
    enquiry = await teller.enquire(paper.customer_no, paper.billing_month)
    order = teller.order(paper, enquiry.owed_fen or paper.principal_fen)
    entry_id, paid = await teller.pay(order)
    await _sign(teller, on=False)
    late = teller.order(next(teller.payers)[0], 1000)
    teller.expect("payment after sign-off", (await teller.pay(late))[1], Meaning.RETRY, Meaning.REFUSED)
    if paid.meaning is Meaning.OK:
        teller.expect("reversal after sign-off", await teller.reverse(entry_id, order), Meaning.OK)
