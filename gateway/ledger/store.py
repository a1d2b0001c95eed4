"""What a lane asks of a database: the steps of one batch, in their order, and the three results of a commit.

Strategy: a `Store` is one session on one partition, used by one lane. A batch is `begin`, `lock`, `load`, then `decide`
(the lane's), `write`, `commit`. Rules that every implementation keeps, and one contract suite proves:

- `begin` holds the clearing day still until the end of the transaction, and only then reads it;
- `lock` takes customers in key order and never waits: it tells which ones somebody else holds;
- `load` reads after the locks, so that it sees what was committed before they were had;
- `write` is all or nothing: on any error the transaction is over, call `roll_back`;
- `commit` answers `UNKNOWN` where it can't tell; the caller closes this store and does the batch again.

Steps raise the errors of `gateway.database`: ConnectionLost (close and open another), RetryTransaction (again), others
(the rows are to blame).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from gateway.ledger.model import Effects, State
from gateway.ledger.rules import Rules
from gateway.operations import (
    BillEnquiry,
    CustomerOperation,
    Evidence,
    OperationKey,
    OperationKind,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SessionOperation,
    SignOff,
    SignOn,
    StatusEnquiry,
)
from gateway.outcomes import Outcome

LedgerOperation = CustomerOperation | SessionOperation
# Tuples instead of unions: a union is made anew each time that it is asked for.
SESSION_KINDS = (SignOn, SignOff)
_NAMES_BILLS = (Payment, BillEnquiry)
_NAMES_ORIGINAL = (SameDayCancel, Reversal, StatusEnquiry)
_POSTS = (Payment, PrepaymentDeposit, SameDayCancel, Reversal)
Decide = Callable[[State, LedgerOperation, Rules, datetime, str], tuple[Outcome, Effects]]


class CommitResult(Enum):
    COMMITTED = "COMMITTED"
    ABORTED = "ABORTED"  # certainly not booked: do the batch again
    UNKNOWN = "UNKNOWN"  # booked or not: close the store, do the batch again, let idempotency answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a batch may look at. Tuples are sorted and without repetition."""

    banks: tuple[str, ...]
    customer_nos: tuple[str, ...]
    keys: tuple[OperationKey, ...]  # of the operations, and of the payments that they name
    payment_keys: tuple[OperationKey, ...]  # the latter only
    references: tuple[tuple[str, str], ...]  # (bank, reference number) of payments that they name
    receivable_ids: tuple[str, ...]  # named by an operation
    billing_months: tuple[int, ...]  # named by an operation
    ids_needed: int  # how many postings the batch can make at most


@dataclass(frozen=True, slots=True)
class Decided:
    """One operation of a batch with everything that is to be written for it."""

    operation: LedgerOperation
    evidence: Evidence | None
    outcome: Outcome
    effects: Effects

    @property
    def trace_id(self) -> str:
        return "" if self.evidence is None else self.evidence.trace_id


class Store(Protocol):
    """A session on one partition. `load` gives free payment ids for `wanted.ids_needed` postings at least."""

    async def begin(self) -> None: ...

    async def lock(self, customer_nos: Sequence[str]) -> frozenset[str]:
        """Lock the customers (sorted numbers); returns those that exist and are held by somebody else."""
        ...

    async def load(self, wanted: Wanted) -> State: ...

    async def write(self, decided: Sequence[Decided], state: State, recorded_at: datetime) -> None: ...

    async def commit(self) -> CommitResult: ...

    async def roll_back(self) -> None:
        """End the transaction without a trace; never raises (a broken session ends by itself)."""
        ...

    async def close(self) -> None: ...


OpenStore = Callable[[], Awaitable[Store]]


def customer_of(operation: LedgerOperation) -> str | None:
    return None if isinstance(operation, SESSION_KINDS) else operation.customer_no


def wanted_by(operations: Iterable[LedgerOperation]) -> Wanted:
    """What `decide` may look at for these operations."""
    banks: set[str] = set()
    customers: set[str] = set()
    keys: set[OperationKey] = set()
    payment_keys: set[OperationKey] = set()
    references: set[tuple[str, str]] = set()
    receivables: set[str] = set()
    months: set[int] = set()
    postings = 0
    for operation in operations:
        banks.add(operation.key.bank)
        keys.add(operation.key)
        customer_no = customer_of(operation)
        if customer_no is not None:
            customers.add(customer_no)
        if isinstance(operation, _NAMES_BILLS):
            receivables.update(operation.selection.receivable_ids)
            if operation.selection.billing_month is not None:
                months.add(operation.selection.billing_month)
        elif isinstance(operation, _NAMES_ORIGINAL):
            original = operation.original
            if original.trace_date is not None and original.trace_no is not None:
                payment_keys.add(
                    OperationKey(operation.key.bank, OperationKind.PAYMENT, original.trace_date, original.trace_no)
                )
            if original.reference_no is not None:
                references.add((operation.key.bank, original.reference_no))
        postings += isinstance(operation, _POSTS)
    return Wanted(
        banks=tuple(sorted(banks)),
        customer_nos=tuple(sorted(customers)),
        keys=tuple(sorted(keys | payment_keys, key=key_order)),
        payment_keys=tuple(sorted(payment_keys, key=key_order)),
        references=tuple(sorted(references)),
        receivable_ids=tuple(sorted(receivables)),
        billing_months=tuple(sorted(months)),
        ids_needed=postings,
    )


def key_order(key: OperationKey) -> tuple[str, str, str, str]:
    """One order for all processes: two that insert the same keys in different orders deadlock."""
    return key.bank, key.kind.value, key.trace_date.isoformat(), key.trace_no
