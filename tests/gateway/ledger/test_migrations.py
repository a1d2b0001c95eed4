"""The schema is what the migrations make it, twice is once, and a database of another make is refused.

`schema.txt` beside this file is the catalog after all migrations. A migration changes it: write it anew with
`BUSBAR_WRITE_SCHEMA=1 pytest tests/gateway/ledger/test_migrations.py` and read the difference before committing it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.database import Connection, PermissionRefused, connect
from gateway.ledger import migrate as migrating
from gateway.ledger.migrate import (
    InstallationMismatch,
    Migration,
    check_installation,
    migrate,
    migrations,
    scram_verifier,
)

from .installations import FIRST_DAY, NEXT_DAY, PARTITIONS, PASSWORD, Installation

SNAPSHOT = Path(__file__).with_name("schema.txt")

CATALOG = """
SELECT line FROM (
    SELECT n.nspname AS s, c.relname AS r, 1 AS part, lpad(a.attnum::text, 3, '0') AS o,
        'column ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || CASE WHEN a.attidentity <> '' THEN ' identity' ELSE '' END
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
        || coalesce(' grants ' || array_to_string(a.attacl, ' '), '') AS line
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'S', 'c')
    UNION ALL
    SELECT n.nspname, c.relname, 0, '',
        'relation ' || c.relname || ' kind ' || c.relkind::text || ' owner ' || pg_get_userbyid(c.relowner)
        || coalesce(' grants ' || (
            SELECT string_agg(g::text, ' ' ORDER BY g::text)
            FROM unnest(c.relacl) AS g
            WHERE g::text !~ '^busbar_owner='
        ), '')
        || coalesce(' with ' || array_to_string(c.reloptions, ' '), '')
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'S', 'c')
    UNION ALL
    SELECT n.nspname, c.relname, 2, k.conname, 'constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
    FROM pg_constraint AS k
    JOIN pg_class AS c ON c.oid = k.conrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND k.contype <> 'n'
    UNION ALL
    SELECT schemaname, tablename, 3, indexname, 'index ' || indexdef FROM pg_indexes WHERE schemaname = $1
    UNION ALL
    SELECT schemaname, viewname, 4, '', 'view ' || definition FROM pg_views WHERE schemaname = $1
    UNION ALL
    SELECT n.nspname, '', 0, '', 'schema ' || n.nspname || ' owner ' || pg_get_userbyid(n.nspowner)
        || ' grants ' || (SELECT string_agg(g::text, ' ' ORDER BY g::text) FROM unnest(n.nspacl) AS g)
    FROM pg_namespace AS n WHERE n.nspname = $1
) AS catalog
ORDER BY s COLLATE "C", r COLLATE "C", part, o COLLATE "C", line COLLATE "C"
"""


async def catalog(connection: Connection, schema: str) -> str:
    rows = await connection.fetch(CATALOG, schema)
    return "\n".join(row["line"] for row in rows) + "\n"


async def everything(connection: Connection) -> dict[str, Any]:
    """Catalog and rows of all that migrations make."""
    schemas = ["busbar", *(f"ledger_{one:02d}" for one in range(PARTITIONS))]
    found: dict[str, Any] = {schema: await catalog(connection, schema) for schema in schemas}
    for schema in schemas:
        found[f"{schema} versions"] = await connection.fetch(f"SELECT * FROM {schema}.schema_version ORDER BY version")
    found["days"] = await connection.fetch("SELECT * FROM ledger_00.clearing_day")
    found["installation"] = await connection.fetch("SELECT * FROM busbar.installation")
    return found


async def run(dsn: str, **changes: Any) -> None:
    given: dict[str, Any] = {
        "partitions": PARTITIONS,
        "first_clearing_date": FIRST_DAY,
        "gateway_password": PASSWORD,
        "night_password": PASSWORD,
    }
    await migrate(dsn, **(given | changes))


async def test_the_schema_equals_the_migrations(installation: Installation) -> None:
    common, partition = await catalog(installation.admin, "busbar"), await catalog(installation.admin, "ledger_00")
    found = f"{common}\n{partition}"
    if os.environ.get("BUSBAR_WRITE_SCHEMA"):
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert found == SNAPSHOT.read_text(encoding="utf-8")


async def test_all_partitions_are_alike(installation: Installation) -> None:
    first, second = [await catalog(installation.admin, f"ledger_{one:02d}") for one in range(2)]
    assert first == second.replace("ledger_01", "ledger_00")


async def test_migrating_twice_changes_nothing(installation: Installation) -> None:
    before = await everything(installation.admin)
    await run(installation.admin_dsn, first_clearing_date=NEXT_DAY)
    assert await everything(installation.admin) == before


async def test_two_migrations_at_once(fresh_database: Any) -> None:
    dsn = fresh_database()
    await asyncio.gather(*(run(dsn) for _ in range(3)))
    connection = await connect(dsn)
    assert await connection.fetch_value("SELECT count(*) FROM ledger_00.schema_version") == len(migrations("partition"))
    await connection.close()


async def test_two_databases_migrated_at_once_share_the_roles(fresh_database: Any) -> None:
    await asyncio.gather(*(run(fresh_database()) for _ in range(3)))


async def test_a_migration_that_stopped_half_way_is_finished(
    fresh_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = fresh_database()
    whole = migrations("partition")
    broken = (whole[0], replace(whole[1], sql=whole[1].sql + "; SELECT 1 / 0"))
    with monkeypatch.context() as patch:
        patch.setattr(migrating, "migrations", lambda kind: broken if kind == "partition" else migrations(kind))
        with pytest.raises(Exception, match="22012"):
            await run(dsn)
    await run(dsn)
    connection = await connect(dsn)
    assert await catalog(connection, "ledger_00") in SNAPSHOT.read_text(encoding="utf-8")
    await connection.close()


async def test_a_later_migration_is_added_and_an_edited_one_refused(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = migrations("partition")
    added = Migration(len(others) + 2, "partition_9999_more.sql", "CREATE TABLE more (id bigint)")

    def with_more(kind: str) -> tuple[Migration, ...]:
        return (first, *others, added) if kind == "partition" else migrations(kind)

    monkeypatch.setattr(migrating, "migrations", with_more)
    with pytest.raises(InstallationMismatch, match=r"busbar db migrate"):
        await check_installation(installation.admin, PARTITIONS)
    await run(installation.admin_dsn)
    owner = await installation.value("SELECT tableowner FROM pg_tables WHERE tablename = 'more' LIMIT 1")
    assert owner == "busbar_owner"
    monkeypatch.setattr(migrating, "migrations", migrations)
    with pytest.raises(InstallationMismatch, match="older than its database"):
        await check_installation(installation.admin, PARTITIONS)
    edited = (replace(first, sql=first.sql + "\n-- a harmless remark"), *others, added)
    monkeypatch.setattr(migrating, "migrations", lambda kind: edited if kind == "partition" else migrations(kind))
    with pytest.raises(InstallationMismatch, match="was changed after it had run"):
        await run(installation.admin_dsn)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"partitions": PARTITIONS + 1}, "initialised with 2 partitions and 3 are configured"),
        ({"currency": "HKD"}, "kept in CNY, not in HKD"),
    ],
)
async def test_what_is_fixed_stays_fixed(installation: Installation, changes: dict[str, Any], what: str) -> None:
    before = await everything(installation.admin)
    with pytest.raises(InstallationMismatch, match=what):
        await run(installation.admin_dsn, **changes)
    assert await everything(installation.admin) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"partitions": 0},
        {"partitions": 101},
        {"gateway_password": "short"},
        {"night_password": "密码密码密码密码密码密码"},
    ],
)
async def test_wrong_arguments(fresh_database: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"partitions|password"):
        await run(fresh_database(), **changes)


async def test_check_installation(installation: Installation, fresh_database: Any) -> None:
    gateway = await connect(installation.gateway_dsn)
    assert await check_installation(gateway, PARTITIONS) == "CNY"
    with pytest.raises(InstallationMismatch, match="set partitions = 2"):
        await check_installation(gateway, 4)
    await gateway.close()
    with pytest.raises(InstallationMismatch, match="log in as busbar_gateway"):
        await check_installation(installation.admin, PARTITIONS)
    empty = await connect(fresh_database())
    with pytest.raises(InstallationMismatch, match="busbar db init"):
        await check_installation(empty, PARTITIONS)
    await empty.close()


async def test_an_administrator_needs_not_be_a_superuser(postgresql_server: Any, fresh_database: Any) -> None:
    """On a server that somebody else runs, CREATEROLE and CREATE on the database are enough."""
    dsn = fresh_database()
    admin = await connect(dsn)
    name = await admin.fetch_value("SELECT current_database()")
    await admin.execute(f"CREATE ROLE modest_admin LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
    try:
        await admin.execute(f'ALTER DATABASE "{name}" OWNER TO modest_admin')
        for role in ("busbar_owner", "busbar_gateway", "busbar_night"):
            if await admin.fetch_value("SELECT true FROM pg_roles WHERE rolname = $1", role):
                await admin.execute(f"GRANT {role} TO modest_admin WITH ADMIN OPTION")
        await run(postgresql_server.dsn(name, "modest_admin", PASSWORD))
        assert await catalog(admin, "ledger_00") in SNAPSHOT.read_text(encoding="utf-8")
    finally:
        await admin.execute("REASSIGN OWNED BY modest_admin TO CURRENT_USER; DROP OWNED BY modest_admin CASCADE")
        await admin.execute("DROP ROLE modest_admin")
        await admin.close()


async def test_passwords_reach_the_server_as_verifiers_only(installation: Installation, postgresql_server: Any) -> None:
    stored = await installation.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'busbar_gateway'")
    assert stored.startswith("SCRAM-SHA-256$4096:")
    assert scram_verifier(PASSWORD) != scram_verifier(PASSWORD), "salted"
    database = await installation.value("SELECT current_database()")
    with pytest.raises(PermissionRefused):
        await connect(postgresql_server.dsn(database, "busbar_gateway", "a-password-that-is-wrong"))
    with pytest.raises(PermissionRefused):
        await connect(postgresql_server.dsn(database, "busbar_owner", PASSWORD))


def test_migrations_are_numbered_without_a_gap() -> None:
    for kind in ("common", "partition"):
        assert [one.version for one in migrations(kind)] == list(range(1, len(migrations(kind)) + 1))
