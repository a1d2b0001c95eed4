"""A migrated ledger with customers, a key, and a receiver on a real socket."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from gateway import logs
from gateway.keyring import new_rsa_key
from gateway.ledger.migrate import migrate
from protocols.signing.keys import SigningKey
from tests.gateway.ledger.installations import FIRST_DAY, PARTITIONS, PASSWORD, Installation, bill, customer

from .receiver import Receiver
from .world import CUSTOMERS, OTHER_CUSTOMERS, World


async def _migrated(dsn: str) -> None:
    await migrate(
        dsn, partitions=PARTITIONS, first_clearing_date=FIRST_DAY, gateway_password=PASSWORD, night_password=PASSWORD
    )


@pytest.fixture
async def installation(
    template_database: Any, database_from_template: Any, postgresql_server: Any
) -> AsyncIterator[Installation]:
    """A ledger in which every customer of the tests has one large bill that may be paid in parts."""
    template_database("ledger", _migrated)
    admin_dsn = database_from_template("ledger")
    name = urlsplit(admin_dsn).path.lstrip("/")
    made = await Installation.of(
        admin_dsn,
        postgresql_server.dsn(name, "busbar_gateway", PASSWORD),
        postgresql_server.dsn(name, "busbar_night", PASSWORD),
    )
    everybody = [*CUSTOMERS, *OTHER_CUSTOMERS]
    await made.seed([customer(who) for who in everybody], [bill(f"R{who}", who, 1_000_000) for who in everybody])
    yield made
    await made.close()


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return new_rsa_key(tmp_path_factory.mktemp("keys"), "utility-2026")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def world(installation: Installation, receiver: Receiver, signing_key: SigningKey) -> AsyncIterator[World]:
    made = await World.of(installation, receiver, signing_key)
    yield made
    await made.close()


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """Everything that is logged, as it would be written."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    logs.configure(stream)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = before[0], before[1]
