"""What our own books say around the bank's one-sided entries: bills of their customers, earlier postings of the trace.

Strategy: pure functions over look-up rows that the night extracted once. A bank-only entry whose trace was posted on
an earlier day, or that together with other entries of the same file pays more than its bill owed, is the bank's
duplicate; any other gets the state of its bills, which decides the proposed treatment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from reconciliation.breaks.kinds import BillState
from reconciliation.breaks.model import Record


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill at the day's end: principal, and what was received of it before the day and up to its end (fen)."""

    receivable_id: str
    customer_no: str = field(repr=False)
    billing_month: int
    principal_fen: int
    received_before_fen: int
    received_fen: int

    @property
    def is_open(self) -> bool:
        return self.received_fen < self.principal_fen


@dataclass(frozen=True, slots=True)
class LookUps:
    """All look-ups of one bank and day. `principal_in_file_fen` is what the bank's file pays on each bill."""

    bills: Mapping[str, Bill] = field(default_factory=dict)
    posted_before: Mapping[tuple[date, str], date] = field(default_factory=dict)
    principal_in_file_fen: Mapping[str, int] = field(default_factory=dict)
    traces_in_file: Mapping[str, int] = field(default_factory=dict)

    def bill_state(self, record: Record) -> BillState:
        """How the bills stand that the entry pays; of all the customer's bills where the layout shows none."""
        named = (record.receivable_ids or "").split()
        if named:
            bills = [self.bills[name] for name in named if name in self.bills]
            if len(bills) != len(set(named)) or any(bill.customer_no != record.customer_no for bill in bills):
                return BillState.NOT_FOUND
            return BillState.OPEN if all(bill.is_open for bill in bills) else BillState.SETTLED
        bills = [bill for bill in self.bills.values() if bill.customer_no == record.customer_no]
        if not bills:
            return BillState.NOT_FOUND
        return BillState.OPEN if any(bill.is_open for bill in bills) else BillState.SETTLED

    def is_paid_twice(self, record: Record) -> bool:
        """Another trace of the same file pays one of the entry's bills, and both together exceed what it owed."""
        for name in (record.receivable_ids or "").split():
            bill = self.bills.get(name)
            if bill is None or self.traces_in_file.get(name, 0) < 2:
                continue
            if self.principal_in_file_fen.get(name, 0) > bill.principal_fen - bill.received_before_fen > 0:
                return True
        return False

    def posted_on(self, record: Record) -> date | None:
        """The earlier clearing date on which the trace was posted; None where it never was."""
        return self.posted_before.get((record.key_date, record.key_no))


def read_lookups(
    receivables: Iterable[Mapping[str, Any]],
    postings: Iterable[Mapping[str, Any]],
    bank_lines: Iterable[Mapping[str, Any]],
) -> LookUps:
    """Look-ups from evidence rows; `bank_lines` are the file's payment lines on the bills in question."""
    paid: dict[str, int] = defaultdict(int)
    traces: dict[str, set[tuple[date, str]]] = defaultdict(set)
    for line in bank_lines:
        principal = line["principal_fen"] if line["principal_fen"] is not None else line["amount_fen"]
        paid[line["receivable_id"]] += principal
        traces[line["receivable_id"]].add((line["trace_date"], line["trace_no"]))
    return LookUps(
        bills={row["receivable_id"]: Bill(**row) for row in receivables},
        posted_before={(row["trace_date"], row["trace_no"]): row["clearing_date"] for row in postings},
        principal_in_file_fen=dict(paid),
        traces_in_file={name: len(seen) for name, seen in traces.items()},
    )
