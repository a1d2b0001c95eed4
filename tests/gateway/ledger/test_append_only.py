"""The gateway's role can't change what is booked: every way is tried on every table, by the role itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.database import Connection, DatabaseError, PermissionRefused, connect
from gateway.ledger.store_postgres import open_postgres_store

from .installations import FIRST_DAY, PARTITIONS, Installation, at_home, bill, customer, payment, run_batch

PARTITION_TABLES = [
    "clearing_day",
    "customer",
    "entry",
    "event_dead_letter",
    "event_subscription",
    "evidence",
    "operation",
    "payment",
    "receivable",
    "schema_version",
    "sign_event",
    "unresolved",
    "unresolved_event",
]
COMMON_TABLES = ["installation", "payment_number", "schema_version"]
TABLES = [f"ledger_00.{name}" for name in PARTITION_TABLES] + [f"busbar.{name}" for name in COMMON_TABLES]
FIRST_COLUMN = {
    "ledger_00.clearing_day": "clearing_date",
    "ledger_00.customer": "customer_no",
    "ledger_00.entry": "amount_fen",
    "ledger_00.event_dead_letter": "customer_no",
    "ledger_00.event_subscription": "subscriber",
    "ledger_00.evidence": "request",
    "ledger_00.operation": "outcome",
    "ledger_00.payment": "amount_fen",
    "ledger_00.receivable": "principal_fen",
    "ledger_00.schema_version": "version",
    "ledger_00.sign_event": "signed_on",
    "ledger_00.unresolved": "cause",
    "ledger_00.unresolved_event": "event",
    "busbar.installation": "partitions",
    "busbar.payment_number": "payment_no",
    "busbar.schema_version": "version",
}
FORBIDDEN = [
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "DROP TABLE {table} CASCADE",
    "ALTER TABLE {table} ADD COLUMN more text",
    "ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} OWNER TO busbar_gateway",
    "CREATE RULE gone AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TRIGGER gone BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "DO $$ BEGIN LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; END $$",
]
OTHER_WAYS = [
    "SET ROLE busbar_owner",
    "SET SESSION AUTHORIZATION busbar_owner",
    "SET session_replication_role = replica",
    "CREATE SCHEMA more",
    "CREATE TABLE ledger_00.more (id int)",
    "CREATE TABLE busbar.more (id int)",
    "CREATE TABLE public.more (id int)",
    "CREATE FUNCTION ledger_00.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DROP SCHEMA ledger_00 CASCADE",
    "ALTER SCHEMA ledger_00 OWNER TO busbar_gateway",
    "SELECT setval('ledger_00.payment_id_sequence', 1)",
    "ALTER SEQUENCE ledger_00.payment_id_sequence RESTART",
    "CREATE ROLE friend",
    "ALTER ROLE busbar_gateway SUPERUSER",
    "GRANT busbar_owner TO busbar_gateway",
    "REFRESH MATERIALIZED VIEW ledger_00.published_payment",
    "UPDATE ledger_00.published_customer SET prepayment_balance_fen = 1",
    "UPDATE ledger_00.customer SET customer_no = customer_no, prepayment_balance_fen = 1",
    "UPDATE ledger_00.receivable SET locked = true",
    "INSERT INTO ledger_00.evidence (evidence_id) OVERRIDING SYSTEM VALUE VALUES (1)",
    "COPY ledger_00.payment TO PROGRAM 'cat'",
]


@pytest.fixture
async def gateway(installation: Installation) -> AsyncIterator[Connection]:
    """The gateway's session on a ledger that holds a row in every table."""
    who = at_home(0)
    await installation.seed([customer(who)], [bill("R1", who)])
    store = await open_postgres_store(installation.gateway_dsn, 0, PARTITIONS, "CNY")
    await run_batch(store, [payment("T1", who)])
    await store.close()
    await installation.admin.execute("INSERT INTO busbar.payment_number VALUES ('1', '2')")
    connection = await connect(installation.gateway_dsn)
    yield connection
    await connection.close()


async def test_the_list_of_tables_is_complete(installation: Installation) -> None:
    rows = await installation.admin.fetch(
        "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('ledger_00', 'busbar')"
    )
    assert {row["name"] for row in rows} == set(TABLES) == set(FIRST_COLUMN)


@pytest.mark.parametrize("table", TABLES)
async def test_nothing_booked_can_be_changed(gateway: Connection, installation: Installation, table: str) -> None:
    before = await installation.admin.fetch(f"SELECT * FROM {table}")
    # PostgreSQL only warns of a grant that grants nothing; what follows shows that it did.
    await gateway.execute(f"GRANT ALL ON {table} TO busbar_gateway")
    for template in FORBIDDEN:
        statement = template.format(table=table, column=FIRST_COLUMN[table])
        with pytest.raises(PermissionRefused):
            await gateway.execute(statement)
    assert await installation.admin.fetch(f"SELECT * FROM {table}") == before


@pytest.mark.parametrize("statement", OTHER_WAYS)
async def test_no_other_way_either(gateway: Connection, installation: Installation, statement: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        await gateway.execute(statement)
    assert caught.value.sqlstate in ("42501", "42809", "55000", "428C9", "23502"), caught.value
    assert await installation.count("payment") == 1


async def test_running_sums_can_be_updated_and_stay_within_their_rules(gateway: Connection) -> None:
    assert await gateway.execute("UPDATE ledger_00.customer SET prepayment_balance_fen = 0") == "UPDATE 1"
    assert await gateway.execute("UPDATE ledger_00.receivable SET received_penalty_fen = 0") == "UPDATE 1"
    for statement in (
        "UPDATE ledger_00.customer SET prepayment_balance_fen = -1",
        "UPDATE ledger_00.receivable SET received_principal_fen = principal_fen + 1",
        "UPDATE ledger_00.receivable SET received_penalty_fen = -1",
    ):
        with pytest.raises(DatabaseError) as caught:
            await gateway.execute(statement)
        assert caught.value.sqlstate == "23514"


@pytest.mark.parametrize("relation", ["payment", "customer", "receivable", "entry", "evidence", "operation"])
async def test_the_night_sees_published_views_only(installation: Installation, relation: str) -> None:
    night = await connect(installation.night_dsn, search_path="ledger_00")
    with pytest.raises(PermissionRefused):
        await night.fetch(f"SELECT * FROM {relation}")
    await night.close()


@pytest.mark.parametrize(
    "view",
    [
        "published_payment",
        "published_receipt_line",
        "published_entry",
        "published_receivable",
        "published_customer",
        "published_clearing_day",
    ],
)
async def test_the_night_reads_every_published_view(gateway: Connection, installation: Installation, view: str) -> None:
    night = await connect(installation.night_dsn, search_path="ledger_00")
    assert await night.fetch(f"SELECT * FROM {view}") != []
    with pytest.raises(DatabaseError):
        await night.execute(f"DELETE FROM {view}")
    await night.close()


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("amount_fen", "0", "payment_amount_positive"),
        ("amount_fen", "-1", "payment_amount_positive"),
        ("kind", "'GIFT'", "payment_kind_valid"),
        ("kind", "'REVERSAL'", "payment_original_valid"),
        ("original_payment_id", "1", "payment_original_valid"),
        ("payment_id", "10000000000", "payment_id_valid"),
        ("reference_no", "'000000000003'", "payment_reference_valid"),
        ("reference_no", "'12'", "payment_reference_valid"),
        ("currency", "'yuan'", "payment_currency_valid"),
        ("trace_no", "''", "payment_trace_valid"),
        ("prepayment_closing_fen", "5", "payment_prepayment_adds_up"),
        ("prepayment_opening_fen, prepayment_closing_fen", "-5, -5", "payment_prepayment_not_negative"),
        ("trace_no", "'T1'", "payment_once"),
        ("payment_id, reference_no", "1, '000000000001'", "payment_key"),
        ("kind, original_payment_id", "'REVERSAL', 77", "payment_of_original"),
    ],
)
async def test_the_database_refuses_a_payment_that_can_not_be(
    gateway: Connection, columns: str, values: str, constraint: str
) -> None:
    row = {
        "payment_id": "2",
        "kind": "'PAYMENT'",
        "bank": "'GZB'",
        "trace_date": f"'{FIRST_DAY}'",
        "trace_no": "'T2'",
        "customer_no": "'1'",
        "org_code": "'O'",
        "amount_fen": "1",
        "currency": "'CNY'",
        "channel": "'ATM'",
        "settle_method": "'CASH'",
        "outlet": "''",
        "operator": "''",
        "paid_at": "now()",
        "paid_date": f"'{FIRST_DAY}'",
        "recorded_at": "now()",
        "clearing_date": f"'{FIRST_DAY}'",
        "settles_date": f"'{FIRST_DAY}'",
        "reference_no": "'000000000002'",
        "original_payment_id": "NULL",
        "prepayment_opening_fen": "0",
        "prepayment_movement_fen": "0",
        "prepayment_closing_fen": "0",
        "trace_id": "''",
    }
    insert = "INSERT INTO ledger_00.payment ({}) VALUES ({})"
    if constraint == "payment_once":
        await gateway.execute(insert.format(", ".join(row), ", ".join((row | {"trace_no": "'T3'"}).values())))
        row |= {"payment_id": "3", "reference_no": "'000000000003'"}
    row |= dict(zip(columns.split(", "), values.split(", "), strict=True))
    with pytest.raises(DatabaseError) as caught:
        await gateway.execute(insert.format(", ".join(row), ", ".join(row.values())))
    assert caught.value.constraint == constraint


async def test_a_payment_is_undone_once(gateway: Connection) -> None:
    undo = (
        "INSERT INTO ledger_00.payment SELECT (p).* FROM (SELECT jsonb_populate_record(payment, $1::jsonb) AS p"
        " FROM ledger_00.payment WHERE payment_id = 1) AS t"
    )
    undo = undo.replace("INSERT INTO ledger_00.payment", "INSERT INTO ledger_00.payment OVERRIDING USER VALUE")
    change = (
        '{"payment_id": %d, "kind": "REVERSAL", "trace_no": "U%d", "reference_no": "%012d", "original_payment_id": 1}'
    )
    await gateway.execute(undo, change % (2, 2, 2))
    with pytest.raises(DatabaseError) as caught:
        await gateway.execute(undo, change % (3, 3, 3))
    assert caught.value.constraint == "payment_undone_once"
