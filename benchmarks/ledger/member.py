"""A gateway process of its own under load: its memory at its peak, and what several of them reach together.

Strategy: `pay_together` starts processes that run this file. Each is told on its standard input what to pay (passwords
stand in no list of processes), gets ready, says so, and pays when all are ready; so starting is not counted. A process
loads the whole gateway and makes its payments as it goes, so that its memory is a gateway's: requests that wait, and
no more. The clock runs from the common start to the last one's end.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.harness import BenchmarkError, Sample
from benchmarks.ledger.world import World

_KIBIBYTES = 1024
_READY = "ready"
_FAILED = "a gateway process of the benchmark ended early: run again; if it stays, `python -m benchmarks.ledger.member`"


@dataclass(frozen=True, slots=True)
class Together:
    """What some processes did: payments in the time from their common start; the most memory that one of them had."""

    sample: Sample
    peak_mib: float


def pay_together(world: World, *, processes: int, first: int, payments: int) -> Together:
    """The bills from number `first` on, dealt out to so many processes; raises BenchmarkError where one failed."""
    with ExitStack() as running:
        members = [running.enter_context(_started()) for _ in range(processes)]
        for index, member in enumerate(members):
            numbers = {"first": first + index, "stop": first + payments, "step": processes}
            _say(member, {"dsn": world.gateway_dsn, **numbers})
        for member in members:
            _expect(_heard(member) == _READY)
        start = time.perf_counter()
        for member in members:
            _say(member, "go")
        done = [_heard(member) for member in members]
        seconds = time.perf_counter() - start
    _expect(sum(one["paid"] for one in done) == payments)
    return Together(Sample(payments, seconds), max(one["peak_mib"] for one in done))


def _started() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.ledger.member"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _say(member: subprocess.Popen[str], what: object) -> None:
    pipe = _pipe(member.stdin)
    pipe.write(json.dumps(what) + "\n")
    pipe.flush()


def _heard(member: subprocess.Popen[str]) -> Any:
    line = _pipe(member.stdout).readline()
    _expect(bool(line))
    return json.loads(line)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe


def _expect(held: bool) -> None:
    if not held:
        raise BenchmarkError(_FAILED)


def peak_mib() -> float:
    """The most memory that this process ever had resident, in MiB.

    From the system's own table where there is one: `getrusage` also counts what the process was before its exec.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIBIBYTES
    return int(status.partition("VmHWM:")[2].split()[0]) / _KIBIBYTES


def _paid(task: dict[str, Any], told: IO[str], tell: IO[str]) -> int:
    # Imported here, so that whoever only starts processes doesn't load a gateway.
    import gateway.main  # noqa: F401 - all that a gateway process has loaded
    from benchmarks.ledger.lane import flood, run, with_ledger
    from benchmarks.ledger.world import payment
    from gateway.ledger.ledger import Ledger

    numbers: Sequence[int] = range(task["first"], task["stop"], task["step"])

    async def work(ledger: Ledger) -> int:
        tell.write(json.dumps(_READY) + "\n")
        tell.flush()
        told.readline()
        await flood(ledger, map(payment, numbers))
        return len(numbers)

    return run(with_ledger(World("", task["dsn"], ""), work))


def main() -> None:
    paid = _paid(json.loads(sys.stdin.readline()), sys.stdin, sys.stdout)
    print(json.dumps({"paid": paid, "peak_mib": peak_mib()}), flush=True)


if __name__ == "__main__":
    main()
