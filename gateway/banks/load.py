"""What the banks' files say about each other and about the keyring.

Strategy: each profile is valid by itself (profile.py); here are the mistakes that only show when all are seen at
once: a code, port, sender or institution that two banks claim, and keys that are not there or do not fit. Every
mistake names the later file and the earlier one, with the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.banks.addresses import parse_network
from gateway.banks.profile import BankProfile, BankXmlWire, Iso8583Wire
from gateway.config_lines import Lines, dotted
from gateway.config_mistakes import Mistake
from gateway.keyring import Keyring, KeyringError
from protocols.signing.macs import MacAlgorithm, key_lengths

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class BankFile:
    """One `banks/*.toml`: its name relative to the installation, its profile and the lines of its keys."""

    file: str
    profile: BankProfile
    lines: Lines

    def mistake(self, path: Path, what: str) -> Mistake:
        return Mistake(self.file, self.lines.of(path), dotted(path), what)


def _code(profile: BankProfile) -> str | None:
    return profile.code


def _listen(profile: BankProfile) -> str | None:
    """The port, since two listeners on one port of different addresses are a trap even where they would work."""
    if not isinstance(profile.wire, Iso8583Wire):
        return None
    port = profile.wire.listen.rpartition(":")[2]
    return None if int(port) == 0 else port


def _institution(profile: BankProfile) -> str | None:
    return profile.wire.institution if isinstance(profile.wire, Iso8583Wire) else None


def _sender(profile: BankProfile) -> str | None:
    return profile.wire.sender if isinstance(profile.wire, BankXmlWire) else None


def _bank_in_file(profile: BankProfile) -> str | None:
    settlement = profile.settlement
    return None if settlement is None else f"{settlement.layout} {settlement.bank_in_file}"


# What no two banks may share, and where it stands.
_UNIQUE: tuple[tuple[Path, Callable[[BankProfile], str | None]], ...] = (
    (("code",), _code),
    (("wire", "listen"), _listen),
    (("wire", "institution"), _institution),
    (("wire", "sender"), _sender),
    (("settlement", "bank_in_file"), _bank_in_file),
)


def cross_check(banks: Sequence[BankFile], keyring: Keyring) -> list[Mistake]:
    """Every mistake that only shows across files; empty where there is none."""
    mistakes: list[Mistake] = []
    for path, value_of in _UNIQUE:
        mistakes += _shared(banks, path, value_of)
    for bank in banks:
        mistakes += _keys(bank, keyring)
        mistakes += _addresses(bank)
    return mistakes


def _shared(banks: Sequence[BankFile], path: Path, value_of: Callable[[BankProfile], str | None]) -> Iterable[Mistake]:
    first: dict[str, BankFile] = {}
    for bank in banks:
        value = value_of(bank.profile)
        if value is None:
            continue
        other = first.setdefault(value, bank)
        if other is not bank:
            yield bank.mistake(path, f"is also that of {other.file}:{other.lines.of(path)}; give each bank its own")


def _keys(bank: BankFile, keyring: Keyring) -> Iterable[Mistake]:
    wire = bank.profile.wire
    if isinstance(wire, Iso8583Wire):
        yield from _mac_key(bank, wire, keyring)
    else:
        for index, key_id in enumerate(wire.verify_keys):
            yield from _tried(bank, ("wire", "verify_keys", index), keyring.verifying_key, key_id)
        yield from _tried(bank, ("wire", "sign_key"), keyring.signing_key, wire.sign_key)
    settlement = bank.profile.settlement
    if settlement is not None and settlement.verify_key is not None:
        yield from _tried(bank, ("settlement", "verify_key"), keyring.verifying_key, settlement.verify_key)


def _mac_key(bank: BankFile, wire: Iso8583Wire, keyring: Keyring) -> Iterable[Mistake]:
    path: Path = ("wire", "mac_key")
    try:
        length = len(keyring.mac_key(wire.mac_key).secret)
    except KeyringError as error:
        yield bank.mistake(path, str(error))
        return
    lengths = key_lengths(MacAlgorithm(wire.mac_algorithm))
    if length not in lengths:
        expected = " or ".join(map(str, lengths))
        yield bank.mistake(path, f"{wire.mac_algorithm} takes a key of {expected} bytes, {wire.mac_key} has {length}")


def _addresses(bank: BankFile) -> Iterable[Mistake]:
    for index, entry in enumerate(bank.profile.allowed_addresses):
        try:
            parse_network(entry)
        except ValueError as error:
            yield bank.mistake(("allowed_addresses", index), str(error))


def _tried(bank: BankFile, path: Path, load: Callable[[str], object], key_id: str) -> Iterable[Mistake]:
    try:
        load(key_id)
    except KeyringError as error:
        yield bank.mistake(path, str(error))
