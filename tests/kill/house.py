"""A whole house to kill: a durable PostgreSQL, gateways as processes of their own, and two banks at work.

Strategy: everything is real. The gateway is `busbar serve` on an installation whose database is a server of the
test's; several may run on it at once. Killing is SIGKILL, of the gateway's process or of the postmaster.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import asyncpg

from busbar.bank.config import BankSetup
from busbar.bank.wire_bankxml import BankXmlWire
from busbar.bank.wire_iso8583 import Iso8583Wire
from busbar.bank.wires import Meaning, Wire
from busbar.installations import create_sample
from busbar.postgresql import Server, provide
from gateway.ledger.importing import import_bills, import_customers
from gateway.ledger.migrate import migrate

from .driver import ZONE, AcknowledgementLog, Bank, Key, Payers

PARTITIONS = 4
PASSWORD = "a-password-of-the-tests"
STEADY_CUSTOMERS, SMALL_CUSTOMERS, SMALL_FEN = 60, 600, 1_000
MONTHS = ("202601", "202602")
START_TIMEOUT_SECONDS = 60.0
ANSWER_DEADLINE_SECONDS = 6  # longer than any recovery here, short enough for a test


@dataclass
class Gateway:
    """A running `busbar serve`, and the banks' lines to it."""

    process: asyncio.subprocess.Process
    wires: dict[str, Wire] = field(default_factory=dict)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def hang_up(self) -> None:
        for wire in self.wires.values():
            await wire.close()


@dataclass
class House:
    """The folder, the server, the banks, and the gateways that run."""

    folder: Path
    server: Server
    banks: dict[str, Bank]
    log: AcknowledgementLog
    gateway_log: IO[bytes]
    gateways: list[Gateway] = field(default_factory=list)
    dead: list[Gateway] = field(default_factory=list)  # whose lines may still have tellers waiting on them

    @property
    def installation(self) -> Path:
        return self.folder / "installation"

    @property
    def gateway_dsn(self) -> str:
        return self.server.dsn("busbar", "busbar_gateway", PASSWORD)

    async def start_gateway(self) -> None:
        """One gateway more; the banks know where it listens."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "busbar", "serve", "--installation", str(self.installation), "--ready-json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=self.gateway_log,
        )
        gateway = Gateway(process)
        self.gateways.append(gateway)
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_SECONDS)
        assert line, f"the gateway did not start; read {self.gateway_log.name}"
        addresses: dict[str, str] = json.loads(line)["addresses"]
        gateway.wires = {
            "GZB": Iso8583Wire(_gzb(self.installation, addresses["iso8583 GZB"])),
            "YYB": BankXmlWire(_yyb(self.installation, addresses["http"])),
        }
        for code, wire in gateway.wires.items():
            await wire.open()
            self.banks[code].wires.append(wire)

    async def kill_gateway(self, gateway: Gateway) -> None:
        """SIGKILL; its lines are dead from then on."""
        await gateway.kill()
        self.gateways.remove(gateway)
        self.dead.append(gateway)
        for code, wire in gateway.wires.items():
            self.banks[code].wires.remove(wire)

    async def hang_up_on_the_dead(self) -> None:
        while self.dead:
            await self.dead.pop().hang_up()

    async def kill_postgresql(self, *, everybody: bool) -> None:
        """SIGKILL of the postmaster; its sessions finish their statement and end. Of `everybody`: as a power cut."""
        if everybody:
            for process in (self.server.pid, *_children(self.server.pid)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process or 0, signal.SIGKILL)
        await asyncio.to_thread(self.server.kill)

    async def kill_session(self) -> None:
        """SIGKILL of a lane's session: PostgreSQL ends all others and recovers by itself."""
        connection = await asyncpg.connect(self.server.superuser_dsn("busbar"))
        sessions = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'busbar lane%' ORDER BY pid"
        )
        with contextlib.suppress(ProcessLookupError):
            os.kill(sessions[0]["pid"], signal.SIGKILL)
        connection.terminate()

    async def restart_postgresql(self) -> None:
        await asyncio.to_thread(self.server.restart)

    async def booked_keys(self) -> list[Key]:
        """The keys of all postings, from the tables."""
        connection = await asyncpg.connect(self.server.superuser_dsn("busbar"))
        try:
            rows: list[Any] = []
            for partition in range(PARTITIONS):
                rows += await connection.fetch(
                    "SELECT bank, CASE kind WHEN 'NEXT_DAY_REVERSAL' THEN 'REVERSAL' ELSE kind END AS kind, trace_date,"
                    f" trace_no FROM ledger_{partition:02d}.payment"
                )
        finally:
            await connection.close()
        return [tuple(row) for row in rows]


@asynccontextmanager
async def house(folder: Path, chance: random.Random) -> AsyncIterator[House]:
    """A house with a filled ledger and both banks signed on, without a gateway yet."""
    today = datetime.now(ZONE).date()
    server = await asyncio.to_thread(provide, None, {"recovery_init_sync_method": "syncfs"})
    try:
        assert not server.external
        await _make_database(server, today, folder)
        _make_installation(folder / "installation", server)
        with (
            AcknowledgementLog(folder / "acknowledged.jsonl") as log,
            (folder / "gateway.log").open("ab") as gateway_log,
        ):
            banks = {code: _bank(code, index, chance, log, today) for index, code in enumerate(("GZB", "YYB"))}
            built = House(folder, server, banks, log, gateway_log)
            try:
                yield built
            finally:
                for gateway in list(built.gateways):
                    await built.kill_gateway(gateway)
                await built.hang_up_on_the_dead()
    finally:
        await asyncio.to_thread(server.stop)


async def sign_on(built: House) -> None:
    answer = await built.gateways[0].wires["GZB"].sign(on=True, trace_no="999999999999")
    assert answer.meaning is Meaning.OK


def _children(parent: int | None) -> list[int]:
    """The processes whose parent this is (proc_pid_stat(5), field 4)."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if entry.name.isdigit() and int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def _bank(code: str, index: int, chance: random.Random, log: AcknowledgementLog, today: date) -> Bank:
    """Both banks meet the same steady customers, so that two gateways often want the same row."""
    steady = [(_number(n), month) for n in range(STEADY_CUSTOMERS) for month in MONTHS]
    small = [_number(n) for n in range(STEADY_CUSTOMERS + index, STEADY_CUSTOMERS + SMALL_CUSTOMERS, 2)]
    return Bank(code, random.Random(chance.random()), log, Payers(steady, small, SMALL_FEN), today)


def _number(n: int) -> str:
    return f"07{n:08d}"


async def _make_database(server: Server, today: date, folder: Path) -> None:
    connection = await asyncpg.connect(server.superuser_dsn())
    await connection.execute("CREATE DATABASE busbar")
    durable = {name: await connection.fetchval(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
    await connection.close()
    assert durable == {"fsync": "on", "synchronous_commit": "on"}
    await migrate(
        server.superuser_dsn("busbar"),
        partitions=PARTITIONS,
        first_clearing_date=today,
        gateway_password=PASSWORD,
        night_password=PASSWORD,
    )
    gateway_dsn = server.dsn("busbar", "busbar_gateway", PASSWORD)
    customers, bills = _write_people(folder, today)
    assert not (await import_customers(gateway_dsn, customers, PARTITIONS)).errors
    assert not (await import_bills(gateway_dsn, bills, PARTITIONS)).errors


def _write_people(folder: Path, today: date) -> tuple[Path, Path]:
    """Nothing is overdue, so that an amount is right whenever it is paid."""
    due = (today + timedelta(days=300)).isoformat()
    customers = [
        (_number(n), _number(n), "张三", "天河路1号", "06010000", "03", "201", "false")
        for n in range(STEADY_CUSTOMERS + SMALL_CUSTOMERS)
    ]
    bills = [
        (f"R{n:08d}{month}", _number(n), month, "010", "06010000", 10**12, due, "true", "false")
        for n in range(STEADY_CUSTOMERS)
        for month in MONTHS
    ]
    bills += [
        (f"R{n:08d}S", _number(n), MONTHS[0], "010", "06010000", SMALL_FEN, due, "false", "false")
        for n in range(STEADY_CUSTOMERS, STEADY_CUSTOMERS + SMALL_CUSTOMERS)
    ]
    people = "customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category,penalty_exempt"
    owed = "receivable_id,customer_no,billing_month,charge_kind,org_code,principal_fen,due_date"
    return (
        _write_csv(folder / "customers.csv", people, customers),
        _write_csv(folder / "bills.csv", f"{owed},partial_payment_allowed,locked", bills),
    )


def _write_csv(path: Path, header: str, rows: list[Any]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return path


def _make_installation(folder: Path, server: Server) -> None:
    """The sample installation on the test's server, with a shorter answer deadline."""
    create_sample(folder)
    parts = urlsplit(server.superuser_dsn("busbar"))
    dsn = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    _replace(folder / "busbar.toml", 'dsn = "embedded"', f'dsn = "{dsn}"')
    for bank in ("GZB", "YYB"):
        deadline = f"answer_deadline_seconds = {ANSWER_DEADLINE_SECONDS}"
        _replace(folder / "banks" / f"{bank}.toml", "answer_deadline_seconds = 20", deadline)
    passwords = folder / "var" / "passwords"
    passwords.mkdir(parents=True)
    for name in ("gateway", "night"):
        (passwords / name).touch(mode=0o600)
        (passwords / name).write_text(PASSWORD, encoding="utf-8")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{file.name} does not hold {old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


def _gzb(installation: Path, address: str) -> BankSetup:
    return _setup(
        "GZB", "iso8583-guangzhou", address, institution="315810", mac_key_file=installation / "keys/gzb-mac.mac"
    )


def _yyb(installation: Path, address: str) -> BankSetup:
    keys = installation / "keys"
    return _setup(
        "YYB",
        "bankxml",
        address,
        sender="YYB",
        key_id="yyb-2026",
        private_key_file=keys / "yyb-2026.key.pem",
        utility_public_key_file=keys / "utility-2026.pub.pem",
    )


def _setup(code: str, wire: str, address: str, **more: Any) -> BankSetup:
    """The book and the paper bills are the simulated bank's own; these banks keep theirs in `driver`."""
    nothing = Path("unused")
    return BankSetup(
        code=code,
        wire=wire,
        address=address,
        book_file=nothing,
        paper_bills_file=nothing,
        seed=0,
        workers=0,
        time_zone=ZONE.key,
        **more,
    )
