"""The one error of the embedded PostgreSQL."""

from __future__ import annotations


class PostgresqlError(RuntimeError):
    """The database server can't be provided.

    The text is one line: what is wrong, where, and what to do about it. It never holds a password.
    """
