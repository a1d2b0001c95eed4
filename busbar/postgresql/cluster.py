"""One database cluster on disk: where it lies, who holds it, and how it is made.

Strategy: the caller names a data folder. In it lie

    lock              held (flock) for as long as a server runs on it, so that two can't
    password          of the superuser, 0600; a cluster without it can't be opened by anybody
    postgresql.log    what the server said
    cluster/          the PostgreSQL cluster, or, as root,
    cluster-is-in     the path of the folder of the account `nobody` that holds it (see `account`)

A cluster is made under another name and renamed when it is whole, and the password is on disk before that: whoever
dies in between leaves nothing that looks finished.

Rule: a cluster is thrown away in two cases alone: it was temporary, or `remove_data` was asked for. A password that is
missing beside an existing cluster is an error, never a reason to start afresh. If (as root) the data folder was gone,
the cluster that belonged to it is set aside as `<its name>.before` until the next time, as the deletion may have been a
mistake, or a disk that was not mounted.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from busbar.postgresql.account import Account, state_folder, trusted_folder
from busbar.postgresql.children import account_and_environment, die_with_parent
from busbar.postgresql.errors import PostgresqlError
from busbar.postgresql.installation import Installation

SUPERUSER = "postgres"
TEMPORARY_PREFIX = "busbar-postgresql-"
LEFTOVER_AGE_SECONDS = 60  # a younger temporary folder may belong to a process that has not locked it yet
INITDB_TIMEOUT_SECONDS = 120
# What lies in a data folder beside the cluster; the lock goes last.
FILES = ("cluster-is-in", "password", "postgresql.log", "postgresql.log.1", "lock")


@dataclass(frozen=True, slots=True)
class Cluster:
    """The folders of one cluster and the lock on it; `home` is the data folder itself or root's place for it."""

    data_folder: Path
    home: Path
    account: Account
    temporary: bool
    lock: int

    @property
    def path(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.data_folder / "postgresql.log"

    @property
    def password(self) -> str:
        """The superuser's password, from its file."""
        return (self.data_folder / "password").read_text(encoding="ascii").strip()

    def release(self) -> None:
        """Let others use the cluster; a temporary one is removed."""
        if self.temporary:
            self.remove()
        os.close(self.lock)

    def remove(self) -> None:
        """Delete the cluster and what belongs to it; what others put into the data folder stays."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.account.lent:
            shutil.rmtree(self.home, ignore_errors=True)
        for name in FILES:
            (self.data_folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            self.data_folder.rmdir()


def open_cluster(data_folder: Path | None, account: Account, state: Path | None = None) -> Cluster:
    """Take the cluster of `data_folder` for this process; None stands for a temporary one.

    The folders are made, the cluster is not yet (`initialise`). Raises `PostgresqlError` if another process holds it
    or if the folder is not ours.
    """
    temporary = data_folder is None
    if data_folder is None:
        remove_leftovers(account)
        data_folder = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX))
    data_folder = _own_folder(data_folder.absolute())
    lock = _locked(data_folder)
    try:
        home = _home(data_folder, account, state)
    except BaseException:
        os.close(lock)
        raise
    return Cluster(data_folder, home, account, temporary, lock)


def _own_folder(data_folder: Path) -> Path:
    try:
        data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PostgresqlError(f"the data folder {data_folder} can't be made: {error.strerror}") from None
    if data_folder.stat().st_uid != os.geteuid():
        raise PostgresqlError(f"the data folder {data_folder} belongs to another account; name one of your own")
    return data_folder


def _locked(data_folder: Path) -> int:
    lock = os.open(data_folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise PostgresqlError(
            f"the database in {data_folder} is in use by process {holder}; stop that, or name another data folder"
        ) from None
    if not _is_file(data_folder / "lock", lock):  # its last holder removed it between our two steps
        os.close(lock)
        return _locked(_own_folder(data_folder))
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _is_file(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _home(data_folder: Path, account: Account, state: Path | None) -> Path:
    """Where the cluster lies: in the data folder, or as root in a folder of the account that runs the server."""
    if not account.lent:
        return data_folder
    clusters = trusted_folder((state or state_folder()) / "data", user_id=0, mode=0o711)
    key = hashlib.sha256(os.fsencode(data_folder.resolve())).hexdigest()[:16]
    pointer, home = data_folder / "cluster-is-in", clusters / key
    if not pointer.exists() and home.exists():
        before = home.with_suffix(".before")
        shutil.rmtree(before, ignore_errors=True)
        home.rename(before)
    trusted_folder(home, user_id=account.user_id, mode=0o700)
    pointer.write_text(f"{home}\n", encoding="utf-8")
    return home


def initialise(cluster: Cluster, installation: Installation, *, durable: bool) -> None:
    """Make the cluster unless it is there: UTF-8, locale C, data checksums, SCRAM passwords for everybody.

    `durable` False leaves out the sync to disk (tests). Raises `PostgresqlError` with initdb's own last word, or if
    the cluster that is there is of another major version or without its password.
    """
    if cluster.path.exists():
        _check(cluster, installation)
        return
    password = secrets.token_urlsafe(24)
    new = cluster.home / "cluster.new"
    shutil.rmtree(new, ignore_errors=True)
    password_file = cluster.home / "password.new"
    _write_secret(password_file, password)
    cluster.account.own(password_file)
    try:
        _initdb(cluster, installation, new, password_file, durable=durable)
    finally:
        password_file.unlink()
    _write_secret(cluster.data_folder / "password", password)
    new.rename(cluster.path)


def _check(cluster: Cluster, installation: Installation) -> None:
    if not (cluster.data_folder / "password").exists():
        raise PostgresqlError(
            f"the password file of the database in {cluster.data_folder} is missing; "
            "put it back, or remove the whole folder to start with an empty database"
        )
    try:
        version = (cluster.path / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise PostgresqlError(f"{cluster.path} is not a PostgreSQL cluster; name another data folder") from None
    if version != str(installation.major):
        raise PostgresqlError(
            f"the database in {cluster.data_folder} was made by PostgreSQL {version}, this is {installation.version}; "
            "name another data folder, or dump it with the old version and load it with this one"
        )


def _write_secret(path: Path, secret: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())


def _initdb(cluster: Cluster, installation: Installation, new: Path, password_file: Path, *, durable: bool) -> None:
    command = [
        *(str(installation.programs / "initdb"), "-D", str(new)),
        *("--username", SUPERUSER, "--pwfile", str(password_file)),
        *("--encoding", "UTF8", "--locale", "C", "--data-checksums", "--auth", "scram-sha-256", "--no-instructions"),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a program of ours; the preexec_fn takes no lock
            command if durable else [*command, "--no-sync"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            timeout=INITDB_TIMEOUT_SECONDS,
            **account_and_environment(cluster.account),
            preexec_fn=die_with_parent("SIGKILL"),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PostgresqlError(f"initdb can't be run as user id {cluster.account.user_id}: {error}") from None
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if "error" in line.lower()] or done.stdout.splitlines()[-1:]
        raise PostgresqlError(f"initdb failed in {cluster.home}: {' '.join(said).strip() or done.returncode}")


def remove_leftovers(account: Account) -> None:
    """Remove temporary clusters whose process was killed before it could do so itself."""
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY_PREFIX}*"):
        lock = folder / "lock"
        try:
            ours = not folder.is_symlink() and folder.lstat().st_uid == os.geteuid()
            if not ours or time.time() - lock.lstat().st_mtime < LEFTOVER_AGE_SECONDS:
                continue
            left = open_cluster(folder, account)
        except (OSError, PostgresqlError):  # another account's, or at work
            continue
        replace(left, temporary=True).release()
