"""What a payment costs when the ledger is large, and how fast a month's bills come in.

Strategy: two ledgers on one server, one with 100,000 customers and one with 2 million, a bill for each of them. The
lanes pay in the one and in the other in turns; a turn's bills are spread over all customers, as payers are, so that
the large ledger's pages are met as they lie and not warmed by a neighbour. Half of the large ledger's bills come in
through the production import, a CSV file written beforehand, while that is timed; its customers are there already.
"""

from __future__ import annotations

import asyncio
import csv
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import (
    BenchmarkError,
    Contestant,
    Effort,
    Sample,
    Series,
    Spread,
    Watch,
    race,
    times_as_fast,
    turns,
)
from benchmarks.ledger import lane
from benchmarks.ledger.world import (
    BILLING_MONTH,
    LANE,
    ORG_CODE,
    PARTITIONS,
    World,
    Worlds,
    customer_no,
    due_date,
    principal_fen,
    receivable_id,
    settle_down,
    worlds,
)
from gateway.ledger.importing import import_bills

_SMALL, _LARGE = "small", "large"
# Coprime to every population here: steps of it meet each number once before any comes again.
_STRIDE = 611_953
_COLUMNS = ("receivable_id", "customer_no", "billing_month", "charge_kind", "org_code", "principal_fen", "due_date")


@dataclass(frozen=True, slots=True)
class Growth:
    """`ratio`: cost of a payment in the large ledger ÷ in the small one, turn by turn."""

    ratio: Spread
    imported: Sample
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    small: int
    large: int
    imported: int
    turn: int
    rounds: int

    @property
    def steps(self) -> int:
        """For `Watch.expect`: two ledgers, the import, the race."""
        return 3 + turns(2, self.rounds)


def sizes(effort: Effort) -> Sizes:
    return Sizes(
        small=effort.choose(100_000, 1_000),
        large=effort.choose(2_000_000, 3_000),
        imported=effort.choose(1_000_000, 1_000),
        turn=effort.choose(6_400, 192),
        rounds=effort.choose(7, 1),
    )


def measure(size: Sizes, watch: Watch) -> Growth:
    """Raises BenchmarkError where a bill was not imported or a payment not approved."""
    with worlds() as server:
        small = server.make(_SMALL, {LANE: size.small})
        watch.did("small ledger is there")
        large, imported = _large(server, size, watch)
        contestants = [
            Contestant(_SMALL, _turn(small, size.small, size.turn)),
            Contestant(_LARGE, _turn(large, size.large, size.turn)),
        ]
        series = race(contestants, size.rounds, watch)
    return Growth(times_as_fast(series[_SMALL], series[_LARGE]), imported, tuple(series.values()))


def _turn(world: World, population: int, payments: int) -> Callable[[], Sample]:
    """Every call pays other bills, spread over the whole population."""
    paid = 0

    def turn() -> Sample:
        nonlocal paid
        numbers = [number * _STRIDE % population for number in range(paid, paid + payments)]
        paid += payments
        return lane.pay_numbers(world, numbers)

    return turn


def _large(server: Worlds, size: Sizes, watch: Watch) -> tuple[World, Sample]:
    """The large ledger, and how long the import of its first bills took."""
    world = server.make(_LARGE, {LANE: size.large}, first_bill=size.imported)
    watch.did("large ledger is there")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bills.csv"
        write_bills(file, size.imported)
        start = time.perf_counter()
        report = asyncio.run(import_bills(world.gateway_dsn, file, PARTITIONS))
        seconds = time.perf_counter() - start
    if report.added != size.imported:
        raise BenchmarkError(f"{report.added} of {size.imported} bills were imported: look at the import's errors")
    asyncio.run(settle_down(world.admin_dsn))
    watch.did("bills are imported")
    return world, Sample(size.imported, seconds)


def write_bills(file: Path, count: int) -> None:
    """The bills of the customers numbered from 0 on, as the billing system hands them over."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(_COLUMNS)
        for number in range(count):
            own = (receivable_id(LANE, number), customer_no(LANE, number))
            lines.writerow((*own, BILLING_MONTH, "010", ORG_CODE, principal_fen(number), due_date(number)))
