"""The ledger's lanes against pgbench: the same payments into the same tables of the same durable database.

Strategy: turns go pgbench with 4 clients, lanes, pgbench with 8, lanes, pgbench with 16, lanes, and again. Each turn
pays the same number of bills, so that after the race both sides must have written the same rows, the same fen in every
account and (but for some per cent) the same bytes: that is checked before a figure is believed. The lanes' rate of a
round is the median of its three turns, and is divided by the rate of that number of clients which was best over all
rounds. Afterwards: latency at half of the lanes' peak, latency when nobody else is there, and what limits the lanes.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.harness import (
    BenchmarkError,
    Contestant,
    Effort,
    Sample,
    Series,
    Spread,
    Watch,
    percentile,
    race,
    spread_of,
    turns,
)
from benchmarks.ledger import lane, observe, pgbench
from benchmarks.ledger.world import LANE, PARTITIONS, PGBENCH, World, provided, written
from benchmarks.results import Better, Fact, Figure, Result, exactly, ratio

CLIENTS = (4, 8, 16)
# Rows may differ by the bytes of a time or a number; more would be another payment.
_BYTES_TOLERANCE = 0.05
# Long enough for some hundred payments above the 99th of a hundred, and no longer on a slow machine.
_HALF_LOAD_SECONDS = 8


@dataclass(frozen=True, slots=True)
class _Plan:
    """How many payments: in a turn, in how many rounds, and in what comes after the race."""

    turn: int
    rounds: int
    half_load: int
    alone: int

    @property
    def race(self) -> int:
        return self.turn * turns(len(CLIENTS), self.rounds)

    @property
    def lane(self) -> int:
        return self.race + self.half_load + self.alone + self.turn


@dataclass(slots=True)
class _Bills:
    """Hands out bill numbers, each once."""

    next_number: int = field(default=0)

    def take(self, count: int) -> int:
        first = self.next_number
        self.next_number += count
        return first


@dataclass(frozen=True, slots=True)
class _Run:
    """What every step of the benchmark needs."""

    world: World
    plan: _Plan
    bills: _Bills
    effort: Effort
    watch: Watch


def measure(effort: Effort, watch: Watch) -> Result:
    """Raises BenchmarkError where both sides did not do the same work."""
    plan = _Plan(
        turn=effort.choose(6_400, 192),
        rounds=effort.choose(5, 1),
        half_load=effort.choose(24_000, 200),
        alone=effort.choose(300, 20),
    )
    watch.expect(2 * turns(len(CLIENTS), plan.rounds) + 4)
    with provided({LANE: plan.lane, PGBENCH: plan.race}) as world:
        watch.did("bills are there")
        run = _Run(world, plan, _Bills(), effort, watch)
        series = race(_contestants(run), plan.rounds, watch)
        check_same_work(asyncio.run(written(world.admin_dsn)), plan.race)
        return _after_the_race(run, series)


def _contestants(run: _Run) -> list[Contestant]:
    """pgbench and the lanes in turn; both pay the bills of the same numbers, each their own."""
    world, payments, theirs = run.world, run.plan.turn, _Bills()

    def pgbench_turn(clients: int) -> Callable[[], Sample]:
        return lambda: pgbench.pay(world, clients=clients, first=theirs.take(payments), payments=payments)

    def lane_turn() -> Sample:
        return lane.pay_all(world, first=run.bills.take(payments), payments=payments)

    contestants = []
    for clients in CLIENTS:
        contestants.append(Contestant(_pgbench_name(clients), pgbench_turn(clients)))
        contestants.append(Contestant(_lane_name(clients), lane_turn))
    return contestants


def _pgbench_name(clients: int) -> str:
    return f"pgbench, {clients} clients"


def _lane_name(clients: int) -> str:
    return f"lanes after {clients} clients"


def _after_the_race(run: _Run, series: dict[str, Series]) -> Result:
    world, plan, bills = run.world, run.plan, run.bills
    lanes = _lanes(series)
    best = max((series[_pgbench_name(clients)] for clients in CLIENTS), key=lambda one: one.per_second.median)
    half = lanes.per_second.median / 2
    payments = min(plan.half_load, int(half * _HALF_LOAD_SECONDS))
    latencies = lane.pay_at_rate(
        world, first=bills.take(payments), payments=payments, per_second=half, seed=run.effort.seed
    )
    run.watch.did("half load")
    alone = lane.pay_one_by_one(world, first=bills.take(plan.alone), payments=plan.alone)
    run.watch.did("nobody else")
    seen = observe.observe(world, first=bills.take(plan.turn), payments=plan.turn)
    run.watch.did("what limits it")
    return Result(
        "ledger",
        _figures(lanes, best, latencies, alone),
        _facts(lanes, series, latencies, alone),
        (lanes, *series.values()),
        seen.sentence(),
    )


def _lanes(series: dict[str, Series]) -> Series:
    """One sample a round: the median of the lanes' turns in it."""
    rounds = zip(*(series[_lane_name(clients)].samples for clients in CLIENTS), strict=True)
    medians = (Sample(one[0].units, statistics.median(sample.seconds for sample in one)) for one in rounds)
    return Series("lanes", tuple(medians))


def _figures(
    lanes: Series, best: Series, latencies: Sequence[float], alone: Sequence[tuple[float, float]]
) -> tuple[Figure, ...]:
    pairs = zip(lanes.samples, best.samples, strict=True)
    faster = spread_of(ours.per_second / theirs.per_second for ours, theirs in pairs)
    p99 = exactly(percentile(latencies, 99) * 1000)
    idle = spread_of(payment / commit for payment, commit in alone)
    return (
        ratio(
            "ledger.vs_pgbench", faster, f"payments a second ÷ {best.name}, its best", "每秒入账笔数与 pgbench 最佳之比"
        ),
        Figure(
            "ledger.p99_ms_half_load",
            p99,
            "ms",
            Better.LOWER,
            "99 of 100 payments are committed within, at half the peak",
            "半负载下 99% 的入账耗时",
        ),
        ratio(
            "ledger.idle_vs_bare_commit",
            idle,
            "one payment alone ÷ one bare commit",
            "空闲时单笔入账与裸提交耗时之比",
            Better.LOWER,
        ),
    )


def _facts(
    lanes: Series, series: dict[str, Series], latencies: Sequence[float], alone: Sequence[tuple[float, float]]
) -> tuple[Fact, ...]:
    milliseconds = [seconds * 1000 for seconds in latencies]
    return (
        Fact("lanes", lanes.per_second, "/s", f"payments a second, {PARTITIONS} lanes, one process", "每秒入账笔数"),
        *(
            Fact(_pgbench_name(clients), series[_pgbench_name(clients)].per_second, "/s", "payments a second", "同上")
            for clients in CLIENTS
        ),
        Fact("half load", spread_of(milliseconds), "ms", "latency at half the peak", "半负载入账耗时"),
        Fact("alone", _milliseconds(payment for payment, _ in alone), "ms", "latency of one payment alone", "单笔耗时"),
        Fact(
            "bare commit",
            _milliseconds(commit for _, commit in alone),
            "ms",
            "one row inserted and committed",
            "裸提交",
        ),
    )


def _milliseconds(seconds: Any) -> Spread:
    return spread_of(value * 1000 for value in seconds)


def check_same_work(sides: dict[str, list[tuple[Any, ...]]], payments: int) -> None:
    """Both sides: the same rows and fen in every table and account, and bytes within the tolerance."""
    ours, theirs = sides[LANE], sides[PGBENCH]
    if [row[:3] for row in ours] != [row[:3] for row in theirs]:
        raise BenchmarkError(f"the lanes and pgbench did not write the same rows: {ours} against {theirs}")
    for (what, rows, _fen, our_bytes), (*_rest, their_bytes) in zip(ours, theirs, strict=True):
        if abs(our_bytes - their_bytes) > _BYTES_TOLERANCE * their_bytes:
            raise BenchmarkError(f"{what}: {our_bytes} bytes by the lanes, {their_bytes} by pgbench")
        if not what.startswith("entry") and rows != payments:
            raise BenchmarkError(f"{what}: {rows} rows for {payments} payments")
