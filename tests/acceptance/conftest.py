"""One running house a test module: gateway, ledger and log, on the event loop that the product runs on."""

from __future__ import annotations

import asyncio
import io
import itertools
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import structlog
import uvloop

from busbar.installations import create_sample
from gateway import clock, logs
from gateway.config import Installation, load
from gateway.database import connect
from gateway.ledger.importing import import_bills, import_customers
from gateway.ledger.migrate import migrate as migrate_ledger
from reconciliation.migrate import migrate as migrate_night

from .house import CUSTOMERS, House, running, write_population

# Roles belong to the whole server: every suite that migrates on it gives them the same password.
PASSWORD = "a-password-of-the-tests"
_numbers = itertools.count(1)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ibis calls a method of DuckDB's driver that has a new name; the warning says nothing about our code."""
    quiet = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(quiet)


@pytest.fixture(scope="session")
def first_day() -> date:
    """The first clearing date: the utility has cut off already, so that it is not the calendar's day."""
    return clock.now().date() + timedelta(days=1)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The sample installation with new keys; refusals to strangers are signed too."""
    folder = tmp_path_factory.mktemp("installation")
    create_sample(folder)
    path = folder / "busbar.toml"
    text = path.read_text("utf-8")
    assert '# sign_key = "utility-2026"' in text
    path.write_text(text.replace("# sign_key =", "sign_key =", 1), "utf-8")  # the first: [http]
    return load(folder)


@pytest.fixture(scope="session")
def populated(
    template_database: Any, postgresql_server: Any, tmp_path_factory: pytest.TempPathFactory, first_day: date
) -> str:
    """The name of a template database with both migrations and everybody imported."""
    folder = tmp_path_factory.mktemp("population")

    async def prepare(admin_dsn: str) -> None:
        passwords = {"gateway_password": PASSWORD, "night_password": PASSWORD}
        await migrate_ledger(admin_dsn, partitions=4, first_clearing_date=first_day, **passwords)
        await migrate_night(admin_dsn)
        name = urlsplit(admin_dsn).path.lstrip("/")
        dsn = postgresql_server.dsn(name, "busbar_gateway", PASSWORD)
        customers, bills = write_population(folder, first_day)
        assert (await import_customers(dsn, customers, 4)).added == CUSTOMERS
        assert (await import_bills(dsn, bills, 4)).added == 2 * CUSTOMERS

    template_database("acceptance", prepare)
    names: dict[str, str] = template_database.names
    return names["acceptance"]


@pytest.fixture(scope="module")
def log_stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], level = before
    root.setLevel(level)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    installation: Installation, populated: str, postgresql_server: Any, first_day: date, log_stream: io.StringIO
) -> AsyncIterator[House]:
    """A house on a database of its own, for all tests of a module."""
    name = f"house_{os.getpid()}_{next(_numbers)}"
    server = await connect(postgresql_server.superuser_dsn())
    await server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{populated}" STRATEGY file_copy')
    try:
        dsns = [postgresql_server.dsn(name, role, PASSWORD) for role in ("busbar_gateway", "busbar_night")]
        async with running(
            installation, postgresql_server.superuser_dsn(name), *dsns, first_day=first_day, log=log_stream
        ) as made:
            yield made
    finally:
        await server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await server.close()
