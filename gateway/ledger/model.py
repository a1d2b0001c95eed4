"""The ledger's values: what is loaded, what is decided, what is written. Pure data, no rule, no I/O.

Strategy: a lane loads the `State` of the customers in a batch; `decide` reads it and returns an outcome with
`Effects`; `State.apply` folds the effects in, so that the next operation of the batch sees them; the store writes them
all. Amounts are `int` fen of the installation's one currency (suffix `_fen`); the sign of an entry is debit positive.
Rows are frozen; a changed row is a new value.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from gateway.operations import Channel, OperationKey, SettleMethod
from gateway.outcomes import Outcome


class Account(StrEnum):
    """Chart of accounts. Debit balances are positive: due-from-bank grows with +, receivable falls with -."""

    DUE_FROM_BANK = "DUE_FROM_BANK"  # per bank, settling date and channel
    RECEIVABLE = "RECEIVABLE"
    PENALTY_INCOME = "PENALTY_INCOME"
    PREPAYMENT = "PREPAYMENT"
    SUSPENSE = "SUSPENSE"
    COMMISSION = "COMMISSION"


class PostingKind(StrEnum):
    """Kinds of rows in `payment`: what takes money, what undoes it, and what moves prepayment inside the ledger."""

    PAYMENT = "PAYMENT"
    PREPAYMENT_DEPOSIT = "PREPAYMENT_DEPOSIT"  # money without a bill; bills only where arrears come first
    SAME_DAY_CANCEL = "SAME_DAY_CANCEL"  # teller's cancel, same clearing date
    REVERSAL = "REVERSAL"  # system reversal on the original's clearing date
    NEXT_DAY_REVERSAL = "NEXT_DAY_REVERSAL"  # system reversal after the cut-off, booked on the new date
    PREPAYMENT_APPLIED = "PREPAYMENT_APPLIED"  # a balance settles bills when one is issued; no bank has a part in it
    PREPAYMENT_WITHDRAWN = "PREPAYMENT_WITHDRAWN"  # takes back what a posting drew, as its money was reversed


# Which way a posting moves what banks owe us. What moves inside the ledger owes us nothing.
DIRECTION: Mapping[PostingKind, int] = MappingProxyType(
    {
        PostingKind.PAYMENT: 1,
        PostingKind.PREPAYMENT_DEPOSIT: 1,
        PostingKind.SAME_DAY_CANCEL: -1,
        PostingKind.REVERSAL: -1,
        PostingKind.NEXT_DAY_REVERSAL: -1,
        PostingKind.PREPAYMENT_APPLIED: 0,
        PostingKind.PREPAYMENT_WITHDRAWN: 0,
    }
)


@dataclass(frozen=True, slots=True)
class Customer:
    customer_no: str = field(repr=False)
    payment_no: str = field(repr=False)
    name: str = field(repr=False)
    supply_address: str = field(repr=False)
    org_code: str
    customer_class: str  # 01 high voltage, 02 low-voltage non-residential, 03 low-voltage residential, 05 bulk
    usage_category: str  # 2xx is residential for the penalty
    penalty_exempt: bool
    prepayment_balance_fen: int  # running sum of the customer's PREPAYMENT entries, sign turned


@dataclass(frozen=True, slots=True)
class SettledLine:
    """What one posting settled of one receivable, on the payer's calendar day.

    A line that undoes another is negative and carries the *original's* `paid_date`, so that both together leave the
    bill as if neither had been.
    """

    paid_date: date
    principal_fen: int
    penalty_fen: int


@dataclass(frozen=True, slots=True)
class Receivable:
    receivable_id: str
    customer_no: str = field(repr=False)
    billing_month: int  # yyyymm
    charge_kind: str  # 010 energy, 020 illegal use, 030 connection fee
    org_code: str
    principal_fen: int
    due_date: date
    partial_payment_allowed: bool
    locked: bool  # in a batch debit (代扣在途)
    received_principal_fen: int  # running sums of its entries
    received_penalty_fen: int
    settled: tuple[SettledLine, ...] = ()  # its history; loaded only where something was ever settled

    @property
    def outstanding_principal_fen(self) -> int:
        return self.principal_fen - self.received_principal_fen


@dataclass(frozen=True, slots=True)
class PostedLine:
    """One receivable's share in a posting (signed: negative where the posting undoes)."""

    receivable_id: str
    billing_month: int
    charge_kind: str
    org_code: str
    principal_fen: int
    penalty_fen: int


@dataclass(frozen=True, slots=True)
class Posting:
    """A row of `payment`. `amount_fen` is positive for every kind; `signed_fen` is what the bank owes more by it.

    `original_payment_id` names what a posting undoes, or what a withdrawal takes back a part of.
    """

    payment_id: int
    kind: PostingKind
    key: OperationKey
    customer_no: str = field(repr=False)
    org_code: str
    amount_fen: int
    channel: Channel
    settle_method: SettleMethod
    outlet: str
    operator: str
    paid_at: datetime
    paid_date: date  # the payer's calendar day, in the bank's time zone
    clearing_date: date
    reference_no: str
    original_payment_id: int | None
    prepayment_opening_fen: int
    prepayment_movement_fen: int
    lines: tuple[PostedLine, ...]
    trace_id: str = ""

    @property
    def signed_fen(self) -> int:
        return DIRECTION[self.kind] * self.amount_fen

    @property
    def takes_money(self) -> bool:
        """Whether this is what a bank may cancel, reverse or ask about."""
        return DIRECTION[self.kind] > 0

    @property
    def prepayment_closing_fen(self) -> int:
        return self.prepayment_opening_fen + self.prepayment_movement_fen


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of double entry; the entries of a posting sum to zero."""

    account: Account
    amount_fen: int
    receivable_id: str | None = None
    billing_month: int | None = None


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """The stored, final outcome under a key. `fence` marks a tombstone: a payment that may never be booked.

    A fence stands on the *payment's* key with no digest; it was left by `fenced_by`.
    """

    key: OperationKey
    customer_no: str = field(repr=False)
    digest: bytes
    outcome: Outcome
    payment_id: int | None = None
    fence: bool = False
    fenced_by: OperationKey | None = None


@dataclass(frozen=True, slots=True)
class SignEvent:
    """A bank signed on or off in this partition."""

    key: OperationKey
    signed_on: bool


@dataclass(frozen=True, slots=True)
class Booking:
    """A posting with its double entry."""

    posting: Posting
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Effects:
    """All that one operation changes. Empty for refusals that consume no key and for enquiries.

    `bookings` are in the order of booking; the last one is the operation's own, before it stand those that it
    made necessary.
    """

    records: tuple[OperationRecord, ...] = ()
    bookings: tuple[Booking, ...] = ()
    receivables: tuple[Receivable, ...] = ()  # new versions of the rows whose running sums change
    customer: Customer | None = None  # new version where the prepayment balance changes
    sign_event: SignEvent | None = None

    @property
    def posting(self) -> Posting | None:
        """The operation's own posting."""
        return self.bookings[-1].posting if self.bookings else None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries of the operation's own posting."""
        return self.bookings[-1].entries if self.bookings else ()


NOTHING = Effects()


@dataclass(slots=True)
class State:
    """What a batch may look at: loaded once, changed only by `apply`.

    Loaded for the batch's customers: the rows, all receivables that are open or named by an operation or settled by
    an original; for its keys: operation records (of the operations and of the originals they name); for its
    originals: postings by key and by (bank, reference number), and who undid them.
    """

    partition: int
    clearing_date: date
    signed_on: dict[str, bool] = field(default_factory=dict)  # bank code -> signed on
    customers: dict[str, Customer] = field(default_factory=dict)
    receivables: dict[str, dict[str, Receivable]] = field(default_factory=dict)  # customer -> id -> row
    records: dict[OperationKey, OperationRecord] = field(default_factory=dict)
    postings: dict[int, Posting] = field(default_factory=dict)
    payment_id_by_key: dict[OperationKey, int] = field(default_factory=dict)
    payment_id_by_reference: dict[tuple[str, str], int] = field(default_factory=dict)  # (bank, reference_no)
    undone_by: dict[int, int] = field(default_factory=dict)  # original payment id -> id of what undid it
    free_payment_ids: deque[int] = field(default_factory=deque)  # reserved ids; apply takes the first

    def apply(self, effects: Effects) -> None:
        """Fold one operation's effects in, so that the next operation of the batch sees them."""
        for record in effects.records:
            self.records[record.key] = record
        for receivable in effects.receivables:
            self.receivables.setdefault(receivable.customer_no, {})[receivable.receivable_id] = receivable
        if effects.customer is not None:
            self.customers[effects.customer.customer_no] = effects.customer
        if effects.sign_event is not None:
            self.signed_on[effects.sign_event.key.bank] = effects.sign_event.signed_on
        for booking in effects.bookings:
            self._apply_posting(booking.posting)

    def _apply_posting(self, posting: Posting) -> None:
        taken = self.free_payment_ids.popleft()
        if taken != posting.payment_id:
            raise ValueError("a posting takes the first free payment id")
        self.postings[posting.payment_id] = posting
        self.payment_id_by_key[posting.key] = posting.payment_id
        self.payment_id_by_reference[posting.key.bank, posting.reference_no] = posting.payment_id
        if posting.original_payment_id is not None:
            self.undone_by[posting.original_payment_id] = posting.payment_id


def reference_number(partition: int, payment_id: int) -> str:
    """The 12 digits by which banks know a posting (ISO 8583 field 37): partition 2, payment id 10."""
    return f"{partition:02d}{payment_id:010d}"


def partition_of_reference(reference_no: str) -> int | None:
    """The partition in a reference number of ours; None where it is not one."""
    return int(reference_no[:2]) if len(reference_no) == 12 and reference_no.isdigit() else None
