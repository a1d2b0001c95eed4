"""The installation: `busbar.toml` and `banks/*.toml`, read and checked in one go.

Strategy: an installation is a folder. `load(folder)` reads every file, checks each one alone, then what the files say
about each other, and either returns one frozen `Installation` or raises one `ConfigError` with *all* mistakes, each
with its file, its line, where it stands and what to do. Nothing starts on half a configuration.

    busbar.toml     the utility, database, ledger, HTTP, limits, penalty rules, night, payment events
    banks/*.toml    one file a bank (gateway.banks.profile)
    keys/           the keyring (gateway.keyring); named here by id only
    inbox/CODE/     settlement files of the bank CODE
    var/            everything that the programs write

Rules. Unknown keys are mistakes. Secrets are never written in a TOML file but referred to: `file:PATH` (relative to
the folder) or `env:NAME`. No message quotes a value that could be secret. Folders that are relative are the
installation's.
"""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pydantic import BaseModel, ValidationError

from gateway.banks.load import BankFile, cross_check
from gateway.banks.profile import BankProfile
from gateway.config_file import BusbarFile
from gateway.config_lines import Lines, dotted, syntax_error_line
from gateway.config_mistakes import Mistake, from_validation
from gateway.keyring import Keyring
from gateway.ledger.rules import Rules

BUSBAR_FILE = "busbar.toml"
FILE_LIMIT_BYTES = 1_048_576  # a configuration is written by hand; anything larger was put there by mistake
_Model = TypeVar("_Model", bound=BaseModel)


class ConfigError(ValueError):
    """All mistakes of an installation; `str` gives one line each."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.where)))
        super().__init__("\n".join(map(str, self.mistakes)))


@dataclass(frozen=True)
class Installation:
    """A checked installation. `banks` are in the order of their codes; paths are absolute."""

    folder: Path
    settings: BusbarFile
    banks: tuple[BankProfile, ...]
    keyring: Keyring = field(repr=False)

    @property
    def zone(self) -> ZoneInfo:
        """The utility's time zone."""
        return ZoneInfo(self.settings.utility.time_zone)

    @property
    def partitions(self) -> int:
        return self.settings.ledger.partitions

    @cached_property
    def rules(self) -> Rules:
        """The ledger's rules, with what the banks' profiles add to them."""
        return self.settings.rules(frozenset(bank.code for bank in self.banks if bank.sign_on_required))

    @property
    def variable_folder(self) -> Path:
        return self.folder / "var"

    @property
    def night_work_folder(self) -> Path:
        return self.folder / self.settings.night.work

    @property
    def reports_folder(self) -> Path:
        return self.folder / self.settings.night.reports

    def inbox_folder(self, bank: str) -> Path:
        """Where the settlement files of the bank with this code arrive."""
        return self.folder / self.settings.night.inbox / bank

    def bank(self, code: str) -> BankProfile:
        """The bank with this code; raises KeyError with the codes that there are."""
        for bank in self.banks:
            if bank.code == code:
                return bank
        raise KeyError(f"no bank has the code {code}; there are: {', '.join(bank.code for bank in self.banks)}")


def load(folder: Path) -> Installation:
    """The installation in `folder`; raises ConfigError naming every mistake of every file."""
    folder = folder.resolve()
    mistakes: list[Mistake] = []
    main = _read_file(folder, Path(BUSBAR_FILE), BusbarFile, mistakes)
    bank_paths = sorted((folder / "banks").glob("*.toml"))
    if not bank_paths:
        mistakes.append(
            Mistake("banks/", 1, "banks", "there is no bank; write one file a bank, such as banks/ABC.toml")
        )
    keyring = Keyring(folder / "keys")
    banks: list[BankFile] = []
    for path in bank_paths:
        read = _read_file(folder, path.relative_to(folder), BankProfile, mistakes)
        if read is not None:
            banks.append(BankFile(str(path.relative_to(folder)), read[0], read[1]))
    mistakes += cross_check(banks, keyring)
    if main is not None:
        mistakes += _check_main(folder, main[0], main[1], keyring)
    if mistakes or main is None:
        raise ConfigError(tuple(mistakes))
    return Installation(folder, main[0], tuple(sorted((bank.profile for bank in banks), key=_code)), keyring)


def secret(reference: str, folder: Path) -> str:
    """What `file:PATH` or `env:NAME` refers to; raises ValueError, one line, when it is not there."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name)
        if not value:
            raise ValueError(f"the environment variable {name} is not set")
        return value
    path = folder / name
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"{path} holds a secret and others may read it; run: chmod 600 {path}")
        value = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path} can't be read ({error.strerror})") from None
    if not value:
        raise ValueError(f"{path} is empty")
    return value


def _code(bank: BankProfile) -> str:
    return bank.code


def _read_file(folder: Path, path: Path, model: type[_Model], mistakes: list[Mistake]) -> tuple[_Model, Lines] | None:
    """One file as its model, with its lines; None where it has mistakes, which are added to `mistakes`."""
    name = str(path)
    try:
        text = _text(folder / path)
        values = tomllib.loads(text)
    except ValueError as error:  # a TOMLDecodeError too
        line = syntax_error_line(str(error), text) if isinstance(error, tomllib.TOMLDecodeError) else 1
        mistakes.append(Mistake(name, line, "file", _sentence(str(error))))
        return None
    lines = Lines(text)
    try:
        return model.model_validate(values), lines
    except ValidationError as error:
        mistakes.extend(from_validation(error, name, values, lines))
        return None


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError("there is no such file; copy one from fixtures/installation") from None
    except OSError as error:
        raise ValueError(f"it can't be read ({error.strerror})") from None
    if len(content) > FILE_LIMIT_BYTES:
        raise ValueError(f"it is longer than {FILE_LIMIT_BYTES} bytes")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None


def _sentence(message: str) -> str:
    """tomllib's "(at line 3, column 5)" is said by the line already; the rest is the sentence."""
    sentence = message.split(" (at ", maxsplit=1)[0]
    return sentence[:1].lower() + sentence[1:]


def _check_main(folder: Path, settings: BusbarFile, lines: Lines, keyring: Keyring) -> list[Mistake]:
    """What busbar.toml says about the keyring and the folders."""
    mistakes: list[Mistake] = []

    def add(path: tuple[str | int, ...], what: str) -> None:
        mistakes.append(Mistake(BUSBAR_FILE, lines.of(path), dotted(path), what))

    if settings.http.sign_key is not None:
        try:
            keyring.signing_key(settings.http.sign_key)
        except ValueError as error:
            add(("http", "sign_key"), str(error))
    for name, path in settings.night.model_dump().items():
        if (folder / path).exists() and not (folder / path).is_dir():
            add(("night", name), "is a file, a folder is needed; move it away")
    for index, (row, following) in enumerate(pairwise(settings.penalty.rates), 1):
        if following.from_date <= row.from_date:
            add(("penalty", "rates", index, "from_date"), "is not after that of the row before; put the rows in order")
    for index, (least, following_least) in enumerate(pairwise(settings.penalty.minimum), 1):
        if least.to_date is None or following_least.from_date <= least.to_date:
            what = "begins before the row before has ended; set that row's to_date"
            add(("penalty", "minimum", index, "from_date"), what)
    for place, what in _check_events(folder, settings, keyring):
        add(("events", *place), what)
    return mistakes


def _check_events(folder: Path, settings: BusbarFile, keyring: Keyring) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Mistakes of `[[events]]`: where in it, and what to do."""
    names: set[str] = set()
    for index, subscriber in enumerate(settings.events):
        if subscriber.name in names:
            yield (index, "name"), "is another subscriber's already; each has a name, and a cursor, of its own"
        names.add(subscriber.name)
        try:
            if not isinstance(keyring.signing_key(subscriber.sign_key).private, RSAPrivateKey):
                yield (index, "sign_key"), "is not an RSA key; make one with: busbar keys new rsa ID"
        except ValueError as error:
            yield (index, "sign_key"), str(error)
        if subscriber.ca_file is not None:
            try:
                ssl.create_default_context(cafile=folder / subscriber.ca_file)
            except (OSError, ValueError):  # an SSLError is an OSError
                yield (index, "ca_file"), "can't be read, or holds no certificate in PEM"
