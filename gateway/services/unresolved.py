"""Which answers leave money unresolved, and which ones tell a bank the end of it.

Strategy: servers tell of every answer, with whether it left; here it is judged by what was asked and what was said, and
the book writes down what matters. Rules:

- "unknown" in answer to what moves money is a doubt, delivered or not; an end that was not delivered is one too. Where
  nothing was booked and the key is still free ("retry later") there is no end to be told, so there is no doubt;
- an end that was delivered closes: the operation's own rows if it was asked for again, everything about the payment if
  the bank reversed it, cancelled it or asked for its status. "Not found" closes nothing;
- a payment whose end the bank was told by another way is not in doubt because its own reply is lost: so it is when a
  reversal overtakes the reply. Such ends are remembered for a while, as the two may come in either order;
- a refusal as a duplicate trace speaks of another message under the key: it opens nothing and closes nothing;
- an ordinary answer costs two comparisons and a look into a set.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import date

from gateway import clock
from gateway.ledger.unresolved import Cause, Doubt, Heard, Told, Trace, UnresolvedBook
from gateway.operations import (
    Evidence,
    Operation,
    OperationKey,
    OriginalReference,
    Payment,
    PrepaymentDeposit,
    Reversal,
    SameDayCancel,
    StatusEnquiry,
)
from gateway.outcomes import Approved, Outcome, PaymentStatus, Reason, Unknown, is_final

TAKES_MONEY = (Payment, PrepaymentDeposit)
MOVES_MONEY = (*TAKES_MONEY, SameDayCancel, Reversal)
# Reversals and status enquiries of some minutes; a reply is given up for lost within seconds.
REMEMBERED_ENDS = 10_000
_CAUSES = {Reason.TIMEOUT: Cause.NO_ANSWER_IN_TIME, Reason.IN_PROGRESS: Cause.IN_PROGRESS}
# These speak of another message (DUPLICATE_TRACE), or of what the bank itself has fenced and was answered (FENCED).
_NO_DOUBT = (Reason.DUPLICATE_TRACE, Reason.FENCED)
_UNDONE_ALREADY = (Reason.ALREADY_REVERSED,)


class UnresolvedMoney:
    """`told` is for servers. `commit_is_unknown` says whether an operation's commit is under way or had no result."""

    def __init__(
        self,
        book: UnresolvedBook,
        *,
        commit_is_unknown: Callable[[OperationKey], bool] = lambda _: False,
        now: clock.Clock = clock.now,
    ) -> None:
        self._book = book
        self._commit_is_unknown = commit_is_unknown
        self._now = now
        self._ends: OrderedDict[Trace, None] = OrderedDict()

    def told(self, operation: Operation, evidence: Evidence, outcome: Outcome, left: bool) -> None:
        """What a bank was answered, and whether the answer left."""
        cause = self._cause(operation, outcome, left)
        if cause is not None:
            self._doubt(operation, evidence, cause)
        elif left:
            self._end(operation, evidence, outcome)

    def _cause(self, operation: Operation, outcome: Outcome, left: bool) -> Cause | None:
        if isinstance(outcome, Unknown):
            if outcome.reason is Reason.TIMEOUT and self._commit_is_unknown(operation.key):
                return Cause.COMMIT_UNKNOWN
            return _CAUSES.get(outcome.reason)
        if left or not is_final(outcome) or (not isinstance(outcome, Approved) and outcome.reason in _NO_DOUBT):
            return None
        return Cause.REPLY_NOT_DELIVERED

    def _doubt(self, operation: Operation, evidence: Evidence, cause: Cause) -> None:
        if not isinstance(operation, MOVES_MONEY):
            return
        about, reference_no = _about(operation)
        if isinstance(operation, TAKES_MONEY) and about in self._ends:
            return
        doubt = Doubt(
            key=operation.key,
            customer_no=operation.customer_no,
            amount=operation.amount,
            cause=cause,
            opened_at=self._now(),
            trace_id=evidence.trace_id,
            about=about,
            about_reference_no=reference_no,
        )
        self._book.say(doubt)

    def _end(self, operation: Operation, evidence: Evidence, outcome: Outcome) -> None:
        match operation:
            case Payment() | PrepaymentDeposit():
                if self._book.has_open:
                    self._end_of_operation(operation, evidence, outcome)
            case Reversal() | SameDayCancel():
                heard = Heard.REVERSAL if isinstance(operation, Reversal) else Heard.CANCEL
                if isinstance(outcome, Approved) or outcome.reason in _UNDONE_ALREADY:
                    self._end_of_payment(operation, evidence, heard)
                else:
                    self._end_of_operation(operation, evidence, outcome)
            case StatusEnquiry():
                if isinstance(outcome, Approved) and isinstance(outcome.detail, PaymentStatus):
                    self._end_of_payment(operation, evidence, Heard.STATUS_ENQUIRY)

    def _end_of_operation(
        self, operation: Payment | PrepaymentDeposit | SameDayCancel | Reversal, evidence: Evidence, outcome: Outcome
    ) -> None:
        key = operation.key
        if not is_final(outcome) or not self._book.is_watched((key.bank, key.trace_date, key.trace_no)):
            return
        if not isinstance(outcome, Approved) and outcome.reason is Reason.DUPLICATE_TRACE:
            return
        self._book.say(
            Told(
                customer_no=operation.customer_no,
                heard=Heard.RESEND,
                happened_at=self._now(),
                received_at=evidence.received_at,
                trace_id=evidence.trace_id,
                bank=key.bank,
                key=key,
            )
        )

    def _end_of_payment(
        self, operation: SameDayCancel | Reversal | StatusEnquiry, evidence: Evidence, heard: Heard
    ) -> None:
        about, reference_no = _about(operation)
        if about is not None:
            self._remember(about)
        if not self._book.has_open or (about is not None and not self._book.is_watched(about)):
            return
        self._book.say(
            Told(
                customer_no=operation.customer_no,
                heard=heard,
                happened_at=self._now(),
                received_at=evidence.received_at,
                trace_id=evidence.trace_id,
                bank=operation.key.bank,
                about=about,
                about_reference_no=reference_no,
            )
        )

    def _remember(self, about: Trace) -> None:
        self._ends[about] = None
        if len(self._ends) > REMEMBERED_ENDS:
            self._ends.popitem(last=False)


def _about(
    operation: Payment | PrepaymentDeposit | SameDayCancel | Reversal | StatusEnquiry,
) -> tuple[Trace | None, str | None]:
    """The payment that an operation is about: its trace, and our reference number where the bank names that."""
    key = operation.key
    if isinstance(operation, TAKES_MONEY):
        return (key.bank, key.trace_date, key.trace_no), None
    original: OriginalReference = operation.original
    trace = _named(key.bank, original.trace_date, original.trace_no)
    return trace, original.reference_no


def _named(bank: str, trace_date: date | None, trace_no: str | None) -> Trace | None:
    return None if trace_date is None or trace_no is None else (bank, trace_date, trace_no)
