"""Which answers open and which close: the judgement as a table, over a book that only remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.ledger.unresolved import Cause, Doubt, Heard, Told
from gateway.operations import (
    ALL_BILLS,
    BillEnquiry,
    Channel,
    Evidence,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    SettleMethod,
    StatusEnquiry,
)
from gateway.outcomes import Approved, Declined, Outcome, PaymentState, PaymentStatus, Reason, Unknown
from gateway.services.unresolved import UnresolvedMoney
from protocols.money import Money

DAY = date(2026, 3, 3)
NOW = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
PAID_AT = datetime(2026, 3, 3, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
CUSTOMER = "060000012340"
TRACE = ("GZB", DAY, "000000000001")
EVIDENCE = Evidence(b"", "k", "w", NOW - timedelta(seconds=1), "t1")


def key(kind: OperationKind, trace_no: str = "000000000002") -> OperationKey:
    return OperationKey("GZB", kind, DAY, trace_no)


OF = OriginalReference(DAY, TRACE[2])
BY_REFERENCE = OriginalReference(reference_no="000000000077")
PAYMENT = Payment(
    key(OperationKind.PAYMENT, TRACE[2]), CUSTOMER, ALL_BILLS, Money(5), PAID_AT, Channel.ATM, SettleMethod.CARD
)
DEPOSIT = PrepaymentDeposit(
    key(OperationKind.PAYMENT, TRACE[2]), CUSTOMER, Money(5), PAID_AT, Channel.ATM, SettleMethod.CARD
)
CANCEL = SameDayCancel(key(OperationKind.SAME_DAY_CANCEL), CUSTOMER, OF, Money(5))
REVERSAL = Reversal(key(OperationKind.REVERSAL), CUSTOMER, OF, Money(5))
STATUS = StatusEnquiry(key(OperationKind.STATUS_ENQUIRY), CUSTOMER, OF, False)
ENQUIRY = BillEnquiry(key(OperationKind.BILL_ENQUIRY), CUSTOMER, ALL_BILLS, PAID_AT)
YES = Approved(DAY, "000000000077", Money(5))
STATE = Approved(DAY, detail=PaymentStatus(PaymentState.BOOKED))
TIMEOUT, IN_PROGRESS = Unknown(Reason.TIMEOUT), Unknown(Reason.IN_PROGRESS)


class Book:
    """Remembers; `open_traces` are what it says is open."""

    def __init__(self, *open_traces: Any) -> None:
        self.open_traces = open_traces
        self.said: list[Doubt | Told] = []

    @property
    def has_open(self) -> bool:
        return bool(self.open_traces)

    def is_watched(self, trace: Any) -> bool:
        return trace in self.open_traces

    def say(self, what: Doubt | Told) -> None:
        self.said.append(what)


def unresolved(book: Book, commit_is_unknown: Callable[[OperationKey], bool] = lambda _: False) -> UnresolvedMoney:
    return UnresolvedMoney(book, commit_is_unknown=commit_is_unknown, now=lambda: NOW)  # type: ignore[arg-type]


OPENS: list[tuple[Operation, Outcome, bool, Cause | None]] = [
    *[
        (operation, outcome, left, cause)
        for operation in (PAYMENT, DEPOSIT, CANCEL, REVERSAL)
        for outcome, left, cause in [
            (TIMEOUT, True, Cause.NO_ANSWER_IN_TIME),
            (TIMEOUT, False, Cause.NO_ANSWER_IN_TIME),
            (IN_PROGRESS, True, Cause.IN_PROGRESS),
            (IN_PROGRESS, False, Cause.IN_PROGRESS),
            (YES, False, Cause.REPLY_NOT_DELIVERED),
            (Declined(Reason.NO_ARREARS), False, Cause.REPLY_NOT_DELIVERED),
            (YES, True, None),
            (Declined(Reason.NO_ARREARS), True, None),
            # Nothing was booked and the key is free: there is no end to be told.
            (Declined(Reason.OVERLOADED), False, None),
            (Declined(Reason.SYSTEM_ERROR), False, None),
            (Declined(Reason.DUPLICATE_TRACE), False, None),
            (Declined(Reason.FENCED), False, None),
        ]
    ],
    *[(operation, outcome, False, None) for operation in (STATUS, ENQUIRY) for outcome in (YES, TIMEOUT, STATE)],
]


@pytest.mark.parametrize(("operation", "outcome", "left", "cause"), OPENS)
def test_what_opens(operation: Operation, outcome: Outcome, left: bool, cause: Cause | None) -> None:
    book = Book()
    unresolved(book).told(operation, EVIDENCE, outcome, left)
    assert [what.cause for what in book.said if isinstance(what, Doubt)] == ([] if cause is None else [cause])
    for what in book.said:
        assert isinstance(what, Doubt)
        assert (what.key, what.customer_no, what.amount) == (operation.key, CUSTOMER, Money(5))
        assert (what.about, what.trace_id, what.opened_at) == (TRACE, "t1", NOW)
        assert CUSTOMER not in repr(what)


CLOSES: list[tuple[Operation, Outcome, Heard | None]] = [
    (PAYMENT, YES, Heard.RESEND),
    (DEPOSIT, YES, Heard.RESEND),
    (PAYMENT, Declined(Reason.ALREADY_PAID), Heard.RESEND),
    (PAYMENT, Declined(Reason.FENCED), Heard.RESEND),
    (PAYMENT, Declined(Reason.DUPLICATE_TRACE), None),
    (PAYMENT, Declined(Reason.OVERLOADED), None),
    (REVERSAL, YES, Heard.REVERSAL),
    (REVERSAL, Declined(Reason.ALREADY_REVERSED), Heard.REVERSAL),
    (REVERSAL, Declined(Reason.PREPAYMENT_USED), None),
    (REVERSAL, Declined(Reason.OVERLOADED), None),
    (CANCEL, YES, Heard.CANCEL),
    (CANCEL, Declined(Reason.CANCEL_NOT_ALLOWED), None),
    (STATUS, STATE, Heard.STATUS_ENQUIRY),
    (STATUS, Unknown(Reason.STATUS_UNKNOWN), None),
    (STATUS, Declined(Reason.OVERLOADED), None),
    (ENQUIRY, YES, None),
]


@pytest.mark.parametrize(("operation", "outcome", "heard"), CLOSES)
def test_what_closes(operation: Operation, outcome: Outcome, heard: Heard | None) -> None:
    """Delivered, while the payment is in doubt; the same answer closes nothing if it did not leave."""
    book = Book(TRACE)
    unresolved(book).told(operation, EVIDENCE, outcome, True)
    assert [what.heard for what in book.said if isinstance(what, Told)] == ([] if heard is None else [heard])
    lost = Book(TRACE)
    unresolved(lost).told(operation, EVIDENCE, outcome, False)
    assert not [what for what in lost.said if isinstance(what, Told)]
    nothing_open = Book()
    unresolved(nothing_open).told(operation, EVIDENCE, outcome, True)
    assert nothing_open.said == []


def test_an_answer_about_somebody_else_closes_nothing() -> None:
    book = Book(("GZB", DAY, "000000000999"))
    for operation, outcome in ((PAYMENT, YES), (REVERSAL, YES), (STATUS, STATE)):
        unresolved(book).told(operation, EVIDENCE, outcome, True)
    assert book.said == []


def test_an_undo_that_names_its_payment_by_our_reference() -> None:
    book = Book(TRACE)
    operation = Reversal(key(OperationKind.REVERSAL), CUSTOMER, BY_REFERENCE, Money(5))
    judged = unresolved(book)
    judged.told(operation, EVIDENCE, YES, True)
    judged.told(operation, EVIDENCE, TIMEOUT, True)
    assert [(what.about, what.about_reference_no) for what in book.said] == [(None, "000000000077")] * 2


def test_a_commit_that_is_under_way_at_the_deadline() -> None:
    book = Book()
    unresolved(book, lambda asked: asked == PAYMENT.key).told(PAYMENT, EVIDENCE, TIMEOUT, True)
    unresolved(book, lambda asked: asked == PAYMENT.key).told(REVERSAL, EVIDENCE, TIMEOUT, True)
    causes = [what.cause for what in book.said if isinstance(what, Doubt)]
    assert causes == [Cause.COMMIT_UNKNOWN, Cause.NO_ANSWER_IN_TIME]


@pytest.mark.parametrize(("operation", "outcome"), [(REVERSAL, YES), (STATUS, STATE), (CANCEL, YES)])
def test_an_end_told_before_the_reply_is_known_to_be_lost(operation: Operation, outcome: Outcome) -> None:
    book = Book()
    judged = unresolved(book)
    judged.told(operation, EVIDENCE, outcome, True)
    judged.told(PAYMENT, EVIDENCE, YES, False)
    assert book.said == []
    # An undo's own end is another one than its payment's.
    judged.told(REVERSAL, EVIDENCE, YES, False)
    assert [what.cause for what in book.said if isinstance(what, Doubt)] == [Cause.REPLY_NOT_DELIVERED]
