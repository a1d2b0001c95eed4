"""Prepayment (预存): money taken without a bill.

Strategy: a deposit is a posting of its own kind, built and booked as a payment's. Rules:

- while the customer owes anything a deposit is refused, or settles the arrears first, as the utility has chosen;
- what settles arrears reaches the oldest bills first, passes by bills in a batch debit (the batch will settle them),
  and leaves a bill untouched that it could only reach in part against its leave;
- a deposit never draws the balance that is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.ledger.allocation import Owed, Share, allocate, owed_on
from gateway.ledger.booking import Decision, book, refuse
from gateway.ledger.decide_payment import approved, posting_of, refuse_amount
from gateway.ledger.model import State
from gateway.ledger.rules import DepositWithArrears, Rules
from gateway.operations import PrepaymentDeposit
from gateway.outcomes import Reason


def decide_deposit(state: State, deposit: PrepaymentDeposit, rules: Rules, trace_id: str) -> Decision:
    """存入预付款: one posting, or the first reason against it."""
    refused = refuse_amount(state, deposit.amount)
    if refused is not None:
        return refused
    if not rules.prepayment_enabled:
        return refuse(state, Reason.BAD_OPERATION, "this utility keeps no prepayment")
    customer = state.customers.get(deposit.customer_no)
    if customer is None:
        return refuse(state, Reason.CUSTOMER_NOT_FOUND)
    bills = state.receivables.get(deposit.customer_no, {})
    owed = owed_on(bills.values(), customer, deposit.paid_at.date(), rules)
    if owed and rules.deposit_with_arrears is DepositWithArrears.REFUSE:
        return refuse(state, Reason.ARREARS_EXIST)
    shares = _settled_first(deposit.amount.minor, owed, rules)
    rest_fen = deposit.amount.minor - sum(share.principal_fen + share.penalty_fen for share in shares)
    posting = posting_of(state, deposit, shares, movement_fen=rest_fen, trace_id=trace_id)
    return approved(posting), book(state, posting)


def _settled_first(amount_fen: int, owed: Sequence[Owed], rules: Rules) -> list[Share]:
    """What a deposit settles of the arrears."""
    shares, _rest_fen = allocate(amount_fen, [one for one in owed if not one.bill.locked], rules)
    return [share for share in shares if share.is_whole or share.owed.bill.partial_payment_allowed]
