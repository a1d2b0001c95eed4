"""The night's schema is what its migrations make, twice is once, and what has run may not be edited."""

from __future__ import annotations

from typing import Any

import pytest

from reconciliation import migrate
from reconciliation.errors import NightError

CATALOG = """
    SELECT table_name, string_agg(concat_ws(' ', column_name, data_type, is_nullable), ', ' ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_schema = 'reconciliation' GROUP BY table_name ORDER BY 1
"""
PRIVILEGES = (
    "SELECT table_name, string_agg(DISTINCT privilege_type, ' ' ORDER BY privilege_type) AS privileges"
    " FROM information_schema.role_table_grants WHERE table_schema = 'reconciliation' AND grantee = 'busbar_night'"
    " GROUP BY table_name ORDER BY 1"
)
GRANTED = {
    "break": "INSERT SELECT",
    "break_event": "INSERT SELECT",
    "break_state": "SELECT",
    "file": "INSERT SELECT",
    "reconciled_day": "INSERT SELECT",
    "run": "INSERT SELECT",
    "schema_version": "SELECT",
}


async def test_twice_is_once(world: Any) -> None:
    before = world.sql(CATALOG), world.sql("SELECT version, digest, applied_at FROM reconciliation.schema_version")
    await migrate.migrate(world.admin_dsn)
    assert (
        world.sql(CATALOG),
        world.sql("SELECT version, digest, applied_at FROM reconciliation.schema_version"),
    ) == before


def test_the_owner_can_not_log_in_and_the_night_may_add_only(world: Any) -> None:
    assert {row["table_name"]: row["privileges"] for row in world.sql(PRIVILEGES)} == GRANTED
    owners = world.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'reconciliation'")
    assert [row["tableowner"] for row in owners] == ["busbar_owner"]
    assert not world.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'busbar_owner'")[0]["rolcanlogin"]
    columns = world.sql(
        "SELECT column_name FROM information_schema.column_privileges WHERE table_schema = 'reconciliation'"
        " AND grantee = 'busbar_night' AND privilege_type = 'UPDATE' ORDER BY 1"
    )
    assert [row["column_name"] for row in columns] == ["changed_at", "epoch", "evidence", "result", "state"]


async def test_a_migration_that_was_edited_is_refused(world: Any) -> None:
    world.sql("UPDATE reconciliation.schema_version SET digest = 'x'")
    with pytest.raises(NightError, match="was changed after it had run"):
        await migrate.migrate(world.admin_dsn)


async def test_a_newer_database_is_refused(world: Any) -> None:
    world.sql("INSERT INTO reconciliation.schema_version VALUES (99, 'x', 'x')")
    with pytest.raises(NightError, match="this program is older than its database"):
        await migrate.migrate(world.admin_dsn)
