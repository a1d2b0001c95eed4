"""The auditor: what must be true, by a model of its own.

Strategy: the auditor knows three things and nothing of how the ledger decides: what banks sent, what banks heard, and
which rows are in the store. After every step of the loop it takes the rows that are new into books of its own and
checks them against everything that was promised before; then it compares all rows with its books. Money
is counted here by addition only: no penalty, no allocation, no idempotency is recomputed.

Promises. A bank that heard "booked" finds that payment, once, with that amount, number and date. A bank that heard a
final refusal, "fenced", or "nothing to undo" never finds that payment. A bank that heard "undone" finds it undone,
once. A bank that heard "not booked, send again" to the only copy it sent finds nothing until it sends again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING

from gateway.ledger.model import Account, Posting, PostingKind
from gateway.ledger.store_memory import MemoryDatabase
from gateway.operations import OperationKey, OperationKind
from gateway.outcomes import Declined, OutcomeClass, PaymentState

from .bank import Bank, Conclusion
from .wires import Answer, Order

if TYPE_CHECKING:
    from .world import World

_UNDONE_ALREADY = ("U5", "80/8081", "ALREADY_REVERSED")
_UNDO_REFUSED_RIGHTLY = {
    OperationKind.REVERSAL: ("80/8083", "PREPAYMENT_USED"),
    OperationKind.SAME_DAY_CANCEL: ("80/8082", "80/8083", "CANCEL_NOT_ALLOWED", "PREPAYMENT_USED"),
}


class Violation(Exception):  # noqa: N818 - what was found, not that it is an error
    """Money was lost, doubled or misstated, or somebody was told what is not so."""


@dataclass(slots=True)
class Booked:
    """A payment as the auditor saw it come into the store."""

    posting: Posting
    undone_by: int | None = None


class Auditor:
    """Told by banks what they send and hear; looks at the store by itself."""

    def __init__(self, world: World, databases: list[MemoryDatabase]) -> None:
        self._world = world
        self._books = [_Book(self, database) for database in databases]
        self.sent: dict[OperationKey, Order] = {}
        self.undo_wanted: set[OperationKey] = set()
        self.never: dict[OperationKey, str] = {}  # payments that may not be booked any more, and why
        self.not_now: dict[OperationKey, str] = {}  # … until they are sent again
        self.booked: dict[OperationKey, Booked] = {}
        self.by_id: dict[tuple[int, int], Booked] = {}

    def note_posting(self, posting: Posting) -> None:
        self._world.note("ledger", posting.kind.value, posting.key.bank, posting.key.trace_no, posting.amount_fen)

    # --- what banks do and hear

    def pays(self, order: Order) -> None:
        self.sent[order.key] = order
        self.not_now.pop(order.key, None)
        order.unanswered += 1

    def wants_undone(self, order: Order) -> None:
        self.undo_wanted.add(order.key)

    def heard(self, order: Order, answer: Answer) -> None:
        """A bank has read an answer about an order."""
        match answer.kind:
            case OperationKind.PAYMENT:
                self._heard_of_payment(order, answer)
            case OperationKind.SAME_DAY_CANCEL | OperationKind.REVERSAL:
                self._heard_of_undo(order, answer)
            case OperationKind.STATUS_ENQUIRY if answer.state is not None:
                self._heard_of_status(order, answer)

    def _heard_of_payment(self, order: Order, answer: Answer) -> None:
        # A copy that was answered "unknown" may still be booked: it stays open.
        order.unanswered -= answer.meaning is not OutcomeClass.UNKNOWN_OUTCOME
        match answer.meaning:
            case OutcomeClass.SUCCESS:
                self._must_be_booked(order, answer)
            case OutcomeClass.FINAL_REFUSAL:
                self._must_never_be_booked(order, f"refused with {answer.code}")
            case OutcomeClass.RETRY_LATER if self._is_told_all(order):
                self._world.tally["told to send again, and nothing else under way"] += 1
                if order.key in self.booked:
                    raise Violation(f"{_name(order)}: told {answer.code}, nothing booked, but it is booked")
                self.not_now[order.key] = answer.code

    def _is_told_all(self, order: Order) -> bool:
        """Whether the bank may take "nothing booked" at its word: no other copy is under way, and none was booked."""
        return not order.unanswered and not order.reference_no and not self._world.weather.duplicate

    def _heard_of_undo(self, order: Order, answer: Answer) -> None:
        if answer.meaning is OutcomeClass.SUCCESS and answer.undone:
            self._must_be_undone(order, answer)
        elif answer.meaning is OutcomeClass.SUCCESS:
            self._must_never_be_booked(order, "nothing to undo")
            self._world.tally["reversals before their payment"] += 1
        elif answer.meaning is OutcomeClass.FINAL_REFUSAL and answer.code in _UNDONE_ALREADY:
            self._must_be_undone(order, answer)
        elif answer.meaning is OutcomeClass.FINAL_REFUSAL:
            if answer.code not in _UNDO_REFUSED_RIGHTLY[answer.kind]:
                raise Violation(f"{_name(order)}: its {answer.kind.value} was refused with {answer.code}")
            self._find(order, answer)

    def _heard_of_status(self, order: Order, answer: Answer) -> None:
        match answer.state:
            case PaymentState.BOOKED:
                self._must_be_booked(order, answer)
            case PaymentState.CANCELLED:
                self._must_be_undone(order, answer)
            case _:
                self._must_never_be_booked(order, f"status {answer.code}")

    def _find(self, order: Order, answer: Answer) -> Booked:
        booked = self.booked.get(order.key)
        if booked is None:
            raise Violation(f"{_name(order)}: told {answer.kind.value} {answer.code}, but it is not booked")
        return booked

    def _must_be_booked(self, order: Order, answer: Answer) -> None:
        posting = self._find(order, answer).posting
        told = (answer.reference_no, answer.amount_fen, answer.clearing_date)
        if told != (posting.reference_no, posting.amount_fen, posting.clearing_date):
            raise Violation(f"{_name(order)}: told {told}, booked as {posting.reference_no}, {posting.clearing_date}")

    def _must_be_undone(self, order: Order, answer: Answer) -> None:
        if self._find(order, answer).undone_by is None:
            raise Violation(f"{_name(order)}: told {answer.kind.value} {answer.code}, but it stands")

    def _must_never_be_booked(self, order: Order, why: str) -> None:
        if order.key in self.booked:
            raise Violation(f"{_name(order)}: told '{why}', but it is booked")
        self.never.setdefault(order.key, why)
        if not self.is_kept_out(order):
            raise Violation(f"{_name(order)}: told '{why}', but nothing keeps it from being booked later")

    def is_kept_out(self, order: Order) -> bool:
        """Whether the store holds something under the payment's key that keeps a late copy from being booked."""
        return any(order.key in book.database.records for book in self._books)

    # --- what is in the store

    def look(self) -> None:
        """After every step: what is new."""
        for book in self._books:
            book.look()

    def conclude(self, banks: list[Bank]) -> None:
        """At the end: every order has one, the store says the same, and the sums agree bank by bank."""
        for book in self._books:
            book.compare()
        for bank in banks:
            standing_fen = 0
            for order in bank.orders:
                conclusion = bank.conclusions.get(order)
                if conclusion is None:
                    raise Violation(f"{_name(order)}: unresolved at the end")
                booked = self.booked.get(order.key)
                stands = booked is not None and booked.undone_by is None
                if stands is not (conclusion is Conclusion.BOOKED):
                    raise Violation(f"{_name(order)}: {conclusion.value} at the bank; in the ledger: {stands}")
                standing_fen += order.amount_fen * stands
            due_fen = sum(book.due_fen[bank.code] for book in self._books)
            if due_fen != standing_fen:
                raise Violation(f"bank {bank.code} holds {standing_fen} fen for us, the ledger says {due_fen}")

    def take_payment(self, partition: int, posting: Posting) -> None:
        """A payment has come into the store."""
        order = self.sent.get(posting.key)
        if order is None:
            raise Violation(f"payment {posting.key.trace_no}: booked, but no bank sent it")
        for promises in (self.never, self.not_now):
            if posting.key in promises:
                raise Violation(f"{_name(order)}: booked after the bank was told '{promises[posting.key]}'")
        if posting.key in self.booked:
            raise Violation(f"{_name(order)}: booked twice")
        if (posting.amount_fen, posting.customer_no) != (order.amount_fen, order.customer_no):
            raise Violation(f"{_name(order)}: booked with another amount or customer")
        self.booked[posting.key] = self.by_id[partition, posting.payment_id] = Booked(posting)

    def take_undo(self, partition: int, posting: Posting) -> None:
        """What undoes a payment has come into the store."""
        booked = self.by_id.get((partition, posting.original_payment_id or 0))
        if booked is None:
            raise Violation(f"{posting.kind.value} {posting.key.trace_no}: of nothing")
        name = _name(self.sent[booked.posting.key])
        if booked.posting.key not in self.undo_wanted:
            raise Violation(f"{name}: undone, but nobody asked for it")
        if booked.undone_by is not None:
            raise Violation(f"{name}: undone twice")
        if posting.amount_fen != booked.posting.amount_fen:
            raise Violation(f"{name}: undone with another amount")
        same_day = posting.clearing_date == booked.posting.clearing_date
        if same_day is (posting.kind is PostingKind.NEXT_DAY_REVERSAL):
            raise Violation(f"{name}: {posting.kind.value} on {posting.clearing_date}")
        booked.undone_by = posting.payment_id
        self._world.tally[f"undone: {posting.kind.value}"] += 1


class _Book:
    """The auditor's books of one partition."""

    def __init__(self, auditor: Auditor, database: MemoryDatabase) -> None:
        self.database = database
        self.due_fen: Counter[str] = Counter()
        self._auditor = auditor
        self._seen = 0
        self._postings: list[Posting] = []
        self._days = list(database.clearing_days)
        self._received: Counter[tuple[str, Account]] = Counter()
        self._prepaid: Counter[str] = Counter()
        self._paid_in: Counter[str] = Counter()
        self._first_prepaid = {one.customer_no: one.prepayment_balance_fen for one in database.customers.values()}

    def look(self) -> None:
        """New rows first, then a new day: a row that came in the same step came before it."""
        new = len(self.database.postings) - self._seen
        if new:
            self._seen += new
            rows = list(islice(reversed(self.database.postings.values()), new))
            for posting in reversed(rows):
                self._take(posting)
            self.compare()
        if len(self.database.clearing_days) != len(self._days):
            self._days = list(self.database.clearing_days)

    @property
    def _open_day(self) -> date:
        return self._days[-1]

    def _take(self, posting: Posting) -> None:
        self._auditor.note_posting(posting)
        if posting.clearing_date != self._open_day:
            raise Violation(f"{_label(posting)}: booked on {posting.clearing_date}, the open day is {self._open_day}")
        if posting.kind is PostingKind.PAYMENT:
            self._auditor.take_payment(self.database.partition, posting)
        else:
            self._auditor.take_undo(self.database.partition, posting)
        self._postings.append(posting)
        self._add(posting)

    def _add(self, posting: Posting) -> None:
        signed_fen = posting.amount_fen if posting.kind is PostingKind.PAYMENT else -posting.amount_fen
        sums: Counter[Account] = Counter()
        for entry in self.database.entries[posting.payment_id]:
            sums[entry.account] += entry.amount_fen
            if entry.receivable_id is not None:
                self._received[entry.receivable_id, entry.account] -= entry.amount_fen
                self._check_bill(entry.receivable_id)
        if sum(sums.values()):
            raise Violation(f"{_label(posting)}: its entries sum to {sum(sums.values())}")
        if sums[Account.DUE_FROM_BANK] != signed_fen:
            raise Violation(f"{_label(posting)}: the bank owes {sums[Account.DUE_FROM_BANK]} for {signed_fen}")
        self.due_fen[posting.key.bank] += signed_fen
        self._paid_in[posting.customer_no] += signed_fen
        self._prepaid[posting.customer_no] -= sums[Account.PREPAYMENT]

    def _check_bill(self, receivable_id: str) -> None:
        principal_fen = self._received[receivable_id, Account.RECEIVABLE]
        if not 0 <= principal_fen <= self.database.receivables[receivable_id].principal_fen:
            raise Violation(f"bill {receivable_id}: {principal_fen} fen received of its principal")
        if self._received[receivable_id, Account.PENALTY_INCOME] < 0:
            raise Violation(f"bill {receivable_id}: less than no penalty received")

    def compare(self) -> None:
        """All rows against the auditor's books; the store is at rest between two steps, so this holds after each."""
        if list(self.database.postings.values()) != self._postings:
            raise Violation("a posting was changed or removed")
        applied: Counter[str] = Counter()
        for bill in self.database.receivables.values():
            principal_fen = self._received[bill.receivable_id, Account.RECEIVABLE]
            penalty_fen = self._received[bill.receivable_id, Account.PENALTY_INCOME]
            if (bill.received_principal_fen, bill.received_penalty_fen) != (principal_fen, penalty_fen):
                raise Violation(f"bill {bill.receivable_id}: its running sums are not the sums of its entries")
            if sum(line.principal_fen for line in bill.settled) != principal_fen:
                raise Violation(f"bill {bill.receivable_id}: its history is not what was received")
            applied[bill.customer_no] += principal_fen + penalty_fen
        for customer_no, customer in self.database.customers.items():
            balance_fen = self._first_prepaid[customer_no] + self._prepaid[customer_no]
            if customer.prepayment_balance_fen != balance_fen or balance_fen < 0:
                raise Violation(f"customer {customer_no}: the prepayment balance is not the sum of its entries")
            if self._paid_in[customer_no] != applied[customer_no] + self._prepaid[customer_no]:
                raise Violation(f"customer {customer_no}: money in is not money applied")
        for key, record in self.database.records.items():
            is_refusal = isinstance(record.outcome, Declined)
            if key.kind is OperationKind.PAYMENT and is_refusal is (key in self._auditor.booked):
                raise Violation(f"payment {key.trace_no}: its record and its posting disagree")


def _name(order: Order) -> str:
    return f"payment {order.key.trace_no} of bank {order.key.bank}"


def _label(posting: Posting) -> str:
    return f"{posting.kind.value} {posting.key.trace_no} of bank {posting.key.bank}"
