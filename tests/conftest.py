"""Fixtures for every test: one embedded PostgreSQL per session (per xdist worker), databases made in milliseconds.

How to use them:

- `fresh_database()` gives the superuser DSN of a new, empty database; it is dropped when the test ends.
- A suite that needs a schema prepares it once and copies it per test:

      @pytest.fixture(scope="session")
      def ledger_template(template_database):
          template_database("ledger", migrate)      # migrate(dsn): a function or a coroutine function

      @pytest.fixture
      def ledger_dsn(ledger_template, database_from_template):
          return database_from_template("ledger")

`prepare` must have closed its connections when it returns: PostgreSQL copies only a database that nobody uses. Fsync
is off, as nothing here survives the session; tests of crashes and durability provide a server of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import asyncpg
import pytest
import structlog

from busbar.postgresql import PostgresqlError, Server, provide, remove_data

Prepare = Callable[[str], Awaitable[None] | None]
FreshDatabase = Callable[..., str]
TemplateDatabase = Callable[[str, Prepare], None]
DatabaseFromTemplate = Callable[[str], str]
T = TypeVar("T")

_SERVER_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A temporary embedded server (or the one that BUSBAR_DATABASE_DSN names) for the whole session."""
    with provide(None, _SERVER_SETTINGS) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _no_clusters_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embedded databases in the tests' own folders are removed: as root most of one lies elsewhere and would stay."""
    yield
    for lock in tmp_path_factory.getbasetemp().rglob("postgresql/lock"):
        with contextlib.suppress(PostgresqlError):
            remove_data(lock.parent)


@pytest.fixture(autouse=True)
def _log_configuration() -> Iterator[None]:
    """A test that sets up logging (a command run in this process does) leaves no stream of its own behind."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def template_database(postgresql_server: Server) -> Iterator[TemplateDatabase]:
    """`template_database(key, prepare)` makes the template `key` once per session and lets `prepare(dsn)` fill it."""
    made: dict[str, str] = {}

    def make(key: str, prepare: Prepare) -> None:
        if key in made:
            return
        name = _create(postgresql_server, f"template_{key}", "template0")
        result = prepare(postgresql_server.superuser_dsn(name))
        if inspect.isawaitable(result):
            run_apart(_awaited(result))
        made[key] = name

    make.names = made  # type: ignore[attr-defined]  # for database_from_template
    yield make
    for name in made.values():
        _drop(postgresql_server, name)


@pytest.fixture
def fresh_database(postgresql_server: Server) -> Iterator[FreshDatabase]:
    """`fresh_database(name_prefix="test")` gives the superuser DSN of a new, empty database."""
    made: list[str] = []

    def make(name_prefix: str = "test") -> str:
        made.append(_create(postgresql_server, name_prefix, "template0"))
        return postgresql_server.superuser_dsn(made[-1])

    yield make
    for name in made:
        _drop(postgresql_server, name)


@pytest.fixture
def database_from_template(
    postgresql_server: Server, template_database: TemplateDatabase
) -> Iterator[DatabaseFromTemplate]:
    """`database_from_template(key)` gives the superuser DSN of a new copy of the template `key`."""
    made: list[str] = []

    def make(key: str) -> str:
        templates: dict[str, str] = template_database.names  # type: ignore[attr-defined]
        made.append(_create(postgresql_server, key, templates[key]))
        return postgresql_server.superuser_dsn(made[-1])

    yield make
    for name in made:
        _drop(postgresql_server, name)


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread and loop of its own: that works outside and inside a running loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _create(server: Server, prefix: str, template: str) -> str:
    # The process id keeps the workers of xdist apart on an external server.  Where fsync is off, file_copy is the
    # quicker way, the later DROP included.
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
    return name


def _drop(server: Server, name: str) -> None:
    _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(server: Server, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server.superuser_dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    run_apart(run())
