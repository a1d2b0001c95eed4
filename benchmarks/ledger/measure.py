"""The ledger's lanes against pgbench: the same payments into the same tables of the same durable database.

Strategy: turns go pgbench with 4 clients, lanes, pgbench with 8, lanes, pgbench with 16, lanes, and again. Each turn
pays the same number of bills, so that after the race both sides must have written the same rows, the same fen in every
account and (but for some per cent) the same bytes: that is checked before a figure is believed. The lanes' rate of a
round is the median of its three turns, and is divided by the rate of that number of clients which was best over all
rounds. Afterwards: latency at half of the lanes' peak, latency when nobody else is there, what limits the lanes,
memory, processor time on both sides, and on a server of its own what growth costs.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable
from dataclasses import dataclass
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
from benchmarks.ledger import growth, lane, member, observe, pgbench, processor
from benchmarks.ledger.world import LANE, PARTITIONS, PGBENCH, World, provided, written
from benchmarks.results import Better, Fact, Figure, Result, exactly, ratio

CLIENTS = (4, 8, 16)
# Rows may differ by the bytes of a time or a number; more would be another payment.
_BYTES_TOLERANCE = 0.05
# Long enough for some hundred payments above the 99th of a hundred, and no longer on a slow machine.
_HALF_LOAD_SECONDS = 8
# Gateway processes beside each other in the fact about several: as many as the smallest real machine has processors.
_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class _Plan:
    """How many payments: in a turn, in how many rounds, and in what comes after the race."""

    turn: int
    rounds: int
    half_load: int
    alone: int
    growth: growth.Sizes

    @property
    def race(self) -> int:
        return self.turn * turns(len(CLIENTS), self.rounds)

    @property
    def lane(self) -> int:
        return self.race + self.half_load + self.alone + 6 * self.turn

    @property
    def pgbench(self) -> int:
        return self.race + self.turn


@dataclass(slots=True)
class _Bills:
    """Hands out bill numbers, each once."""

    next_number: int = 0

    def take(self, count: int) -> int:
        first = self.next_number
        self.next_number += count
        return first


@dataclass(frozen=True, slots=True)
class _Run:
    """What every step of the benchmark needs."""

    world: World
    plan: _Plan
    bills: _Bills  # the lanes'
    theirs: _Bills  # pgbench's
    effort: Effort
    watch: Watch


def measure(effort: Effort, watch: Watch) -> Result:
    """Raises BenchmarkError where both sides did not do the same work."""
    plan = _Plan(
        turn=effort.choose(6_400, 192),
        rounds=effort.choose(5, 1),
        half_load=effort.choose(24_000, 200),
        alone=effort.choose(300, 20),
        growth=growth.sizes(effort),
    )
    watch.expect(2 * turns(len(CLIENTS), plan.rounds) + 6 + plan.growth.steps)
    with provided({LANE: plan.lane, PGBENCH: plan.pgbench}) as world:
        watch.did("bills are there")
        run = _Run(world, plan, _Bills(), _Bills(), effort, watch)
        series = race(_contestants(run), plan.rounds, watch)
        check_same_work(asyncio.run(written(world.admin_dsn)), plan.race)
        after = _after_the_race(run, series)
    return _result(series, after, growth.measure(plan.growth, watch))


def _contestants(run: _Run) -> list[Contestant]:
    """pgbench and the lanes in turn; both pay the bills of the same numbers, each their own."""
    world, payments, theirs = run.world, run.plan.turn, run.theirs

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


@dataclass(frozen=True, slots=True)
class _After:
    """What was found when the race was over."""

    best: Series  # of pgbench
    latencies: list[float]
    alone: list[tuple[float, float]]
    seen: observe.Observed
    single: member.Together
    several: member.Together
    lane_processor: processor.Spent
    pgbench_processor: processor.Spent


def _after_the_race(run: _Run, series: dict[str, Series]) -> _After:
    world, plan, bills, watch = run.world, run.plan, run.bills, run.watch
    best = max(CLIENTS, key=lambda clients: series[_pgbench_name(clients)].per_second.median)
    half = _lanes(series).per_second.median / 2
    payments = min(plan.half_load, int(half * _HALF_LOAD_SECONDS))
    latencies = lane.pay_at_rate(
        world, first=bills.take(payments), payments=payments, per_second=half, seed=run.effort.seed
    )
    watch.did("half load")
    alone = lane.pay_one_by_one(world, first=bills.take(plan.alone), payments=plan.alone)
    watch.did("nobody else")
    seen = observe.observe(world, first=bills.take(plan.turn), payments=plan.turn)
    watch.did("what limits it")
    single = member.pay_together(world, processes=1, first=bills.take(2 * plan.turn), payments=2 * plan.turn)
    several = member.pay_together(world, processes=_PROCESSES, first=bills.take(2 * plan.turn), payments=2 * plan.turn)
    watch.did("processes of their own")
    first, theirs = bills.take(plan.turn), run.theirs.take(plan.turn)
    ours = processor.spent(world, lambda: lane.pay_all(world, first=first, payments=plan.turn))
    spent = processor.spent(world, lambda: pgbench.pay(world, clients=best, first=theirs, payments=plan.turn))
    watch.did("processor time")
    return _After(series[_pgbench_name(best)], latencies, alone, seen, single, several, ours, spent)


def _result(series: dict[str, Series], after: _After, grown: growth.Growth) -> Result:
    lanes = _lanes(series)
    return Result(
        "ledger",
        _figures(lanes, after, grown),
        _facts(lanes, series, after, grown),
        (lanes, *series.values(), *grown.series),
        f"{after.seen.sentence()}. {processor.sentence(after.lane_processor, after.pgbench_processor)}",
    )


def _lanes(series: dict[str, Series]) -> Series:
    """One sample a round: the median of the lanes' turns in it."""
    rounds = zip(*(series[_lane_name(clients)].samples for clients in CLIENTS), strict=True)
    medians = (Sample(one[0].units, statistics.median(sample.seconds for sample in one)) for one in rounds)
    return Series("lanes", tuple(medians))


def _figures(lanes: Series, after: _After, grown: growth.Growth) -> tuple[Figure, ...]:
    pairs = zip(lanes.samples, after.best.samples, strict=True)
    faster = spread_of(ours.per_second / theirs.per_second for ours, theirs in pairs)
    idle = spread_of(payment / commit for payment, commit in after.alone)
    return (
        ratio(
            "ledger.vs_pgbench",
            faster,
            f"payments a second ÷ {after.best.name}, its best",
            "每秒入账笔数与 pgbench 最佳之比",
        ),
        Figure(
            "ledger.p99_ms_half_load",
            exactly(percentile(after.latencies, 99) * 1000),
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
        ratio(
            "ledger.growth",
            grown.ratio,
            "cost of a payment with 2 million customers ÷ with 100,000",
            "二百万户与十万户时单笔成本之比",
            Better.LOWER,
        ),
        Figure(
            "ledger.import_bills_per_second",
            exactly(grown.imported.per_second),
            "/s",
            Better.HIGHER,
            "bills imported from a CSV file, 2 million customers",
            "每秒导入电费账单数",
        ),
        Figure(
            "ledger.rss_mib",
            exactly(after.single.peak_mib),
            "MiB",
            Better.LOWER,
            "most memory of a gateway process at its peak",
            "网关进程峰值内存",
        ),
    )


def _facts(lanes: Series, series: dict[str, Series], after: _After, grown: growth.Growth) -> tuple[Fact, ...]:
    milliseconds = [seconds * 1000 for seconds in after.latencies]
    several = f"payments a second, {_PROCESSES} gateway processes, {PARTITIONS} lanes each"
    return (
        Fact("lanes", lanes.per_second, "/s", f"payments a second, {PARTITIONS} lanes, one process", "每秒入账笔数"),
        Fact("lanes, processes", exactly(after.several.sample.per_second), "/s", several, "双进程每秒入账笔数"),
        *(
            Fact(_pgbench_name(clients), series[_pgbench_name(clients)].per_second, "/s", "payments a second", "同上")
            for clients in CLIENTS
        ),
        _processor_fact("lanes, processor", after.lane_processor),
        _processor_fact("pgbench, processor", after.pgbench_processor),
        Fact("half load", spread_of(milliseconds), "ms", "latency at half the peak", "半负载入账耗时"),
        Fact("alone", _milliseconds(payment for payment, _ in after.alone), "ms", "latency of one payment", "单笔耗时"),
        Fact(
            "bare commit",
            _milliseconds(commit for _, commit in after.alone),
            "ms",
            "one row inserted and committed",
            "裸提交",
        ),
        *(Fact(f"{one.name} ledger", one.per_second, "/s", "payments a second", "同上") for one in grown.series),
    )


def _processor_fact(name: str, spent: processor.Spent) -> Fact:
    return Fact(name, exactly(spent.microseconds), "µs", "a payment: caller and server", "单笔处理器时间")


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
