"""Which bills an amount of money settles, and by how much.

Strategy: `owed_on` turns bills into what they owe on a day, in the order in which money reaches them; `allocate` pours
an amount over that; `once_owed` tells a stale amount from a wrong one. The orders are tables: a further order is one
more row. Rules: oldest billing month first, ties by receivable id; inside a bill penalty before principal, since the
penalty accrued to the day of payment is due in full before the principal falls. What is poured is never more than what
is owed: poured + rest = amount.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from gateway.ledger.model import Customer, Receivable
from gateway.ledger.penalty import penalty_due_fen
from gateway.ledger.rules import BillOrder, Rules, WithinBill

# Bills with a longer history are rare; the search for a stale amount looks back over so many of their lines.
STALE_LINES = 8


@dataclass(frozen=True, slots=True)
class Owed:
    """An open bill and the penalty due on the day asked about."""

    bill: Receivable
    penalty_fen: int

    @property
    def owed_fen(self) -> int:
        return self.bill.outstanding_principal_fen + self.penalty_fen


@dataclass(frozen=True, slots=True)
class Share:
    """What one bill gets."""

    owed: Owed
    principal_fen: int
    penalty_fen: int

    @property
    def is_whole(self) -> bool:
        return self.principal_fen + self.penalty_fen == self.owed.owed_fen

    @property
    def is_empty(self) -> bool:
        return self.principal_fen + self.penalty_fen == 0


def _oldest_first(bill: Receivable) -> tuple[int, str]:
    return bill.billing_month, bill.receivable_id


def _penalty_first(amount_fen: int, owed: Owed) -> Share:
    penalty_fen = min(amount_fen, owed.penalty_fen)
    return Share(owed, min(amount_fen - penalty_fen, owed.bill.outstanding_principal_fen), penalty_fen)


_BILL_ORDER: dict[BillOrder, Callable[[Receivable], tuple[int, str]]] = {BillOrder.OLDEST_FIRST: _oldest_first}
_WITHIN_BILL: dict[WithinBill, Callable[[int, Owed], Share]] = {WithinBill.PENALTY_FIRST: _penalty_first}


def owed_on(bills: Iterable[Receivable], customer: Customer, day: date, rules: Rules) -> list[Owed]:
    """The bills that owe something on `day`, principal or penalty, in the order in which money reaches them."""
    ordered = sorted(bills, key=_BILL_ORDER[rules.bill_order])
    owed = [Owed(bill, penalty_due_fen(bill, customer, day, rules)) for bill in ordered]
    return [one for one in owed if one.owed_fen > 0]


def total_owed_fen(owed: Iterable[Owed]) -> int:
    return sum(one.owed_fen for one in owed)


def allocate(amount_fen: int, owed: Sequence[Owed], rules: Rules) -> tuple[list[Share], int]:
    """Pour `amount_fen` over `owed` in its order: a share for each (empty ones too), and the rest that none needs."""
    split = _WITHIN_BILL[rules.within_bill]
    shares: list[Share] = []
    for one in owed:
        share = split(amount_fen, one)
        amount_fen -= share.principal_fen + share.penalty_fen
        shares.append(share)
    return shares, amount_fen


def once_owed(
    amounts_fen: Iterable[int], bills: Sequence[Receivable], customer: Customer, day: date, rules: Rules
) -> bool:
    """Whether one of `amounts_fen` is what `bills` owed together on an earlier day, or before one of their payments.

    Looks back `rules.stale_days` days and, for each day, over the last lines of the bills' histories. It runs only on
    the way to a refusal, where it decides between "bill has changed" and "wrong amount".
    """
    wanted = set(amounts_fen)
    depth = min(STALE_LINES, max(len(bill.settled) for bill in bills))
    for dropped in range(depth + 1):
        earlier = [_without_last_lines(bill, dropped) for bill in bills]
        for days in range(rules.stale_days + 1):
            asked = day - timedelta(days=days)
            if total_owed_fen(owed_on(earlier, customer, asked, rules)) in wanted:
                return True
    return False


def _without_last_lines(bill: Receivable, dropped: int) -> Receivable:
    """The bill as it was before the last `dropped` lines of its history."""
    if not dropped or not bill.settled:
        return bill
    gone = bill.settled[-dropped:]
    return replace(
        bill,
        settled=bill.settled[:-dropped],
        received_principal_fen=bill.received_principal_fen - sum(line.principal_fen for line in gone),
        received_penalty_fen=bill.received_penalty_fen - sum(line.penalty_fen for line in gone),
    )
