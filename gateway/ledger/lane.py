"""A lane: one task and one store for one partition. It takes whatever waits, commits once, then answers everybody.

Strategy: while one batch is in flight the next one gathers; there is no timer. An operation waits in one queue and
leaves it with its answer. Whatever goes wrong puts operations back at the front in their old order, so that two
operations of one customer never overtake each other. Rules:

- no answer before the commit that it tells of, except "not attempted" (overloaded, deadline passed) and "in progress";
- a customer whom somebody else holds is skipped; its operations wait, the others go on;
- a commit whose result is unknown: drop the connection and do the operations again, whatever their deadline. Never read
  to find out; the keys make a repetition harmless;
- before its first attempt an operation may expire; once an attempt's commit is unknown, it may not;
- an exception in `decide` is that operation's system error. Rows that the database refuses make the batch run again one
  by one: only the culprit is refused, and its evidence is kept in a transaction of its own;
- a caller that goes away changes nothing here. Time is the loop's, `now` is the injected clock's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from gateway.clock import Clock
from gateway.database import ConnectionLost, RetryTransaction
from gateway.ledger.model import NOTHING, State
from gateway.ledger.rules import Rules
from gateway.ledger.store import (
    CommitResult,
    Decide,
    Decided,
    LedgerOperation,
    OpenStore,
    Store,
    customer_of,
    wanted_by,
)
from gateway.operations import Evidence, OperationKey
from gateway.outcomes import Declined, Outcome, Reason, Unknown

log = structlog.get_logger(__name__)

Outcomes = list[tuple["_Waiting", Outcome]]


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Why each: a batch is bounded so that one commit stays short; the queue so that waiting ends before deadlines do;
    skipped ones in a batch so that held customers can't fill every batch; pauses so that nothing spins.
    """

    batch_operations: int = 128
    queue_operations: int = 4096
    skipped_in_batch: int = 32
    retry_pause_seconds: float = 0.01
    reconnect_first_seconds: float = 0.05
    reconnect_most_seconds: float = 2.0


@dataclass(slots=True, eq=False)
class _Waiting:
    operation: LedgerOperation
    evidence: Evidence | None
    deadline: float | None  # on the loop's clock
    answer: asyncio.Future[Outcome]
    skipped: bool = False  # its customer was held by somebody else at the last attempt
    uncertain: bool = False  # a commit with it in had no known result
    customer_no: str | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.customer_no = customer_of(self.operation)


class Lane:
    """`start`, then `submit` as often as you like, then `stop`."""

    def __init__(
        self,
        name: str,
        open_store: OpenStore,
        decide: Decide,
        *,
        rules: Rules,
        clock: Clock,
        limits: LaneLimits | None = None,
    ) -> None:
        self.name = name
        self._open_store = open_store
        self._decide = decide
        self._rules = rules
        self._clock = clock
        self._limits = limits or LaneLimits()
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._store: Store | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._in_flight = 0
        self._committing: Sequence[_Waiting] = ()
        self._unattempted: list[Decided] = []  # expired ones whose evidence is still to be kept

    @property
    def waiting(self) -> int:
        """Operations in the queue or in flight."""
        return len(self._queue) + self._in_flight

    @property
    def is_connected(self) -> bool:
        return self._store is not None

    def is_uncertain(self, key: OperationKey) -> bool:
        """Whether the operation's commit is under way, or had no known result and is to be repeated."""
        uncertain = (*self._committing, *(one for one in self._queue if one.uncertain))
        return any(one.operation.key == key for one in uncertain)

    async def start(self) -> None:
        """Connect (raising what the first attempt raises), then serve."""
        self._store = await self._open_store()
        self._task = asyncio.create_task(self._run(), name=f"lane {self.name}")

    async def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish what waits, at most for the timeout; what is left then is answered as unknown. Twice is once."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=timeout_seconds)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._answer([(one, Unknown(Reason.TIMEOUT)) for one in self._queue])
        self._queue.clear()
        await self._drop_store()

    async def submit(
        self, operation: LedgerOperation, evidence: Evidence | None, deadline: float | None = None
    ) -> Outcome:
        """The outcome, after its commit. `deadline` is a moment of the running loop's `time()`.

        Cancelling the caller cancels only its waiting.
        """
        if self._stopping or self.waiting >= self._limits.queue_operations:
            return Declined(Reason.OVERLOADED)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(operation, evidence, deadline, loop.create_future())
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.answer  # nobody else waits for it, so cancelling it stops nothing but the waiting

    async def _run(self) -> None:
        while self._queue or not self._stopping:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                store = await self._connected_store()
                batch = self._take()
                if batch:
                    await self._process(store, batch)
                await self._keep_unattempted()
            except Exception as error:  # noqa: BLE001 - a fault of the lane itself must not silence it for good
                log.error("lane failed, starting it afresh", lane=self.name, error=_safe(error))
                await self._drop_store()
                await asyncio.sleep(self._limits.reconnect_first_seconds)

    async def _connected_store(self) -> Store:
        """The store; reconnects for as long as it takes, and lets operations expire meanwhile."""
        if self._store is not None:
            return self._store
        limits = self._limits
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential(multiplier=limits.reconnect_first_seconds, max=limits.reconnect_most_seconds),
            before_sleep=self._while_disconnected,
            sleep=asyncio.sleep,
        )
        store: Store = await retrying(self._open_store)
        self._store = store
        log.info("lane connected again", lane=self.name)
        return store

    def _while_disconnected(self, attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome is not None else None
        log.warning("lane has no database", lane=self.name, attempt=attempt.attempt_number, error=_safe(error))
        self._expire()

    async def _drop_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        self._queue = deque(one for one in self._queue if not self._expired(one, now))

    def _expired(self, one: _Waiting, now: float) -> bool:
        """Answers what waited too long. Nothing of it was ever attempted with an unknown end."""
        if one.deadline is None or one.deadline > now or one.uncertain:
            return False
        outcome = Unknown(Reason.IN_PROGRESS) if one.skipped else Declined(Reason.DEADLINE_PASSED)
        self._answer([(one, outcome)])
        if len(self._unattempted) < self._limits.queue_operations:
            self._unattempted.append(Decided(one.operation, one.evidence, outcome, NOTHING))
        return True

    def _take(self) -> list[_Waiting]:
        """The next batch, in order. Nobody overtakes an operation of the same customer that is left behind."""
        batch: list[_Waiting] = []
        left: list[_Waiting] = []
        held: set[str] = set()
        skipped = 0
        now = asyncio.get_running_loop().time()
        while self._queue and len(batch) < self._limits.batch_operations:
            one = self._queue.popleft()
            if self._expired(one, now):
                continue
            too_many = one.skipped and skipped >= self._limits.skipped_in_batch
            if too_many or one.customer_no in held:
                left.append(one)
                if one.customer_no is not None:
                    held.add(one.customer_no)
                continue
            skipped += one.skipped
            batch.append(one)
        self._queue.extendleft(reversed(left))
        return batch

    async def _process(self, store: Store, batch: list[_Waiting]) -> None:
        """One batch to its end: every operation is answered, or back at the front of the queue."""
        self._in_flight = len(batch)
        again = batch
        try:
            again = await self._attempt(store, batch)
        except RetryTransaction as error:
            log.info("batch repeated", lane=self.name, error=_safe(error))
        except ConnectionLost as error:
            log.warning("lane lost its database", lane=self.name, error=_safe(error))
            await self._drop_store()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one operation's fault: find which
            log.warning("batch refused, running it one by one", lane=self.name, error=_safe(error))
            again = await self._one_by_one(store, batch)
        finally:
            self._in_flight = 0
            self._queue.extendleft(reversed(again))
        if len(again) == len(batch):
            # Nothing got through: whoever is in the way needs a moment, and the loop must not spin.
            await asyncio.sleep(self._limits.retry_pause_seconds)

    async def _attempt(self, store: Store, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """One transaction. Returns what has to go back to the queue; raises with the transaction rolled back."""
        try:
            await store.begin()
            held = await store.lock(sorted({one.customer_no for one in batch if one.customer_no is not None}))
            ready, skipped = _part(batch, held)
            if not ready:
                await store.roll_back()
                return skipped
            state = await store.load(wanted_by(one.operation for one in ready))
            decided = [self._decide_one(state, one) for one in ready]
            await store.write(decided, state, self._clock())
        except Exception:
            await store.roll_back()
            raise
        result = await self._commit(store, ready)
        if result is not CommitResult.COMMITTED:
            return list(batch)
        self._answer([(one, done.outcome) for one, done in zip(ready, decided, strict=True)])
        return skipped

    async def _commit(self, store: Store, ready: Sequence[_Waiting]) -> CommitResult:
        self._committing = ready
        try:
            result = await store.commit()
        finally:
            self._committing = ()
        if result is CommitResult.UNKNOWN:
            for one in ready:
                one.uncertain = True
            log.warning("commit with unknown result, doing the batch again", lane=self.name, operations=len(ready))
            await self._drop_store()
        return result

    def _decide_one(self, state: State, one: _Waiting) -> Decided:
        trace_id = "" if one.evidence is None else one.evidence.trace_id
        try:
            outcome, effects = self._decide(state, one.operation, self._rules, self._clock(), trace_id)
        except Exception as error:  # noqa: BLE001 - the fault of one operation, and nobody else's
            self._log_culprit(one, error)
            return Decided(one.operation, one.evidence, _system_error(one), NOTHING)
        state.apply(effects)
        return Decided(one.operation, one.evidence, outcome, effects)

    async def _one_by_one(self, store: Store, batch: Sequence[_Waiting]) -> list[_Waiting]:
        """Each in a transaction of its own, in order; returns what has to go back to the queue."""
        again: list[_Waiting] = []
        held: set[str | None] = set()
        for index, one in enumerate(batch):
            if one.customer_no is not None and one.customer_no in held:
                again.append(one)
                continue
            try:
                left = await self._attempt(store, [one])
            except RetryTransaction:
                left = [one]
            except ConnectionLost:
                await self._drop_store()
                return [*again, *batch[index:]]
            except Exception as error:  # noqa: BLE001 - found: this one's rows are refused
                self._log_culprit(one, error)
                left = await self._refuse(store, one)
            again.extend(left)
            held.update(waiting.customer_no for waiting in left)
            if self._store is None:
                return [*again, *batch[index + 1 :]]
        return again

    async def _refuse(self, store: Store, one: _Waiting) -> list[_Waiting]:
        """A system error for `one`, its evidence kept apart from the transaction that failed."""
        refused = Decided(one.operation, one.evidence, _system_error(one), NOTHING)
        if await self._keep(store, [refused]) is CommitResult.COMMITTED:
            self._answer([(one, refused.outcome)])
            return []
        return [one]

    async def _keep_unattempted(self) -> None:
        """Evidence of what expired in the queue; what could not be kept is tried again with the next batch."""
        kept, self._unattempted = self._unattempted, []
        if kept and (self._store is None or await self._keep(self._store, kept) is not CommitResult.COMMITTED):
            self._unattempted = [*kept, *self._unattempted][-self._limits.queue_operations :]

    async def _keep(self, store: Store, refused: Sequence[Decided]) -> CommitResult:
        """Write evidence alone. Where the database refuses that too, the answers stand all the same."""
        try:
            await store.begin()
            state = await store.load(wanted_by(()))
            await store.write(refused, state, self._clock())
            result = await store.commit()
        except ConnectionLost:
            result = CommitResult.UNKNOWN
        except RetryTransaction:
            await store.roll_back()
            return CommitResult.ABORTED
        except Exception as error:  # noqa: BLE001 - its fault was logged; this one must not stop the lane
            await store.roll_back()
            log.error("evidence not kept", lane=self.name, operations=len(refused), error=_safe(error))
            return CommitResult.COMMITTED
        if result is CommitResult.UNKNOWN:
            await self._drop_store()
        return result

    def _log_culprit(self, one: _Waiting, error: Exception) -> None:
        key = one.operation.key
        log.error(
            "operation failed, nothing booked",
            lane=self.name,
            trace_id="" if one.evidence is None else one.evidence.trace_id,
            bank=key.bank,
            kind=key.kind.value,
            trace_date=key.trace_date.isoformat(),
            trace_no=key.trace_no,
            error=_safe(error),
        )

    @staticmethod
    def _answer(outcomes: Outcomes) -> None:
        for one, outcome in outcomes:
            if not one.answer.done():
                one.answer.set_result(outcome)


def _part(batch: Sequence[_Waiting], held: frozenset[str]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those that can run and those whose customer is held."""
    ready: list[_Waiting] = []
    skipped: list[_Waiting] = []
    for one in batch:
        one.skipped = one.customer_no in held
        (skipped if one.skipped else ready).append(one)
    return ready, skipped


def _system_error(one: _Waiting) -> Outcome:
    """Nothing booked; or nobody knows, after a commit with an unknown result."""
    return Unknown(Reason.TIMEOUT) if one.uncertain else Declined(Reason.SYSTEM_ERROR)


def _safe(error: BaseException | None) -> str:
    """An error for the log: our own errors are safe to read, of others only the type and the place are told."""
    if error is None:
        return ""
    if type(error).__module__.startswith("gateway."):
        return f"{type(error).__name__}: {error}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
    return f"{type(error).__name__}{place}"
