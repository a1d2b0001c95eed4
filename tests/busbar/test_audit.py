"""`busbar db audit`: a sound ledger passes, and every fault that is planted in one is named.

Strategy: one small ledger is booked by the production lanes (payments, prepayment, each kind of undo, refusals, fences,
over a cut-off). Each row of `FAULTS` spoils a copy of it as nobody but a superuser could, with constraints taken away,
and says which checks must fail: those and no others. So no check passes because it can't fail.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from busbar.audit.acknowledged import AcknowledgementError, AcknowledgementLogs
from busbar.audit.audit import ROWS_NAMED, AuditError, AuditReport, audit
from busbar.audit.checks import CHECKS, Scope
from busbar.cli import main
from busbar.installations import create_sample
from gateway.database import connect
from gateway.ledger.decide import decide
from gateway.ledger.importing import import_bills, import_customers
from gateway.ledger.ledger import Ledger
from gateway.ledger.migrate import migrate
from gateway.ledger.partitions import home
from gateway.ledger.rules import Rules
from gateway.operations import (
    ALL_BILLS,
    BillSelection,
    Channel,
    Evidence,
    OperationKey,
    OperationKind,
    OriginalReference,
    Payment,
    Reversal,
    SameDayCancel,
    SettleMethod,
    StatusEnquiry,
)
from gateway.outcomes import Approved
from protocols.money import Money

PARTITIONS = 2
PASSWORD = "a-password-of-the-tests"  # the same in every suite on the session's server
DAY, NEXT_DAY = date(2026, 11, 25), date(2026, 11, 26)
NUMBERS = [f"06{number:08d}" for number in range(1, 40)]
AT_0, AT_1 = ([one for one in NUMBERS if home(one, PARTITIONS) == partition] for partition in range(PARTITIONS))
ANNA, BERT, LISTED = AT_0[0], AT_1[0], AT_1[1]  # LISTED pays under ANNA's number, so lives in her partition
KINDS = {Payment: "PAYMENT", SameDayCancel: "SAME_DAY_CANCEL", Reversal: "REVERSAL", StatusEnquiry: "STATUS_ENQUIRY"}


def _key(kind: str, trace_no: str) -> OperationKey:
    return OperationKey("GZB", OperationKind(kind), DAY, trace_no)


def _pay(trace_no: str, customer_no: str, amount_fen: int, bill: str | None = None) -> Payment:
    selection = ALL_BILLS if bill is None else BillSelection((bill,))
    paid_at = datetime(2026, 11, 25, 10, tzinfo=UTC)
    channel, method = Channel.BANK_COUNTER, SettleMethod.CASH
    return Payment(
        _key("PAYMENT", trace_no), customer_no, selection, Money(amount_fen), paid_at, channel, method, "O1", "T1"
    )


def _of(trace_no: str) -> OriginalReference:
    return OriginalReference(DAY, trace_no)


# In this order; None is the cut-off.
OPERATIONS = (
    _pay("101", ANNA, 10_000, "R-A1"),
    _pay("102", ANNA, 20_500),  # the other bill, and 500 of prepayment
    _pay("103", ANNA, 700),  # refused: nothing is owed
    _pay("104", LISTED, 4_000, "R-L1"),
    _pay("201", BERT, 1_000, "R-B1"),
    SameDayCancel(_key("SAME_DAY_CANCEL", "202"), BERT, _of("201"), Money(1_000)),
    _pay("203", BERT, 2_000, "R-B1"),
    Reversal(_key("REVERSAL", "204"), BERT, _of("203"), Money(2_000)),
    Reversal(_key("REVERSAL", "205"), BERT, _of("299"), Money(2_000)),  # nothing to undo: a fence
    StatusEnquiry(_key("STATUS_ENQUIRY", "206"), BERT, _of("298"), fence=True),
    _pay("207", BERT, 3_000, "R-B1"),
    None,
    Reversal(_key("REVERSAL", "208"), BERT, _of("207"), Money(3_000)),
    _pay("209", BERT, 110_700),  # all bills, and 700 of prepayment
)


async def _booked(dsn: str, gateway_dsn: str, folder: Path) -> None:
    await migrate(
        dsn, partitions=PARTITIONS, first_clearing_date=DAY, gateway_password=PASSWORD, night_password=PASSWORD
    )
    customers, bills = folder / "customers.csv", folder / "bills.csv"
    customers.write_text(
        "customer_no,payment_no,name,supply_address,org_code,customer_class,usage_category,penalty_exempt\n"
        + "".join(
            f"{number},{payment_no},张三,天河路1号,06010000,03,201,false\n"
            for number, payment_no in ((ANNA, ANNA), (BERT, BERT), (LISTED, ANNA))
        ),
        encoding="utf-8",
    )
    bills.write_text(
        "receivable_id,customer_no,billing_month,charge_kind,org_code,principal_fen,due_date,partial_payment_allowed,locked\n"
        + "".join(
            f"{bill},{number},202611,010,06010000,{fen},2026-12-20,true,false\n"
            for bill, number, fen in (
                ("R-A1", ANNA, 10_000),
                ("R-A2", ANNA, 20_000),
                ("R-L1", LISTED, 4_000),
                ("R-B1", BERT, 50_000),
                ("R-B2", BERT, 60_000),
            )
        ),
        encoding="utf-8",
    )
    assert not (await import_customers(gateway_dsn, customers, PARTITIONS)).errors
    assert not (await import_bills(gateway_dsn, bills, PARTITIONS)).errors
    async with Ledger(gateway_dsn, PARTITIONS, rules=Rules(), decide=decide) as ledger:
        for operation in OPERATIONS:
            if operation is None:
                assert (await ledger.cut_off(NEXT_DAY)).is_complete
                continue
            now = datetime.now(UTC)
            evidence = Evidence(b"<request/>", "key-1", "bankxml", now, f"trace-{operation.key.trace_no}")
            outcome = await ledger.submit(operation, evidence)
            assert isinstance(outcome, Approved) == (operation.key.trace_no != "103"), outcome


@dataclass
class Copy:
    """A copy of the booked ledger, and the two ways into it."""

    admin_dsn: str
    gateway_dsn: str

    async def spoil(self, *statements: str) -> None:
        connection = await connect(self.admin_dsn)
        try:
            await connection.execute("SET session_replication_role = replica")  # foreign keys look away
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def audit(self, *logs: Path) -> AuditReport:
        return await audit(self.gateway_dsn, logs)


@pytest.fixture
def ledger(template_database: Any, database_from_template: Any, postgresql_server: Any, tmp_path: Path) -> Copy:
    def gateway_dsn(dsn: str) -> str:
        return str(postgresql_server.dsn(urlsplit(dsn).path.lstrip("/"), "busbar_gateway", PASSWORD))

    async def prepare(dsn: str) -> None:
        await _booked(dsn, gateway_dsn(dsn), tmp_path)

    template_database("audited", prepare)
    dsn = database_from_template("audited")
    return Copy(dsn, gateway_dsn(dsn))


def failing(report: AuditReport) -> set[str]:
    return {result.check.name for result in report.results if result.offences}


def findings(report: AuditReport, name: str) -> list[str]:
    (result,) = [result for result in report.results if result.check.name == name]
    return [f"{one.place}: {one.what}" for one in result.findings]


async def test_a_sound_ledger_passes_every_check_of_its_partitions(ledger: Copy) -> None:
    report = await ledger.audit()
    assert failing(report) == set()
    assert report.is_sound
    wanted = [check.name for check in CHECKS if check.scope is not Scope.ACKNOWLEDGED]
    assert [result.check.name for result in report.results] == wanted
    assert report.partitions == PARTITIONS
    assert report.rows["customers"] == 3
    assert report.rows["payments"] == 10
    assert report.acknowledged is None


@dataclass(frozen=True)
class Fault:
    check: str
    statements: tuple[str, ...]
    named: str  # a pattern that one finding of the check matches
    also: frozenset[str] = frozenset()  # what else is bound to fail


def _fault(check: str, named: str, *statements: str, also: tuple[str, ...] = ()) -> Fault:
    return Fault(check, statements, named, frozenset(also))


def _id(trace_no: str, partition: int) -> str:
    """The payment id of a trace number, as SQL."""
    return f"(SELECT payment_id FROM ledger_{partition:02d}.payment WHERE trace_no = '{trace_no}')"


def _copied(table: str, source: int, target: int, where: str, **changed: str) -> str:
    """Rows of one partition inserted into another, or into the same, with some columns changed."""
    set_ = "".join(f", '{name}', {value}" for name, value in changed.items())
    overriding = " OVERRIDING SYSTEM VALUE" if table in ("payment", "evidence") else ""
    return (
        f"INSERT INTO ledger_{target:02d}.{table}{overriding} SELECT made.*"
        f" FROM (SELECT * FROM ledger_{source:02d}.{table} WHERE {where}) AS old, jsonb_populate_record("
        f"NULL::ledger_{target:02d}.{table}, to_jsonb(old) || jsonb_build_object('none', 0{set_})) AS made"
    )


def _answered(trace_no: str, path: str, value: str) -> list[str]:
    """Another answer, in the record and in its evidence."""
    return [
        f"UPDATE ledger_00.{table} SET outcome = jsonb_set(outcome, '{path}', '{value}') WHERE trace_no = '{trace_no}'"
        for table in ("operation", "evidence")
    ]


def _no_constraint(table: str, *names: str, partition: int = 1) -> str:
    return f"ALTER TABLE ledger_{partition:02d}.{table} " + ", ".join(f"DROP CONSTRAINT {name}" for name in names)


P207 = f"payment_id = {_id('207', 1)}"
FAULTS = (
    _fault(
        "entries_sum_to_zero",
        r"payment \d+: its entries in CNY sum to 5 fen",
        f"UPDATE ledger_01.entry SET amount_fen = amount_fen + 5 WHERE account = 'DUE_FROM_BANK' AND {P207}",
        also=("due_from_bank", "ledger_sums_to_zero", "undo_negates_entries"),
    ),
    _fault(
        "ledger_sums_to_zero",
        r"all entries in CNY: \d+ entries sum to -7 fen",
        f"INSERT INTO ledger_01.entry SELECT payment_id, 9, 'SUSPENSE', -7, currency, bank, channel, clearing_date,"
        f" settles_date, NULL, NULL, NULL, org_code FROM ledger_01.entry WHERE {P207} AND line_no = 1",
        also=("entries_sum_to_zero", "undo_negates_entries"),
    ),
    _fault(
        "entry_has_payment",
        r"entry 1 of payment 999: DUE_FROM_BANK 3000 fen, and no such payment",
        _copied("entry", 1, 1, f"{P207} AND line_no = 1", payment_id="999"),
        _copied("entry", 1, 1, "payment_id = 999", line_no="2", account="'SUSPENSE'::text", amount_fen="-3000"),
    ),
    _fault(
        "entry_copies_payment",
        r"entry 1 of payment \d+: entry: GZB, ATM, clears 2026-11-25, settles 2026-11-25; payment: GZB, BANK_COUNTER",
        f"UPDATE ledger_01.entry SET channel = 'ATM' WHERE {P207} AND line_no = 1",
    ),
    _fault(
        "entry_names_bill",
        r"entry 2 of payment \d+: names bill R-B9, which is not here",
        f"UPDATE ledger_01.entry SET receivable_id = 'R-B9' WHERE payment_id IN ({_id('207', 1)}, {_id('208', 1)})"
        " AND receivable_id IS NOT NULL",
    ),
    _fault(
        "entry_names_bill",
        r"entry 2 of payment \d+: names bill R-A1 of another customer",
        "UPDATE ledger_00.entry SET receivable_id = 'R-A1' WHERE receivable_id = 'R-L1'",
        also=("bill_not_over_settled", "bill_running_sums"),
    ),
    _fault(
        "entry_names_bill",
        r"names bill R-A1 as month 202610, charge 010; the bill says 202611, 010",
        "UPDATE ledger_00.entry SET billing_month = 202610 WHERE receivable_id = 'R-A1'",
    ),
    _fault(
        "currency_is_the_ledgers",
        r"payment \d+: is in USD, the ledger is kept in CNY",
        "UPDATE ledger_00.payment SET currency = 'USD' WHERE trace_no = '101'",
        also=("operation_tells_payment",),
    ),
    _fault(
        "currency_is_the_ledgers",
        r"entry \d of payment \d+: is in USD",
        f"UPDATE ledger_00.entry SET currency = 'USD' WHERE payment_id = {_id('101', 0)}",
    ),
    _fault(
        "bill_not_over_settled",
        r"bill R-A1: principal 9999 fen; its entries settle 10000 fen and 0 fen of penalty",
        _no_constraint("receivable", "receivable_received_within_principal", partition=0),
        "UPDATE ledger_00.receivable SET principal_fen = 9999 WHERE receivable_id = 'R-A1'",
    ),
    _fault(
        "bill_running_sums",
        r"bill R-A1: says 9999 fen and 0 fen of penalty received; its entries sum to 10000 and 0",
        "UPDATE ledger_00.receivable SET received_principal_fen = 9999 WHERE receivable_id = 'R-A1'",
    ),
    _fault(
        "bill_running_sums",
        r"bill R-A1: says 10000 fen and 3 fen of penalty received; its entries sum to 10000 and 0",
        "UPDATE ledger_00.receivable SET received_penalty_fen = 3 WHERE receivable_id = 'R-A1'",
    ),
    _fault(
        "prepayment_adds_up",
        r"payment \d+: opening 0, movement 500, closing 400 fen; its prepayment entries move 500",
        _no_constraint("payment", "payment_prepayment_adds_up", partition=0),
        "UPDATE ledger_00.payment SET prepayment_closing_fen = 400 WHERE trace_no = '102'",
    ),
    _fault(
        "prepayment_adds_up",
        r"payment \d+: opening 0, movement 400, closing 400 fen; its prepayment entries move 500",
        "UPDATE ledger_00.payment SET prepayment_movement_fen = 400, prepayment_closing_fen = 400"
        " WHERE trace_no = '102'",
    ),
    _fault(
        "prepayment_is_a_chain",
        r"payment \d+: opens with 3 fen; payment \d+ before it closed with 0",
        "UPDATE ledger_00.payment SET prepayment_opening_fen = 3, prepayment_closing_fen = 503 WHERE trace_no = '102'",
    ),
    _fault(
        "prepayment_is_a_chain",
        r"payment \d+: is the customer's first and opens with 3 fen",
        "UPDATE ledger_00.payment SET prepayment_opening_fen = 3, prepayment_closing_fen = 3 WHERE trace_no = '104'",
    ),
    _fault(
        "prepayment_balance",
        r"customer \*{6}\d{4} of payment \d+: balance 501 fen; the prepayment entries sum to 500",
        f"UPDATE ledger_00.customer SET prepayment_balance_fen = 501 WHERE customer_no = '{ANNA}'",
    ),
    _fault(
        "prepayment_balance",
        r"customer \*{6}\d{4} without a prepayment entry: balance 8 fen; the prepayment entries sum to 0",
        f"UPDATE ledger_00.customer SET prepayment_balance_fen = 8 WHERE customer_no = '{LISTED}'",
    ),
    _fault(
        "due_from_bank",
        r"payment \d+: has no entry of what the bank owes",
        f"DELETE FROM ledger_00.entry WHERE payment_id = {_id('101', 0)}",
        also=("bill_running_sums",),
    ),
    _fault(
        "due_from_bank",
        r"payment \d+: PAYMENT of 10000 fen has 2 entries of what the bank owes, together 20000",
        "INSERT INTO ledger_00.entry SELECT payment_id, line_no + 10, account, amount_fen, currency, bank, channel,"
        " clearing_date, settles_date, receivable_id, billing_month, charge_kind, org_code FROM ledger_00.entry"
        f" WHERE payment_id = {_id('101', 0)}",
        also=("bill_running_sums", "bill_not_over_settled"),
    ),
    _fault(
        "due_from_bank",
        r"payment \d+: PAYMENT of 9000 fen has 1 entries of what the bank owes, together 10000",
        "UPDATE ledger_00.payment SET amount_fen = 9000 WHERE trace_no = '101'",
        also=("operation_tells_payment",),
    ),
    _fault(
        "operation_has_payment",
        r"GZB PAYMENT 2026-11-25 101: is approved as payment 999, which is not here",
        "UPDATE ledger_00.operation SET payment_id = 999 WHERE trace_no = '101'",
        also=("payment_has_operation",),
    ),
    _fault(
        "operation_has_payment",
        r"GZB PAYMENT 2026-11-25 101: is approved and names no payment",
        f"DELETE FROM ledger_00.entry WHERE payment_id = {_id('101', 0)}",
        "DELETE FROM ledger_00.payment WHERE trace_no = '101'",
        "UPDATE ledger_00.operation SET payment_id = NULL WHERE trace_no = '101'",
        also=("bill_running_sums",),
    ),
    _fault(
        "operation_has_payment",
        r"GZB PAYMENT 2026-11-25 103: books nothing, and names payment \d+",
        f"UPDATE ledger_00.operation SET payment_id = {_id('101', 0)} WHERE trace_no = '103'",
        also=("operation_tells_payment",),
    ),
    _fault(
        "payment_has_operation",
        r"payment \d+, GZB PAYMENT 2026-11-25 101: no approved operation names it",
        "DELETE FROM ledger_00.operation WHERE trace_no = '101'",
        also=("evidence_has_operation",),
    ),
    _fault(
        "payment_has_operation",
        r"payment \d+, GZB PAYMENT 2026-11-25 101: 2 approved operations name it",
        _copied("operation", 0, 0, "trace_no = '101'", trace_no="'777'::text"),
        _copied("evidence", 0, 0, "trace_no = '101'", trace_no="'777'::text", evidence_id="77"),
        also=("operation_tells_payment",),
    ),
    _fault(
        "operation_tells_payment",
        r"payment \d+, GZB PAYMENT 2026-11-25 101: answered: 10001 CNY, .* booked: .* 10000 CNY",
        *_answered("101", "{amount,0}", "10001"),
    ),
    _fault(
        "operation_tells_payment",
        r"clearing date 2026-11-26; booked: .* clearing date 2026-11-25",
        *_answered("101", "{clearing_date}", '"2026-11-26"'),
    ),
    _fault(
        "operation_tells_payment",
        r"payment \d+, .*, for another customer$",
        f"UPDATE ledger_00.operation SET customer_no = '{LISTED}' WHERE trace_no = '101'",
    ),
    _fault(
        "undo_names_original",
        r"payment \d+: SAME_DAY_CANCEL of 1000 fen on 2026-11-25 names as its original payment 999, which is not here",
        "UPDATE ledger_01.payment SET original_payment_id = 999 WHERE trace_no = '202'",
        also=("undo_negates_entries",),
    ),
    _fault(
        "undo_names_original",
        r"names as its original payment \d+: PAYMENT of 1000 fen on 2026-11-25, of another bank",
        "UPDATE ledger_01.payment SET bank = 'YYB' WHERE trace_no = '201'",
        f"UPDATE ledger_01.entry SET bank = 'YYB' WHERE payment_id = {_id('201', 1)}",
        "UPDATE ledger_01.operation SET bank = 'YYB' WHERE trace_no = '201'",
        "UPDATE ledger_01.evidence SET bank = 'YYB' WHERE trace_no = '201'",
    ),
    _fault(
        "undo_names_original",
        r"REVERSAL of 3000 fen on 2026-11-26 names as its original payment \d+: PAYMENT of 3000 fen on 2026-11-25",
        "UPDATE ledger_01.payment SET kind = 'REVERSAL' WHERE trace_no = '208'",
    ),
    _fault(
        "undone_once",
        r"payment \d+: is undone by payments \d+, \d+",
        "DROP INDEX ledger_01.payment_undone_once",
        f"UPDATE ledger_01.payment SET original_payment_id = {_id('203', 1)} WHERE trace_no = '202'",
        also=("undo_names_original", "undo_negates_entries"),
    ),
    _fault(
        "undo_negates_entries",
        r"payment \d+: with its original \d+ it leaves -1000 fen on RECEIVABLE of bill R-B1",
        _no_constraint("receivable", "receivable_received_within_principal"),
        f"UPDATE ledger_01.entry SET receivable_id = 'R-B2' WHERE payment_id = {_id('202', 1)} AND line_no = 2",
        "UPDATE ledger_01.receivable SET received_principal_fen = received_principal_fen +"
        " CASE receivable_id WHEN 'R-B1' THEN 1000 ELSE -1000 END",
        also=("bill_not_over_settled",),
    ),
    _fault(
        "clearing_day_exists",
        r"payment \d+: is stamped with 2026-11-26, which was never opened",
        "DELETE FROM ledger_01.clearing_day WHERE clearing_date = '2026-11-26'",
    ),
    _fault(
        "recorded_within_day",
        r"payment \d+: was recorded at .* and stamped with 2026-11-26, which was open from .* to infinity",
        "UPDATE ledger_01.clearing_day SET opened_at = opened_at + interval '1h' WHERE clearing_date > '2026-11-25'",
    ),
    _fault(
        "recorded_within_day",
        r"GZB PAYMENT 2026-11-25 201: was recorded at .* and stamped with 2026-11-25, which was open from .* to 2",
        "UPDATE ledger_01.clearing_day SET opened_at = opened_at - interval '1 hour'",
    ),
    _fault(
        "customer_at_home",
        r"customer \*{6}\d{4}: lives here, its home is ledger_01",
        f"UPDATE ledger_00.customer SET payment_no = '{BERT}' WHERE customer_no = '{LISTED}'",
        f"UPDATE busbar.payment_number SET payment_no = '{BERT}'",
    ),
    _fault(
        "customer_at_home",
        r"customer \*{6}\d{4}: has another payment number than the directory",
        "DELETE FROM busbar.payment_number",
    ),
    _fault(
        "payment_has_customer",
        r"payment \d+: its customer \*{6}\d{4} does not live in this partition",
        f"DELETE FROM ledger_00.customer WHERE customer_no = '{LISTED}'",
    ),
    _fault(
        "customer_lives_once",
        r"customer \*{6}\d{4}: lives 2 times, in partitions 0 and 1",
        _copied("customer", 1, 0, f"customer_no = '{BERT}'", prepayment_balance_fen="0"),
        also=("customer_at_home",),
    ),
    _fault(
        "bill_stands_once",
        r"bill R-B2: stands 2 times, in partitions 0 and 1",
        _copied("receivable", 1, 0, "receivable_id = 'R-B2'", received_principal_fen="0"),
    ),
    _fault(
        "evidence_kept",
        r"GZB PAYMENT 2026-11-25 101: its request is not kept",
        "DELETE FROM ledger_00.evidence WHERE trace_no = '101'",
    ),
    _fault(
        "evidence_kept",
        r"GZB PAYMENT 2026-11-25 103: its request is not kept \(trace id trace-103, outcome declined\)",
        "UPDATE ledger_00.evidence SET outcome = jsonb_set(outcome, '{reason}', '\"FENCED\"') WHERE trace_no = '103'",
    ),
    _fault(
        "evidence_kept",
        r"GZB STATUS_ENQUIRY 2026-11-25 206: its request is not kept",
        "DELETE FROM ledger_01.evidence WHERE trace_no = '206'",
    ),
    _fault(
        "evidence_has_operation",
        r"evidence \d+, GZB REVERSAL 2026-11-25 205: was answered as approved, and no operation",
        "DELETE FROM ledger_01.operation WHERE trace_no IN ('205', '299')",
    ),
    _fault(
        "fence_has_reason",
        r"GZB PAYMENT 2026-11-25 299: is fenced by an operation that is not here: GZB REVERSAL 2026-11-25 205",
        "DELETE FROM ledger_01.operation WHERE trace_no = '205'",
        "DELETE FROM ledger_01.evidence WHERE trace_no = '205'",
    ),
    _fault(
        "fence_has_reason",
        r"GZB PAYMENT 2026-11-25 298: is fenced and does not say by what",
        "UPDATE ledger_01.operation SET fenced_by_bank = NULL, fenced_by_kind = NULL, fenced_by_trace_date = NULL,"
        " fenced_by_trace_no = NULL WHERE trace_no = '298'",
    ),
    _fault(
        "reference_number",
        r"payment \d+: its reference number is 01\d{10}; two digits of the partition",
        _no_constraint("payment", "payment_reference_valid", partition=0),
        "UPDATE ledger_00.payment SET reference_no = '01' || right(reference_no, 10) WHERE trace_no = '104'",
        also=("operation_tells_payment", "reference_used_once"),
    ),
    _fault(
        "key_used_once",
        r"GZB PAYMENT 2026-11-25 101: 2 operations with this key, in partitions 0 and 1",
        _copied(
            "operation",
            0,
            1,
            "trace_no = '103'",
            trace_no="'101'::text",
        ),
        _copied("evidence", 0, 1, "trace_no = '103'", trace_no="'101'::text", evidence_id="77"),
    ),
    _fault(
        "reference_used_once",
        r"reference number \d{12}: stands on 2 payments, in partitions 0 and 1",
        _no_constraint("payment", "payment_reference_valid", partition=0),
        f"UPDATE ledger_00.payment SET reference_no = (SELECT reference_no FROM ledger_01.payment WHERE {P207})"
        " WHERE trace_no = '101'",
        also=("reference_number", "operation_tells_payment"),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{index}-{fault.check}" for index, fault in enumerate(FAULTS)])
async def test_a_planted_fault_is_named_and_nothing_else(ledger: Copy, fault: Fault) -> None:
    await ledger.spoil(*fault.statements)
    report = await ledger.audit()
    assert failing(report) == {fault.check, *fault.also}
    found = findings(report, fault.check)
    assert any(re.search(fault.named, one) for one in found), found
    assert not any(number in one for number in (ANNA, BERT, LISTED) for one in found)


def test_every_check_has_its_fault() -> None:
    planted = {fault.check for fault in FAULTS} | {case.check for case in TOLD} | {"acknowledged_consistently"}
    assert planted == {check.name for check in CHECKS}


async def test_only_the_first_offending_rows_are_named_and_all_are_counted(ledger: Copy) -> None:
    await ledger.spoil("UPDATE ledger_01.entry SET channel = 'ATM'")
    (result,) = [result for result in (await ledger.audit()).results if result.offences]
    assert result.check.name == "entry_copies_payment"
    assert len(result.findings) == ROWS_NAMED
    assert result.offences > ROWS_NAMED


async def test_the_audit_writes_nothing_that_stays(ledger: Copy) -> None:
    await ledger.audit()
    connection = await connect(ledger.admin_dsn)
    try:
        left = await connection.fetch_value("SELECT count(*) FROM pg_class WHERE relname LIKE 'every\\_%'")
    finally:
        await connection.close()
    assert left == 0


async def test_a_database_without_a_ledger_is_no_ledger(fresh_database: Callable[..., str]) -> None:
    with pytest.raises(AuditError, match="run `busbar db init`"):
        await audit(fresh_database())


# --- acknowledgement logs


def told(trace_no: str, **changed: object) -> dict[str, object]:
    """What the bank was told of a payment of 100.00 by this ledger, in a line of its log."""
    line: dict[str, object] = {
        "bank": "GZB",
        "kind": "PAYMENT",
        "trace_date": "2026-11-25",
        "trace_no": trace_no,
        "amount_minor": 10_000,
        "currency": "CNY",
        "reference_no": None,
        "clearing_date": "2026-11-25",
        "outcome_class": "success",
    }
    return line | changed


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: dict[str, object] | bytes) -> Path:
        path = tmp_path / "log.jsonl"
        path.write_bytes(
            b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        )
        return path

    return write


REVERSAL = {"kind": "REVERSAL", "amount_minor": 3_000}
SOUND_LOG = (
    told("101"),
    told("101"),  # told twice, the same
    told("102", amount_minor=20_500, clearing_date=None),
    told("103", outcome_class="final_refusal", reference_no=None, amount_minor=None, currency=None, clearing_date=None),
    told("101", amount_minor=999, outcome_class="final_refusal"),  # the same number used again for something else
    told("202", kind="SAME_DAY_CANCEL", amount_minor=1_000),
    told("208", **REVERSAL, clearing_date="2026-11-26"),  # a next-day reversal
    told("205", kind="REVERSAL", outcome_class="final_refusal"),  # it found nothing
    told("299", outcome_class="final_refusal"),  # fenced
    told("298", outcome_class="final_refusal"),
    told("101", outcome_class="retry_later"),
    told("555", outcome_class="unknown_outcome"),
)


async def test_a_log_that_tells_the_truth_passes(ledger: Copy, log: Callable[..., Path]) -> None:
    report = await ledger.audit(log(*SOUND_LOG))
    assert failing(report) == set()
    assert report.acknowledged == {"success": 5, "final_refusal": 5, "retry_later": 1, "unknown_outcome": 1}
    assert [result.check.name for result in report.results] == [check.name for check in CHECKS]


@dataclass(frozen=True)
class Told:
    check: str
    line: dict[str, object]
    named: str


TOLD = (
    Told("acknowledged_is_booked", told("555"), r"GZB PAYMENT 2026-11-25 555: .*log.jsonl:13\), and 0 times"),
    Told("acknowledged_is_booked", told("103", amount_minor=700), "103: acknowledged .* 0 times in the ledger"),
    Told("acknowledged_is_booked", told("299"), "299: acknowledged .* 0 times in the ledger"),
    Told(
        "acknowledged_is_booked", told("205", kind="REVERSAL"), "GZB REVERSAL 2026-11-25 205: acknowledged .* 0 times"
    ),
    Told("acknowledged_as_booked", told("104", amount_minor=4_001), "104: acknowledged .*: 4001 CNY.*booked: 4000 CNY"),
    Told("acknowledged_as_booked", told("104", amount_minor=4_000, currency="USD"), "4000 USD.* booked: 4000 CNY"),
    Told(
        "acknowledged_as_booked", told("104", amount_minor=4_000, reference_no="000000000999"), "reference 000000000999"
    ),
    Told(
        "acknowledged_as_booked", told("104", amount_minor=4_000, clearing_date="2026-11-26"), "date 2026-11-26; booked"
    ),
    Told(
        "refused_is_not_booked",
        told("104", outcome_class="final_refusal"),
        "104: refused for good .* booked as payment",
    ),
)


@pytest.mark.parametrize("case", TOLD, ids=[f"{index}-{case.check}" for index, case in enumerate(TOLD)])
async def test_a_log_that_the_ledger_does_not_bear_out(ledger: Copy, log: Callable[..., Path], case: Told) -> None:
    report = await ledger.audit(log(*SOUND_LOG, case.line))
    assert failing(report) == {case.check}
    (found,) = findings(report, case.check)
    assert re.search(case.named, found), found


async def test_a_bank_told_two_things(ledger: Copy, log: Callable[..., Path]) -> None:
    report = await ledger.audit(log(*SOUND_LOG, told("101", amount_minor=10_001)))
    assert failing(report) == {"acknowledged_consistently", "acknowledged_as_booked"}
    (found,) = findings(report, "acknowledged_consistently")
    assert found.startswith("GZB PAYMENT 2026-11-25 101: acknowledged more than once, and differently: log.jsonl:1")


async def test_a_payment_that_stands_twice(ledger: Copy, log: Callable[..., Path]) -> None:
    await ledger.spoil(
        _no_constraint("payment", "payment_reference_valid"),
        _copied("payment", 0, 1, "trace_no = '101'", payment_id="999", customer_no=f"'{BERT}'::text", recording_no="0"),
    )
    report = await ledger.audit(log(*SOUND_LOG))
    assert {"acknowledged_is_booked", "key_used_once", "payment_has_operation"} <= failing(report)
    (found,) = findings(report, "acknowledged_is_booked")
    assert found.endswith("and 2 times in the ledger")


BAD_LINES = (
    (b"{", "is not a JSON object in UTF-8; was the line cut off?"),
    (b"\xff\xfe", "is not a JSON object in UTF-8"),
    (b"[]", "is not a JSON object"),
    (json.dumps({"bank": "GZB", "colour": 1}).encode(), "fields missing: amount_minor, .*; fields unknown: colour"),
    (told("1", bank=""), "bank: text of 1 to 32"),
    (told("1" * 33), "trace_no: text of 1 to 32"),
    (told("1", bank="G\0B"), "bank: text"),
    (told("1", kind="BILL_ENQUIRY"), "kind: one of PAYMENT, SAME_DAY_CANCEL, REVERSAL is expected"),
    (told("1", outcome_class="fine"), "outcome_class: one of success"),
    (told("1", trace_date="2026-02-30"), "trace_date: a date that exists"),
    (told("1", trace_date="20261125"), "trace_date: a date that exists"),
    (told("1", clearing_date=20261125), "clearing_date: a date that exists"),
    (told("1", amount_minor=0), "amount_minor: a positive integer"),
    (told("1", amount_minor=1.5), "amount_minor: a positive integer"),
    (told("1", amount_minor=True), "amount_minor: a positive integer"),
    (told("1", amount_minor=2**63), "amount_minor: a positive integer"),
    (told("1", amount_minor=None), "amount_minor: a positive integer"),
    (told("1", currency=None), "currency: three capital letters"),
    (told("1", currency="cny"), "currency: three capital letters"),
    (told("1", reference_no="12"), "reference_no: 12 digits, or null"),
)


@pytest.mark.parametrize(("line", "what"), BAD_LINES)
def test_a_line_that_can_not_be_understood(
    log: Callable[..., Path], line: dict[str, object] | bytes, what: str
) -> None:
    logs = AcknowledgementLogs([log(told("1"), line)])
    assert len(list(logs.lines())) == 1
    with pytest.raises(AcknowledgementError, match=f"log.jsonl:2: {what}"):
        logs.raise_mistakes()


def test_many_bad_lines_are_told_in_a_screenful(log: Callable[..., Path]) -> None:
    logs = AcknowledgementLogs([log(*[b"no"] * 50)])
    assert list(logs.lines()) == []
    with pytest.raises(AcknowledgementError) as told_:
        logs.raise_mistakes()
    assert str(told_.value).splitlines()[-1] == "30 more lines like these"


# --- the command


@pytest.fixture
def installation(ledger: Copy, tmp_path: Path) -> Path:
    """The sample installation on the copy of the ledger, as an external database."""
    folder = tmp_path / "installation"
    create_sample(folder)
    parts = urlsplit(ledger.gateway_dsn)
    bare = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    file = folder / "busbar.toml"
    text = file.read_text(encoding="utf-8").replace('dsn = "embedded"', f'dsn = "{bare}"')
    file.write_text(text.replace("partitions = 4", f"partitions = {PARTITIONS}"), encoding="utf-8")
    passwords = folder / "var" / "passwords"
    passwords.mkdir(parents=True)
    for name in ("gateway", "night"):
        (passwords / name).touch(mode=0o600)
        (passwords / name).write_text(PASSWORD, encoding="utf-8")
    return folder


def run(installation: Path, *words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["db", "audit", "--installation", str(installation), *words])
    return int(ended.value.code or 0)


def test_the_command_on_a_sound_ledger(
    installation: Path, log: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(installation, "--acknowledged", str(log(*SOUND_LOG)), "--json", str(tmp_path / "report.json")) == 0
    shown = capsys.readouterr().out
    assert "the ledger is sound 账务相符" in shown
    assert "no bill has received more than its principal" in shown
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["sound"] is True
    assert report["rows"]["payments"] == 10
    assert report["acknowledged"]["success"] == 5
    assert {check["name"]: check["offences"] for check in report["checks"]} == {check.name: 0 for check in CHECKS}


async def _spoiled(ledger: Copy) -> None:
    await ledger.spoil("UPDATE ledger_00.receivable SET received_principal_fen = 1 WHERE receivable_id = 'R-A1'")


def test_the_command_on_a_ledger_that_is_off(
    installation: Path, ledger: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(_spoiled(ledger))
    assert run(installation, "--json", str(tmp_path / "report.json")) == 1
    shown = capsys.readouterr().out
    assert "partition 00, bill R-A1: says 1 fen" in shown
    assert "1 checks fail 1项检查不符" in shown
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (broken,) = [check for check in report["checks"] if check["offences"]]
    assert (report["sound"], broken["name"], broken["findings"][0]["partition"]) == (False, "bill_running_sums", 0)


def test_the_command_with_a_log_that_can_not_be_understood(
    installation: Path, log: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(installation, "--acknowledged", str(log(told("101"), b"{"))) == 2
    assert "busbar: log.jsonl:2: is not a JSON object in UTF-8; was the line cut off?" in capsys.readouterr().err
