"""Installations as the front door sees them: made from the sample, and with their database at hand.

Strategy: the gateway is told a DSN; where the database comes from is settled here. An embedded server is started on the
installation's `var/postgresql` and belongs to the process that started it; while it runs, its superuser DSN stands in
`var/database.dsn` (mode 0600), so that other commands (`busbar db cut-off`, `busbar night`) reach the same server
instead of starting a second one on its data. On an external server the administrator's DSN is asked for only when it
is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import click

from gateway import database
from gateway.clock import now
from gateway.config import Installation, load, secret
from gateway.keyring import Keyring, new_mac_key, new_rsa_key

SAMPLE = Path(__file__).resolve().parent.parent / "fixtures" / "installation"
# Keys of the sample's two banks. The banks' own private halves are made too: a made-up bank has nobody else to do it.
SAMPLE_MAC_KEYS = ("gzb-mac",)
SAMPLE_RSA_KEYS = ("utility-2026", "yyb-2026", "gzb-file")
GATEWAY_ROLE, NIGHT_ROLE = "busbar_gateway", "busbar_night"
_PASSWORD_BYTES = 24
_SAFE_NAME = re.compile(r"[a-z_][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class DatabaseAccess:
    """DSNs of one database, by role. They hold passwords."""

    gateway_dsn: str = field(repr=False)
    night_dsn: str = field(repr=False)
    _admin_dsn: str | None = field(repr=False)
    _admin_reference: tuple[str, Path] = field(repr=False)

    @property
    def admin_dsn(self) -> str:
        """A superuser's DSN; raises ClickException where none is configured."""
        return self._admin_dsn or _secret(*self._admin_reference)


def create_sample(folder: Path) -> None:
    """Make a working installation in `folder` from the sample, with new keys. Repeatable: what is there stays."""
    (folder / "banks").mkdir(parents=True, exist_ok=True)
    for source in (SAMPLE / "busbar.toml", *sorted((SAMPLE / "banks").glob("*.toml"))):
        target = folder / source.relative_to(SAMPLE)
        if not target.exists():
            shutil.copyfile(source, target)
    keyring = Keyring(folder / "keys")
    have = {(key.key_id, key.kind.value) for key in keyring.list()}
    for key_id in SAMPLE_MAC_KEYS:
        if (key_id, ".mac") not in have:
            new_mac_key(keyring.folder, key_id)
    for key_id in SAMPLE_RSA_KEYS:
        if (key_id, ".pub.pem") not in have:
            new_rsa_key(keyring.folder, key_id)


@contextmanager
def open_database(installation: Installation) -> Iterator[DatabaseAccess]:
    """The installation's database, running as long as the block does; raises PostgresqlError or ClickException."""
    settings, folder = installation.settings.database, installation.folder
    reference = (settings.admin_dsn, folder)
    if settings.is_embedded:
        with _embedded(installation) as superuser_dsn:
            yield _access(superuser_dsn, installation, superuser_dsn, reference)
    else:
        yield _access(settings.dsn, installation, None, reference)


def initialise_ledger(
    installation: Installation, access: DatabaseAccess, first_clearing_date: date | None = None
) -> None:
    """Make or upgrade roles, schemas and tables, the night's too (repeatable); the first day is today for the utility
    unless given.

    Raises InstallationMismatch where the database was initialised otherwise.
    """
    from gateway.ledger.migrate import migrate
    from reconciliation.migrate import migrate as migrate_night

    folder, settings = installation.folder, installation.settings.database
    _apart(
        migrate(
            access.admin_dsn,
            partitions=installation.partitions,
            first_clearing_date=first_clearing_date or now().astimezone(installation.zone).date(),
            gateway_password=_secret(settings.gateway_password, folder),
            night_password=_secret(settings.night_password, folder),
        )
    )
    _apart(migrate_night(access.admin_dsn))


def _access(dsn: str, installation: Installation, admin_dsn: str | None, reference: tuple[str, Path]) -> DatabaseAccess:
    settings, folder = installation.settings.database, installation.folder
    if settings.is_embedded:
        for password in (settings.gateway_password, settings.night_password):
            _make_password(password, folder)
    return DatabaseAccess(
        _as_role(dsn, GATEWAY_ROLE, _secret(settings.gateway_password, folder)),
        _as_role(dsn, NIGHT_ROLE, _secret(settings.night_password, folder)),
        admin_dsn,
        reference,
    )


@contextmanager
def _embedded(installation: Installation) -> Iterator[str]:
    """The superuser's DSN of the database on the embedded server, ours or one that another command of us runs."""
    from busbar.postgresql import provide

    name = installation.settings.database.name
    note = installation.variable_folder / "database.dsn"
    running = _running(note)
    if running is not None:
        yield running
        return
    installation.variable_folder.mkdir(parents=True, exist_ok=True)
    with provide(installation.variable_folder / "postgresql") as server:
        _apart(_create_database(server.superuser_dsn(), name))
        dsn = server.superuser_dsn(name)
        _write_secret(note, dsn)
        try:
            yield dsn
        finally:
            note.unlink(missing_ok=True)


def _running(note: Path) -> str | None:
    """The DSN in the note if somebody answers there; a note left by a crash names nobody."""
    try:
        dsn = note.read_text(encoding="utf-8").strip()
        _apart(_greet(dsn))
    except (OSError, database.DatabaseError):
        return None
    return dsn


def _apart(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread and loop of its own: the caller may have a running loop, or none."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, work).result()


async def _greet(dsn: str) -> None:
    connection = await database.connect(dsn)
    await connection.close()


async def _create_database(dsn: str, name: str) -> None:
    if not _SAFE_NAME.match(name):
        raise click.ClickException("database name: small letters, digits and underscores are expected")
    connection = await database.connect(dsn)
    try:
        if await connection.fetch_value("SELECT true FROM pg_database WHERE datname = $1", name) is None:
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


def _as_role(dsn: str, role: str, password: str) -> str:
    """`dsn` with another user and password."""
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


def _secret(reference: str, folder: Path) -> str:
    try:
        return secret(reference, folder)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _make_password(reference: str, folder: Path) -> None:
    """A password of the embedded server that nobody has chosen yet is made."""
    kind, _, name = reference.partition(":")
    if kind == "file" and not (folder / name).exists():
        (folder / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_secret(folder / name, secrets.token_urlsafe(_PASSWORD_BYTES))


def _write_secret(path: Path, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def load_installation(folder: Path) -> Installation:
    """`gateway.config.load`, where a folder that is not there is one line of its own."""
    if not folder.is_dir():
        raise click.ClickException(f"{folder}: there is no such folder; name the installation with --installation")
    return load(folder)
