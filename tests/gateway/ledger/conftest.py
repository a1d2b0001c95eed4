"""A migrated database for each test, and what it takes to fill and read it.

Roles are cluster wide, so every suite that migrates on the session's server gives them the same password.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.ledger.migrate import migrate

from .installations import FIRST_DAY, PARTITIONS, PASSWORD, Installation


async def _migrated(dsn: str) -> None:
    await migrate(
        dsn, partitions=PARTITIONS, first_clearing_date=FIRST_DAY, gateway_password=PASSWORD, night_password=PASSWORD
    )


@pytest.fixture
async def installation(
    template_database: Any, database_from_template: Any, postgresql_server: Any
) -> AsyncIterator[Installation]:
    """A ledger of `PARTITIONS` partitions, first clearing date `FIRST_DAY`, nobody in it."""
    template_database("ledger", _migrated)
    admin_dsn = database_from_template("ledger")
    name = urlsplit(admin_dsn).path.lstrip("/")
    installation = await Installation.of(
        admin_dsn,
        postgresql_server.dsn(name, "busbar_gateway", PASSWORD),
        postgresql_server.dsn(name, "busbar_night", PASSWORD),
    )
    yield installation
    await installation.close()
