"""Builders of small ledgers for the tests of the ledger's rules, and the invariants that every ledger must keep.

`World` holds one partition's state, numbers operations, folds effects, and checks after each operation what no
operation may break. Amounts are fen; days are strings ("2024-05-20"), as in the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.ledger.decide import decide
from gateway.ledger.model import NOTHING, Account, Booking, Customer, Effects, Receivable, SettledLine, State
from gateway.ledger.rules import Rules
from gateway.operations import (
    ALL_BILLS,
    BillEnquiry,
    BillSelection,
    Channel,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    SignOff,
    SignOn,
    StatusEnquiry,
    canonical_digest,
)
from gateway.outcomes import Outcome
from protocols.money import Money

BANK = "ICBC"
CUSTOMER = "0600000001"
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2024, 5, 20, 4, 0, tzinfo=UTC)


def day(text: str) -> date:
    return date.fromisoformat(text)


def customer(number: str = CUSTOMER, *, usage: str = "301", exempt: bool = False, prepayment_fen: int = 0) -> Customer:
    """A customer; usage 201 is residential, the default is not."""
    return Customer(number, number, "张三", "天河路1号", "06010000", "02", usage, exempt, prepayment_fen)


def bill(
    receivable_id: str,
    month: int,
    principal_fen: int,
    due: str,
    *,
    owner: str = CUSTOMER,
    partial: bool = True,
    locked: bool = False,
    settled: Iterable[tuple[str, int, int]] = (),
) -> Receivable:
    """A receivable; `settled` are its history's lines (day, principal, penalty)."""
    lines = tuple(SettledLine(day(paid), principal, penalty) for paid, principal, penalty in settled)
    return Receivable(
        receivable_id,
        owner,
        month,
        "010",
        "06010000",
        principal_fen,
        day(due),
        partial,
        locked,
        sum(line.principal_fen for line in lines),
        sum(line.penalty_fen for line in lines),
        lines,
    )


def three_bills(*, partial: bool = True) -> list[Receivable]:
    """The worked example of allocation: on 2024-05-20 they owe 556.00, 315.00 and 400.00; 1,271.00 in all."""
    return [
        bill("R03", 202403, 50_000, "2024-03-25", partial=partial),
        bill("R04", 202404, 30_000, "2024-04-25", partial=partial),
        bill("R05", 202405, 40_000, "2024-05-25", partial=partial),
    ]


@dataclass
class World:
    """One partition with its customers; `do` decides, folds and checks."""

    state: State
    rules: Rules = field(default_factory=Rules)
    numbers: int = 0

    @classmethod
    def of(
        cls,
        bills: Iterable[Receivable] = (),
        customers: Iterable[Customer] = (),
        rules: Rules | None = None,
        clearing: str = "2024-05-20",
    ) -> World:
        state = State(3, day(clearing))
        for one in customers or [customer()]:
            state.customers[one.customer_no] = one
        for one_bill in bills:
            state.receivables.setdefault(one_bill.customer_no, {})[one_bill.receivable_id] = one_bill
        state.free_payment_ids.extend(range(1, 1000))
        return cls(state, rules or Rules())

    def do(self, operation: Operation) -> tuple[Outcome, Effects]:
        outcome, effects = decide(self.state, operation, self.rules, NOW, "trace-1")
        self.state.apply(effects)
        check_effects(effects)
        check_state(self.state)
        return outcome, effects

    def answer(self, operation: Operation) -> Outcome:
        return self.do(operation)[0]

    # --- operations, each under a trace number of its own unless one is given

    def key(self, kind: OperationKind, trace: str | None = None, bank: str = BANK) -> OperationKey:
        self.numbers += 1
        return OperationKey(bank, kind, self.state.clearing_date, trace or f"T{self.numbers:06d}")

    def payment(
        self,
        amount_fen: int,
        *named: str,
        month: int | None = None,
        paid: str = "2024-05-20",
        trace: str | None = None,
        owner: str = CUSTOMER,
        bank: str = BANK,
    ) -> Payment:
        selection = BillSelection(named, month) if named or month else ALL_BILLS
        return Payment(
            self.key(OperationKind.PAYMENT, trace, bank),
            owner,
            selection,
            Money(amount_fen),
            datetime.fromisoformat(f"{paid}T10:30:00").replace(tzinfo=SHANGHAI),
            Channel.BANK_COUNTER,
            SettleMethod.CASH,
            outlet="0201",
            operator="007",
        )

    def deposit(
        self,
        amount_fen: int,
        *,
        paid: str = "2024-05-20",
        trace: str | None = None,
        owner: str = CUSTOMER,
        bank: str = BANK,
    ) -> PrepaymentDeposit:
        return PrepaymentDeposit(
            self.key(OperationKind.PAYMENT, trace, bank),
            owner,
            Money(amount_fen),
            datetime.fromisoformat(f"{paid}T10:30:00").replace(tzinfo=SHANGHAI),
            Channel.BANK_COUNTER,
            SettleMethod.CHEQUE,
            outlet="0201",
            operator="007",
        )

    def enquiry(
        self, *named: str, month: int | None = None, asked: str = "2024-05-20", owner: str = CUSTOMER
    ) -> BillEnquiry:
        asked_at = datetime.fromisoformat(f"{asked}T10:00:00").replace(tzinfo=SHANGHAI)
        return BillEnquiry(self.key(OperationKind.BILL_ENQUIRY), owner, BillSelection(named, month), asked_at)

    def cancel(
        self, original: OriginalReference, amount_fen: int, *, owner: str = CUSTOMER, bank: str = BANK
    ) -> SameDayCancel:
        key = self.key(OperationKind.SAME_DAY_CANCEL, bank=bank)
        return SameDayCancel(key, owner, original, Money(amount_fen))

    def reversal(
        self, original: OriginalReference, amount_fen: int, *, owner: str = CUSTOMER, bank: str = BANK
    ) -> Reversal:
        return Reversal(self.key(OperationKind.REVERSAL, bank=bank), owner, original, Money(amount_fen))

    def status(
        self, original: OriginalReference, *, fence: bool = False, owner: str = CUSTOMER, bank: str = BANK
    ) -> StatusEnquiry:
        return StatusEnquiry(self.key(OperationKind.STATUS_ENQUIRY, bank=bank), owner, original, fence)

    def sign_on(self, bank: str = BANK) -> SignOn:
        return SignOn(self.key(OperationKind.SIGN_ON, bank=bank))

    def sign_off(self, bank: str = BANK) -> SignOff:
        return SignOff(self.key(OperationKind.SIGN_OFF, bank=bank))

    # --- looking and changing from outside

    def bill(self, receivable_id: str, owner: str = CUSTOMER) -> Receivable:
        return self.state.receivables[owner][receivable_id]

    def change_bill(self, receivable_id: str, **changes: object) -> None:
        changed = replace(self.bill(receivable_id), **changes)  # type: ignore[arg-type]
        self.state.receivables[changed.customer_no][receivable_id] = changed

    def change_customer(self, **changes: object) -> None:
        self.state.customers[CUSTOMER] = replace(self.state.customers[CUSTOMER], **changes)  # type: ignore[arg-type]

    def cut_off(self, clearing: str) -> None:
        self.state.clearing_date = day(clearing)


def by_trace(operation: Payment | PrepaymentDeposit) -> OriginalReference:
    return OriginalReference(trace_date=operation.key.trace_date, trace_no=operation.key.trace_no)


def by_reference(reference_no: str) -> OriginalReference:
    return OriginalReference(reference_no=reference_no)


def check_effects(effects: Effects) -> None:
    """What holds for the effects of any one operation."""
    if effects is NOTHING:
        return
    assert len({record.key for record in effects.records}) == len(effects.records)
    if not effects.bookings:
        assert not effects.receivables
        assert effects.customer is None
        return
    for booking in effects.bookings:
        check_booking(booking)
        own = [record for record in effects.records if record.payment_id == booking.posting.payment_id]
        assert [record.key for record in own] == [booking.posting.key]
    touched = {line.receivable_id for booking in effects.bookings for line in booking.posting.lines}
    assert touched == {row.receivable_id for row in effects.receivables}


def check_booking(booking: Booking) -> None:
    """What holds for any one posting and its entries."""
    posting, entries = booking.posting, booking.entries
    assert sum(entry.amount_fen for entry in entries) == 0
    assert all(entry.amount_fen for entry in entries), "a line of zero"
    banked = sum(entry.amount_fen for entry in entries if entry.account is Account.DUE_FROM_BANK)
    assert banked == posting.signed_fen
    settled = sum(line.principal_fen + line.penalty_fen for line in posting.lines)
    assert posting.signed_fen == settled + posting.prepayment_movement_fen
    assert posting.prepayment_closing_fen >= 0


def check_state(state: State) -> None:
    """What holds for a ledger at any time."""
    for bills in state.receivables.values():
        for row in bills.values():
            assert row.received_principal_fen == sum(line.principal_fen for line in row.settled)
            assert row.received_penalty_fen == sum(line.penalty_fen for line in row.settled)
            assert 0 <= row.received_principal_fen <= row.principal_fen
            assert row.received_penalty_fen >= 0
    assert all(one.prepayment_balance_fen >= 0 for one in state.customers.values())
    assert len(state.payment_id_by_key) == len(state.postings)
    assert len(set(state.undone_by.values())) == len(state.undone_by)


def digest_of(operation: Operation) -> bytes:
    return canonical_digest(operation)
