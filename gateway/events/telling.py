"""The teller: tells one subscriber of one partition's payments, for as long as the gateway runs.

Strategy: one connection, then the lease, then two loops side by side until something breaks: one tells what is new,
the other tries again what was set aside. Side by side, because an event at which a receiver hangs must not keep others
waiting. Whatever breaks (the database, the lease) ends both, and all begins again on a new connection, from what is
stored. Rules:

- the ledger is polled: five short questions a second are cheap, and nothing can be missed by a poll. While somebody is
  booking, the second look comes sooner;
- nothing is sent unless the lease outlasts the request;
- in trouble (the receiver takes nothing) the pauses grow; the events wait in the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, retry_if_result
from tenacity.wait import wait_exponential_jitter

from gateway.clock import Clock, monotonic_seconds
from gateway.events.answers import Answer
from gateway.events.event import PaymentEvent
from gateway.events.judging import LetterState, Moves, Waiting, judge_again, judge_new
from gateway.events.outbox import LeaseLostError, Outbox, open_outbox
from gateway.events.sending import Sender, offer
from gateway.events.subscriber import Subscriber
from gateway.metrics import Metrics

_log: Any = structlog.get_logger("gateway.events")

POLL_SECONDS = 0.2
_LOOK_AGAIN_SECONDS = 0.02  # a batch takes a few milliseconds
_LEASE_POLL_SECONDS = 0.5
_LETTERS_POLL_SECONDS = 0.5
_COUNT_EVERY_POLLS = 10
_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.2, 10.0
# Beyond a request's time; above twice the longest pause, so that a lease is kept through an outage of the receiver.
LEASE_SECONDS = 30.0
_MARGIN_SECONDS = 1.0
_LASTING_SECONDS = 30.0


class Progress(Enum):
    """How a look ended, which says how soon the next one is due."""

    MORE = auto()
    SOON = auto()
    CALM = auto()
    TROUBLE = auto()


_PAUSES = {Progress.MORE: 0.0, Progress.SOON: _LOOK_AGAIN_SECONDS, Progress.CALM: POLL_SECONDS, Progress.TROUBLE: 0.0}


class Teller:
    """`run` until `stop` is set."""

    def __init__(
        self,
        dsn: str,
        partition: int,
        subscriber: Subscriber,
        sender: Sender,
        *,
        metrics: Metrics,
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        self._dsn = dsn
        self._partition = partition
        self._subscriber = subscriber
        self._sender = sender
        self._metrics = metrics
        self._clock = clock
        self._stop = stop
        self._failing_since: datetime | None = None
        self._log = _log.bind(subscriber=subscriber.name, partition=partition)
        self._labels = (subscriber.name, str(partition))

    async def run(self) -> None:
        """Never raises but for cancellation: what breaks is logged and begun again."""
        while not self._stop.is_set():
            await self._patiently(retry_if_exception_type(Exception), self._session)
            await self._pause(_LOOK_AGAIN_SECONDS)

    async def subscribe(self) -> None:
        """See that the subscription exists, from now on if it is new. Raises the errors of `gateway.database`."""
        outbox = await self._open()
        try:
            while not await outbox.is_subscribed():
                await outbox.look()
                if not outbox.horizon.is_waiting:
                    await outbox.subscribe(self._clock())
                    self._log.info("payment events begin", sequence=outbox.horizon.settled)
                else:
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        finally:
            outbox.drop()

    async def _open(self) -> Outbox:
        lease_seconds = LEASE_SECONDS + self._subscriber.timeout_seconds
        return await open_outbox(self._dsn, self._partition, self._subscriber.name, lease_seconds)

    async def _session(self) -> None:
        """One connection, and while it has the lease, both loops.

        Raises what breaks it, unless it has lasted: then pauses begin small again.
        """
        began = monotonic_seconds()
        outbox = await self._open()
        try:
            while not await outbox.take_lease():
                await self._pause(_LEASE_POLL_SECONDS)
                if self._stop.is_set():
                    return
            self._log.info("telling payments", sequence=outbox.position)
            await _together(self._tell_new(outbox), self._tell_again(outbox))
            await outbox.release_lease()
        except LeaseLostError:
            self._log.warning("another process tells the payments now")
        except Exception as error:
            if monotonic_seconds() - began < _LASTING_SECONDS:
                raise
            self._log.warning("payment events interrupted", error=_safe(error))
        finally:
            outbox.drop()
            self._forget_gauges()

    async def _tell_new(self, outbox: Outbox) -> None:
        while not self._stop.is_set():
            progress = await self._patiently(retry_if_result(_is_trouble), self._step, outbox)
            await self._pause(_PAUSES.get(progress, 0.0))

    async def _step(self, outbox: Outbox) -> Progress:
        """One look, and what is new told."""
        await self._be_sure_of_lease(outbox, LEASE_SECONDS / 2)
        horizon = await outbox.look()
        waiting = await outbox.read_new(self._subscriber.batch_events) if horizon > outbox.position else []
        if not waiting:
            self._show_lag(None)
            return Progress.SOON if outbox.horizon.is_waiting else Progress.CALM
        self._show_lag(waiting[0])
        answers = await self._offer(outbox, [one.event for one in waiting if not one.is_behind])
        now = self._clock()
        self._note_failing(answers.values(), now)
        moves = judge_new(waiting, answers, self._subscriber.patience, self._failing_since, now)
        if moves.handled is not None:
            await outbox.record_new(moves.handled, moves.letters, now)
        self._report(moves)
        return Progress.MORE if moves.trouble is None else Progress.TROUBLE

    async def _tell_again(self, outbox: Outbox) -> None:
        polls = 0
        while not self._stop.is_set():
            if polls % _COUNT_EVERY_POLLS == 0:
                self._metrics.events_dead.labels(*self._labels).set(await outbox.count_dead())
            polls += 1
            due = await outbox.read_due(self._clock(), self._subscriber.batch_events)
            if due:
                await self._try_again(outbox, due)
            await self._pause(_LOOK_AGAIN_SECONDS if due else _LETTERS_POLL_SECONDS)

    async def _try_again(self, outbox: Outbox, due: Sequence[Waiting]) -> None:
        answers = await self._offer(outbox, [one.event for one in due])
        now = self._clock()
        letters = judge_again(due, answers, self._subscriber.patience, now)
        await outbox.record_again(letters, now)
        delivered = sum(letter.state is LetterState.DELIVERED for letter in letters)
        self._metrics.events_delivered.labels(self._subscriber.name).inc(delivered)
        self._metrics.events_dead.labels(*self._labels).set(await outbox.count_dead())
        self._log.info("letters tried again", letters=len(letters), delivered=delivered)

    async def _offer(self, outbox: Outbox, events: Sequence[PaymentEvent]) -> dict[int, Answer]:
        async def send(some: Sequence[PaymentEvent]) -> Answer:
            await self._be_sure_of_lease(outbox, self._subscriber.timeout_seconds + _MARGIN_SECONDS)
            return await self._sender.send(self._partition, some)

        return await offer(send, events)

    async def _be_sure_of_lease(self, outbox: Outbox, seconds: float) -> None:
        if outbox.lease_left_seconds < seconds:
            await outbox.keep_lease()

    def _note_failing(self, answers: Any, now: datetime) -> None:
        known = list(answers)
        if any(answer.is_accepted for answer in known):
            self._failing_since = None
        elif known and self._failing_since is None:
            self._failing_since = now

    def _report(self, moves: Moves) -> None:
        self._metrics.events_delivered.labels(self._subscriber.name).inc(moves.delivered)
        for letter in moves.letters:
            if letter.state is not LetterState.BEHIND:
                self._log.warning(
                    "event set aside", state=letter.state.value, sequence=letter.sequence, reason=letter.reason
                )
        if any(letter.state is LetterState.DEAD for letter in moves.letters):
            dead = sum(letter.state is LetterState.DEAD for letter in moves.letters)
            self._metrics.events_dead.labels(*self._labels).inc(dead)
        if moves.trouble is not None:
            self._log.warning("events wait", reason=moves.trouble)

    def _show_lag(self, oldest: Waiting | None) -> None:
        lag = 0.0 if oldest is None else max(0.0, (self._clock() - oldest.event.recorded_at).total_seconds())
        self._metrics.events_lag_seconds.labels(*self._labels).set(lag)

    def _forget_gauges(self) -> None:
        """Only who tells may say how far it is."""
        for gauge in (self._metrics.events_lag_seconds, self._metrics.events_dead):
            gauge.remove(*self._labels)

    async def _patiently(self, retry: Any, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Do it again with growing pauses for as long as `retry` says, or until we are to stop."""
        retrying = AsyncRetrying(
            retry=retry,
            wait=wait_exponential_jitter(multiplier=_FIRST_PAUSE_SECONDS, max=_MOST_PAUSE_SECONDS, jitter=0.1),
            sleep=self._pause,
            stop=lambda _state: self._stop.is_set(),
            before_sleep=self._tell_failure,
            retry_error_callback=lambda _state: None,
        )
        return await retrying(work, *args)

    def _tell_failure(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is not None:
            self._log.warning("payment events interrupted", attempt=state.attempt_number, error=_safe(error))

    async def _pause(self, seconds: float) -> None:
        """Sleep, or wake when we are to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass


def _safe(error: BaseException) -> str:
    """Our own errors are safe to read; of others the type alone is told."""
    return str(error) if type(error).__module__.startswith("gateway.") else type(error).__name__


def _is_trouble(progress: Progress) -> bool:
    return progress is Progress.TROUBLE


async def _together(*works: Any) -> None:
    """Run all until all are done or one raises; then end the others and raise that."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
