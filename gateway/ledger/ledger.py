"""The billing ledger's one door for the services: `submit(operation) -> Outcome`.

Strategy: a lane for each partition; an operation goes to its customer's home. What only asks for bills is read over a
small pool and never waits in a lane; everything else, status enquiries included, stands in the lane's queue, so that it
is answered after what came before it. Signing on and off goes to every lane and is answered when all have committed.
Rules:

- several processes may serve one database: nothing is decided from memory. The one thing remembered, which partition a
  key was last sent to, only notices a trace number used for two customers, as partitions can't see each other;
- what takes a payment back or asks for it, but names a customer who lives elsewhere, must not be told "nothing there":
  the other partitions are asked for the payment first (a look-up each, and such operations are rare);
- the directory of payment numbers is read at the start and again whenever an import says so (NOTIFY).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date

import structlog

from gateway import clock
from gateway.database import DatabaseError, Pool, connect, create_pool, load_sql
from gateway.ledger import cutoff
from gateway.ledger.booking import BrokenLedgerError
from gateway.ledger.directory import WatchedDirectory
from gateway.ledger.lane import Lane, LaneLimits
from gateway.ledger.migrate import check_installation
from gateway.ledger.partitions import schema_name
from gateway.ledger.rules import Rules
from gateway.ledger.store import SESSION_KINDS, Decide, LedgerOperation, Store, wanted_by
from gateway.ledger.store_postgres import SESSION_SETTINGS, open_postgres_store, read_state
from gateway.operations import (
    BillEnquiry,
    Evidence,
    OperationKey,
    OperationKind,
    Reversal,
    SameDayCancel,
    SignOff,
    SignOn,
    StatusEnquiry,
)
from gateway.outcomes import (
    Approved,
    Declined,
    Outcome,
    OutcomeClass,
    PaymentState,
    PaymentStatus,
    Reason,
    Undo,
    UndoResult,
    Unknown,
    class_of,
    is_final,
)

log = structlog.get_logger(__name__)

# Readers a partition: an enquiry takes a millisecond or two, and the lane must keep the processor.
READERS_PER_PARTITION = 2
# An enquiry without a deadline of its own still must not wait for a connection for ever.
ENQUIRY_TIMEOUT_SECONDS = 20.0
# Some minutes of traffic; older reuse of a trace number across partitions is found by the night.
REMEMBERED_KEYS = 50_000
_FIND_PAYMENT = load_sql("gateway.ledger.sql", "find_payment_of_key")
# Which of several partitions' answers is told for all: the worst.
_WORST_FIRST = (
    OutcomeClass.UNKNOWN_OUTCOME,
    OutcomeClass.RETRY_LATER,
    OutcomeClass.FINAL_REFUSAL,
    OutcomeClass.SUCCESS,
)


class Ledger:
    """`async with Ledger(...)`, or `start` and `stop`. `dsn` logs in as the gateway's role."""

    def __init__(
        self,
        dsn: str,
        partitions: int,
        *,
        rules: Rules,
        decide: Decide,
        clock: clock.Clock = clock.now,
        limits: LaneLimits | None = None,
    ) -> None:
        self._dsn = dsn
        self._partitions = partitions
        self._rules = rules
        self._decide = decide
        self._clock = clock
        self._limits = limits
        self._lanes: list[Lane] = []
        self._pools: list[Pool] = []
        self._directory = WatchedDirectory(dsn, partitions)
        self._sent_to: OrderedDict[OperationKey, int] = OrderedDict()

    def __repr__(self) -> str:
        return f"Ledger(partitions={self._partitions}, waiting={self.waiting})"

    @property
    def waiting(self) -> int:
        """Operations in queues or in flight, over all lanes."""
        return sum(lane.waiting for lane in self._lanes)

    @property
    def is_ready(self) -> bool:
        """Whether every lane has its database."""
        return bool(self._lanes) and all(lane.is_connected for lane in self._lanes)

    async def __aenter__(self) -> Ledger:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Check the installation, read the directory, open lanes and pools. Raises InstallationMismatch and others."""
        try:
            currency = await self._checked_installation()
            await self._directory.start()
            for partition in range(self._partitions):
                await self._start_partition(partition, currency)
        except BaseException:
            await self.stop()
            raise

    async def stop(self, timeout_seconds: float = 10.0) -> None:
        """Finish what waits, bounded. Twice is once."""
        await asyncio.gather(*(lane.stop(timeout_seconds) for lane in self._lanes))
        await self._directory.stop()
        await asyncio.gather(*(pool.close() for pool in self._pools))
        self._lanes, self._pools = [], []

    async def submit(
        self, operation: LedgerOperation, evidence: Evidence | None, deadline: float | None = None
    ) -> Outcome:
        """What became of it. `deadline` is a moment of the running loop's `time()` (monotonic seconds).

        Whatever is booked is committed before this returns. Cancelling the caller doesn't cancel the operation.
        """
        if isinstance(operation, SESSION_KINDS):
            return await self._submit_everywhere(operation, evidence, deadline)
        partition = self._directory.home(operation.customer_no)
        if isinstance(operation, BillEnquiry):
            return await self._enquire(partition, operation, deadline)
        if self._sent_to.get(operation.key, partition) != partition:
            return Declined(Reason.DUPLICATE_TRACE)
        payment_key = _payment_key(operation)
        if payment_key is not None and (elsewhere := await self._booked_elsewhere(operation, payment_key, partition)):
            return elsewhere
        outcome = await self._lanes[partition].submit(operation, evidence, deadline)
        if is_final(outcome):
            self._remember(operation.key, partition)
        if payment_key is not None and _left_a_fence(outcome):
            self._remember(payment_key, partition)  # the late payment may name a customer of another partition
        return outcome

    async def _booked_elsewhere(self, operation: LedgerOperation, key: OperationKey, home: int) -> Outcome | None:
        """The answer to an operation whose payment is booked in another partition than its customer's; else None."""
        try:
            for partition, pool in enumerate(self._pools):
                if partition == home:
                    continue
                async with pool.acquire(timeout_seconds=ENQUIRY_TIMEOUT_SECONDS) as connection:
                    found = await connection.fetch_value(_FIND_PAYMENT, key.bank, key.trace_date, key.trace_no)
                if found:
                    log.warning("the customer named is not the payment's", partition=home, payment_partition=partition)
                    is_question = isinstance(operation, StatusEnquiry)
                    return Unknown(Reason.STATUS_UNKNOWN) if is_question else Declined(Reason.ORIGINAL_NOT_FOUND)
        except DatabaseError as error:
            log.warning("other partitions could not be asked", partition=home, error=str(error))
            return Unknown(Reason.TIMEOUT)
        return None

    def home(self, customer_no: str) -> int:
        """The partition in which a customer lives."""
        return self._directory.home(customer_no)

    def commit_is_unknown(self, key: OperationKey) -> bool:
        """Whether an operation's commit is under way, or had no known result and is to be repeated."""
        return any(lane.is_uncertain(key) for lane in self._lanes)

    async def cut_off(self, next_date: date, *, wait_seconds: float = 30.0) -> cutoff.CutOffReport:
        """See `cutoff.cut_off`."""
        return await cutoff.cut_off(self._dsn, self._partitions, next_date, wait_seconds=wait_seconds, now=self._clock)

    async def current_clearing_dates(self) -> dict[int, date]:
        async with self._pools[0].acquire(timeout_seconds=ENQUIRY_TIMEOUT_SECONDS) as connection:
            return await cutoff.current_clearing_dates(connection, self._partitions)

    async def _checked_installation(self) -> str:
        connection = await connect(self._dsn, application_name="busbar start")
        try:
            return await check_installation(connection, self._partitions)
        finally:
            await connection.close()

    async def _start_partition(self, partition: int, currency: str) -> None:
        schema = schema_name(partition)

        async def open_store() -> Store:
            return await open_postgres_store(self._dsn, partition, self._partitions, currency)

        lane = Lane(schema, open_store, self._decide, rules=self._rules, clock=self._clock, limits=self._limits)
        await lane.start()
        self._lanes.append(lane)
        pool = await create_pool(
            self._dsn,
            size=READERS_PER_PARTITION,
            search_path=schema,
            application_name=f"busbar reader {schema}",
            settings=SESSION_SETTINGS,
        )
        self._pools.append(pool)

    async def _submit_everywhere(
        self, operation: SignOn | SignOff, evidence: Evidence | None, deadline: float | None
    ) -> Outcome:
        outcomes = await asyncio.gather(*(lane.submit(operation, evidence, deadline) for lane in self._lanes))
        return _worst(outcomes)

    async def _enquire(self, partition: int, enquiry: BillEnquiry, deadline: float | None) -> Outcome:
        timeout_seconds = ENQUIRY_TIMEOUT_SECONDS
        if deadline is not None:
            timeout_seconds = deadline - asyncio.get_running_loop().time()
            if timeout_seconds <= 0:
                return Declined(Reason.DEADLINE_PASSED)
        try:
            state = await read_state(
                self._pools[partition], partition, self._partitions, wanted_by((enquiry,)), timeout_seconds
            )
            outcome, _effects = self._decide(state, enquiry, self._rules, self._clock(), "")
        except (DatabaseError, BrokenLedgerError) as error:
            log.warning("bill enquiry without an answer", partition=partition, error=str(error))
            return Declined(Reason.SYSTEM_ERROR)
        return outcome

    def _remember(self, key: OperationKey, partition: int) -> None:
        self._sent_to[key] = partition
        if len(self._sent_to) > REMEMBERED_KEYS:
            self._sent_to.popitem(last=False)


def _payment_key(operation: LedgerOperation) -> OperationKey | None:
    """The key of the payment that a cancel, a reversal or a status enquiry names by its trace."""
    if not isinstance(operation, SameDayCancel | Reversal | StatusEnquiry):
        return None
    trace_date, trace_no = operation.original.trace_date, operation.original.trace_no
    if trace_date is None or trace_no is None:
        return None
    return OperationKey(operation.key.bank, OperationKind.PAYMENT, trace_date, trace_no)


def _left_a_fence(outcome: Outcome) -> bool:
    """Whether an outcome says that a payment was not there and can't be booked any more."""
    match outcome:
        case Approved(detail=Undo(result=UndoResult.NOTHING_TO_UNDO)):
            return True
        case Approved(detail=PaymentStatus(state=PaymentState.FENCED)):
            return True
        case _:
            return False


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several partitions' answers the worst; of approvals the one with the oldest clearing date."""
    worst = min(outcomes, key=lambda outcome: _WORST_FIRST.index(class_of(outcome)))
    approved = [outcome for outcome in outcomes if isinstance(outcome, Approved)]
    if len(approved) == len(outcomes):
        return min(approved, key=lambda outcome: outcome.clearing_date)
    return worst
