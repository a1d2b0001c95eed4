"""ISO 8583 over TCP: one listening port a bank, so that the dialect is known before the first byte.

Strategy: the session machine decides, this file moves bytes and watches over the peer. A connection is pipelined: each
operation runs in a task of its own and its answer is written when it is there. The limits, each against one way in
which a peer can hurt:

- peers outside the bank's address list, and connections beyond the limit, are closed at once;
- a connection without a whole frame for `idle_timeout_seconds` and nothing in flight is closed: half-open peers and
  those that send a byte a minute go this way;
- a peer that does not read its answers is not read from, and dropped after `slow_reader_seconds`.

A client that goes away cancels nothing: its operations are finished, and their answers have nobody to go to. Whether an
answer left is told to whoever keeps account: it did not if the peer had closed its side by then (whoever closes only
half of a connection can't be told from one who is gone), and it may not have if the connection then ends by an error.
Stopping means: accept no more, read no more, let what is in flight answer (bounded), close.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

import structlog

from gateway import clock
from gateway.banks.addresses import AllowedPeers
from gateway.banks.profile import BankProfile, Iso8583Wire
from gateway.keyring import MacKey
from gateway.metrics import Metrics
from gateway.operations import Evidence, Operation
from gateway.outcomes import Outcome
from gateway.servers.exchange import Handle, ServerLimits, Told, new_trace_id, report_refusal, tell_nobody
from gateway.servers.iso8583_session import WIRE, Action, Close, Iso8583Session, Reply, Submit

# A few hundred replies: below it a slow peer is patience, above it memory.
WRITE_BUFFER_BYTES = 65_536
_log: Any = structlog.get_logger("gateway.servers")


class Iso8583Server:
    """The server of one bank."""

    def __init__(
        self,
        profile: BankProfile,
        key: MacKey,
        handle: Handle,
        metrics: Metrics,
        limits: ServerLimits,
        *,
        now: Callable[[], datetime] = clock.now,
        told: Told = tell_nobody,
    ) -> None:
        if not isinstance(profile.wire, Iso8583Wire):
            raise TypeError(f"bank {profile.code} is not on this wire")
        self.profile = profile
        self.wire = profile.wire
        self.key = key
        self.handle = handle
        self.metrics = metrics
        self.limits = limits
        self.now = now
        self.told = told
        self.peers = AllowedPeers(profile.allowed_addresses)
        self.connections: set[_Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    async def start(self) -> tuple[str, int]:
        """Listen; the address that was really bound. Raises OSError where it is taken."""
        host, _, port = self.wire.listen.rpartition(":")
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host.strip("[]"), int(port))
        bound = self._server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def stop(self, timeout_seconds: float) -> None:
        """Accept no more, read no more, let what is in flight answer, close; at most so long."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.close_when_answered()
        if self.tasks:
            await asyncio.wait(tuple(self.tasks), timeout=timeout_seconds)
        for connection in tuple(self.connections):
            connection.close()
        await self._drop_the_rest()

    async def _drop_the_rest(self) -> None:
        """Connections whose peer does not read their last bytes must not hold the process."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), self.limits.slow_reader_seconds)
        for connection in tuple(self.connections):
            connection.abort()

    def opened(self, connection: _Connection) -> None:
        """A connection was accepted."""
        self.connections.add(connection)
        self._count_connections()

    def closed(self, connection: _Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._count_connections()

    def _count_connections(self) -> None:
        self.metrics.connections.labels(self.profile.code).set(len(self.connections))
        if self.connections:
            self._all_closed.clear()
        else:
            self._all_closed.set()


class _Connection(asyncio.Protocol):
    """One connection: bytes to the session, its actions to tasks and to the socket."""

    def __init__(self, server: Iso8583Server) -> None:
        self._server = server
        self._session = Iso8583Session(server.profile, server.key, new_trace_id)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._closing = False
        self._idle_timer: asyncio.TimerHandle | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._last_frame_at = self._loop.time()
        self._peer_has_closed = False
        self._sent: list[tuple[Operation, Evidence, Outcome]] = []  # answers since the socket was last seen to take all

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        why = self._refused(peer[0] if peer else "")
        if why is not None:
            self._server.metrics.connections_refused.labels(self._server.profile.code, why).inc()
            _log.warning("connection_refused", wire=WIRE, bank=self._server.profile.code, why=why)
            self._transport.abort()
            return
        self._server.opened(self)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._watch_idle(self._server.wire.idle_timeout_seconds)

    def _refused(self, peer: str) -> str | None:
        if not self._server.peers.allows(peer):
            return "address"
        if len(self._server.connections) >= self._server.limits.connections:
            return "limit"
        return None

    def connection_lost(self, error: Exception | None) -> None:
        self._peer_has_closed = True
        if error is not None:
            self._doubt_sent()
        for timer in (self._idle_timer, self._slow_timer):
            if timer is not None:
                timer.cancel()
        if self in self._server.connections:
            self._server.closed(self)
            if not self._closing:
                self._perform(self._session.end())
        self._closing = True

    def data_received(self, data: bytes) -> None:
        if self._sent:
            self._forget_sent()
        if not self._closing:
            self._perform(self._session.receive(data, self._server.now()))

    def eof_received(self) -> bool:
        """The peer sends nothing more but may still read: answer what is in flight, then close."""
        self._peer_has_closed = True
        self._perform(self._session.end())
        return True

    def pause_writing(self) -> None:
        transport = self._transport
        if transport is not None:
            transport.pause_reading()
        self._slow_timer = self._loop.call_later(self._server.limits.slow_reader_seconds, self._drop_slow_reader)

    def resume_writing(self) -> None:
        if self._slow_timer is not None:
            self._slow_timer.cancel()
            self._slow_timer = None
        if self._transport is not None and not self._transport.is_closing() and not self._closing:
            self._transport.resume_reading()

    def _drop_slow_reader(self) -> None:
        _log.warning("slow_reader_dropped", wire=WIRE, bank=self._server.profile.code)
        self.abort()

    def _watch_idle(self, seconds: float) -> None:
        self._idle_timer = self._loop.call_later(seconds, self._check_idle)

    def _check_idle(self) -> None:
        allowed = self._server.wire.idle_timeout_seconds
        left = self._last_frame_at + allowed - self._loop.time()
        if self._session.in_flight or left > 0:
            self._watch_idle(max(left, allowed / 10))
            return
        _log.info("connection_idle", wire=WIRE, bank=self._server.profile.code)
        self.close()

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Submit():
                    self._received()
                    self._start(action)
                case Reply():
                    self._received()
                    self._send(action)
                case Close():
                    self.close_when_answered()

    def _received(self) -> None:
        """A whole frame came, good or bad."""
        self._last_frame_at = self._loop.time()
        self._server.metrics.requests.labels(self._server.profile.code, WIRE).inc()

    def _start(self, submit: Submit) -> None:
        task = self._loop.create_task(self._answer(submit))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    async def _answer(self, submit: Submit) -> None:
        profile = self._server.profile
        structlog.contextvars.bind_contextvars(trace_id=submit.evidence.trace_id, bank=profile.code, wire=WIRE)
        outcome = await self._server.handle(submit.operation, submit.evidence, profile)
        reply = self._session.answer(submit.request_id, outcome, self._server.now())
        self._forget_sent()
        has_left = self._send(reply)
        said = reply.outcome or outcome
        self._server.told(submit.operation, submit.evidence, said, has_left)
        if has_left:
            self._sent.append((submit.operation, submit.evidence, said))
        if self._closing and not self._session.in_flight:
            self.close()

    def _send(self, reply: Reply) -> bool:
        """Send it; whether it left on a connection that was whole."""
        if reply.refusal is not None:
            report_refusal(reply.refusal, WIRE, self._server.profile.code, self._server.metrics)
        if reply.frame is None or self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(reply.frame)
        return not self._peer_has_closed

    def _forget_sent(self) -> None:
        """What the socket has taken is not ours to doubt any more."""
        if self._transport is not None and not self._transport.get_write_buffer_size():
            self._sent.clear()

    def _doubt_sent(self) -> None:
        """The connection broke: the last answers may not have left."""
        sent, self._sent = self._sent, []
        for operation, evidence, outcome in sent:
            self._server.told(operation, evidence, outcome, False)

    def close_when_answered(self) -> None:
        """Read nothing more; close now if nothing is in flight, else with the last answer."""
        self._closing = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        if not self._session.in_flight:
            self.close()

    def close(self) -> None:
        """Close after what is written has been sent."""
        self._closing = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._closing = True
        self._forget_sent()
        self._doubt_sent()
        if self._transport is not None:
            self._transport.abort()
