"""What limits the lanes: looked at from outside, in a turn of its own that counts for nothing else.

Strategy: while the lanes run at their peak, a second session asks every few milliseconds what their server processes
are doing, and the operating system is asked at the end how much processor time each had. Whoever is always busy is
the limit; where nobody is, it is the waiting for each other.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ledger.lane import flood, prepared, run, with_ledger
from benchmarks.ledger.world import PARTITIONS, World, payment
from gateway.database import Connection, connect
from gateway.ledger.ledger import Ledger

_LOOK_EVERY_SECONDS = 0.01
_BUSY = 0.85  # from here on nobody else could make it faster
_WORKING, _GATEWAY, _LOG = "working", "waiting for the gateway", "waiting for the log"
_DISK, _LOCK = "waiting for the disk", "waiting for a lock"
# Where a server process waits, by the kind of its wait event.
_STATE_OF_KIND = {"": _WORKING, "Client": _GATEWAY, "IO": _DISK}
_SQL = (
    "SELECT pid, coalesce(wait_event_type, '') AS kind, coalesce(wait_event, '') AS event FROM pg_stat_activity "
    "WHERE application_name LIKE 'busbar lane %'"
)


@dataclass(frozen=True, slots=True)
class Observed:
    """Shares of the time: of one processor for `gateway` and `backend` (each), of the looks for `states`."""

    gateway: float
    backend: float
    states: dict[str, float]

    def sentence(self) -> str:
        seen = ", ".join(f"{share:.0%} {state}" for state, share in sorted(self.states.items()) if share >= 0.01)
        facts = (
            f"the gateway process uses {self.gateway:.0%} of a processor, each of the {PARTITIONS} lanes' server "
            f"processes {self.backend:.0%} ({seen}); {os.cpu_count()} processors are shared by all"
        )
        return f"{self.culprit()}: {facts}"

    def culprit(self) -> str:
        """Whoever is busy all the time; else what the server processes wait for most."""
        if self.gateway >= _BUSY:
            return "Python in the gateway process"
        if self.backend >= _BUSY:
            return "the server processes of the lanes"
        if self.gateway + PARTITIONS * self.backend >= _BUSY * (os.cpu_count() or 1):
            return "the machine's processors, shared by gateway and server"
        if self.states.get(_LOG, 0) > max(self.states.get(_GATEWAY, 0), self.states.get(_WORKING, 0)):
            return "the log on disk (fsync)"
        return "nobody alone; gateway and server wait for each other"


def observe(world: World, *, first: int, payments: int) -> Observed:
    """Look at the lanes while they pay the bills from number `first` on."""
    due = [payment(number) for number in range(first, first + payments)]

    async def work(ledger: Ledger) -> Observed:
        connection = await connect(world.admin_dsn)
        seen: Counter[str] = Counter()
        pids = [row["pid"] for row in await connection.fetch(_SQL)]
        watcher = asyncio.create_task(_watch(connection, seen))
        with prepared():
            start, cpu = time.perf_counter(), time.process_time()
            before = _processor_seconds(pids)
            await flood(ledger, due)
            seconds = time.perf_counter() - start
            gateway = (time.process_time() - cpu) / seconds
            backend = (_processor_seconds(pids) - before) / seconds / max(1, len(pids))
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await connection.close()
        total = max(1, sum(seen.values()))
        return Observed(gateway, backend, {state: count / total for state, count in seen.items()})

    return run(with_ledger(world, work))


async def _watch(connection: Connection, seen: Counter[str]) -> None:
    while True:
        for row in await connection.fetch(_SQL):
            seen[state_of(row["kind"], row["event"])] += 1
        await asyncio.sleep(_LOOK_EVERY_SECONDS)


def state_of(kind: str, event: str) -> str:
    """What a server process that shows this wait event is doing."""
    return _LOG if event.upper().startswith("WAL") else _STATE_OF_KIND.get(kind, _LOCK)


def _processor_seconds(pids: list[int]) -> float:
    """Processor time of these processes so far; 0 where the system does not tell."""
    ticks = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
