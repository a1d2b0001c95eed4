"""A gateway process: production lanes, `decide`, handler and sessions, wired as `gateway.main` does over sockets.

Strategy: what is not simulated is production code; what is here is only the wire between them that in production
needs a socket or a PostgreSQL: connections that perform a session's actions, and the ledger's door in front of the
lanes. Everything runs in the context of the process's machine, so that stopping the machine stops all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from gateway.banks.profile import BankProfile
from gateway.database import DatabaseError
from gateway.keyring import MacKey
from gateway.ledger.lane import Lane
from gateway.ledger.partitions import home
from gateway.ledger.store import LedgerOperation, wanted_by
from gateway.ledger.store_memory import state_of
from gateway.metrics import Metrics
from gateway.operations import BillEnquiry, Evidence, Operation, SignOff, SignOn
from gateway.outcomes import Approved, Declined, Outcome, Reason
from gateway.servers.iso8583_session import Action, Close, Iso8583Session, Reply, Submit
from gateway.services.handler import Handler

from .loop import Machine, Power

if TYPE_CHECKING:
    from .world import World

METRICS = Metrics()


class GatewayProcess:
    """`start`, then `connect` and `take`; `machine` is what is stalled or killed."""

    def __init__(self, world: World, name: str, skew_seconds: float) -> None:
        self.world = world
        self.machine = Machine(name)
        self.is_listening = False
        self._skew = timedelta(seconds=skew_seconds)
        self._lanes: list[Lane] = []
        self._handler = Handler(self.submit, METRICS, seconds=world.loop.time)
        self._trace_ids = (f"{name}-{number}" for number in count(1))

    @property
    def is_dead(self) -> bool:
        return self.machine.power is Power.DEAD

    @property
    def waiting(self) -> int:
        """Operations in its lanes."""
        return sum(lane.waiting for lane in self._lanes)

    def now(self) -> datetime:
        """This machine's own idea of the time."""
        return self.world.true_time() + self._skew

    async def start(self) -> None:
        """Connect every lane, however often it takes, then listen."""
        while not self.is_listening:
            try:
                for partition in range(len(self.world.server.databases)):
                    await self._start_lane(partition)
                self.is_listening = True
            except DatabaseError:
                await asyncio.gather(*(lane.stop() for lane in self._lanes))
                self._lanes.clear()
                await asyncio.sleep(0.5)

    async def _start_lane(self, partition: int) -> None:
        world = self.world
        lane = world.parts.lane(
            f"{self.machine.name} lane {partition}",
            world.server.opener(partition, self.machine),
            world.parts.decide,
            rules=world.rules,
            clock=self.now,
            limits=world.lane_limits,
        )
        await lane.start()
        self._lanes.append(lane)

    async def stop(self) -> None:
        """In good order, as SIGTERM does it: accept no more, finish, end."""
        self.is_listening = False
        await self._handler.drain(5.0)
        await asyncio.gather(*(lane.stop(5.0) for lane in self._lanes))
        self.machine.power = Power.DEAD

    async def submit(self, operation: LedgerOperation, evidence: Evidence | None, deadline: float | None) -> Outcome:
        """The ledger's door: sessions to every lane, enquiries to a reader, everything else home."""
        if isinstance(operation, SignOn | SignOff):
            outcomes = await asyncio.gather(*(lane.submit(operation, evidence, deadline) for lane in self._lanes))
            refused = [outcome for outcome in outcomes if not isinstance(outcome, Approved)]
            return refused[0] if refused else outcomes[0]
        partition = home(operation.customer_no, len(self._lanes))
        if isinstance(operation, BillEnquiry):
            return await self._enquire(partition, operation)
        return await self._lanes[partition].submit(operation, evidence, deadline)

    async def _enquire(self, partition: int, enquiry: BillEnquiry) -> Outcome:
        await self.world.pause(self.world.weather.step_seconds)
        if not self.world.server.is_up:
            return Declined(Reason.SYSTEM_ERROR)
        state = state_of(self.world.server.databases[partition], wanted_by((enquiry,)))
        outcome, _effects = self.world.parts.decide(state, enquiry, self.world.rules, self.now(), "")
        return outcome

    async def take(self, operation: Operation, profile: BankProfile, answer: Callable[[Outcome], None]) -> None:
        """One message of a wire on which each message is an exchange of its own."""
        evidence = Evidence(b"a signed message", "key", "messages", self.now(), next(self._trace_ids))
        answer(await self._handler.handle(operation, evidence, profile))

    def connect(self, profile: BankProfile, key: MacKey, send: Callable[[bytes], None]) -> GatewayConnection:
        session = Iso8583Session(profile, key, lambda: next(self._trace_ids))
        return GatewayConnection(self, profile, session, send)

    async def handle(self, submit: Submit, profile: BankProfile) -> Outcome:
        return await self._handler.handle(submit.operation, submit.evidence, profile)


class GatewayConnection:
    """Performs one session's actions. Call it in the machine's context."""

    def __init__(
        self, process: GatewayProcess, profile: BankProfile, session: Iso8583Session, send: Callable[[bytes], None]
    ) -> None:
        self._process = process
        self._profile = profile
        self._session = session
        self._send = send
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, data: bytes) -> None:
        self._perform(self._session.receive(data, self._process.now()))

    def end(self) -> None:
        self._perform(self._session.end())

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Submit():
                    task = self._process.world.loop.create_task(self._answer(action))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case Reply():
                    self._reply(action)
                case Close():
                    pass  # whoever cut the line knows

    async def _answer(self, submit: Submit) -> None:
        outcome = await self._process.handle(submit, self._profile)
        self._reply(self._session.answer(submit.request_id, outcome, self._process.now()))

    def _reply(self, reply: Reply) -> None:
        if reply.frame is not None:
            self._send(reply.frame)
