"""How a posting becomes entries and new running sums: written once, for what books and for what undoes.

Strategy: every decision that moves money only builds a `Posting`; `book` derives the rest from it. Amounts of an
undoing posting are signed negative in its lines, so its entries are the negated original's without a second rule.
Rules: entries sum to zero; no bill receives more than its principal or less than nothing; no prepayment balance falls
below zero. A breach is a `BrokenLedgerError`: a fault of ours, never a refusal.
"""

from __future__ import annotations

from gateway.ledger.model import (
    NOTHING,
    Account,
    Booking,
    Customer,
    Effects,
    Entry,
    PostedLine,
    Posting,
    Receivable,
    SettledLine,
    State,
    reference_number,
)
from gateway.outcomes import Declined, Outcome, Reason

Decision = tuple[Outcome, Effects]


class BrokenLedgerError(Exception):
    """An invariant of the ledger does not hold: the state is not what it must be, so nothing may be booked on it."""


def refuse(state: State, reason: Reason, note: str = "") -> Decision:
    """A refusal that changes nothing (its record, where it is final, is added by `decide`)."""
    return Declined(reason, note, state.clearing_date), NOTHING


def next_number(state: State) -> tuple[int, str]:
    """The payment id that the next posting takes, and its reference number."""
    if not state.free_payment_ids:
        raise BrokenLedgerError("no payment id is reserved for this operation")
    payment_id = state.free_payment_ids[0]
    return payment_id, reference_number(state.partition, payment_id)


def book(state: State, posting: Posting) -> Effects:
    """The effects of a posting: entries, new versions of its bills, of the customer where the prepayment moves."""
    bills = state.receivables.get(posting.customer_no, {})
    customer = state.customers.get(posting.customer_no)
    if customer is None:
        raise BrokenLedgerError(f"posting {posting.reference_no}: its customer is not loaded")
    changed: list[Receivable] = []
    for line in posting.lines:
        bill = bills.get(line.receivable_id)
        if bill is None:
            raise BrokenLedgerError(f"posting {posting.reference_no}: bill {line.receivable_id} is not loaded")
        changed.append(_settled(bill, line, posting))
    movement_fen = posting.prepayment_movement_fen
    return Effects(
        bookings=(Booking(posting, entries_of(posting)),),
        receivables=tuple(changed),
        customer=_with_prepayment(customer, movement_fen) if movement_fen else None,
    )


def entries_of(posting: Posting) -> tuple[Entry, ...]:
    """The double entry of a posting, debit positive, zero lines left out; they sum to zero."""
    balance = posting.signed_fen
    entries = [Entry(Account.DUE_FROM_BANK, balance)] if balance else []
    for line in posting.lines:
        if line.principal_fen:
            entries.append(
                Entry(Account.RECEIVABLE, -line.principal_fen, line.receivable_id, line.billing_month),
            )
        if line.penalty_fen:
            entries.append(
                Entry(Account.PENALTY_INCOME, -line.penalty_fen, line.receivable_id, line.billing_month),
            )
        balance -= line.principal_fen + line.penalty_fen
    if posting.prepayment_movement_fen:
        entries.append(Entry(Account.PREPAYMENT, -posting.prepayment_movement_fen))
        balance -= posting.prepayment_movement_fen
    if balance:
        raise BrokenLedgerError(f"posting {posting.reference_no}: its entries are {balance} fen off zero")
    return tuple(entries)


def _settled(bill: Receivable, line: PostedLine, posting: Posting) -> Receivable:
    """The bill with one more line of history. Spelt out, as `replace` would be a tenth of a payment's time."""
    principal_fen = bill.received_principal_fen + line.principal_fen
    penalty_fen = bill.received_penalty_fen + line.penalty_fen
    if not 0 <= principal_fen <= bill.principal_fen or penalty_fen < 0:
        raise BrokenLedgerError(
            f"posting {posting.reference_no}: bill {bill.receivable_id} would be over- or under-settled"
        )
    return Receivable(
        receivable_id=bill.receivable_id,
        customer_no=bill.customer_no,
        billing_month=bill.billing_month,
        charge_kind=bill.charge_kind,
        org_code=bill.org_code,
        principal_fen=bill.principal_fen,
        due_date=bill.due_date,
        partial_payment_allowed=bill.partial_payment_allowed,
        locked=bill.locked,
        received_principal_fen=principal_fen,
        received_penalty_fen=penalty_fen,
        settled=(*bill.settled, SettledLine(posting.paid_date, line.principal_fen, line.penalty_fen)),
    )


def _with_prepayment(customer: Customer, movement_fen: int) -> Customer:
    balance_fen = customer.prepayment_balance_fen + movement_fen
    if balance_fen < 0:
        raise BrokenLedgerError("a prepayment balance would fall below zero")
    return Customer(
        customer_no=customer.customer_no,
        payment_no=customer.payment_no,
        name=customer.name,
        supply_address=customer.supply_address,
        org_code=customer.org_code,
        customer_class=customer.customer_class,
        usage_category=customer.usage_category,
        penalty_exempt=customer.penalty_exempt,
        prepayment_balance_fen=balance_fen,
    )
