"""Brings a database to this version of the night's schema, beside the ledger's and apart from it.

Strategy: as the ledger's migrations: numbered files, each in a transaction with its row in `schema_version`, run as the
owner who can't log in, under an advisory lock, the digest of what has run compared. The roles are the ledger's to make;
where they are missing the text says so.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib import resources

from gateway.database import Connection, connect
from reconciliation.errors import NightError

SCHEMA = "reconciliation"
OWNER, NIGHT = "busbar_owner", "busbar_night"
MIGRATION_LOCK = 7_352_000  # advisory lock number of this schema's migrations
_FILE_NAME = re.compile(r"([0-9]{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str = field(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> tuple[Migration, ...]:
    """All migrations in order, numbered from 1 without a gap."""
    found = []
    for file in resources.files("reconciliation").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match.group(1)), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise RuntimeError("the night's migrations are not numbered 1, 2, 3 …")
    return tuple(found)


async def migrate(admin_dsn: str) -> None:
    """Initialise or upgrade; repeatable. `admin_dsn` is the one that migrated the ledger, which has to come first."""
    connection = await connect(admin_dsn, application_name="busbar migrate night")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await _check_roles(connection)
        await _make_schema(connection)
        rows = await connection.fetch(f"SELECT version, digest FROM {SCHEMA}.schema_version ORDER BY version")  # noqa: S608
        wanted = migrations()
        if len(rows) > len(wanted):
            raise NightError(f"{SCHEMA} is at version {len(rows)}: this program is older than its database")
        for row, migration in zip(rows, wanted, strict=False):
            if row["digest"] != migration.digest:
                raise NightError(f"{migration.name} was changed after it had run: restore it and add a new migration")
        for migration in wanted[len(rows) :]:
            await _run(connection, migration)
    finally:
        await connection.close()


async def _check_roles(connection: Connection) -> None:
    found = await connection.fetch_value("SELECT count(*) FROM pg_roles WHERE rolname IN ($1, $2)", OWNER, NIGHT)
    if found != 2:
        raise NightError("the ledger's schemas are missing: run `busbar db init` first")


async def _make_schema(connection: Connection) -> None:
    async with connection.transaction():
        if await connection.fetch_value("SELECT to_regclass($1)::text", f"{SCHEMA}.schema_version") is not None:
            return
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA} AUTHORIZATION {OWNER}")
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(
            f"CREATE TABLE {SCHEMA}.schema_version ("
            "version integer NOT NULL CONSTRAINT schema_version_key PRIMARY KEY, name text NOT NULL,"
            " digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {NIGHT}")
        await connection.execute(f"GRANT SELECT ON {SCHEMA}.schema_version TO {NIGHT}")


async def _run(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(f"SET LOCAL search_path TO {SCHEMA}")
        await connection.execute(migration.sql)
        await connection.execute(
            f"INSERT INTO {SCHEMA}.schema_version (version, name, digest) VALUES ($1, $2, $3)",  # noqa: S608
            migration.version,
            migration.name,
            migration.digest,
        )
