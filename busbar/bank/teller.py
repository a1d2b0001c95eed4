"""The bank's side of every operation: book first, then ask the utility, then believe the answer.

Strategy: one `Teller` owns the book, the wire and the tally. Each verb books what a bank would book before the
message leaves, sends it, and settles the entry by the answer's meaning: approved is S, refused is C (the money goes
back), no answer or unknown is T until a status enquiry or a reversal has settled it. Nothing is repeated under a new
trace number.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from busbar.bank.book import Book, EntryKind, EntryState
from busbar.bank.wires import Answer, Damage, Meaning, Order, Wire

# How often a reversal is repeated before the day's play gives up; every try is a full answer deadline.
REVERSAL_TRIES = 10
CHANNELS = (
    ("BANK_COUNTER", "CASH"),
    ("BANK_COUNTER", "CASH"),
    ("ATM", "CARD"),
    ("INTERNET_BANK", "TRANSFER"),
    ("MOBILE_BANK", "TRANSFER"),
    ("PHONE_BANK", "TRANSFER"),
    ("KIOSK", "CARD"),
)


@dataclass(frozen=True, slots=True)
class PaperBill:
    """A bill as it lies on the payer's table."""

    customer_no: str = field(repr=False)
    receivable_id: str
    billing_month: str
    principal_fen: int
    due_date: date
    partial_payment_allowed: bool


@dataclass(slots=True)
class Teller:
    """Everything a scenario needs. `channels` are those that the wire can name."""

    book: Book
    wire: Wire
    zone: ZoneInfo
    chance: random.Random
    payers: Iterator[tuple[PaperBill, ...]]
    bank_date: date  # the bank's idea of the clearing date; follows the answers
    channels: tuple[tuple[str, str], ...] = CHANNELS
    tally: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # (operation, meaning, code)
    surprises: list[str] = field(default_factory=list)

    def trace(self) -> tuple[date, str]:
        """A fresh trace: the bank's clearing date and a 12-digit number that is never used twice."""
        return self.bank_date, f"{self.book.next_number('trace') % 10**12:012d}"

    def now(self) -> datetime:
        return datetime.now(self.zone).replace(microsecond=0)

    def order(self, bill: PaperBill, amount_fen: int, *, named: bool = True) -> Order:
        channel, settle_method = self.chance.choice(self.channels)
        trace_date, trace_no = self.trace()
        return Order(
            trace_date=trace_date,
            trace_no=trace_no,
            paid_at=self.now(),
            customer_no=bill.customer_no,
            amount_fen=amount_fen,
            channel=channel,
            settle_method=settle_method,
            receivable_id=bill.receivable_id if named else "",
            billing_month=bill.billing_month if named else "",
        )

    def deposit(self, bill: PaperBill, amount_fen: int) -> Order:
        """A cheque over the counter as prepayment: every wire can name that."""
        order = self.order(bill, amount_fen, named=False)
        return replace(order, is_deposit=True, channel="BANK_COUNTER", settle_method="CHEQUE")

    def note(self, operation: str, answer: Answer) -> Answer:
        self.tally[operation, answer.meaning.value, answer.code] += 1
        if answer.clearing_date is not None and answer.clearing_date > self.bank_date:
            self.bank_date = answer.clearing_date
        return answer

    def expect(self, scenario: str, answer: Answer, *meanings: Meaning) -> bool:
        """False, and a line in `surprises`, where the answer means something else than it must."""
        if answer.meaning in meanings:
            return True
        self.surprises.append(f"{scenario}: {answer.meaning.value} (code {answer.code})")
        return False

    async def enquire(self, customer_no: str, billing_month: str = "") -> Answer:
        return self.note("BILL_ENQUIRY", await self.wire.enquire(customer_no, billing_month, self.trace()))

    def book_payment(self, order: Order) -> int:
        return self.book.open_entry(
            kind=EntryKind.PAY,
            state=EntryState.BOOKED,
            trace_date=order.trace_date,
            trace_no=order.trace_no,
            paid_at=order.paid_at,
            customer_no=order.customer_no,
            billing_month=order.billing_month,
            amount_fen=order.amount_fen,
            channel=order.channel,
            settle_method=order.settle_method,
        )

    async def pay(self, order: Order, damage: Damage = Damage.NONE) -> tuple[int, Answer]:
        """Book, send, settle; returns the entry's id and the answer."""
        entry_id = self.book_payment(order)
        answer = self.note("PAYMENT", await self.wire.pay(order, damage))
        self.settle(entry_id, answer)
        return entry_id, answer

    def settle(self, entry_id: int, answer: Answer) -> None:
        """Let an answer about an entry decide its state."""
        if answer.meaning is Meaning.OK and answer.clearing_date is not None:
            self.book.accept(entry_id, answer.clearing_date, answer.reference_no)
            if answer.shares:
                self.book.note_shares(entry_id, answer.shares)
        elif answer.meaning in (Meaning.REFUSED, Meaning.RETRY):
            self.book.mark(entry_id, EntryState.RETURNED)
        else:
            self.book.mark(entry_id, EntryState.SUSPECT)

    async def cancel(self, entry_id: int, order: Order) -> Answer:
        """The payer changed their mind at the counter: a same-day cancel with a trace of its own."""
        original = self.book.entry(entry_id)
        trace = self.trace()
        cancel_id = self._undo_entry(EntryKind.CANCEL, entry_id, order, trace)
        answer = self.note("SAME_DAY_CANCEL", await self.wire.cancel(order, original.reference_no, trace))
        self.settle_undo(cancel_id, entry_id, answer)
        return answer

    async def reverse(self, entry_id: int, order: Order) -> Answer:
        """Reverse until answered; afterwards the bank has given the money back."""
        trace = self.trace() if self.wire.has_status_enquiry else (order.trace_date, order.trace_no)
        reversal_id = self._undo_entry(EntryKind.REVERSAL, entry_id, order, trace)
        answer = Answer(Meaning.NO_ANSWER)
        for _ in range(REVERSAL_TRIES):
            answer = self.note("REVERSAL", await self.wire.reverse(order, trace))
            if answer.meaning in (Meaning.OK, Meaning.REFUSED):
                break
        self.settle_undo(reversal_id, entry_id, answer)
        return answer

    def _undo_entry(self, kind: EntryKind, entry_id: int, order: Order, trace: tuple[date, str]) -> int:
        return self.book.open_entry(
            kind=kind,
            state=EntryState.BOOKED,
            trace_date=trace[0],
            trace_no=trace[1],
            paid_at=self.now(),
            customer_no=order.customer_no,
            billing_month=order.billing_month,
            amount_fen=order.amount_fen,
            channel=order.channel,
            settle_method=order.settle_method,
            original_entry_id=entry_id,
        )

    def settle_undo(self, undo_id: int, entry_id: int, answer: Answer) -> None:
        """An undo that found nothing to undo leaves no pair of entries in the bank's book."""
        if answer.meaning is not Meaning.OK or answer.clearing_date is None:
            was_refused = answer.meaning in (Meaning.REFUSED, Meaning.RETRY)
            self.book.mark(undo_id, EntryState.RETURNED if was_refused else EntryState.SUSPECT)
            return
        if not answer.reference_no:  # nothing was booked at the utility: the payment never happened
            self.book.mark(undo_id, EntryState.RETURNED)
            self.book.mark(entry_id, EntryState.RETURNED)
            return
        self.book.accept(undo_id, answer.clearing_date, answer.reference_no)
        original = self.book.entry(entry_id)
        if original.state is not EntryState.ACCEPTED:
            # The payment's own reply was lost; the reversal's reply proves that it had been booked. Its day is the
            # bank's at the time of paying unless a status enquiry said otherwise.
            self.book.accept(entry_id, original.clearing_date or original.trace_date, original.reference_no)
        self.book.note_shares(undo_id, self.book.shares(entry_id))

    async def status(self, entry_id: int, order: Order, *, fence: bool) -> Answer:
        """What became of it? By status enquiry, or by the same payment message again where the wire has none."""
        if not self.wire.has_status_enquiry:
            answer = self.note("STATUS_ENQUIRY", await self.wire.pay(order))
            self.settle(entry_id, answer)
            return answer
        answer = self.note("STATUS_ENQUIRY", await self.wire.status(order, self.trace(), fence=fence))
        if answer.meaning is Meaning.OK:
            booked = answer.payment_state == "BOOKED"
            self.settle(entry_id, answer if booked else replace(answer, meaning=Meaning.REFUSED))
        return answer
