"""Made-up evidence for the night's tests: a small book of each side, written as the Parquet files that a night reads.

Strategy: a `Day` collects bank lines, our postings and the pool of open breaks with short calls, writes them through
the production writer, and runs the match and the tie-out on them. Nothing here judges; tests do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.banks.profile import BankProfile
from gateway.keyring import Keyring
from gateway.ledger.migrate import migrate as migrate_ledger
from protocols.money import Money
from protocols.settlement.layouts import layout_named
from protocols.settlement.model import EntryKind, SettlementEntry, SettlementHeader
from protocols.settlement.names import FileName, format_name
from protocols.settlement.writer import write_settlement
from protocols.signing.detached import FileStatement, make_sig
from protocols.signing.detached import digest_of as stream_digest
from reconciliation.breaks.build import build_breaks
from reconciliation.breaks.lookups import LookUps
from reconciliation.breaks.model import Break
from reconciliation.evidence import (
    BANK_LINES,
    LEDGER_DUE_FROM_BANK,
    LEDGER_PAYMENTS,
    LEDGER_RECEIPT_LINES,
    POOL,
    EvidenceWriter,
    Layout,
    digest_of,
)
from reconciliation.identity import Identity
from reconciliation.matching.engine import MatchInputs, MatchResult, run_match
from reconciliation.migrate import migrate as migrate_night
from reconciliation.nightly import run_night
from reconciliation.result import NightResult
from reconciliation.setup import NightSetup, Progress, silent
from reconciliation.tie_out import Terms, TieOutInputs, compute_terms, identities

BANK = "BANKA"
DAY = date(2024, 4, 3)
# What the banks owe more by a posting of each kind; an undo takes back.
SIGN = {"PAYMENT": 1, "PREPAYMENT_DEPOSIT": 1, "PREPAYMENT_APPLIED": 0, "PREPAYMENT_WITHDRAWN": 0}
PREPARED_AT = datetime(2024, 4, 3, 17, 10, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ibis calls a method of DuckDB's driver that has a new name; the warning says nothing about our code."""
    quiet = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(quiet)


def run_apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a thread and loop of its own: that works outside and inside a running loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


@dataclass
class Day:
    """One bank's day on both sides."""

    folder: Path
    layout: str = "pipe"
    clearing_date: date = DAY
    lines: list[dict[str, Any]] = field(default_factory=list)
    postings: list[dict[str, Any]] = field(default_factory=list)
    pool: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)

    def bank(self, trace_no: str, fen: int, kind: str = "PAY", **values: Any) -> dict[str, Any]:
        """A line of the bank's file."""
        shows = self.layout == "pipe"
        row = {
            "line_no": len(self.lines) + 2,
            "kind": kind,
            "trace_date": self.clearing_date,
            "trace_no": trace_no,
            "customer_no": "0600012345",
            "receivable_id": f"R{trace_no}" if shows else None,
            "billing_month": "202403",
            "amount_fen": fen,
            "channel": "BANK_COUNTER" if shows else None,
            "settle_method": "CASH" if shows else None,
            "status": "OK" if shows else None,
            "clearing_date": self.clearing_date,
            **values,
        }
        self.lines.append(row)
        return row

    def ours(self, trace_no: str, fen: int, kind: str = "PAYMENT", **values: Any) -> dict[str, Any]:
        """A posting of ours. `of` names the posting that it undoes."""
        number = len(self.postings) + 1
        original = values.pop("of", None)
        partition = values.pop("partition", 0)
        row = {
            "partition": partition,
            "payment_id": number,
            "kind": kind,
            "bank": BANK,
            "trace_date": self.clearing_date,
            "trace_no": trace_no,
            "customer_no": "0600012345",
            "org_code": "06000101",
            "amount_fen": fen,
            "signed_fen": fen * SIGN.get(kind, -1),
            "currency": "CNY",
            "channel": "BANK_COUNTER",
            "settle_method": "CASH",
            "paid_at": "2024-04-03T01:05:01.000000Z",
            "recorded_at": f"2024-04-03T01:{number // 60:02d}:{number % 60:02d}.000000Z",
            "clearing_date": self.clearing_date,
            "settles_date": self.clearing_date,
            "reference_no": f"{partition:02d}{number:010d}",
            "prepayment_opening_fen": 0,
            "prepayment_movement_fen": 0,
            "prepayment_closing_fen": 0,
        }
        if original is not None:
            row["original_trace_date"] = original["trace_date"]
            row["original_trace_no"] = original["trace_no"]
            row["original_clearing_date"] = original["clearing_date"]
            row["original_reference_no"] = original["reference_no"]
        row.update(values)
        self.postings.append(row)
        return row

    def path(self, name: str, layout: Layout, rows: list[dict[str, Any]]) -> Path:
        path = self.folder / f"{name}.parquet"
        with EvidenceWriter(path, layout) as writer:
            writer.write_rows(rows)
        return path

    def write(self) -> tuple[MatchInputs, TieOutInputs]:
        bank_lines = self.path("bank", BANK_LINES, self.lines)
        payments = self.path("payments", LEDGER_PAYMENTS, self.postings)
        receipts = self.path("receipt_lines", LEDGER_RECEIPT_LINES, self.receipts)
        pool = self.path("pool", POOL, self.pool)
        due = [{**row, "amount_fen": row["signed_fen"]} for row in self.postings if row["bank"] != "INTERNAL"]
        due_path = self.path("due", LEDGER_DUE_FROM_BANK, due)
        return (
            MatchInputs(BANK, self.layout, bank_lines, payments, receipts, pool),
            TieOutInputs(BANK, self.clearing_date, bank_lines, payments, due_path, pool),
        )

    @property
    def bank_net_fen(self) -> int:
        return sum(line["amount_fen"] * (1 if line["kind"] == "PAY" else -1) for line in self.lines)

    def match(self) -> MatchResult:
        return run_match(self.write()[0], self.folder / "matched.parquet", self.folder)

    def breaks(self, lookups: LookUps | None = None, result: MatchResult | None = None) -> tuple[Break, ...]:
        result = result or self.match()
        return build_breaks(BANK, self.clearing_date, result.differences, result.proposals, lookups or LookUps())

    def tie_out(self, breaks: tuple[Break, ...]) -> tuple[Terms, tuple[Identity, ...]]:
        terms = compute_terms(self.write()[1])
        return terms, identities(terms, self.bank_net_fen, breaks)


@dataclass
class World:
    """A real database with a small ledger, and banks whose files a test writes by hand.

    Postings are put in as the superuser, so that a test says exactly what the ledger has; the night reads them through
    the published views with its own login, as always.
    """

    folder: Path
    admin_dsn: str = field(repr=False)
    setup: NightSetup
    private_key: rsa.RSAPrivateKey = field(repr=False)
    clearing_date: date = DAY
    bills: int = 0

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        """Run one statement as the superuser; rows that come back."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.admin_dsn)
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return run_apart(run())

    def pay(
        self,
        bank: str,
        trace_no: str,
        fen: int,
        *,
        partition: int = 0,
        day: date | None = None,
        customer_no: str = "0600012345",
        month: int = 202403,
        penalty_fen: int = 0,
        prepaid_fen: int = 0,
        channel: str = "BANK_COUNTER",
        settle_method: str = "CASH",
        org_code: str = "06000101",
        trace_date: date | None = None,
    ) -> dict[str, Any]:
        """A booked payment of one bill (amount less penalty and prepayment), with its entries."""
        self.bills += 1
        bill = {
            "receivable_id": f"R{self.bills:013d}",
            "month": month,
            "principal": fen - penalty_fen - prepaid_fen,
            "penalty": penalty_fen,
        }
        schema = f"ledger_{partition:02d}"
        self.customer(partition, customer_no)
        self.sql(
            f"INSERT INTO {schema}.receivable VALUES"
            " ($1, $2, $3, '010', $4, $5, '2024-03-25', true, false, $5, $6, now())",
            bill["receivable_id"],
            customer_no,
            month,
            org_code,
            bill["principal"],
            penalty_fen,
        )
        day = day or self.clearing_date
        posting = {
            "partition": partition,
            "kind": "PAYMENT",
            "bank": bank,
            "trace_date": trace_date or day,
            "trace_no": trace_no,
            "customer_no": customer_no,
            "org_code": org_code,
            "amount_fen": fen,
            "channel": channel,
            "settle_method": settle_method,
            "clearing_date": day,
            "prepayment_movement_fen": prepaid_fen,
            "bill": bill,
        }
        return self._book(posting, 1)

    def undo(self, original: dict[str, Any], trace_no: str, kind: str, day: date | None = None) -> dict[str, Any]:
        """What undoes a booked payment, with the entries turned."""
        posting = {
            **original,
            "kind": kind,
            "trace_no": trace_no,
            "clearing_date": day or original["clearing_date"],
            "prepayment_movement_fen": -original["prepayment_movement_fen"],
            "original_payment_id": original["payment_id"],
        }
        posting["trace_date"] = posting["clearing_date"]
        return self._book(posting, -1)

    def customer(self, partition: int, customer_no: str) -> None:
        self.sql(
            f"INSERT INTO ledger_{partition:02d}.customer VALUES"
            " ($1, $1, '某人', '某地', '06000101', '03', '202', false, 0, now()) ON CONFLICT DO NOTHING",
            customer_no,
        )

    def open_bill(self, customer_no: str, receivable_id: str, fen: int, partition: int = 0) -> None:
        """A bill that nobody has paid."""
        self.customer(partition, customer_no)
        self.sql(
            f"INSERT INTO ledger_{partition:02d}.receivable VALUES"
            " ($1, $2, 202403, '010', '06000101', $3, '2024-03-25', true, false, 0, 0, now())",
            receivable_id,
            customer_no,
            fen,
        )

    def _book(self, posting: dict[str, Any], sign: int) -> dict[str, Any]:
        schema = f"ledger_{posting['partition']:02d}"
        movement = posting["prepayment_movement_fen"]
        number = self.sql(f"SELECT nextval('{schema}.payment_id_sequence')")[0][0]
        balance = self.sql(
            f"SELECT prepayment_balance_fen FROM {schema}.customer WHERE customer_no = $1", posting["customer_no"]
        )[0][0]
        reference = f"{posting['partition']:02d}{number:010d}"
        self.sql(
            f"INSERT INTO {schema}.payment (payment_id, kind, bank, trace_date, trace_no, customer_no, org_code,"
            " amount_fen, currency, channel, settle_method, outlet, operator, paid_at, paid_date, recorded_at,"
            " clearing_date, settles_date, reference_no, original_payment_id, prepayment_opening_fen,"
            " prepayment_movement_fen, prepayment_closing_fen, trace_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'CNY',"
            " $9, $10, '', '', '2024-04-03 09:05+08', '2024-04-03', now(), $11, $11, $12, $13, $14, $15, $16, '')",
            number,
            posting["kind"],
            posting["bank"],
            posting["trace_date"],
            posting["trace_no"],
            posting["customer_no"],
            posting["org_code"],
            posting["amount_fen"],
            posting["channel"],
            posting["settle_method"],
            posting["clearing_date"],
            reference,
            posting.get("original_payment_id"),
            balance,
            movement,
            balance + movement,
        )
        self.sql(
            f"UPDATE {schema}.customer SET prepayment_balance_fen = $2 WHERE customer_no = $1",
            posting["customer_no"],
            balance + movement,
        )
        bill = posting["bill"]
        entries = [
            ("DUE_FROM_BANK", sign * posting["amount_fen"], None),
            ("RECEIVABLE", -sign * bill["principal"], bill["receivable_id"]),
            ("PENALTY_INCOME", -sign * bill["penalty"], bill["receivable_id"]),
            ("PREPAYMENT", -movement, None),
        ]
        for line_no, (account, fen, receivable_id) in enumerate(entries, 1):
            if fen:
                self.sql(
                    f"INSERT INTO {schema}.entry VALUES ($1, $2, $3, $4, 'CNY', $5, $6, $7, $7, $8, $9, $10, $11)",
                    number,
                    line_no,
                    account,
                    fen,
                    posting["bank"],
                    posting["channel"],
                    posting["clearing_date"],
                    receivable_id,
                    bill["month"] if receivable_id else None,
                    "010" if receivable_id else None,
                    posting["org_code"],
                )
        return {**posting, "payment_id": number, "reference_no": reference}

    def cut_off(self, next_date: date) -> None:
        """Every partition moves on."""
        for partition in range(self.setup.partitions):
            self.sql(
                f"INSERT INTO ledger_{partition:02d}.clearing_day VALUES ($1, now()) ON CONFLICT DO NOTHING", next_date
            )

    def profile(self, bank: str) -> BankProfile:
        return next(profile for profile in self.setup.banks if profile.code == bank)

    def line(self, trace_no: str, fen: int, kind: str = "PAY", **values: Any) -> SettlementEntry:
        """A line of a bank's file of the day; of the pipe layout unless `channel=None` says otherwise."""
        day = values.pop("day", self.clearing_date)
        trace_date = values.pop("trace_date", day)
        zone = ZoneInfo("Asia/Shanghai")
        shown = {"channel": "BANK_COUNTER", "settle_method": "CASH", "billing_month": "202403", "charge_kind": "010"}
        return SettlementEntry(
            line_no=0,
            kind=EntryKind(kind),
            trace_date=trace_date,
            trace_no=trace_no,
            customer_no=values.pop("customer_no", "0600012345"),
            amount=Money(fen),
            clearing_date=day,
            paid_at=datetime(trace_date.year, trace_date.month, trace_date.day, 9, 5, tzinfo=zone),
            **{**shown, **values},
        )

    def send(
        self,
        bank: str,
        lines: list[SettlementEntry],
        *,
        day: date | None = None,
        sequence: int = 1,
        spoil: Callable[[bytes], bytes] = bytes,
        sig: bool = True,
    ) -> Path:
        """Put a signed settlement file into the bank's inbox. `spoil` changes the bytes before they are signed."""
        day = day or self.clearing_date
        profile = self.profile(bank)
        rules = profile.settlement
        assert rules is not None
        layout = layout_named(rules.layout, rules.charset, rules.amounts)
        header = SettlementHeader(clearing_date=day, bank=rules.bank_in_file, utility=rules.utility_in_file)
        content = spoil(write_settlement(header, lines, layout, profile.zone))
        name = format_name(FileName(rules.bank_in_file, day, sequence), layout)
        folder = self.setup.inbox_folder(bank)
        folder.mkdir(parents=True, exist_ok=True)
        if sig:
            statement = FileStatement(rules.bank_in_file, day, sequence, name, stream_digest([content]))
            (folder / f"{name}.sig").write_bytes(make_sig(statement, "bank-file", self.private_key))
        (folder / name).write_bytes(content)
        return folder / name

    async def night(self, day: date | None = None, progress: Progress = silent) -> NightResult:
        return await run_night(self.setup, day or self.clearing_date, progress, lambda: PREPARED_AT)

    def stored_breaks(self) -> list[tuple[Any, ...]]:
        """All break rows but for the moment of recording, with their state."""
        rows = self.sql(
            "SELECT to_jsonb(break) - 'recorded_at' AS row, state, cause FROM reconciliation.break"
            " JOIN reconciliation.break_state USING (break_id) ORDER BY clearing_date, break_id"
        )
        return [(json.loads(row["row"]), row["state"], row["cause"]) for row in rows]

    def files(self) -> dict[str, str]:
        """Every evidence and report file by name, with its digest."""
        roots = (self.setup.work_folder, self.setup.reports_folder)
        found = [(root, path) for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
        return {f"{root.name}/{path.relative_to(root)}": digest_of(path) for root, path in found}


def _profile(code: str, layout: str, bank_in_file: str) -> BankProfile:
    return BankProfile.model_validate(
        {
            "code": code,
            "name": f"银行{code[-1]}",
            "name_english": f"Bank {code[-1]}",
            "wire": {"protocol": "bankxml", "sender": code, "verify_keys": ["x"], "sign_key": "y"},
            "settlement": {"layout": layout, "bank_in_file": bank_in_file, "verify_key": "bank-file"},
        }
    )


PASSWORD = "a-password-of-the-tests"


async def _migrated(dsn: str) -> None:
    await migrate_ledger(dsn, partitions=2, first_clearing_date=DAY, gateway_password=PASSWORD, night_password=PASSWORD)
    await migrate_night(dsn)


@pytest.fixture(scope="session")
def file_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def world(
    tmp_path: Path,
    template_database: Any,
    database_from_template: Any,
    postgresql_server: Any,
    file_key: rsa.RSAPrivateKey,
) -> World:
    """Two banks (BANKA pipe, BANKB bil), two partitions, first clearing date 2024-04-03, nothing booked."""
    template_database("night", _migrated)
    admin_dsn = database_from_template("night")
    name = urlsplit(admin_dsn).path.lstrip("/")
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "bank-file.pub.pem").write_bytes(
        file_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    setup = NightSetup(
        dsn=postgresql_server.dsn(name, "busbar_night", PASSWORD),
        partitions=2,
        banks=(_profile("BANKA", "pipe", "301581000230"), _profile("BANKB", "bil", "315810")),
        bank_names={"BANKA": "银行A", "BANKB": "银行B"},
        keyring=Keyring(keys),
        inbox_folder=lambda bank: tmp_path / "inbox" / bank,
        work_folder=tmp_path / "work",
        reports_folder=tmp_path / "reports",
        utility_name="某某供电局",
        zone=ZoneInfo("Asia/Shanghai"),
    )
    return World(tmp_path, admin_dsn, setup, file_key)


@pytest.fixture
def make_day(tmp_path: Path) -> Callable[..., Day]:
    """`make_day(layout="pipe")`: an empty day in a folder of its own."""
    count = iter(range(10_000))

    def make(layout: str = "pipe", clearing_date: date = DAY) -> Day:
        return Day(tmp_path / str(next(count)), layout, clearing_date)

    return make
