"""The use case: deadlines that cancel nothing, limits, one copy at a time, and faults that are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime

import pytest
from structlog.testing import capture_logs

from gateway.banks.profile import BankProfile
from gateway.metrics import Metrics
from gateway.operations import (
    ALL_BILLS,
    BillEnquiry,
    Channel,
    Echo,
    Evidence,
    Operation,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    Reversal,
    SettleMethod,
    SignOn,
    StatusEnquiry,
)
from gateway.outcomes import Approved, Declined, Outcome, Reason, Unknown
from gateway.services.handler import Handler, LedgerOperation
from protocols.money import Money

NOW = datetime(2026, 3, 2, 16, 30, tzinfo=UTC)  # 3 March in Shanghai
DAY = date(2026, 3, 3)
CUSTOMER = "0600000001234"
APPROVED = Approved(DAY, "000000000001", Money(100))


def profile(deadline_seconds: float = 5, in_flight_limit: int = 10, code: str = "GZB") -> BankProfile:
    return BankProfile.model_validate(
        {
            "code": code,
            "name": "银行甲",
            "name_english": "Bank A",
            "answer_deadline_seconds": deadline_seconds,
            "in_flight_limit": in_flight_limit,
            "wire": {"protocol": "bankxml", "sender": code, "verify_keys": ["k"], "sign_key": "k"},
        }
    )


def key(kind: OperationKind = OperationKind.PAYMENT, trace_no: str = "1") -> OperationKey:
    return OperationKey("GZB", kind, DAY, trace_no)


def payment(trace_no: str = "1") -> Payment:
    return Payment(
        key(trace_no=trace_no), CUSTOMER, ALL_BILLS, Money(100), NOW, Channel.BANK_COUNTER, SettleMethod.CASH
    )


ENQUIRY = BillEnquiry(key(OperationKind.BILL_ENQUIRY), CUSTOMER, ALL_BILLS, NOW)
REVERSAL = Reversal(key(OperationKind.REVERSAL), CUSTOMER, OriginalReference(DAY, "1"), Money(100))
STATUS = StatusEnquiry(key(OperationKind.STATUS_ENQUIRY), CUSTOMER, OriginalReference(DAY, "1"), fence=True)
SIGN_ON = SignOn(key(OperationKind.SIGN_ON))
EVIDENCE = Evidence(b"request", "k", "bankxml", NOW, "t1")


class FakeLedger:
    """Answers APPROVED, or what `answer` gives; holds every call while `gate` is closed."""

    def __init__(self, answer: Callable[[LedgerOperation], Outcome] = lambda _: APPROVED) -> None:
        self.answer = answer
        self.gate = asyncio.Event()
        self.gate.set()
        self.started: list[LedgerOperation] = []
        self.finished: list[LedgerOperation] = []
        self.deadlines: list[float | None] = []

    async def submit(self, operation: LedgerOperation, evidence: Evidence, deadline: float | None) -> Outcome:
        self.started.append(operation)
        self.deadlines.append(deadline)
        await self.gate.wait()
        outcome = self.answer(operation)
        self.finished.append(operation)
        return outcome


def handler(ledger: FakeLedger) -> Handler:
    return Handler(ledger.submit, Metrics())


def later(work: Awaitable[Outcome]) -> asyncio.Task[Outcome]:
    return asyncio.ensure_future(work)  # type: ignore[return-value]


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_the_ledgers_outcome_is_the_answer() -> None:
    ledger = FakeLedger()
    assert await handler(ledger).handle(payment(), EVIDENCE, profile()) == APPROVED
    assert ledger.finished == [payment()]


@pytest.mark.parametrize(("allowed", "told"), [(20, 19.0), (5, 4.5), (1, 0.9)])
async def test_the_ledger_is_told_an_earlier_deadline(allowed: float, told: float) -> None:
    ledger = FakeLedger()
    at = asyncio.get_running_loop().time()
    await handler(ledger).handle(payment(), EVIDENCE, profile(allowed))
    assert ledger.deadlines == [pytest.approx(at + told, abs=0.05)]


LATE = [
    (payment(), Unknown(Reason.TIMEOUT)),
    (REVERSAL, Unknown(Reason.TIMEOUT)),
    (STATUS, Unknown(Reason.TIMEOUT)),
    (SIGN_ON, Unknown(Reason.TIMEOUT)),
    (ENQUIRY, Declined(Reason.DEADLINE_PASSED)),
]


@pytest.mark.parametrize(("operation", "expected"), LATE)
async def test_a_late_answer_is_unknown_and_the_work_goes_on(operation: Operation, expected: Outcome) -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    assert await service.handle(operation, EVIDENCE, profile(0.01)) == expected
    assert (len(ledger.started), len(ledger.finished), service.in_flight) == (1, 0, 1)
    ledger.gate.set()
    assert await service.drain(5) == 0
    assert ledger.finished == [operation]


async def test_a_client_that_goes_away_cancels_nothing() -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    task = later(service.handle(payment(), EVIDENCE, profile()))
    await turn()
    task.cancel()
    await turn()
    assert task.cancelled()
    ledger.gate.set()
    assert await service.drain(5) == 0
    assert ledger.finished == [payment()]


async def test_the_same_key_in_flight_is_in_progress_and_afterwards_asks_the_ledger() -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    first = later(service.handle(payment(), EVIDENCE, profile()))
    await turn()
    assert await service.handle(payment(), EVIDENCE, profile()) == Unknown(Reason.IN_PROGRESS)
    other = later(service.handle(payment("2"), EVIDENCE, profile()))
    await turn()
    ledger.gate.set()
    assert [await first, await other] == [APPROVED, APPROVED]
    assert await service.handle(payment(), EVIDENCE, profile()) == APPROVED
    assert len(ledger.finished) == 3


async def test_a_bank_has_a_limit_and_another_bank_its_own() -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    small = profile(in_flight_limit=2)
    running = [later(service.handle(payment(str(number)), EVIDENCE, small)) for number in range(2)]
    await turn()
    assert await service.handle(payment("9"), EVIDENCE, small) == Declined(Reason.OVERLOADED)
    other = later(service.handle(payment("10"), EVIDENCE, profile(in_flight_limit=2, code="YYB")))
    await turn()
    ledger.gate.set()
    assert [await task for task in (*running, other)] == [APPROVED] * 3
    assert await service.handle(payment("9"), EVIDENCE, small) == APPROVED


async def test_work_that_was_answered_already_still_counts() -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    assert await service.handle(payment("1"), EVIDENCE, profile(0.01, 1)) == Unknown(Reason.TIMEOUT)
    assert await service.handle(payment("2"), EVIDENCE, profile(0.01, 1)) == Declined(Reason.OVERLOADED)
    assert await service.handle(payment("1"), EVIDENCE, profile(0.01, 1)) == Unknown(Reason.IN_PROGRESS)
    ledger.gate.set()
    await service.drain(5)
    assert await service.handle(payment("2"), EVIDENCE, profile(1, 1)) == APPROVED


async def test_a_line_test_needs_no_ledger() -> None:
    ledger = FakeLedger()
    outcome = await handler(ledger).handle(Echo(key(OperationKind.ECHO)), EVIDENCE, profile())
    assert outcome == Approved(DAY)
    assert ledger.started == []


def _fail(_operation: LedgerOperation) -> Outcome:
    raise RuntimeError("account 6222000000000001 broke it")


FAULTS = [(payment(), Unknown(Reason.TIMEOUT)), (REVERSAL, Unknown(Reason.TIMEOUT))]
FAULTS += [(ENQUIRY, Declined(Reason.SYSTEM_ERROR))]  # type: ignore[list-item]


@pytest.mark.parametrize(("operation", "expected"), FAULTS)
async def test_a_fault_is_logged_once_and_answered(operation: Operation, expected: Outcome) -> None:
    service = handler(FakeLedger(_fail))
    with capture_logs() as lines:
        assert await service.handle(operation, EVIDENCE, profile()) == expected
    assert [line["event"] for line in lines] == ["operation_failed"]
    assert service.in_flight == 0


async def test_answers_are_counted_by_reason() -> None:
    metrics = Metrics()
    ledger = FakeLedger(lambda _: Declined(Reason.NO_ARREARS))
    await Handler(ledger.submit, metrics).handle(payment(), EVIDENCE, profile())
    text = metrics.render().decode()
    assert 'busbar_answers_total{bank="GZB",kind="PAYMENT",reason="NO_ARREARS"} 1.0' in text
    assert 'busbar_in_flight{bank="GZB"} 0.0' in text


async def test_draining_gives_up_after_its_time() -> None:
    ledger = FakeLedger()
    ledger.gate.clear()
    service = handler(ledger)
    await service.handle(payment(), EVIDENCE, profile(0.01))
    assert await service.drain(0.01) == 1
    ledger.gate.set()
    assert await service.drain(5) == 0
