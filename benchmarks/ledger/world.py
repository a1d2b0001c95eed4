"""The ledgers that the benchmarks post to: one durable server, two partitions in each, bills for everybody.

Strategy: a temporary embedded PostgreSQL with its defaults (fsync and synchronous_commit on) and ledgers made by the
production migrations, a database each. Bill number n has the same amounts for both sides and differs only in whose it
is, so that after the race everything that was written can be compared to the fen. Every fourth bill is ten days
overdue. Rules:

- a customer has one bill; the lane's customers live where their number says, pgbench's in turn, as pgbench can't hash;
- the database is the benchmark's own: one that somebody named in the environment is refused, because initialising a
  ledger sets the passwords of the server's roles.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from benchmarks.harness import BenchmarkError
from busbar.postgresql import Server, provide
from gateway.database import Connection, Row, connect, load_sql
from gateway.ledger.migrate import GATEWAY, migrate
from gateway.ledger.partitions import home, schema_name, schema_names
from gateway.ledger.store_postgres import CLEARING_LOCK
from gateway.operations import (
    BillSelection,
    Channel,
    Evidence,
    OperationKey,
    OperationKind,
    Payment,
    SettleMethod,
)
from protocols.money import Money

PARTITIONS = 2
CLEARING_DATE = date(2024, 4, 5)
PAID_AT = datetime(2024, 4, 5, 11, 28, 54, tzinfo=timezone(timedelta(hours=8)))
BILLING_MONTH, ORG_CODE = 202403, "06000101"
LANE, PGBENCH = "LANE", "PGBENCH"
_CUSTOMER_LETTER = {LANE: "L", PGBENCH: "P"}
_OVERDUE_DAYS = 10
_PACKAGE = "benchmarks.ledger"
_CUSTOMER_COLUMNS = (
    "customer_no",
    "payment_no",
    "name",
    "supply_address",
    "org_code",
    "customer_class",
    "usage_category",
    "penalty_exempt",
    "imported_at",
)
_RECEIVABLE_COLUMNS = (
    "receivable_id",
    "customer_no",
    "billing_month",
    "charge_kind",
    "org_code",
    "principal_fen",
    "due_date",
    "partial_payment_allowed",
    "locked",
    "imported_at",
)
# A Guangzhou payment is about this long, and deflates to about half.
_FRAME = (
    "01740200F202401108C190000000000011000001176222000000000001800190000000000{amount:012d}{number:012d}112854"
    "0405000000000000000631581061000002000000060000062      {customer:>21}9999999901000000000000010"
    "                         00100631581033333300JF{check:08X}"
)
_CHECK = 2654435761  # spreads the number over the eight digits where a MAC stands


@dataclass(frozen=True, slots=True)
class World:
    """A filled ledger. DSNs hold passwords: never shown."""

    admin_dsn: str = field(repr=False)
    gateway_dsn: str = field(repr=False)
    gateway_password: str = field(repr=False)


def principal_fen(number: int) -> int:
    return 1000 + number * 7919 % 50_000


def penalty_fen(number: int) -> int:
    """1 per mille a day, half up, at least one yuan (residential)."""
    if number % 4:
        return 0
    return max(100, (principal_fen(number) * _OVERDUE_DAYS + 500) // 1000)


def due_date(number: int) -> date:
    return CLEARING_DATE + timedelta(days=15 if number % 4 else -_OVERDUE_DAYS)


def customer_no(side: str, number: int) -> str:
    return f"{_CUSTOMER_LETTER[side]}{number:09d}"


def receivable_id(side: str, number: int) -> str:
    return f"{_CUSTOMER_LETTER[side]}R{number:012d}"


def request_bytes(side: str, number: int) -> bytes:
    """The bytes of a request, kept as evidence."""
    amount = principal_fen(number) + penalty_fen(number)
    check = number * _CHECK % (1 << 32)
    return _FRAME.format(amount=amount, number=number, customer=customer_no(side, number), check=check).encode()


def payment(number: int) -> tuple[Payment, Evidence]:
    """What the lane is asked to book for bill `number`."""
    operation = Payment(
        OperationKey(LANE, OperationKind.PAYMENT, CLEARING_DATE, f"{number:012d}"),
        customer_no(LANE, number),
        BillSelection((receivable_id(LANE, number),)),
        Money(principal_fen(number) + penalty_fen(number)),
        PAID_AT,
        Channel.MOBILE_BANK,
        SettleMethod.TRANSFER,
        "440106000012",
        "T0231",
    )
    return operation, Evidence(request_bytes(LANE, number), "benchmark", "iso8583", PAID_AT, f"{number:032x}")


@dataclass(frozen=True, slots=True)
class Worlds:
    """A server of the benchmark's own; `make` as many ledgers on it as you need."""

    _server: Server
    _password: str = field(repr=False)

    def make(self, name: str, bills: dict[str, int], *, first_bill: int = 0) -> World:
        """A ledger with so many customers for each side, and a bill for each of them from number `first_bill` on."""
        asyncio.run(_execute(self._server.superuser_dsn(), f"CREATE DATABASE {name}"))
        admin_dsn = self._server.superuser_dsn(name)
        asyncio.run(_fill(admin_dsn, self._password, bills, first_bill))
        return World(admin_dsn, self._server.dsn(name, GATEWAY, self._password), self._password)


@contextmanager
def worlds() -> Iterator[Worlds]:
    """A server that is gone afterwards with all its ledgers."""
    with provide(None) as server:
        if server.external:
            raise BenchmarkError("it makes a ledger of its own: unset BUSBAR_DATABASE_DSN for this run")
        yield Worlds(server, secrets.token_urlsafe(18))


@contextmanager
def provided(bills: dict[str, int]) -> Iterator[World]:
    """One world with so many bills for each side."""
    with worlds() as server:
        yield server.make("benchmark", bills)


async def _execute(dsn: str, *statements: str) -> None:
    connection = await connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _fill(admin_dsn: str, password: str, bills: dict[str, int], first_bill: int) -> None:
    await migrate(
        admin_dsn,
        partitions=PARTITIONS,
        first_clearing_date=CLEARING_DATE,
        gateway_password=password,
        night_password=secrets.token_urlsafe(18),
    )
    connection = await connect(admin_dsn)
    try:
        for side, count in bills.items():
            for partition in range(PARTITIONS):
                await _copy(connection, side, partition, range(count), first_bill)
        for partition, schema in enumerate(schema_names(PARTITIONS)):
            function = load_sql(_PACKAGE, "pay_one").replace("{schema}", schema).replace("{partition}", str(partition))
            await connection.execute(function.replace("{clearing_lock}", str(CLEARING_LOCK)))
    finally:
        await connection.close()
    await settle_down(admin_dsn)


async def settle_down(admin_dsn: str) -> None:
    """Nothing of the filling may be left to do: no hint bits, no dirty pages, no statistics."""
    await _execute(admin_dsn, "VACUUM (ANALYZE)", "CHECKPOINT")


async def _copy(connection: Connection, side: str, partition: int, everybody: range, first_bill: int) -> None:
    numbers = [number for number in everybody if _home(side, number) == partition]
    schema, moment = schema_name(partition), datetime(2024, 4, 1, tzinfo=UTC)
    customers = (_customer(side, number, moment) for number in numbers)
    receivables = (_receivable(side, number, moment) for number in numbers if number >= first_bill)
    await connection.copy_rows_in("customer", _CUSTOMER_COLUMNS, customers, schema=schema)
    await connection.copy_rows_in("receivable", _RECEIVABLE_COLUMNS, receivables, schema=schema)


def _home(side: str, number: int) -> int:
    return home(customer_no(LANE, number), PARTITIONS) if side == LANE else number % PARTITIONS


def _customer(side: str, number: int, moment: datetime) -> tuple[Any, ...]:
    own = customer_no(side, number)
    return (own, own, f"用户{number}", f"广州市天河区体育西路{number % 997}号", ORG_CODE, "03", "202", False, moment)


def _receivable(side: str, number: int, moment: datetime) -> tuple[Any, ...]:
    own = (receivable_id(side, number), customer_no(side, number))
    return (*own, BILLING_MONTH, "010", ORG_CODE, principal_fen(number), due_date(number), False, False, moment)


async def written(admin_dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """What each side wrote, over both partitions: rows, fen and bytes of every table, in one order."""
    connection = await connect(admin_dsn)
    try:
        everywhere = [await connection.fetch(_written_sql(schema)) for schema in schema_names(PARTITIONS)]
    finally:
        await connection.close()
    return {side: _added_up(side, everywhere) for side in (LANE, PGBENCH)}


def _written_sql(schema: str) -> str:
    return load_sql(_PACKAGE, "written").replace("{schema}", schema)


def _added_up(side: str, everywhere: Sequence[Sequence[Row]]) -> list[tuple[Any, ...]]:
    totals: dict[str, list[int]] = {}
    for rows in everywhere:
        for row in rows:
            if row["bank"] == side:
                sums = totals.setdefault(row["what"], [0, 0, 0])
                for index, column in enumerate(("row_count", "fen", "byte_count")):
                    sums[index] += row[column]
    return [(what, *sums) for what, sums in sorted(totals.items())]
