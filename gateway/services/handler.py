"""The use case behind every wire: an operation comes in, an outcome goes out, in time and exactly once.

Strategy: the ledger decides; this is what stands between it and the sockets. The rules:

1. An answer is due `answer_deadline_seconds` after the operation came. The ledger is told a slightly earlier deadline,
   so that an operation that only waited is refused as not processed, which is more useful to a bank than "unknown".
2. The deadline and a lost client never cancel the work: what the lane has taken is finished, whoever still listens.
   An answer that is not there in time is `Unknown(TIMEOUT)`; an enquiry, which books nothing, may be repeated.
3. A bank has at most `in_flight_limit` operations here; the next one is answered `OVERLOADED`. Work whose client was
   answered already still counts, because it still costs.
4. The same key while its first copy is in flight answers `IN_PROGRESS`, never a guess. (Across processes the
   ledger's own key does the same.)
5. A line test is answered without the ledger.
6. An exception here is our fault: logged once, answered, never swallowed. What it means depends on what was asked.
   Where money may have moved nobody knows, so the answer is `Unknown`; else it is `SYSTEM_ERROR`, nothing booked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from gateway.banks.profile import BankProfile
from gateway.clock import monotonic_seconds
from gateway.metrics import Metrics
from gateway.operations import (
    BillEnquiry,
    CustomerOperation,
    Echo,
    Evidence,
    Operation,
    OperationKey,
    OperationKind,
    SessionOperation,
)
from gateway.outcomes import Approved, Declined, Outcome, Reason, Unknown

LedgerOperation = CustomerOperation | SessionOperation
Submit = Callable[[LedgerOperation, Evidence, float | None], Awaitable[Outcome]]
"""The ledger's door: operation, evidence and deadline (a moment of the running loop's `time()`) to outcome."""

_MARGIN_SHARE, _MARGIN_LIMIT_SECONDS = 0.1, 1.0
_APPROVED = "APPROVED"
_log: Any = structlog.get_logger("gateway.services")


class Handler:
    """Answers operations of every bank. One for the process. `seconds` measures how long answers take."""

    def __init__(self, submit: Submit, metrics: Metrics, *, seconds: Callable[[], float] = monotonic_seconds) -> None:
        self._submit = submit
        self._metrics = metrics
        self._seconds = seconds
        self._in_flight: dict[OperationKey, asyncio.Task[Outcome]] = {}
        self._per_bank: Counter[str] = Counter()

    @property
    def in_flight(self) -> int:
        """Operations that the ledger has not finished."""
        return len(self._in_flight)

    async def handle(self, operation: Operation, evidence: Evidence, profile: BankProfile) -> Outcome:
        """The outcome of `operation`, at most `profile.answer_deadline_seconds` later."""
        started = self._seconds()
        kind = operation.key.kind
        outcome = await self._outcome(operation, evidence, profile)
        reason = _APPROVED if isinstance(outcome, Approved) else outcome.reason.name
        self._metrics.answers.labels(profile.code, kind, reason).inc()
        self._metrics.answer_seconds.labels(profile.code, kind).observe(self._seconds() - started)
        return outcome

    async def drain(self, timeout_seconds: float) -> int:
        """Wait for what is in flight, at most so long; how many operations were still unfinished then."""
        if self._in_flight:
            await asyncio.wait(self._in_flight.values(), timeout=timeout_seconds)
        return len(self._in_flight)

    async def _outcome(self, operation: Operation, evidence: Evidence, profile: BankProfile) -> Outcome:
        if isinstance(operation, Echo):
            return Approved(clearing_date=evidence.received_at.astimezone(profile.zone).date())
        if operation.key in self._in_flight:
            return Unknown(Reason.IN_PROGRESS)
        if self._per_bank[profile.code] >= profile.in_flight_limit:
            return Declined(Reason.OVERLOADED)
        allowed = profile.answer_deadline_seconds
        ledger_deadline = (
            asyncio.get_running_loop().time() + allowed - min(allowed * _MARGIN_SHARE, _MARGIN_LIMIT_SECONDS)
        )
        task = self._start(operation, evidence, ledger_deadline, profile.code)
        try:
            return await asyncio.wait_for(asyncio.shield(task), allowed)
        except TimeoutError:
            _log.warning("operation_late", bank=profile.code, kind=operation.key.kind, trace_no=operation.key.trace_no)
            return _late(operation.key.kind)

    def _start(
        self, operation: LedgerOperation, evidence: Evidence, deadline: float, bank: str
    ) -> asyncio.Task[Outcome]:
        task = asyncio.create_task(self._submitted(operation, evidence, deadline))
        self._in_flight[operation.key] = task
        self._count(bank, 1)
        task.add_done_callback(lambda _: self._finish(operation.key, bank))
        return task

    def _finish(self, key: OperationKey, bank: str) -> None:
        del self._in_flight[key]
        self._count(bank, -1)

    def _count(self, bank: str, change: int) -> None:
        self._per_bank[bank] += change
        self._metrics.in_flight.labels(bank).set(self._per_bank[bank])

    async def _submitted(self, operation: LedgerOperation, evidence: Evidence, deadline: float) -> Outcome:
        try:
            return await self._submit(operation, evidence, deadline)
        except Exception as error:  # noqa: BLE001 - the border where our own faults become answers
            _log.error("operation_failed", bank=operation.key.bank, kind=operation.key.kind, exc_info=error)
            return _failed(operation)


def _late(kind: OperationKind) -> Outcome:
    """No answer in time: an enquiry has changed nothing, of everything else nobody knows."""
    return Declined(Reason.DEADLINE_PASSED) if kind is OperationKind.BILL_ENQUIRY else Unknown(Reason.TIMEOUT)


def _failed(operation: LedgerOperation) -> Outcome:
    """The ledger raised instead of answering. Whether it had committed can't be told from an exception."""
    if isinstance(operation, BillEnquiry):
        return Declined(Reason.SYSTEM_ERROR)
    return Unknown(Reason.TIMEOUT)
