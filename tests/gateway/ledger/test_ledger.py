"""The ledger's door: routing, sessions, enquiries without lanes, the directory, and what refuses to start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.database import ConnectionLost
from gateway.ledger.decide import decide
from gateway.ledger.importing import import_bills, import_customers
from gateway.ledger.ledger import Ledger
from gateway.ledger.migrate import InstallationMismatch
from gateway.ledger.rules import Rules
from gateway.operations import ALL_BILLS, BillEnquiry, OperationKind, OriginalReference, SignOff, SignOn
from gateway.outcomes import Approved, BillsFound, Declined, Outcome, PaymentState, PaymentStatus, Reason, Unknown

from .installations import (
    BANK,
    FIRST_DAY,
    PAID_AT,
    PARTITIONS,
    Installation,
    at_home,
    bill,
    cancel,
    customer,
    eventually,
    evidence,
    key,
    of_trace,
    payment,
    reversal,
    status,
)

ALICE, BOB = at_home(0), at_home(1)


@pytest.fixture
async def ledger(installation: Installation) -> AsyncIterator[Ledger]:
    await installation.seed([customer(ALICE), customer(BOB)], [bill("RA", ALICE), bill("RB", BOB)])
    rules = Rules(sign_on_required=frozenset({"STRICT"}))
    async with Ledger(installation.gateway_dsn, PARTITIONS, rules=rules, decide=decide) as ledger:
        yield ledger


def enquiry(customer_no: str, trace_no: str = "Q1", bank: str = BANK) -> BillEnquiry:
    return BillEnquiry(key(OperationKind.BILL_ENQUIRY, trace_no, bank), customer_no, ALL_BILLS, PAID_AT)


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


async def test_an_operation_goes_to_its_customers_home(ledger: Ledger, installation: Installation) -> None:
    for trace_no, who in (("T1", ALICE), ("T2", BOB)):
        outcome = await ledger.submit(payment(trace_no, who), evidence())
        assert isinstance(outcome, Approved)
        assert outcome.clearing_date == FIRST_DAY
    assert await installation.value("SELECT customer_no FROM ledger_00.payment") == ALICE
    assert await installation.value("SELECT customer_no FROM ledger_01.payment") == BOB
    await installation.check_books()


async def test_enquiry_payment_cancel_and_status(ledger: Ledger) -> None:
    found = await ledger.submit(enquiry(ALICE), None)
    assert isinstance(found, Approved)
    assert isinstance(found.detail, BillsFound)
    assert found.detail.amount_to_pay.minor == 10_000
    paid = await ledger.submit(payment("T1", ALICE), evidence())
    assert isinstance(paid, Approved)
    assert reason(await ledger.submit(enquiry(ALICE), None)) is Reason.NO_ARREARS
    undone = await ledger.submit(cancel("C1", ALICE, of_trace("T1")), evidence())
    assert isinstance(undone, Approved)
    by_reference = OriginalReference(reference_no=paid.reference_no)
    state = await ledger.submit(status("S1", ALICE, by_reference), evidence())
    assert isinstance(state, Approved)
    assert isinstance(state.detail, PaymentStatus)
    assert state.detail.state is PaymentState.CANCELLED


async def test_signing_on_reaches_every_partition(ledger: Ledger, installation: Installation) -> None:
    strict = {who: payment(f"T{who}", who, bank="STRICT") for who in (ALICE, BOB)}
    for who, operation in strict.items():
        assert reason(await ledger.submit(operation, evidence())) is Reason.NOT_SIGNED_ON
        assert reason(await ledger.submit(enquiry(who, bank="STRICT"), None)) is Reason.NOT_SIGNED_ON
    signed = await ledger.submit(SignOn(key(OperationKind.SIGN_ON, "1", "STRICT")), evidence())
    assert signed == Approved(FIRST_DAY)
    assert await installation.count("sign_event") == PARTITIONS
    for operation in strict.values():
        assert isinstance(await ledger.submit(operation, evidence()), Approved), "the key was not consumed"
    await ledger.submit(SignOff(key(OperationKind.SIGN_OFF, "2", "STRICT")), evidence())
    assert reason(await ledger.submit(enquiry(ALICE, bank="STRICT"), None)) is Reason.NOT_SIGNED_ON
    assert await ledger.submit(SignOn(key(OperationKind.SIGN_ON, "1", "STRICT")), evidence()) == signed
    assert await installation.count("sign_event") == 2 * PARTITIONS, "a repetition signs nobody on"


async def test_a_trace_number_used_for_two_customers_is_noticed(ledger: Ledger, installation: Installation) -> None:
    assert isinstance(await ledger.submit(payment("T1", ALICE), evidence()), Approved)
    assert reason(await ledger.submit(payment("T1", BOB), evidence())) is Reason.DUPLICATE_TRACE
    assert isinstance(await ledger.submit(payment("T1", ALICE), evidence()), Approved)
    assert await installation.count("payment") == 1


async def test_an_enquiry_does_not_wait_in_the_lane(ledger: Ledger, installation: Installation) -> None:
    """The customer is held by somebody for long: the enquiry is answered, the payment waits."""
    await installation.admin.execute("BEGIN")
    await installation.admin.execute("SELECT FROM ledger_00.customer WHERE customer_no = $1 FOR UPDATE", ALICE)
    pay = asyncio.create_task(ledger.submit(payment("T1", ALICE), evidence()))
    assert isinstance(await ledger.submit(enquiry(ALICE), None), Approved)
    assert not pay.done()
    await installation.admin.execute("ROLLBACK")
    assert isinstance(await pay, Approved)


async def test_an_enquiry_whose_deadline_has_passed(ledger: Ledger) -> None:
    past = asyncio.get_running_loop().time() - 1
    assert await ledger.submit(enquiry(ALICE), None, past) == Declined(Reason.DEADLINE_PASSED)


async def test_an_import_is_seen_without_a_restart(ledger: Ledger, installation: Installation, tmp_path: Path) -> None:
    member = at_home(0, 7)
    customers, bills = tmp_path / "customers.csv", tmp_path / "bills.csv"
    customers.write_text(
        "customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category\n"
        f"{member},{BOB},李四,天河路2号,06010000,03,201\n"
    )
    bills.write_text(
        "receivable_id,customer_no,billing_month,org_code,principal_fen,due_date\n"
        f"RM,{member},202611,06010000,10000,2026-12-20\n"
    )
    assert reason(await ledger.submit(enquiry(member), None)) is Reason.CUSTOMER_NOT_FOUND
    assert (await import_customers(installation.gateway_dsn, customers, PARTITIONS)).added == 1
    assert (await import_bills(installation.gateway_dsn, bills, PARTITIONS)).added == 1

    async def is_known() -> bool:
        return isinstance(await ledger.submit(enquiry(member), None), Approved)

    await eventually(is_known)
    assert isinstance(await ledger.submit(payment("T1", member), evidence()), Approved)
    assert await installation.value("SELECT count(*) FROM ledger_01.payment") == 1


async def test_the_directory_survives_a_lost_connection(ledger: Ledger, installation: Installation) -> None:
    killed = await installation.admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'busbar directory' AND datname = current_database()"
    )
    assert len(killed) == 1
    member = at_home(0, 7)
    await installation.admin.execute("INSERT INTO busbar.payment_number VALUES ($1, $2)", member, BOB)
    await installation.admin.execute(
        "INSERT INTO ledger_01.customer SELECT $1, $2, '', '', 'O', '03', '201', false, 0, now()", member, BOB
    )

    async def is_known() -> bool:
        return reason(await ledger.submit(enquiry(member), None)) is Reason.NO_ARREARS

    assert not await is_known()
    await eventually(is_known)


async def test_readiness_and_stop(installation: Installation) -> None:
    ledger = Ledger(installation.gateway_dsn, PARTITIONS, rules=Rules(), decide=decide)
    assert not ledger.is_ready
    await ledger.start()
    assert ledger.is_ready
    assert ledger.waiting == 0
    await ledger.stop()
    await ledger.stop()
    assert not ledger.is_ready
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'busbar_gateway' AND datname = current_database()"

    async def all_are_gone() -> bool:
        return await installation.value(sessions) == 0

    await eventually(all_are_gone)


@pytest.mark.parametrize(
    ("dsn", "partitions", "error"),
    [
        ("gateway_dsn", PARTITIONS + 1, InstallationMismatch),
        ("admin_dsn", PARTITIONS, InstallationMismatch),
        ("nowhere", PARTITIONS, ConnectionLost),
    ],
)
async def test_what_refuses_to_start(
    installation: Installation, dsn: str, partitions: int, error: type[Exception], tmp_path: Path
) -> None:
    address = getattr(installation, dsn, f"postgresql://busbar_gateway@/x?host={tmp_path}")
    ledger = Ledger(address, partitions, rules=Rules(), decide=decide)
    with pytest.raises(error):
        await ledger.start()
    assert not ledger.is_ready


async def test_published_views_tell_the_story(ledger: Ledger, installation: Installation) -> None:
    paid: Any = await ledger.submit(payment("T1", ALICE, 12_000), evidence("trace-7"))
    await ledger.submit(cancel("C1", ALICE, of_trace("T1"), 12_000), evidence())
    rows = await installation.admin.fetch("SELECT * FROM ledger_00.published_payment ORDER BY payment_id")
    assert [(row["kind"], row["signed_fen"], row["original_trace_no"]) for row in rows] == [
        ("PAYMENT", 12_000, None),
        ("SAME_DAY_CANCEL", -12_000, "T1"),
    ]
    first, second = rows
    assert (first["trace_id"], first["reference_no"], first["paid_at"]) == ("trace-7", paid.reference_no, PAID_AT)
    assert (first["clearing_date"], first["settles_date"], first["currency"]) == (FIRST_DAY, FIRST_DAY, "CNY")
    assert second["original_clearing_date"] == FIRST_DAY
    assert [row["prepayment_movement_fen"] for row in rows] == [2_000, -2_000]
    assert (first["prepayment_closing_fen"], second["prepayment_closing_fen"]) == (2_000, 0)
    lines = await installation.admin.fetch("SELECT * FROM ledger_00.published_receipt_line ORDER BY payment_id")
    assert [(row["receivable_id"], row["principal_fen"], row["penalty_fen"]) for row in lines] == [
        ("RA", 10_000, 0),
        ("RA", -10_000, 0),
    ]
    assert {(row["charge_kind"], row["org_code"], row["channel"]) for row in lines} == {
        ("010", "06010000", "BANK_COUNTER")
    }
    entries = await installation.admin.fetch("SELECT account, amount_fen FROM ledger_00.published_entry ORDER BY 1, 2")
    assert [(row["account"], row["amount_fen"]) for row in entries] == [
        ("DUE_FROM_BANK", -12_000),
        ("DUE_FROM_BANK", 12_000),
        ("PREPAYMENT", -2_000),
        ("PREPAYMENT", 2_000),
        ("RECEIVABLE", -10_000),
        ("RECEIVABLE", 10_000),
    ]
    assert await installation.value("SELECT received_principal_fen FROM ledger_00.published_receivable") == 0
    await installation.check_books()


@pytest.mark.parametrize("undo", ["cancel", "reversal", "fence"])
async def test_an_undo_that_names_a_customer_of_another_partition_is_not_told_that_nothing_is_there(
    ledger: Ledger, undo: str
) -> None:
    """A bank that reads "nothing to undo" gives the money back; the payment is booked, for another customer."""
    paid = await ledger.submit(payment("T1", ALICE), evidence())
    assert isinstance(paid, Approved)
    ledger._sent_to.clear()
    named = of_trace("T1")
    operations = {
        "cancel": cancel("C1", BOB, named),
        "reversal": reversal("C1", BOB, named),
        "fence": status("C1", BOB, named, fence=True),
    }
    outcome = await ledger.submit(operations[undo], evidence())
    expected = Reason.STATUS_UNKNOWN if undo == "fence" else Reason.ORIGINAL_NOT_FOUND
    assert isinstance(outcome, Declined | Unknown)
    assert outcome.reason is expected
    assert await ledger.submit(payment("T1", ALICE), evidence()) == paid


async def test_a_late_payment_meets_the_fence_that_was_left_under_another_customer(ledger: Ledger) -> None:
    fenced = await ledger.submit(reversal("R1", BOB, of_trace("T1")), evidence())
    assert isinstance(fenced, Approved)
    assert reason(await ledger.submit(payment("T1", ALICE), evidence())) is Reason.DUPLICATE_TRACE
