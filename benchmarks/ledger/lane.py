"""The contestant: the production `Ledger` with the real `decide`, in this process, under a made-up load.

Strategy: operations are made before the clock runs, then handed to `submit` as the service hands them. Three loads:

- `pay_all`: so many payers wait at any time (closed loop); for the peak;
- `pay_at_rate`: payers come when they come (open loop, seeded); a latency counts from the moment a payer should have
  come, so that a stall is felt by everybody whom it held up;
- `pay_one_by_one`: nobody else is there.

`member` runs the first in a process of its own.

Whatever is not approved stops the benchmark. The load shares the process and its one processor with the lanes.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import uvloop

from benchmarks.harness import BenchmarkError, Sample
from benchmarks.ledger.world import PARTITIONS, World, payment
from gateway.database import connect
from gateway.ledger.decide import decide
from gateway.ledger.ledger import Ledger
from gateway.ledger.rules import Rules
from gateway.operations import Evidence, Payment
from gateway.outcomes import Approved

Due = tuple[Payment, Evidence]
T = TypeVar("T")

# Two batches for each lane (one in flight, one gathering), and some over so that no batch is short.
PAYERS = 640


def run(work: Coroutine[Any, Any, T]) -> T:
    """On the loop that the gateway uses."""
    return uvloop.run(work)


async def with_ledger(world: World, work: Callable[[Ledger], Awaitable[T]]) -> T:
    async with Ledger(world.gateway_dsn, PARTITIONS, rules=Rules(), decide=decide) as ledger:
        return await work(ledger)


def pay_all(world: World, *, first: int, payments: int) -> Sample:
    """The bills from number `first` on, as fast as it goes."""
    return pay_numbers(world, range(first, first + payments))


def pay_numbers(world: World, numbers: Sequence[int]) -> Sample:
    """The bills of these numbers, as fast as it goes."""
    due = [payment(number) for number in numbers]

    async def work(ledger: Ledger) -> Sample:
        with prepared():
            start = time.perf_counter()
            await flood(ledger, due)
            return Sample(len(due), time.perf_counter() - start)

    return run(with_ledger(world, work))


async def flood(ledger: Ledger, due: Iterable[Due]) -> None:
    """Pay everything that is due, `PAYERS` at a time."""
    waiting = iter(due)

    async def payer() -> None:
        for operation, evidence in waiting:
            _check(await ledger.submit(operation, evidence))

    await asyncio.gather(*(payer() for _ in range(PAYERS)))


def pay_at_rate(world: World, *, first: int, payments: int, per_second: float, seed: int) -> list[float]:
    """Latencies in seconds of payments that come at random moments, `per_second` of them on average."""
    due = [payment(number) for number in range(first, first + payments)]

    async def work(ledger: Ledger) -> list[float]:
        with prepared():
            return await _arrivals(ledger, due, per_second, random.Random(seed))

    return run(with_ledger(world, work))


async def _arrivals(ledger: Ledger, due: list[Due], per_second: float, moments: random.Random) -> list[float]:
    latencies: list[float] = []

    async def payer(one: Due, comes: float) -> None:
        _check(await ledger.submit(*one))
        latencies.append(time.perf_counter() - comes)

    comes = time.perf_counter()
    async with asyncio.TaskGroup() as payers:
        for one in due:
            comes += moments.expovariate(per_second)
            if comes > time.perf_counter():
                await asyncio.sleep(comes - time.perf_counter())
            payers.create_task(payer(one, comes))
    return latencies


def pay_one_by_one(world: World, *, first: int, payments: int) -> list[tuple[float, float]]:
    """Pairs of seconds: one payment alone, then one bare commit (a row of one number, same server, same driver)."""
    due = [payment(number) for number in range(first, first + payments)]

    async def work(ledger: Ledger) -> list[tuple[float, float]]:
        connection = await connect(world.admin_dsn)
        try:
            await connection.execute("CREATE TABLE IF NOT EXISTS bare_commit (number integer NOT NULL)")

            async def commit() -> None:
                await connection.execute("INSERT INTO bare_commit (number) VALUES ($1)", 1)

            await commit()
            return [(await _seconds(_pay(ledger, one)), await _seconds(commit())) for one in due]
        finally:
            await connection.close()

    return run(with_ledger(world, work))


async def _pay(ledger: Ledger, one: Due) -> None:
    _check(await ledger.submit(*one))


async def _seconds(work: Awaitable[None]) -> float:
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


def _check(outcome: object) -> None:
    if not isinstance(outcome, Approved):
        raise BenchmarkError(f"a payment was not approved: {outcome!r}")


@contextmanager
def prepared() -> Iterator[None]:
    """Hides what was made beforehand from the garbage collector: a gateway doesn't hold ten thousand requests."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
