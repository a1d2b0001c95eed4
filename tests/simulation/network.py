"""Lines between a bank and a gateway process: they lose, double, delay, reorder, split and break.

Strategy: a message first passes the relays on its way (it may vanish there, come twice, or take long, and so overtake
or be overtaken), then it enters a byte stream, which keeps its order and cuts it into pieces of any size, or breaks in
the middle of a message. `IsoLine` has such a stream each way; on a `MessageLine` each message travels alone. What
happens on the way belongs to no machine: it goes on when a sender dies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.banks.profile import BankProfile
from gateway.keyring import MacKey
from gateway.operations import Operation
from gateway.outcomes import Outcome
from protocols.iso8583.framing import FrameReader, NeedData

from .process import GatewayConnection, GatewayProcess

if TYPE_CHECKING:
    from .world import World


def carry(world: World, deliver: Callable[[Any], None], message: Any) -> None:
    """Deliver a message later, twice, or never."""
    weather = world.weather
    if world.happens(weather.lose):
        world.tally["messages lost"] += 1
        return
    copies = 2 if world.happens(weather.duplicate) else 1
    world.tally["messages"] += 1
    world.tally["messages doubled"] += copies - 1
    for _ in range(copies):
        seconds = weather.latency_seconds * (0.5 + world.chance.random())
        if world.happens(weather.delay):
            world.tally["messages delayed"] += 1
            seconds += weather.long_delay_seconds * world.chance.random()
        world.later(seconds, deliver, message)


class Stream:
    """Bytes in order, in pieces."""

    def __init__(self, world: World, deliver: Callable[[bytes], None]) -> None:
        self._world = world
        self._deliver = deliver
        self._buffer = bytearray()
        self._is_moving = False

    def feed(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_moving:
            self._is_moving = True
            self._world.later(0.0, self._move)

    def close(self) -> None:
        self._buffer.clear()

    def _move(self) -> None:
        self._is_moving = False
        if not self._buffer:
            return
        size = len(self._buffer)
        if self._world.happens(self._world.weather.split):
            size = self._world.chance.randint(1, size)
            self._world.tally["frames split or joined"] += 1
        piece = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._deliver(piece)
        if self._buffer:
            self._is_moving = True
            self._world.later(self._world.weather.latency_seconds * self._world.chance.random(), self._move)


class IsoConnection:
    """One TCP connection: dead as a whole when it breaks."""

    def __init__(self, line: IsoLine, process: GatewayProcess) -> None:
        self.process = process
        self.is_open = True
        self._line = line
        self._world = line.world
        self._frames = FrameReader()
        self._up = Stream(line.world, self._arrived)
        self._down = Stream(line.world, self._answered)
        self._gateway: GatewayConnection = process.connect(line.profile, line.key, self._reply)

    def send(self, frame: bytes) -> None:
        self._up.feed(frame)

    def cut(self) -> None:
        if self.is_open:
            self.is_open = False
            self._world.tally["connections cut"] += 1
            self._up.close()
            self._down.close()
            self._world.loop.call_soon(self._gateway.end, context=self.process.machine.context)

    def _arrived(self, data: bytes) -> None:
        self._world.loop.call_soon(self._gateway.receive, data, context=self.process.machine.context)

    def _reply(self, frame: bytes) -> None:
        if self.is_open:
            carry(self._world, self._down.feed, frame)

    def _answered(self, data: bytes) -> None:
        if not self.is_open:
            return
        self._frames.receive_data(data)
        while not isinstance(frame := self._frames.next_frame(), NeedData):
            self._line.hear(frame)


class IsoLine:
    """A bank's ISO 8583 line to one of the gateway's addresses; connects when there is something to send."""

    def __init__(
        self, world: World, slot: int, profile: BankProfile, key: MacKey, hear: Callable[[bytes], None]
    ) -> None:
        self.world = world
        self.profile = profile
        self.key = key
        self.hear = hear
        self._slot = slot
        self._connection: IsoConnection | None = None

    def send(self, frame: bytes) -> None:
        carry(self.world, self._arrive, frame)

    def _arrive(self, frame: bytes) -> None:
        connection = self._connected()
        if connection is None:
            self.world.tally["connections refused"] += 1
            return
        connection.send(frame)
        if self.world.happens(self.world.weather.cut_connection):
            self.world.later(self.world.weather.latency_seconds * self.world.chance.random() * 3, connection.cut)

    def _connected(self) -> IsoConnection | None:
        process = self.world.process_at(self._slot)
        connection = self._connection
        if connection is not None and connection.process is not process:
            connection.cut()
        if connection is None or not connection.is_open:
            self._connection = None if process is None else IsoConnection(self, process)
        return self._connection


class MessageLine:
    """A bank's line on which each message travels alone, as XML over HTTP does; operations instead of bytes."""

    def __init__(
        self, world: World, slot: int, profile: BankProfile, hear: Callable[[tuple[Operation, Outcome]], None]
    ) -> None:
        self._world = world
        self._slot = slot
        self._profile = profile
        self._hear = hear

    def send(self, operation: Operation) -> None:
        carry(self._world, self._arrive, operation)

    def _arrive(self, operation: Operation) -> None:
        process = self._world.process_at(self._slot)
        if process is None:
            self._world.tally["connections refused"] += 1
            return

        def answer(outcome: Outcome) -> None:
            carry(self._world, self._hear, (operation, outcome))

        taken = process.take(operation, self._profile, answer)
        self._world.loop.create_task(taken, context=process.machine.context)
