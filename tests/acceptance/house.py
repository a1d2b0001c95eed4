"""The whole house for acceptance tests: an installation, its ledger with people and bills, the gateway, and its log.

Strategy: nothing is made up but the people. The installation is the sample one with new keys, the database is a real
PostgreSQL with both rooms' migrations, customers and bills come in through the import, and the gateway listens on real
sockets. Tests look at what a bank can see (answers), at what an operator can see (log lines), and at every row of the
ledger: `LedgerRows` compares them as text, so that "nothing changes" means no row of no table.

Each customer has two bills whose figures need no calculator: a new one of 100.00 yuan and some fen, and one that has
been overdue for so long that its penalty has reached the principal, 50.00 and 50.00. Customers are handed out once.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from busbar.bank.config import BankSetup
from busbar.bank.wire_bankxml import BankXmlWire
from busbar.bank.wire_iso8583 import Iso8583Wire
from busbar.bank.wires import Order, Wire
from busbar.demo.ledger_facts import read_facts
from gateway import clock
from gateway.config import Installation
from gateway.database import Connection, connect
from gateway.ledger import cutoff
from gateway.ledger.decide import decide
from gateway.ledger.ledger import Ledger
from gateway.main import serving
from gateway.metrics import Metrics

CUSTOMERS = 400
NAME, ADDRESS = "司马相如", "榕树镇电力路"
OLD_PRINCIPAL_FEN, OLD_PENALTY_FEN = 5_000, 5_000
OLD_MONTH = "199912"
ACCOUNT = "6222020000001234567"
ISO, XML = "iso8583", "bankxml"
WIRES = (ISO, XML)
BANK_OF = {ISO: "GZB", XML: "YYB"}
# What a log may say of these rows is nothing; what a refusal may leave in the ledger is its own record and evidence.
RECORD_TABLES = frozenset(("operation", "evidence"))
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Payer:
    """A customer with a new bill and an old one."""

    number: int
    new_month: str

    @property
    def customer_no(self) -> str:
        return f"0600{self.number:08d}"

    @property
    def new_bill(self) -> str:
        return f"R{self.number:08d}N"

    @property
    def old_bill(self) -> str:
        return f"R{self.number:08d}O"

    @property
    def new_fen(self) -> int:
        return 10_000 + self.number

    @property
    def all_fen(self) -> int:
        return self.new_fen + OLD_PRINCIPAL_FEN + OLD_PENALTY_FEN


def write_population(folder: Path, day: date) -> tuple[Path, Path]:
    """`CUSTOMERS` payers as the two files of the import."""
    customers = [
        "customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category,penalty_exempt",
    ]
    bills = [
        "receivable_id,customer_no,billing_month,charge_kind,org_code,principal_fen,due_date,"
        "partial_payment_allowed,locked"
    ]
    for number in range(1, CUSTOMERS + 1):
        payer = Payer(number, f"{day:%Y%m}")
        no, org = payer.customer_no, "06000101"
        customers.append(f"{no},{no},{NAME}{number},{ADDRESS}{number}号,{org},03,202,false")
        bills.append(f"{payer.new_bill},{no},{payer.new_month},010,{org},{payer.new_fen},2099-12-31,false,false")
        bills.append(f"{payer.old_bill},{no},{OLD_MONTH},010,{org},{OLD_PRINCIPAL_FEN},2000-01-25,false,false")
    paths = folder / "customers.csv", folder / "bills.csv"
    for path, lines in zip(paths, (customers, bills), strict=True):
        path.write_text("\n".join(lines) + "\n", "utf-8")
    return paths


class LedgerRows:
    """Every row of every table of the ledger at one moment, as text."""

    def __init__(self, rows: Counter[tuple[str, str]]) -> None:
        self.rows = rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LedgerRows) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def added_since(self, before: LedgerRows) -> Mapping[str, int]:
        """Rows that are new, counted by table; fails where a row is gone or was changed."""
        gone = before.rows - self.rows
        assert not gone, f"rows of {sorted({table for table, _ in gone})} were changed or removed"
        return Counter(table for table, _ in (self.rows - before.rows).elements())


@dataclass
class House:
    """One running house. `database` is the superuser's connection: tests read with it and change nothing."""

    installation: Installation
    gateway_dsn: str = field(repr=False)
    night_dsn: str = field(repr=False)
    database: Connection
    addresses: Mapping[str, str]
    log: io.StringIO
    first_day: date
    _payers: Iterator[Payer] = field(init=False)
    _numbers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self._payers = iter([Payer(number, f"{self.first_day:%Y%m}") for number in range(1, CUSTOMERS + 1)])
        self._numbers = itertools.count(1)
        self.day = self.first_day

    def payer(self) -> Payer:
        """A customer of whom no test has heard."""
        return next(self._payers)

    def trace_no(self) -> str:
        """A trace number that was never used: 12 digits, unlike any customer number."""
        return f"{next(self._numbers):012d}"

    def mac_key(self) -> bytes:
        return self.installation.keyring.mac_key("gzb-mac").secret

    def iso_address(self) -> tuple[str, int]:
        host, _, port = self.addresses["iso8583 GZB"].rpartition(":")
        return host, int(port)

    @asynccontextmanager
    async def wire(self, name: str) -> AsyncIterator[Wire]:
        """A simulated bank's line; the bank on the ISO wire has signed on."""
        async with open_wire(self.installation, self.addresses, name) as wire:
            if wire.has_sessions:
                assert (await wire.sign(on=True, trace_no=self.trace_no())).code == "00"
            yield wire

    def order(self, payer: Payer, amount_fen: int | None = None, *, month: str | None = None, bill: str = "") -> Order:
        """A payment of the payer's new bill, unless told otherwise; `month` "" is all bills."""
        return Order(
            trace_date=self.day,
            trace_no=self.trace_no(),
            paid_at=clock.now().astimezone(self.installation.zone).replace(microsecond=0),
            customer_no=payer.customer_no,
            amount_fen=payer.new_fen if amount_fen is None else amount_fen,
            channel="BANK_COUNTER",
            settle_method="CASH",
            receivable_id=bill,
            billing_month=payer.new_month if month is None else month,
        )

    async def cut_off(self) -> date:
        """The clearing date moves on by a day."""
        self.day += timedelta(days=1)
        report = await cutoff.cut_off(self.gateway_dsn, self.installation.partitions, self.day)
        assert report.is_complete
        return self.day

    async def rows(self) -> LedgerRows:
        """The ledger as it is now."""
        counted: Counter[tuple[str, str]] = Counter()
        tables = await self.database.fetch(
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
            " AND (table_schema LIKE 'ledger\\___' OR table_schema = 'busbar')"
        )
        assert len(tables) > 8 * self.installation.partitions
        for table in tables:
            schema, name = table["table_schema"], table["table_name"]
            for row in await self.database.fetch(f'SELECT t::text AS row FROM "{schema}"."{name}" AS t'):
                counted[name, f"{schema} {row['row']}"] += 1
        return LedgerRows(counted)

    async def fetch(self, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        """`sql` over every partition, "{s}" being its schema."""
        found: list[dict[str, Any]] = []
        for partition in range(self.installation.partitions):
            rows = await self.database.fetch(sql.replace("{s}", f"ledger_{partition:02d}"), *arguments)
            found += [dict(row) for row in rows]
        return found

    async def payments(self, trace_no: str) -> list[dict[str, Any]]:
        """Postings under a trace number."""
        return await self.fetch("SELECT * FROM {s}.payment WHERE trace_no = $1 ORDER BY payment_id", trace_no)

    async def entries(self, payment_id: int, reference_no: str) -> dict[tuple[str, str | None], int]:
        """(account, bill) to fen of one posting."""
        rows = await self.database.fetch(
            f"SELECT account, receivable_id, amount_fen FROM ledger_{reference_no[:2]}.entry WHERE payment_id = $1",
            payment_id,
        )
        return {(row["account"], row["receivable_id"]): row["amount_fen"] for row in rows}

    async def evidence(self, trace_no: str) -> list[dict[str, Any]]:
        return await self.fetch("SELECT * FROM {s}.evidence WHERE trace_no = $1 ORDER BY evidence_id", trace_no)

    async def check_books(self) -> None:
        """Entries sum to zero, for each posting and for all; running sums are the sums of entries."""
        facts = await read_facts(self.night_dsn, self.installation.partitions)
        assert {name: value for name, value in facts.must_be_zero.items() if value} == {}

    def lines(self, since: int = 0) -> list[dict[str, Any]]:
        """Log lines written after the log had `since` characters."""
        return [json.loads(line) for line in self.log.getvalue()[since:].splitlines()]

    async def lines_of(self, count: int, since: int) -> list[dict[str, Any]]:
        """At least `count` lines, waited for where nothing else tells that the gateway is done."""
        for _ in range(int(PATIENCE_SECONDS / 0.02)):
            if len(self.lines(since)) >= count:
                break
            await asyncio.sleep(0.02)
        return self.lines(since)

    def assert_log_is_clean(self, *secrets: str) -> None:
        """Neither names nor numbers of customers nor keys, nor `secrets`, stand in the log."""
        text = self.log.getvalue()
        key = self.mac_key().hex()
        for word in (NAME, ADDRESS, ACCOUNT, "0600000", key, key.upper(), "PRIVATE KEY", *secrets):
            assert word not in text, f"the log tells a secret ({len(word)} characters)"


@asynccontextmanager
async def open_wire(installation: Installation, addresses: Mapping[str, str], name: str) -> AsyncIterator[Wire]:
    """A line of the simulated bank on the wire `name`, with the bank's halves of the keys."""
    keys = installation.folder / "keys"
    nowhere = installation.folder / "none"
    if name == ISO:
        wire: Wire = Iso8583Wire(
            BankSetup(
                code="GZB",
                wire="iso8583-guangzhou",
                address=addresses["iso8583 GZB"],
                book_file=nowhere,
                paper_bills_file=nowhere,
                seed=1,
                workers=1,
                time_zone="Asia/Shanghai",
                institution="315810",
                mac_key_file=keys / "gzb-mac.mac",
            )
        )
    else:
        wire = BankXmlWire(
            BankSetup(
                code="YYB",
                wire="bankxml",
                address=addresses["http"],
                book_file=nowhere,
                paper_bills_file=nowhere,
                seed=1,
                workers=1,
                time_zone="Asia/Shanghai",
                sender="YYB",
                key_id="yyb-2026",
                private_key_file=keys / "yyb-2026.key.pem",
                utility_public_key_file=keys / "utility-2026.pub.pem",
            )
        )
    await wire.open()
    try:
        yield wire
    finally:
        await wire.close()


@asynccontextmanager
async def running(
    installation: Installation, admin_dsn: str, gateway_dsn: str, night_dsn: str, first_day: date, log: io.StringIO
) -> AsyncIterator[House]:
    """The gateway of `installation` on its ledger, wired as the program does it."""

    async def healthy() -> str | None:
        return None

    database = await connect(admin_dsn)
    try:
        async with (
            Ledger(gateway_dsn, installation.partitions, rules=installation.rules, decide=decide) as ledger,
            serving(installation, ledger.submit, healthy, Metrics()) as addresses,
        ):
            yield House(installation, gateway_dsn, night_dsn, database, addresses, log, first_day)
    finally:
        await database.close()
