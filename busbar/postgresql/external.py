"""A PostgreSQL that somebody else runs, named by a DSN. Nothing of it is started, stopped or configured here.

Its version is asked with `psql` (the system's, else the wheel's, which has no TLS), because this room may not open
database connections itself. The password travels in the environment: an argument would show in the process list.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from urllib.parse import SplitResult, quote, unquote, urlsplit

from busbar.postgresql.errors import PostgresqlError
from busbar.postgresql.installation import LOWEST_VERSION, client_program

VARIABLE = "BUSBAR_DATABASE_DSN"
_PSQL_TIMEOUT_SECONDS = 30
_CONNECT_TIMEOUT_SECONDS = 10


def checked_dsn(dsn: str) -> str:
    """`dsn` if a PostgreSQL of version 16 or later answers there, else `PostgresqlError` (no password in it)."""
    if urlsplit(dsn).scheme not in ("postgresql", "postgres"):
        raise PostgresqlError(f"{VARIABLE} must look like postgresql://user:password@host:5432/database")
    answer = _ask(dsn, "SHOW server_version_num")
    if not answer.isdigit() or int(answer) < LOWEST_VERSION * 10_000:
        major = int(answer) // 10_000 if answer.isdigit() else answer
        raise PostgresqlError(
            f"the server named in {VARIABLE} is PostgreSQL {major}; Busbar needs {LOWEST_VERSION} or later"
        )
    return dsn


def dsn_for(dsn: str, database: str, user: str | None = None, password: str | None = None) -> str:
    """`dsn` for another database and, if given, another user; without `user` the credentials stay."""
    parts = urlsplit(dsn)
    place = parts.netloc.rpartition("@")[2]
    login = parts.netloc.rpartition("@")[0] if user is None else credentials(user, password)
    netloc = f"{login}@{place}" if login else place
    query = f"?{parts.query}" if parts.query else ""
    # Not urlunsplit: it drops the `//` of an empty place, which a DSN with `?host=` has.
    return f"{parts.scheme}://{netloc}/{quote(database, safe='')}{query}"


def credentials(user: str, password: str | None) -> str:
    """The part of a DSN before the `@`."""
    return quote(user, safe="") if password is None else f"{quote(user, safe='')}:{quote(password, safe='')}"


def _ask(dsn: str, statement: str) -> str:
    parts = urlsplit(dsn)
    environment = {**os.environ, "PGCONNECT_TIMEOUT": str(_CONNECT_TIMEOUT_SECONDS)}
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
    psql = shutil.which("psql") or str(client_program("psql"))
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours or of the system
            [psql, "--no-psqlrc", "--no-password", "-Atc", statement, _without_password(parts)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=_PSQL_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise PostgresqlError(f"the server named in {VARIABLE} can't be asked for its version with {psql}") from None
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise PostgresqlError(f"the server named in {VARIABLE} can't be reached: {said}")
    return done.stdout.strip()


def _without_password(parts: SplitResult) -> str:
    login, at, place = parts.netloc.rpartition("@")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{login.partition(':')[0]}{at}{place}{parts.path}{query}"
