"""What goes wrong in one world, drawn from its seed.

Strategy: each kind of fault is absent in some worlds, rare in some and frequent in others, because faults that are all
there all the time hide each other. Probabilities are per message, per store step or per commit; times are in seconds.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

CALM_AFTER_SECONDS = 90.0  # from then on nothing new goes wrong, so that banks can drive everything to an end


@dataclass(frozen=True, slots=True)
class Weather:
    banks: int
    orders_per_bank: int
    customers: int
    processes: int
    partitions: int
    cut_offs: int
    # network, per message
    lose: float
    duplicate: float
    delay: float
    split: float
    cut_connection: float
    latency_seconds: float
    long_delay_seconds: float
    # store
    slow_step: float
    step_seconds: float
    connection_lost: float
    retry_transaction: float
    commit_unknown: float
    late_commit_seconds: float
    # processes and database
    crashes: int
    stalls: int
    restarts: int
    outages: int
    stall_seconds: float
    stall_at_commit: float
    outage_seconds: float
    # clocks and deadlines
    skew_seconds: float
    start_hour: float  # Shanghai time of the world's beginning
    answer_deadline_seconds: float
    bank_patience_seconds: float
    sign_on_required: bool


def draw_weather(chance: random.Random) -> Weather:
    def rate(*choices: float) -> float:
        return chance.choice(choices)

    answer_deadline_seconds = rate(2.0, 2.0, 2.0, 5.0, 20.0)
    return Weather(
        banks=chance.choice((2, 2, 3)),
        orders_per_bank=chance.choice((4, 6, 8)),
        customers=chance.choice((1, 1, 3, 6, 10)),
        processes=chance.choice((1, 2, 2, 2)),
        partitions=chance.choice((1, 1, 2)),
        cut_offs=chance.choice((0, 1, 1, 2, 3)),
        lose=rate(0.0, 0.0, 0.03, 0.1, 0.3),
        duplicate=rate(0.0, 0.0, 0.0, 0.03, 0.2),
        delay=rate(0.0, 0.05, 0.3),
        split=rate(0.0, 0.3, 0.9),
        cut_connection=rate(0.0, 0.02, 0.1),
        latency_seconds=rate(0.0005, 0.01, 0.1),
        long_delay_seconds=rate(1.0, 10.0, 60.0),
        slow_step=rate(0.0, 0.05, 0.3),
        step_seconds=rate(0.0, 0.002, 0.05, 0.2),
        connection_lost=rate(0.0, 0.01, 0.05),
        retry_transaction=rate(0.0, 0.02, 0.1),
        commit_unknown=rate(0.0, 0.05, 0.2, 0.2),
        late_commit_seconds=rate(0.05, 1.0, 15.0),
        crashes=chance.choice((0, 0, 1, 2, 4)),
        stalls=chance.choice((0, 1, 2, 4)),
        restarts=chance.choice((0, 0, 0, 1)),
        outages=chance.choice((0, 0, 0, 1, 2)),
        stall_seconds=rate(0.1, 5.0, 40.0),
        stall_at_commit=rate(0.0, 0.0, 0.05, 0.2),
        outage_seconds=rate(1.0, 5.0, 25.0, 25.0),
        skew_seconds=rate(0.0, 2.0, 300.0),
        start_hour=rate(10.0, 23.97, 23.995),
        answer_deadline_seconds=answer_deadline_seconds,
        bank_patience_seconds=answer_deadline_seconds * rate(0.5, 1.5, 1.5, 3.0),
        sign_on_required=chance.random() < 0.5,
    )
