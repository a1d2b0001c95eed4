"""Crashes and lost connections on a real server: replay books once, and only culprits are refused."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from busbar.postgresql import provide
from gateway.database import connect
from gateway.ledger.decide import decide
from gateway.ledger.lane import Lane, LaneLimits
from gateway.ledger.ledger import Ledger
from gateway.ledger.migrate import migrate
from gateway.ledger.model import Effects, State
from gateway.ledger.store import CommitResult, Decided, Store, Wanted
from gateway.ledger.store_postgres import PostgresStore, open_postgres_store
from gateway.outcomes import Approved, Outcome, Reason, Unknown

from .installations import (
    FIRST_DAY,
    NOW,
    PARTITIONS,
    PASSWORD,
    RULES,
    Installation,
    at_home,
    bill,
    customer,
    evidence,
    payment,
    with_posting,
)

QUICK = LaneLimits(retry_pause_seconds=0.005, reconnect_first_seconds=0.01, reconnect_most_seconds=0.05)
CUSTOMERS = [at_home(0, n) for n in range(20)]
Fault = Callable[["Watched"], Awaitable[None]]


class Watched:
    """A PostgreSQL store with faults at chosen steps, each used once."""

    def __init__(self, store: PostgresStore, faults: dict[str, Fault]) -> None:
        self.store = store
        self.faults = faults

    async def reach(self, step: str) -> None:
        fault = self.faults.pop(step, None)
        if fault is not None:
            await fault(self)

    async def begin(self) -> None:
        await self.reach("begin")
        await self.store.begin()

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        await self.reach("lock")
        return await self.store.lock(customer_nos)

    async def load(self, wanted: Wanted) -> State:
        await self.reach("load")
        return await self.store.load(wanted)

    async def write(self, decided: Sequence[Decided], state: State, recorded_at: datetime) -> None:
        await self.reach("write")
        await self.store.write(decided, state, recorded_at)
        await self.reach("written")

    async def commit(self) -> CommitResult:
        await self.reach("commit")
        result = await self.store.commit()
        if "committed" in self.faults:
            # The server has committed and its answer is lost on the way.
            await self.reach("committed")
            return CommitResult.UNKNOWN
        return result

    async def roll_back(self) -> None:
        await self.store.roll_back()

    async def close(self) -> None:
        await self.store.close()


async def cut(watched: Watched) -> None:
    """The network goes away."""
    watched.store.connection.drop()


def terminated_by(installation: Installation) -> Fault:
    async def terminate(watched: Watched) -> None:
        pid = watched.store.connection.backend_pid
        assert await installation.value("SELECT pg_terminate_backend($1, 5000)", pid)

    return terminate


def lane_on(dsn: str, faults: dict[str, Fault], partitions: int = PARTITIONS, decide_with: Any = decide) -> Lane:
    async def open_store() -> Store:
        return Watched(await open_postgres_store(dsn, 0, partitions, "CNY"), faults)

    return Lane("ledger_00", open_store, decide_with, rules=RULES, clock=lambda: NOW, limits=QUICK)


async def pay_all(lane: Lane) -> list[Outcome]:
    await lane.start()
    try:
        async with asyncio.timeout(60):
            return await asyncio.gather(
                *(lane.submit(payment(f"T{n}", who), evidence(f"trace-{n}")) for n, who in enumerate(CUSTOMERS))
            )
    finally:
        await lane.stop()


STEPS = ["begin", "lock", "load", "write", "written", "commit", "committed"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["cut", "terminated"])
async def test_a_lost_connection_at_any_step_books_once(installation: Installation, step: str, how: str) -> None:
    await installation.seed(map(customer, CUSTOMERS), [bill(f"R{n}", who) for n, who in enumerate(CUSTOMERS)])
    faults = {step: cut if how == "cut" else terminated_by(installation)}
    outcomes = await pay_all(lane_on(installation.gateway_dsn, faults))
    assert faults == {}, "the fault was met"
    assert all(isinstance(outcome, Approved) for outcome in outcomes)
    assert await installation.count("payment") == len(CUSTOMERS)
    assert await installation.count("operation") == len(CUSTOMERS)
    told = {outcome.reference_no for outcome in outcomes if isinstance(outcome, Approved)}
    rows = await installation.admin.fetch("SELECT reference_no FROM ledger_00.payment")
    assert {row["reference_no"] for row in rows} == told
    assert await installation.value("SELECT count(*) FROM ledger_00.payment WHERE trace_id LIKE 'trace-%'") == 20
    await installation.check_books()


def spoilt(trace_no: str, spoil: Callable[[Effects], Effects]) -> Any:
    def decide_badly(state: State, operation: Any, rules: Any, now: Any, trace_id: str) -> tuple[Outcome, Effects]:
        outcome, effects = decide(state, operation, rules, now, trace_id)
        return outcome, spoil(effects) if operation.key.trace_no == trace_no else effects

    return decide_badly


def negative_amount(effects: Effects) -> Effects:
    return with_posting(effects, amount_fen=-1)


def over_settled(effects: Effects) -> Effects:
    (row,) = effects.receivables
    return replace(effects, receivables=(replace(row, received_principal_fen=row.principal_fen + 1),))


def unknown_receivable(effects: Effects) -> Effects:
    (row,) = effects.receivables
    return replace(effects, receivables=(replace(row, receivable_id="nothing"),))


def too_big(effects: Effects) -> Effects:
    return with_posting(effects, amount_fen=2**63)


@pytest.mark.parametrize("spoil", [negative_amount, over_settled, unknown_receivable, too_big])
async def test_a_poisoned_batch_refuses_only_the_culprit(installation: Installation, spoil: Any) -> None:
    await installation.seed(map(customer, CUSTOMERS), [bill(f"R{n}", who) for n, who in enumerate(CUSTOMERS)])
    outcomes = await pay_all(lane_on(installation.gateway_dsn, {}, decide_with=spoilt("T7", spoil)))
    refused = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Approved)]
    assert refused == [7]
    assert getattr(outcomes[7], "reason", None) is Reason.SYSTEM_ERROR
    assert await installation.count("payment") == len(CUSTOMERS) - 1
    assert await installation.count("operation", "trace_no = 'T7'") == 0, "the key is free for another try"
    kept = await installation.value("SELECT outcome->>'reason' FROM ledger_00.evidence WHERE trace_no = 'T7'")
    assert kept == "SYSTEM_ERROR"
    await installation.check_books()


async def test_a_customer_held_elsewhere_does_not_stop_the_others(installation: Installation) -> None:
    await installation.seed(map(customer, CUSTOMERS), [bill(f"R{n}", who) for n, who in enumerate(CUSTOMERS)])
    clerk = await connect(installation.admin_dsn)
    await clerk.execute("BEGIN")
    await clerk.execute("SELECT FROM ledger_00.customer WHERE customer_no = $1 FOR UPDATE", CUSTOMERS[3])
    async with Ledger(installation.gateway_dsn, PARTITIONS, rules=RULES, decide=decide, limits=QUICK) as ledger:
        deadline = asyncio.get_running_loop().time() + 1
        tasks = [
            asyncio.create_task(ledger.submit(payment(f"T{n}", who), evidence(), deadline if n == 3 else None))
            for n, who in enumerate(CUSTOMERS)
        ]
        outcomes = await asyncio.gather(*tasks)
        assert outcomes[3] == Unknown(Reason.IN_PROGRESS)
        assert sum(isinstance(outcome, Approved) for outcome in outcomes) == len(CUSTOMERS) - 1
        await clerk.close()
        assert isinstance(await ledger.submit(payment("T3", CUSTOMERS[3]), evidence()), Approved)


async def test_two_ledgers_on_one_database_share_customers_and_keys(installation: Installation) -> None:
    """Each payment is sent to both at once: it is booked once, and both get the same answer in the end."""
    await installation.seed(map(customer, CUSTOMERS), [bill(f"R{n}", who, 10**6) for n, who in enumerate(CUSTOMERS)])
    async with (
        Ledger(installation.gateway_dsn, PARTITIONS, rules=RULES, decide=decide, limits=QUICK) as one,
        Ledger(installation.gateway_dsn, PARTITIONS, rules=RULES, decide=decide, limits=QUICK) as other,
    ):
        operations = [payment(f"T{n}", CUSTOMERS[n % 20], 100) for n in range(200)]
        nobody = [payment(f"N{n}", at_home(0, 50 + n)) for n in range(50)]
        tasks = [
            asyncio.create_task(ledger.submit(operation, evidence()))
            for operation in operations + nobody
            for ledger in (one, other)
        ]
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*tasks)
    assert [outcomes[n] == outcomes[n + 1] for n in range(0, len(outcomes), 2)] == [True] * 250
    assert await installation.count("payment") == 200
    assert await installation.count("operation") == 250
    await installation.check_books()


async def test_a_killed_server_process_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """kill -9 of a lane's backend in the middle of a batch: the server recovers, the lane comes back."""
    with provide(None, {"max_connections": "20"}) as server:
        if server.external:
            pytest.skip("an external server is not ours to kill")
        admin_dsn = server.superuser_dsn()
        await migrate(
            admin_dsn, partitions=1, first_clearing_date=FIRST_DAY, gateway_password=PASSWORD, night_password=PASSWORD
        )
        gateway_dsn = server.dsn("postgres", "busbar_gateway", PASSWORD)
        installation = await Installation.of(admin_dsn, gateway_dsn, gateway_dsn)
        await installation.seed(
            map(customer, CUSTOMERS), [bill(f"R{n}", who) for n, who in enumerate(CUSTOMERS)], partitions=1
        )
        await installation.close()

        async def kill(watched: Watched) -> None:
            os.kill(watched.store.connection.backend_pid, signal.SIGKILL)

        for step in ("written", "committed"):
            outcomes = await pay_all(lane_on(gateway_dsn, {step: kill}, partitions=1))
            assert all(isinstance(outcome, Approved) for outcome in outcomes)
        installation = await Installation.of(admin_dsn, gateway_dsn, gateway_dsn)
        assert await installation.count("payment", partitions=1) == len(CUSTOMERS)
        await installation.check_books(partitions=1)
        await installation.close()
