"""Processor time of a payment, on the caller's side and the server's: what stays true when the machine is busy.

Strategy: the system counts each process's time. The server is its first process, all that it started and all of those
that are gone; the caller is this process and the programs that it ran (pgbench). Time on the clock depends on who else
is there, this hardly does; divided into the machine's processors it says what could be reached at most. Connecting,
planning and making up the requests count here, on both sides.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Sample
from benchmarks.ledger.world import World
from gateway.database import connect

# Positions in /proc/PID/stat behind the name: parent, own user and system time, the same of children that are gone.
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14
_UNKNOWN = 1e-9  # where the system doesn't tell


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor for one payment."""

    caller: float
    server: float

    @property
    def microseconds(self) -> float:
        return (self.caller + self.server) * 1_000_000


def spent(world: World, work: Callable[[], Sample]) -> Spent:
    """What `work` costs a payment."""
    server = asyncio.run(_server(world))
    server_before, caller_before = _server_seconds(server), _caller_seconds()
    payments = work().units
    caller, used = _caller_seconds() - caller_before, _server_seconds(server) - server_before
    return Spent(max(caller / payments, _UNKNOWN), max(used / payments, _UNKNOWN))


def sentence(ours: Spent, theirs: Spent) -> str:
    """The shares of both, and the ratio that processors alone would allow."""
    return (
        f"Processor time of a payment: {ours.caller * 1e6:.0f} µs in the gateway and {ours.server * 1e6:.0f} in the "
        f"server, against {theirs.caller * 1e6:.0f} in pgbench and {theirs.server * 1e6:.0f} in the server for its "
        f"payment, {theirs.microseconds / ours.microseconds:.1f}× ours"
    )


async def _server(world: World) -> int:
    """The process id of the server's first process."""
    connection = await connect(world.admin_dsn)
    try:
        fields = _fields(connection.backend_pid)
        return int(fields[_PARENT]) if fields else 0
    finally:
        await connection.close()


def _caller_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _server_seconds(server: int) -> float:
    """Read again while its processes come and go: one that goes between two readings would count twice or never."""
    while True:
        children = _children(server)
        ticks = sum(map(int, _fields(server)[_USER : _CHILDREN_SYSTEM + 1])) + sum(children.values())
        if _children(server).keys() == children.keys():
            return ticks / os.sysconf("SC_CLK_TCK")


def _children(server: int) -> dict[int, int]:
    """The server's processes, with the ticks that each has used."""
    every = ((pid, _fields(pid)) for pid in _processes())
    return {
        pid: int(fields[_USER]) + int(fields[_SYSTEM])
        for pid, fields in every
        if fields and int(fields[_PARENT]) == server
    }


def _processes() -> list[int]:
    with suppress(OSError):
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return []


def _fields(pid: int) -> list[str]:
    """The fields behind the process's name; none where it is gone or the system doesn't tell."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return []
