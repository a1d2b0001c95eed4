"""The program as operators run it, killed (`kill -9`) under load: what was acknowledged is there once, after a restart.

Strategy: a real `busbar serve` on its own embedded PostgreSQL with everything durable. Tellers on both wires pay bills
one after the other; the process is killed while answers are outstanding, which takes its database with it. It is
started again, everything is sent again as it was, and the ledger is counted: one payment for each that was ever sent,
under the reference number that was acknowledged before the crash where one was.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from busbar.bank.wires import Meaning, Order, Wire
from busbar.demo.ledger_facts import read_facts
from busbar.installations import create_sample, open_database
from gateway import clock
from gateway.config import Installation, load
from gateway.database import connect
from gateway.ledger.importing import import_bills, import_customers

from .house import ADDRESS, CUSTOMERS, NAME, WIRES, Payer, open_wire, write_population

TELLERS_A_WIRE = 6
ACKNOWLEDGED_BEFORE_THE_KILL = 120  # on both wires together; there are enough payers for each wire alone
START_SECONDS = 60.0


@dataclass
class Program:
    """A running `busbar serve`."""

    process: asyncio.subprocess.Process
    addresses: Mapping[str, str]


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Program]:
    with (folder / "serve.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "busbar", "serve", "--installation", str(folder), "--ready-json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        yield Program(process, json.loads(line)["addresses"])
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass
class Tellers:
    """What one bank sent and heard. An order without a reference number was not answered."""

    orders: Iterator[Order]
    acknowledge: Callable[[], None]
    sent: dict[str, Order] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)

    async def work(self, wire: Wire) -> None:
        """Pay until an answer does not come."""
        for order in self.orders:
            self.sent[order.trace_no] = order
            answer = await wire.pay(order)
            if answer.meaning is not Meaning.OK:
                assert answer.meaning is Meaning.NO_ANSWER
                return
            self.acknowledged[order.trace_no] = answer.reference_no
            self.acknowledge()


def orders_of(first: int, installation: Installation) -> Iterator[Order]:
    """Every second payer's new bill, one after the other."""
    for number in range(first, CUSTOMERS + 1, len(WIRES)):
        now = clock.now().astimezone(installation.zone).replace(microsecond=0)
        payer = Payer(number, f"{now:%Y%m}")
        yield Order(
            trace_date=now.date(),
            trace_no=f"{number:012d}",
            paid_at=now,
            customer_no=payer.customer_no,
            amount_fen=payer.new_fen,
            channel="BANK_COUNTER",
            settle_method="CASH",
            billing_month=payer.new_month,
        )


async def sign_on(wire: Wire, trace_no: str) -> None:
    if wire.has_sessions:
        assert (await wire.sign(on=True, trace_no=trace_no)).meaning is Meaning.OK


async def populate(installation: Installation) -> None:
    """People and bills, while the program runs: it has its database to itself and lets us in."""
    with open_database(installation) as access:
        day = clock.now().astimezone(installation.zone).date()
        customers, bills = write_population(installation.folder, day)
        assert (await import_customers(access.gateway_dsn, customers, installation.partitions)).added == CUSTOMERS
        assert (await import_bills(access.gateway_dsn, bills, installation.partitions)).added == 2 * CUSTOMERS


async def read_payments(installation: Installation) -> list[dict[str, Any]]:
    with open_database(installation) as access:
        connection = await connect(access.admin_dsn)
        try:
            rows = []
            for partition in range(installation.partitions):
                rows += await connection.fetch(f"SELECT * FROM ledger_{partition:02d}.payment")
        finally:
            await connection.close()
        facts = await read_facts(access.night_dsn, installation.partitions)
    assert {name: value for name, value in facts.must_be_zero.items() if value} == {}
    return [dict(row) for row in rows]


async def pay_until_killed(program: Program, installation: Installation) -> dict[str, Tellers]:
    """Both banks at work; the process is killed when so many payments have been acknowledged."""
    enough, tellers, count = asyncio.Event(), {}, 0

    def acknowledge() -> None:
        nonlocal count
        count += 1
        if count >= ACKNOWLEDGED_BEFORE_THE_KILL:
            enough.set()

    async with asyncio.TaskGroup() as group:
        for index, name in enumerate(WIRES):
            tellers[name] = Tellers(orders_of(index + 1, installation), acknowledge)
            group.create_task(bank_day(program, installation, name, tellers[name]))
        await asyncio.wait_for(enough.wait(), START_SECONDS)
        program.process.send_signal(signal.SIGKILL)
        await program.process.wait()
    return tellers


async def bank_day(program: Program, installation: Installation, name: str, tellers: Tellers) -> None:
    async with open_wire(installation, program.addresses, name) as wire:
        await sign_on(wire, "900000000001")
        async with asyncio.TaskGroup() as group:
            for _ in range(TELLERS_A_WIRE):
                group.create_task(tellers.work(wire))


@pytest.mark.timeout(150)
async def test_killed_under_load_and_started_again(tmp_path: Path) -> None:
    create_sample(tmp_path)
    installation = load(tmp_path)
    async with serving(tmp_path) as program:
        await populate(installation)
        tellers = await pay_until_killed(program, installation)
        assert program.process.returncode == -signal.SIGKILL
    for one in tellers.values():
        assert len(one.sent) - len(one.acknowledged) == TELLERS_A_WIRE  # each was left without an answer
    sent = {trace_no: order for one in tellers.values() for trace_no, order in one.sent.items()}
    async with serving(tmp_path) as program:
        for name, one in tellers.items():
            async with open_wire(installation, program.addresses, name) as wire:
                answers = {trace_no: await wire.pay(order) for trace_no, order in one.sent.items()}
            assert {answer.meaning for answer in answers.values()} == {Meaning.OK}
            told_again = {trace_no: answers[trace_no].reference_no for trace_no in one.acknowledged}
            assert told_again == one.acknowledged
        booked = await read_payments(installation)
        assert sorted(row["trace_no"] for row in booked) == sorted(sent)
        for row in booked:
            assert row["amount_fen"] == sent[row["trace_no"]].amount_fen
        program.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(program.process.wait(), START_SECONDS) == 0
    log = (tmp_path / "serve.log").read_text("utf-8")
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["ready", "ready", "stopping", "stopped"]
    for secret in (NAME, ADDRESS, "0600000", installation.keyring.mac_key("gzb-mac").secret.hex()):
        assert secret not in log
