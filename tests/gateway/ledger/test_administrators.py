"""Who may initialise: a superuser, or an administrator with CREATEROLE and CREATE on the database; and what the roles
may not have. Roles belong to the whole server, so each test takes back what it gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from busbar.postgresql import Server, provide
from gateway.ledger.migrate import GATEWAY, InstallationMismatch, migrate

from .installations import PASSWORD


def initialise(dsn: str) -> None:
    asyncio.run(
        migrate(
            dsn,
            partitions=1,
            first_clearing_date=date(2024, 4, 3),
            gateway_password=PASSWORD,
            night_password=PASSWORD,
        )
    )


def execute(dsn: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def as_user(dsn: str, user: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}"))


# A server of its own: an administrator can't alter roles that somebody else has made.
@pytest.fixture
def own_server() -> Iterator[Server]:
    with provide(None, {"fsync": "off"}) as server:
        yield server


def test_an_administrator_who_is_no_superuser_initialises_twice(own_server: Server) -> None:
    superuser = own_server.superuser_dsn()
    execute(superuser, f"CREATE ROLE administrator LOGIN CREATEROLE PASSWORD '{PASSWORD}'", "CREATE DATABASE utility")
    execute(superuser, "GRANT CREATE ON DATABASE utility TO administrator")
    dsn = as_user(own_server.superuser_dsn("utility"), "administrator")
    initialise(dsn)
    initialise(dsn)


@pytest.mark.parametrize("might", ["BYPASSRLS", "CREATEDB", "CREATEROLE", "SUPERUSER", "REPLICATION"])
def test_a_role_that_may_do_more_is_refused(fresh_database: Callable[..., str], might: str) -> None:
    dsn = fresh_database("mighty")
    initialise(dsn)
    execute(dsn, f"ALTER ROLE {GATEWAY} {might}")
    try:
        with pytest.raises(
            InstallationMismatch, match=f"the role {GATEWAY} may do more than it should: run ALTER ROLE"
        ):
            initialise(dsn)
    finally:
        execute(dsn, f"ALTER ROLE {GATEWAY} NO{might}")
    initialise(dsn)
