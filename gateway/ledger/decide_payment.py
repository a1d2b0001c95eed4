"""Bill enquiry and payment: what is owed, and whether an amount may settle it.

Strategy: select the bills, value them on the payer's calendar day (`paid_at.date()`: it arrives in the bank's zone),
judge the amount, pour it, build the posting. The reasons are tried in their order of precedence. Rules:

- a named bill, or a billing month, is paid exactly, unless every bill left short allows part payment;
- all bills of a customer take any amount: an excess goes to prepayment; a shortfall pays the oldest bills whole, and
  the one bill that it can only reach in part must allow part payment;
- what pays a selection in full is what it owes, or what the enquiry asks for: owed - prepayment balance. In the second
  case the balance is drawn whole (a negative movement). No other amount touches the balance.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ledger.allocation import Owed, Share, allocate, once_owed, owed_on, total_owed_fen
from gateway.ledger.booking import Decision, book, next_number, refuse
from gateway.ledger.model import (
    NOTHING,
    Customer,
    PostedLine,
    Posting,
    PostingKind,
    Receivable,
    State,
)
from gateway.ledger.rules import Rules
from gateway.operations import BillEnquiry, BillSelection, Payment, PrepaymentDeposit
from gateway.outcomes import Approved, BillOwed, BillsFound, Reason, Receipt, ReceiptLine
from protocols.money import CURRENCY, Money


def decide_enquiry(state: State, enquiry: BillEnquiry, rules: Rules) -> Decision:
    """查询欠费: the open bills of the selection, with the penalty as of the day asked; changes nothing."""
    customer = state.customers.get(enquiry.customer_no)
    if customer is None:
        return refuse(state, Reason.CUSTOMER_NOT_FOUND)
    selected = select(state.receivables.get(enquiry.customer_no, {}), enquiry.selection)
    if selected is None:
        return refuse(state, Reason.BILL_NOT_FOUND)
    owed = owed_on(selected, customer, enquiry.asked_at.date(), rules)
    if not owed:
        return refuse(state, Reason.NO_ARREARS)
    balance_fen = customer.prepayment_balance_fen
    found = BillsFound(
        customer.name,
        customer.supply_address,
        tuple(_bill_owed(one) for one in owed),
        Money(balance_fen),
        Money(max(0, total_owed_fen(owed) - balance_fen)),
    )
    return Approved(state.clearing_date, detail=found), NOTHING


def decide_payment(state: State, payment: Payment, rules: Rules, trace_id: str) -> Decision:
    """缴费: one posting that settles the selection, or the first reason against it."""
    refused = refuse_amount(state, payment.amount)
    if refused is not None:
        return refused
    customer = state.customers.get(payment.customer_no)
    if customer is None:
        return refuse(state, Reason.CUSTOMER_NOT_FOUND)
    selected = select(state.receivables.get(payment.customer_no, {}), payment.selection)
    if selected is None:
        return refuse(state, Reason.BILL_NOT_FOUND)
    owed = owed_on(selected, customer, payment.paid_at.date(), rules)
    reason = _why_not_payable(payment.selection, selected, owed)
    if reason is not None:
        return refuse(state, reason)
    amount_fen = payment.amount.minor
    movement_fen = _prepayment_movement(amount_fen, owed, customer, payment.selection, rules)
    shares, rest_fen = allocate(amount_fen - movement_fen, owed, rules)
    reason = _why_not_this_amount(payment, shares, rest_fen)
    if reason is not None and _was_once_right(payment, selected, customer, rules):
        reason = Reason.BILL_CHANGED
    if reason is not None:
        return refuse(state, reason)
    posting = posting_of(state, payment, shares, movement_fen=movement_fen, trace_id=trace_id)
    return approved(posting), book(state, posting)


def refuse_amount(state: State, amount: Money) -> Decision | None:
    """Nothing or less, or money of another currency, is not taken; None where there is nothing to say against it."""
    if amount.minor <= 0:
        return refuse(state, Reason.AMOUNT_INVALID)
    if amount.currency != CURRENCY:
        return refuse(state, Reason.AMOUNT_INVALID, f"the ledger is kept in {CURRENCY}")
    return None


def select(bills: dict[str, Receivable], selection: BillSelection) -> list[Receivable] | None:
    """The bills that a selection means, settled ones too; None where a named bill is not the customer's."""
    if selection.receivable_ids:
        named = [bills.get(receivable_id) for receivable_id in dict.fromkeys(selection.receivable_ids)]
        present = [bill for bill in named if bill is not None]
        return present if len(present) == len(named) else None
    if selection.billing_month is None:
        return list(bills.values())
    return [bill for bill in bills.values() if bill.billing_month == selection.billing_month]


def _why_not_payable(selection: BillSelection, selected: Sequence[Receivable], owed: Sequence[Owed]) -> Reason | None:
    """The first reason against paying these bills at all, whatever the amount."""
    if selection.is_all and not owed:
        return Reason.NO_ARREARS
    if not selected:
        return Reason.BILL_NOT_FOUND
    # Bills named together come from one enquiry: if one was settled since, the payer may be about to pay it twice.
    if len(owed) < len(selected) if selection.receivable_ids else not owed:
        return Reason.ALREADY_PAID
    if any(one.bill.locked for one in owed):
        return Reason.LOCKED_IN_BATCH
    return None


def _prepayment_movement(
    amount_fen: int, owed: Sequence[Owed], customer: Customer, selection: BillSelection, rules: Rules
) -> int:
    """What goes to prepayment (positive) or is drawn from it (negative), in fen."""
    total_fen = total_owed_fen(owed)
    if amount_fen > total_fen and selection.is_all and rules.prepayment_enabled:
        return amount_fen - total_fen
    if amount_fen + customer.prepayment_balance_fen == total_fen:
        return -customer.prepayment_balance_fen
    return 0


def _why_not_this_amount(payment: Payment, shares: Sequence[Share], rest_fen: int) -> Reason | None:
    """The reason against the amount, once it is poured."""
    if rest_fen:
        return Reason.AMOUNT_TOO_LARGE
    may_be_short = all(_may_be_short(share, payment.selection) for share in shares)
    return None if may_be_short else Reason.PARTIAL_NOT_ALLOWED


def _was_once_right(payment: Payment, selected: Sequence[Receivable], customer: Customer, rules: Rules) -> bool:
    """Whether an earlier enquiry would have asked for the amount; all bills together take any, so there it can't be."""
    if payment.selection.is_all:
        return False
    amount_fen = payment.amount.minor
    asked_fen = (amount_fen, amount_fen + customer.prepayment_balance_fen)
    return once_owed(asked_fen, selected, customer, payment.paid_at.date(), rules)


def _may_be_short(share: Share, selection: BillSelection) -> bool:
    """Among all bills one may be left untouched for later; a named one may only be left short by its own leave."""
    return share.is_whole or share.owed.bill.partial_payment_allowed or (selection.is_all and share.is_empty)


def posting_of(
    state: State, payment: Payment | PrepaymentDeposit, shares: Sequence[Share], *, movement_fen: int, trace_id: str
) -> Posting:
    """What takes the money of `payment`, settles `shares` and moves the customer's prepayment by `movement_fen`."""
    payment_id, reference_no = next_number(state)
    customer = state.customers[payment.customer_no]
    return Posting(
        payment_id=payment_id,
        kind=PostingKind.PAYMENT if isinstance(payment, Payment) else PostingKind.PREPAYMENT_DEPOSIT,
        key=payment.key,
        customer_no=payment.customer_no,
        org_code=customer.org_code,
        amount_fen=payment.amount.minor,
        channel=payment.channel,
        settle_method=payment.settle_method,
        outlet=payment.outlet,
        operator=payment.operator,
        paid_at=payment.paid_at,
        paid_date=payment.paid_at.date(),
        clearing_date=state.clearing_date,
        reference_no=reference_no,
        original_payment_id=None,
        prepayment_opening_fen=customer.prepayment_balance_fen,
        prepayment_movement_fen=movement_fen,
        lines=posted_lines(shares),
        trace_id=trace_id,
    )


def posted_lines(shares: Sequence[Share]) -> tuple[PostedLine, ...]:
    """The lines of a posting; bills that get nothing have none."""
    return tuple(_posted_line(share) for share in shares if not share.is_empty)


def _posted_line(share: Share) -> PostedLine:
    bill = share.owed.bill
    return PostedLine(
        bill.receivable_id,
        bill.billing_month,
        bill.charge_kind,
        bill.org_code,
        share.principal_fen,
        share.penalty_fen,
    )


def approved(posting: Posting) -> Approved:
    """The answer that a posting of money gets: its receipt."""
    lines = tuple(
        ReceiptLine(line.receivable_id, line.billing_month, Money(line.principal_fen), Money(line.penalty_fen))
        for line in posting.lines
    )
    receipt = Receipt(lines, Money(posting.prepayment_movement_fen))
    return Approved(posting.clearing_date, posting.reference_no, Money(posting.amount_fen), receipt)


def _bill_owed(one: Owed) -> BillOwed:
    bill = one.bill
    return BillOwed(
        bill.receivable_id,
        bill.billing_month,
        Money(bill.outstanding_principal_fen),
        Money(one.penalty_fen),
        bill.due_date,
        bill.partial_payment_allowed,
        bill.locked,
    )
