"""Ledgers to test against: a migrated PostgreSQL, or memory; builders of operations; small helpers.

Customers are numbered so that their home is known: `at_home(partition, n)` is the n-th customer of a partition.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.database import Connection, connect
from gateway.ledger.decide import decide
from gateway.ledger.model import Customer, Effects, Receivable
from gateway.ledger.partitions import home, schema_name
from gateway.ledger.rules import Rules
from gateway.ledger.store import CommitResult, Decide, Decided, LedgerOperation, Store, wanted_by
from gateway.operations import (
    ALL_BILLS,
    BillSelection,
    Channel,
    Evidence,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    StatusEnquiry,
)
from gateway.outcomes import Outcome
from protocols.money import Money

PARTITIONS = 2
FIRST_DAY = date(2026, 11, 25)
NEXT_DAY = date(2026, 11, 26)
PASSWORD = "a-password-of-the-tests"  # the same in every suite on the session's server
NOW = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
PAID_AT = datetime(2026, 11, 25, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
RULES = Rules()
BANK = "GZB"
_CUSTOMER_COLUMNS = (
    *("customer_no", "payment_no", "name", "supply_address", "org_code", "customer_class", "usage_category"),
    *("penalty_exempt", "prepayment_balance_fen", "imported_at"),
)
_RECEIVABLE_COLUMNS = (
    *("receivable_id", "customer_no", "billing_month", "charge_kind", "org_code", "principal_fen", "due_date"),
    *("partial_payment_allowed", "locked", "imported_at"),
)


def at_home(partition: int, n: int = 0, partitions: int = PARTITIONS) -> str:
    """The number of the n-th customer who lives in a partition."""
    numbers = (f"06{number:08d}" for number in itertools.count(1))
    return next(itertools.islice((one for one in numbers if home(one, partitions) == partition), n, None))


def customer(customer_no: str, *, prepayment_fen: int = 0) -> Customer:
    return Customer(customer_no, customer_no, "张三", "天河路1号", "06010000", "03", "201", False, prepayment_fen)


def bill(
    receivable_id: str, customer_no: str, principal_fen: int = 10_000, *, month: int = 202611, partial: bool = True
) -> Receivable:
    due = date(2026, 12, 20)
    return Receivable(receivable_id, customer_no, month, "010", "06010000", principal_fen, due, partial, False, 0, 0)


def key(kind: OperationKind, trace_no: str, bank: str = BANK) -> OperationKey:
    return OperationKey(bank, kind, FIRST_DAY, trace_no)


def payment(
    trace_no: str, customer_no: str, amount_fen: int = 10_000, selection: BillSelection = ALL_BILLS, bank: str = BANK
) -> Payment:
    return Payment(
        key(OperationKind.PAYMENT, trace_no, bank),
        customer_no,
        selection,
        Money(amount_fen),
        PAID_AT,
        Channel.BANK_COUNTER,
        SettleMethod.CASH,
        "0201",
        "007",
    )


def deposit(trace_no: str, customer_no: str, amount_fen: int = 10_000) -> PrepaymentDeposit:
    return PrepaymentDeposit(
        key(OperationKind.PAYMENT, trace_no),
        customer_no,
        Money(amount_fen),
        PAID_AT,
        Channel.BANK_COUNTER,
        SettleMethod.CHEQUE,
    )


def of_trace(trace_no: str) -> OriginalReference:
    return OriginalReference(FIRST_DAY, trace_no)


def cancel(trace_no: str, customer_no: str, original: OriginalReference, amount_fen: int = 10_000) -> SameDayCancel:
    return SameDayCancel(key(OperationKind.SAME_DAY_CANCEL, trace_no), customer_no, original, Money(amount_fen))


def reversal(trace_no: str, customer_no: str, original: OriginalReference, amount_fen: int = 10_000) -> Reversal:
    return Reversal(key(OperationKind.REVERSAL, trace_no), customer_no, original, Money(amount_fen))


def status(trace_no: str, customer_no: str, original: OriginalReference, *, fence: bool = False) -> StatusEnquiry:
    return StatusEnquiry(key(OperationKind.STATUS_ENQUIRY, trace_no), customer_no, original, fence)


def evidence(trace_id: str = "trace-1") -> Evidence:
    return Evidence(b"<request/>" * 20, "key-1", "iso8583", NOW, trace_id)


@dataclass
class Installation:
    """A migrated database and the three ways into it."""

    admin_dsn: str
    gateway_dsn: str
    night_dsn: str
    admin: Connection

    @classmethod
    async def of(cls, admin_dsn: str, gateway_dsn: str, night_dsn: str) -> Installation:
        return cls(admin_dsn, gateway_dsn, night_dsn, await connect(admin_dsn))

    async def close(self) -> None:
        await self.admin.close()

    async def seed(
        self, customers: Iterable[Customer], receivables: Iterable[Receivable] = (), partitions: int = PARTITIONS
    ) -> None:
        for one in customers:
            schema = schema_name(home(one.payment_no, partitions))
            row = (
                one.customer_no,
                one.payment_no,
                one.name,
                one.supply_address,
                one.org_code,
                one.customer_class,
                one.usage_category,
                one.penalty_exempt,
                one.prepayment_balance_fen,
                NOW,
            )
            await self.admin.copy_rows_in("customer", _CUSTOMER_COLUMNS, [row], schema=schema)
        for bill_ in receivables:
            schema = schema_name(home(bill_.customer_no, partitions))
            values = [getattr(bill_, name) for name in _RECEIVABLE_COLUMNS[:-1]]
            await self.admin.copy_rows_in("receivable", _RECEIVABLE_COLUMNS, [(*values, NOW)], schema=schema)

    async def count(self, table: str, where: str = "true", partitions: int = PARTITIONS) -> int:
        """Rows of a table over all partitions."""
        parts = [f"SELECT count(*) AS n FROM {schema_name(one)}.{table} WHERE {where}" for one in range(partitions)]
        return int(await self.admin.fetch_value(f"SELECT sum(n)::bigint FROM ({' UNION ALL '.join(parts)}) AS t"))

    async def value(self, sql: str, *args: Any) -> Any:
        return await self.admin.fetch_value(sql, *args)

    async def check_books(self, partitions: int = PARTITIONS) -> None:
        """What holds for every ledger: entries sum to zero, running sums are the sums of entries."""
        for one in range(partitions):
            schema = schema_name(one)
            off = await self.admin.fetch(
                f"SELECT payment_id FROM {schema}.entry GROUP BY payment_id HAVING sum(amount_fen) <> 0"
            )
            assert off == []
            wrong = await self.admin.fetch(
                f"""
                SELECT r.receivable_id FROM {schema}.receivable AS r
                LEFT JOIN {schema}.published_receipt_line AS l USING (receivable_id)
                GROUP BY r.receivable_id, r.received_principal_fen, r.received_penalty_fen
                HAVING r.received_principal_fen <> coalesce(sum(l.principal_fen), 0)
                    OR r.received_penalty_fen <> coalesce(sum(l.penalty_fen), 0)
                """
            )
            assert wrong == []


def with_posting(effects: Effects, **changes: Any) -> Effects:
    """The same effects with another posting of the operation's own, its entries left as they are."""
    *before, own = effects.bookings
    return replace(effects, bookings=(*before, replace(own, posting=replace(own.posting, **changes))))


async def eventually(is_so: Callable[[], Awaitable[bool]], within_seconds: int = 20) -> None:
    """Wait for what happens elsewhere a moment later; fails by TimeoutError."""
    async with asyncio.timeout(within_seconds):
        for _ in itertools.count():
            if await is_so():
                return
            await asyncio.sleep(0.02)


async def run_batch(
    store: Store,
    operations: Sequence[LedgerOperation],
    *,
    decide_with: Decide = decide,
    with_evidence: bool = True,
) -> list[Outcome]:
    """One batch as a lane does it, up to and with a commit that must succeed."""
    decided = await write_batch(store, operations, decide_with=decide_with, with_evidence=with_evidence)
    assert await store.commit() is CommitResult.COMMITTED
    return [one.outcome for one in decided]


async def write_batch(
    store: Store,
    operations: Sequence[LedgerOperation],
    *,
    decide_with: Decide = decide,
    with_evidence: bool = True,
) -> list[Decided]:
    await store.begin()
    wanted = wanted_by(operations)
    assert await store.lock(wanted.customer_nos) == frozenset()
    state = await store.load(wanted)
    decided = []
    for one in operations:
        outcome, effects = decide_with(state, one, RULES, NOW, "trace-1")
        state.apply(effects)
        decided.append(Decided(one, evidence() if with_evidence else None, outcome, effects))
    await store.write(decided, state, NOW)
    return decided
