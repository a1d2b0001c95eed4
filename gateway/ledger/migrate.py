"""Brings a database to this version of the ledger: roles, schemas, numbered migrations.

Strategy: everything is repeatable. Under one advisory lock, roles are made where missing, then each schema's missing
migrations run in order, each in a transaction with its row in `schema_version`. Rules:

- tables belong to `busbar_owner`, who can't log in; migrations run as that role, so nobody who can log in owns a row;
- a migration that has run is never edited: its SHA-256 is stored and compared;
- the number of partitions and the currency are fixed by the first run, and a later run that says otherwise is refused;
  the first clearing date only counts where no day was ever opened;
- passwords reach the server only as SCRAM verifiers (RFC 5803), so no log of statements can hold one.

`admin_dsn` is a superuser's, or that of a role with CREATEROLE and CREATE on the database.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib import resources

from gateway import clock
from gateway.database import Connection, DatabaseError, connect
from gateway.ledger.partitions import MAX_PARTITIONS, schema_name, schema_names

OWNER, GATEWAY, NIGHT = "busbar_owner", "busbar_gateway", "busbar_night"
COMMON_SCHEMA = "busbar"
MIGRATION_LOCK = 7_351_000  # advisory lock number of this database's migrations
_MIGRATIONS = "gateway.ledger.migrations"
_FILE_NAME = re.compile(r"(common|partition)_([0-9]{4})_[a-z0-9_]+\.sql")
_SCRAM_ITERATIONS = 4096
_ROLE_ATTEMPTS = 20
# Roles are cluster wide: another database's migration may be making or changing the same one at this moment.
_ROLE_EXISTS = ("42710", "23505")
_ROLE_BUSY = ("XX000", "40001")
_IS_MIGHTY = (
    "SELECT rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication FROM pg_roles WHERE rolname = $1"
)


class InstallationMismatch(Exception):  # noqa: N818 - what it is, not that it is an error
    """The database is not what the program was configured for; the text says how and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str = field(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def migrations(kind: str) -> tuple[Migration, ...]:
    """The migrations of "common" or "partition", in order; numbered from 1 without a gap."""
    found = []
    for file in resources.files(_MIGRATIONS).iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None and match.group(1) == kind:
            found.append(Migration(int(match.group(2)), file.name, file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise RuntimeError(f"migrations of kind {kind} are not numbered 1, 2, 3 …")
    return tuple(found)


async def migrate(
    admin_dsn: str,
    *,
    partitions: int,
    first_clearing_date: date,
    gateway_password: str,
    night_password: str,
    currency: str = "CNY",
    now: clock.Clock = clock.now,
) -> None:
    """Initialise or upgrade. Raises InstallationMismatch where the database was initialised otherwise."""
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise ValueError(f"partitions: 1 to {MAX_PARTITIONS}")
    connection = await connect(admin_dsn, application_name="busbar migrate")
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await _make_roles(connection, gateway_password, night_password)
        await _migrate_schema(connection, COMMON_SCHEMA, migrations("common"))
        await _fix_installation(connection, partitions, currency)
        for schema in schema_names(partitions):
            await _migrate_schema(connection, schema, migrations("partition"))
            await _open_first_day(connection, schema, first_clearing_date, now())
    finally:
        await connection.close()


async def check_installation(connection: Connection, partitions: int) -> str:
    """The installation's currency; raises InstallationMismatch unless the database is exactly what we expect."""
    try:
        row = await connection.fetch_row(f"SELECT partitions, currency FROM {COMMON_SCHEMA}.installation")  # noqa: S608
    except DatabaseError as error:
        if error.sqlstate in ("42P01", "3F000"):
            raise InstallationMismatch("the database is not initialised: run `busbar db init`") from None
        raise
    if row is None:
        raise InstallationMismatch("the database is half initialised: run `busbar db init` again")
    _same_partitions(row["partitions"], partitions)
    for kind, schema in (("common", COMMON_SCHEMA), *(("partition", name) for name in schema_names(partitions))):
        await _check_version(connection, schema, migrations(kind)[-1].version)
    if await connection.fetch_value("SELECT has_table_privilege($1, 'UPDATE, DELETE')", f"{schema_name(0)}.payment"):
        raise InstallationMismatch(f"this login could change booked payments: log in as {GATEWAY}")
    return str(row["currency"])


def _same_partitions(stored: int, wanted: int) -> None:
    if stored != wanted:
        raise InstallationMismatch(
            f"the database was initialised with {stored} partitions and {wanted} are configured: "
            f"set partitions = {stored}; the number can't change"
        )


async def _check_version(connection: Connection, schema: str, expected: int) -> None:
    found = await connection.fetch_value(f"SELECT max(version) FROM {schema}.schema_version")  # noqa: S608
    if found != expected:
        what = "run `busbar db migrate`" if (found or 0) < expected else "this program is older than its database"
        raise InstallationMismatch(f"schema {schema} is at version {found}, this program needs {expected}: {what}")


async def _make_roles(connection: Connection, gateway_password: str, night_password: str) -> None:
    await _make_role(connection, OWNER, "NOLOGIN NOINHERIT")
    await _make_role(connection, GATEWAY, f"LOGIN NOINHERIT PASSWORD '{scram_verifier(gateway_password)}'")
    await _make_role(connection, NIGHT, f"LOGIN NOINHERIT PASSWORD '{scram_verifier(night_password)}'")
    if not await connection.fetch_value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        # An administrator who is no superuser acts for the owner, to run migrations as that role.
        await _role_statement(connection, f"GRANT {OWNER} TO CURRENT_USER")


async def _make_role(connection: Connection, name: str, options: str) -> None:
    if await connection.fetch_value("SELECT true FROM pg_roles WHERE rolname = $1", name) is None:
        try:
            await _role_statement(connection, f"CREATE ROLE {name}")
        except DatabaseError as error:
            if error.sqlstate not in _ROLE_EXISTS:
                raise
    await _role_statement(connection, f"ALTER ROLE {name} {options}")
    # Only a superuser may take these away (and a new role has none), so look instead of altering.
    if await connection.fetch_value(_IS_MIGHTY, name):
        raise InstallationMismatch(
            f"the role {name} may do more than it should: run "
            f"ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION as a superuser"
        )


async def _role_statement(connection: Connection, statement: str) -> None:
    for attempt in range(1, _ROLE_ATTEMPTS + 1):
        try:
            await connection.execute(statement)
        except DatabaseError as error:
            if error.sqlstate not in _ROLE_BUSY or attempt == _ROLE_ATTEMPTS:
                raise
            await asyncio.sleep(0.01 * attempt)
        else:
            return


def scram_verifier(password: str) -> str:
    """The SCRAM-SHA-256 verifier of a password (RFC 5802, 5803), as PostgreSQL stores it."""
    if not password.isascii() or not password.isprintable() or len(password) < 12:
        raise ValueError("a database password has at least 12 printable ASCII characters")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server = base64.b64encode(server_key).decode()
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{server}"


async def _migrate_schema(connection: Connection, schema: str, wanted: Sequence[Migration]) -> None:
    await _make_schema(connection, schema)
    rows = await connection.fetch(f"SELECT version, name, digest FROM {schema}.schema_version ORDER BY version")  # noqa: S608
    for row, migration in zip(rows, wanted, strict=False):
        if row["digest"] != migration.digest:
            raise InstallationMismatch(
                f"{migration.name} was changed after it had run in {schema}: restore it and add a new migration"
            )
    if len(rows) > len(wanted):
        raise InstallationMismatch(f"{schema} is at version {len(rows)}: this program is older than its database")
    for migration in wanted[len(rows) :]:
        await _run(connection, schema, migration)


async def _make_schema(connection: Connection, schema: str) -> None:
    async with connection.transaction():
        if await connection.fetch_value("SELECT to_regclass($1)::text", f"{schema}.schema_version") is not None:
            return
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {OWNER}")
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(
            f"CREATE TABLE {schema}.schema_version ("
            "version integer NOT NULL CONSTRAINT schema_version_key PRIMARY KEY, name text NOT NULL,"
            " digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {GATEWAY}, {NIGHT}")
        await connection.execute(f"GRANT SELECT ON {schema}.schema_version TO {GATEWAY}, {NIGHT}")


async def _run(connection: Connection, schema: str, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
        await connection.execute(f"SET LOCAL search_path TO {schema}")
        await connection.execute(migration.sql)
        await connection.execute(
            f"INSERT INTO {schema}.schema_version (version, name, digest) VALUES ($1, $2, $3)",  # noqa: S608
            migration.version,
            migration.name,
            migration.digest,
        )


async def _fix_installation(connection: Connection, partitions: int, currency: str) -> None:
    row = await connection.fetch_row(f"SELECT partitions, currency FROM {COMMON_SCHEMA}.installation")  # noqa: S608
    if row is None:
        await connection.execute(
            f"INSERT INTO {COMMON_SCHEMA}.installation (partitions, currency) VALUES ($1, $2)",  # noqa: S608
            partitions,
            currency,
        )
        return
    _same_partitions(row["partitions"], partitions)
    if row["currency"] != currency:
        raise InstallationMismatch(f"the database is kept in {row['currency']}, not in {currency}")


async def _open_first_day(connection: Connection, schema: str, first: date, opened_at: datetime) -> None:
    await connection.execute(
        f"INSERT INTO {schema}.clearing_day (clearing_date, opened_at) SELECT $1::date, $2"  # noqa: S608
        f" WHERE NOT EXISTS (SELECT FROM {schema}.clearing_day)",
        first,
        opened_at,
    )
