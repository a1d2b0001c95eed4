"""The simulated database server: the production's store in memory, behind connections that fail.

Strategy: a partition is a `MemoryDatabase`; a `Session` is one connection to it and keeps the contract of `Store`. The
session adds what a network and a server add: time, lost connections, serialization failures, and commits whose result
the client never learns. What is behind it (locks, clearing lock, fences by generation) is the production's. Rules:

- a lost connection ends on the client's side at once, on the server's only when the server notices: until then its
  locks stay;
- a commit of unknown result was never received, or is done, or is *done later*, after the client has given up: the
  third is why an answer may never come from a read;
- when the server goes down every transaction in flight is gone and every session of before is fenced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

from gateway.database import ConnectionLost, RetryTransaction
from gateway.ledger.model import State
from gateway.ledger.store import CommitResult, Decided, Wanted
from gateway.ledger.store_memory import MemoryDatabase, MemoryStore

from .loop import Machine

if TYPE_CHECKING:
    from .world import World

# "Done later" and the outage are what tempts a client most to tell something that is not so.
_FATES = ("never received", "done", *["done later"] * 2, *["done, then an outage"] * 3)


class Server:
    """All partitions on one database server, and who is connected."""

    def __init__(self, world: World, partitions: int, first_day: date) -> None:
        self.world = world
        self.databases = [world.parts.database(partition, first_day) for partition in range(partitions)]
        self.sessions: dict[Session, None] = {}
        self.is_up = True

    def opener(self, partition: int, machine: Machine) -> Callable[[], Awaitable[Session]]:
        """What a lane of `machine` opens its store with."""

        async def open_store() -> Session:
            await self.world.pause(self.world.weather.step_seconds)
            if not self.is_up or self.world.happens(self.world.weather.connection_lost):
                raise ConnectionLost("no connection to the simulated database")
            session = self.world.parts.session(self, self.databases[partition], machine)
            self.sessions[session] = None
            return session

        return open_store

    def go_down(self) -> None:
        """Power is gone: what was not committed is lost."""
        self.is_up = False
        for database in self.databases:
            database.crash()
        for session in self.sessions:
            session.is_lost = True
        self.sessions.clear()

    async def disconnect(self, machine: Machine, after_seconds: float) -> None:
        """The server notices that a client is gone, and ends its sessions."""
        await asyncio.sleep(after_seconds)
        for session in [one for one in self.sessions if one.machine is machine]:
            await session.end()


class Session:
    """One connection; see `gateway.ledger.store.Store`."""

    def __init__(self, server: Server, database: MemoryDatabase, machine: Machine) -> None:
        self.machine = machine
        self.is_lost = False
        self._server = server
        self._world = server.world
        self._inner: MemoryStore = server.world.parts.store(database)
        self._is_landing = False

    async def begin(self) -> None:
        await self._step("begin")
        await self._inner.begin()
        self._check()

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        await self._step("lock")
        held = await self._inner.lock(customer_nos)
        self._world.tally["customers held by somebody else"] += len(held)
        return held

    async def load(self, wanted: Wanted) -> State:
        await self._step("load")
        return await self._inner.load(wanted)

    async def write(self, decided: Sequence[Decided], state: State, recorded_at: datetime) -> None:
        await self._step("write", may_retry=True)
        await self._inner.write(decided, state, recorded_at)

    async def commit(self) -> CommitResult:
        weather = self._world.weather
        if self._world.happens(weather.stall_at_commit):
            self._world.stall(self.machine)
        await self._world.pause(weather.step_seconds)
        if self.is_lost:
            return CommitResult.UNKNOWN
        if self._world.happens(weather.connection_lost) or self._world.happens(weather.commit_unknown):
            return await self._unknown()
        result = await self._inner.commit()
        await self._world.pause(weather.step_seconds)  # the server's answer travels
        return CommitResult.UNKNOWN if self.is_lost else result

    async def _unknown(self) -> CommitResult:
        fate = self._world.chance.choice(_FATES)
        self._world.tally[f"commit unknown, {fate}"] += 1
        self.is_lost = True
        if fate.startswith("done") and fate != "done later":
            await self._inner.commit()
        if fate == "done, then an outage":
            self._world.spawn(self._world.outage())
        if fate == "done later":
            self._is_landing = True
            self._world.spawn(self._land(self._world.chance.random() * self._world.weather.late_commit_seconds))
        return CommitResult.UNKNOWN

    async def _land(self, after_seconds: float) -> None:
        await asyncio.sleep(after_seconds)
        await self._inner.commit()
        self._is_landing = False
        await self.end()

    async def roll_back(self) -> None:
        if not self.is_lost:
            await self._inner.roll_back()

    async def close(self) -> None:
        self.is_lost = True
        self._world.spawn(self._noticed())

    async def _noticed(self) -> None:
        """The server sees some time later that the client has gone."""
        await self._world.pause(self._world.weather.late_commit_seconds)
        await self.end()

    async def end(self) -> None:
        """The server's side: the transaction is rolled back, its locks are free, the session is fenced."""
        if self._is_landing:
            return
        self.is_lost = True
        self._server.sessions.pop(self, None)
        await self._inner.close()

    async def _step(self, name: str, *, may_retry: bool = False) -> None:
        weather = self._world.weather
        await self._world.pause(weather.step_seconds)
        self._check()
        if self._world.happens(weather.connection_lost):
            self._world.tally["connections to the database lost"] += 1
            self.is_lost = True
            raise ConnectionLost(f"simulated, at {name}")
        if may_retry and self._world.happens(weather.retry_transaction):
            self._world.tally["transactions to be repeated"] += 1
            raise RetryTransaction(f"simulated, at {name}")

    def _check(self) -> None:
        if self.is_lost:
            raise ConnectionLost("simulated: the connection is gone")
