"""The embedded PostgreSQL: `with provide(folder) as server: connect(server.superuser_dsn())`.

Read `server` first (what is provided, in which order), then `cluster` (what lies on disk), `postmaster` (the process)
and `account` (why and how root runs it as another account).
"""

from __future__ import annotations

from busbar.postgresql.errors import PostgresqlError
from busbar.postgresql.server import Server, provide, remove_data

__all__ = ["PostgresqlError", "Server", "provide", "remove_data"]
