"""The installation's keys: files in one folder, named by id, loaded once and never shown.

Strategy: the folder `keys/` is the keyring. What a file holds is told by its name:

- `ID.mac`: a symmetric MAC key as hexadecimal digits, 8 to 32 bytes; both sides hold it.
- `ID.key.pem`: a private key of ours; `ID.pub.pem`: a public key (or certificate), a peer's or the half of ours.

Rules. A file that holds a secret must be its owner's alone (mode 0600): one that others may read is refused, with the
command that mends it. Keys are created under their final name, exclusively, so that none is ever overwritten. Nothing
here prints a secret: `repr` shows ids, and people compare check values (校验值) and fingerprints.

In production the secrets belong in a hardware security module; this folder is then where its handles are named.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from protocols.signing.keys import (
    RSA_EXPONENT,
    KeyLoadError,
    SigningKey,
    VerifyingKey,
    check_key_id,
    load_signing_key,
    load_verifying_key,
)
from protocols.signing.macs import MacAlgorithm, key_check_value, key_lengths

MAC_KEY_LENGTHS = (8, 16, 24, 32)
DEFAULT_MAC_KEY_BYTES = 16
DEFAULT_RSA_BITS = 2048
FILE_LIMIT_BYTES = 65_536  # a certificate chain of several keys is below this; anything longer is no key
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_Loaded = TypeVar("_Loaded")


class KeyringError(ValueError):
    """A key is missing, unreadable by us, readable by others, or no key. One line: which file, and what to do."""


class KeyKind(StrEnum):
    """What a file of the keyring holds; the value is the end of its name."""

    MAC = ".mac"
    PRIVATE = ".key.pem"
    PUBLIC = ".pub.pem"

    @property
    def is_secret(self) -> bool:
        return self is not KeyKind.PUBLIC


_WHAT = {KeyKind.MAC: "MAC key", KeyKind.PRIVATE: "private key", KeyKind.PUBLIC: "public key"}


@dataclass(frozen=True, slots=True)
class MacKey:
    """A symmetric key with its id."""

    key_id: str
    secret: bytes = field(repr=False)

    def check_value(self, algorithm: MacAlgorithm) -> str:
        """Eight hexadecimal digits by which both sides see that they hold the same key, without showing it."""
        return key_check_value(algorithm, self.secret)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be told about a key: `check_values` are (name, text) pairs, safe to print."""

    key_id: str
    kind: KeyKind
    check_values: tuple[tuple[str, str], ...]
    problem: str = ""


class Keyring:
    """The keys in `folder`. Files are read when a key is first asked for, and kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mac: dict[str, MacKey] = {}
        self._signing: dict[str, SigningKey] = {}
        self._verifying: dict[str, VerifyingKey] = {}

    def __repr__(self) -> str:
        return f"Keyring({self.folder.name}, {len(self._mac) + len(self._signing) + len(self._verifying)} keys loaded)"

    def mac_key(self, key_id: str) -> MacKey:
        """The MAC key `key_id`; raises KeyringError."""
        if key_id not in self._mac:
            self._mac[key_id] = _mac_key(key_id, self._read(key_id, KeyKind.MAC), self._path(key_id, KeyKind.MAC))
        return self._mac[key_id]

    def signing_key(self, key_id: str) -> SigningKey:
        """Our private key `key_id`; raises KeyringError."""
        if key_id not in self._signing:
            self._signing[key_id] = self._load(load_signing_key, key_id, KeyKind.PRIVATE)
        return self._signing[key_id]

    def verifying_key(self, key_id: str) -> VerifyingKey:
        """The public key `key_id`; raises KeyringError."""
        if key_id not in self._verifying:
            self._verifying[key_id] = self._load(load_verifying_key, key_id, KeyKind.PUBLIC)
        return self._verifying[key_id]

    def list(self) -> tuple[KeyInfo, ...]:
        """Every key of the folder by id, with its check values or with what is wrong with it."""
        found = [(_split(path), path) for path in sorted(self.folder.glob("*")) if path.is_file()]
        return tuple(self._info(*name) for name, _ in found if name is not None)

    def _info(self, key_id: str, kind: KeyKind) -> KeyInfo:
        try:
            if kind is KeyKind.MAC:
                return KeyInfo(key_id, kind, _mac_check_values(self.mac_key(key_id)))
            public = self.signing_key(key_id).verifying() if kind.is_secret else self.verifying_key(key_id)
            return KeyInfo(key_id, kind, (("SHA-256", public.fingerprint()),))
        except KeyringError as error:
            return KeyInfo(key_id, kind, (), str(error))

    def _path(self, key_id: str, kind: KeyKind) -> Path:
        return self.folder / f"{key_id}{kind.value}"

    def _load(self, load: Callable[[bytes, str], _Loaded], key_id: str, kind: KeyKind) -> _Loaded:
        try:
            return load(self._read(key_id, kind), key_id)
        except KeyLoadError as error:
            raise KeyringError(f"{self._path(key_id, kind)}: {error}") from None

    def _read(self, key_id: str, kind: KeyKind) -> bytes:
        path = self._path(_checked_id(key_id), kind)
        try:
            mode = path.stat().st_mode
            if kind.is_secret and mode & _OTHERS:
                raise KeyringError(f"{path}: a {_WHAT[kind]} that others may read; run: chmod 600 {path}")
            with path.open("rb") as file:
                return file.read(FILE_LIMIT_BYTES)
        except FileNotFoundError:
            raise KeyringError(f"{path}: there is no such {_WHAT[kind]}; {_how_to_get(key_id, kind)}") from None
        except OSError as error:
            raise KeyringError(f"{path}: can't be read ({error.strerror}); check its owner and mode") from None


def new_mac_key(folder: Path, key_id: str, length_bytes: int = DEFAULT_MAC_KEY_BYTES) -> MacKey:
    """Make a random MAC key and its file; raises KeyringError where the id is bad or taken, or no key is so long."""
    if length_bytes not in MAC_KEY_LENGTHS:
        raise KeyringError(f"a MAC key has {', '.join(map(str, MAC_KEY_LENGTHS))} bytes, not {length_bytes}")
    key = MacKey(_checked_id(key_id), secrets.token_bytes(length_bytes))
    _create(folder, f"{key_id}{KeyKind.MAC.value}", key.secret.hex().upper().encode() + b"\n", 0o600)
    return key


def new_rsa_key(folder: Path, key_id: str, bits: int = DEFAULT_RSA_BITS) -> SigningKey:
    """Make an RSA key pair and its two files; raises KeyringError where the id is bad or taken."""
    private = rsa.generate_private_key(RSA_EXPONENT, bits)
    try:
        key = SigningKey(key_id, private)
    except KeyLoadError as error:
        raise KeyringError(str(error)) from None
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _create(folder, f"{key_id}{KeyKind.PRIVATE.value}", pem, 0o600)
    _create(folder, f"{key_id}{KeyKind.PUBLIC.value}", key.verifying().pem(), 0o644)
    return key


def public_pem(keyring: Keyring, key_id: str) -> str:
    """The public key `key_id` as PEM, from its own file or from our private key; raises KeyringError."""
    if (keyring.folder / f"{key_id}{KeyKind.PUBLIC.value}").exists():
        return keyring.verifying_key(key_id).pem().decode("ascii")
    public = keyring.signing_key(key_id).private.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def _checked_id(key_id: str) -> str:
    try:
        return check_key_id(key_id)
    except KeyLoadError as error:
        raise KeyringError(str(error)) from None


def _mac_key(key_id: str, text: bytes, path: Path) -> MacKey:
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise KeyringError(f"{path}: a MAC key is hexadecimal digits and nothing else") from None
    if len(secret) not in MAC_KEY_LENGTHS:
        lengths = ", ".join(map(str, MAC_KEY_LENGTHS))
        raise KeyringError(f"{path}: a MAC key has {lengths} bytes, this one has {len(secret)}")
    return MacKey(key_id, secret)


def _mac_check_values(key: MacKey) -> tuple[tuple[str, str], ...]:
    """One check value for each cipher that takes a key of this length (单倍长/双倍长 DES, SM4, AES)."""
    ciphers = (("3DES", MacAlgorithm.UNIONPAY_XOR), ("SM4", MacAlgorithm.SM4_CMAC), ("AES", MacAlgorithm.AES_CMAC))
    length = len(key.secret)
    return tuple((name, key.check_value(cipher)) for name, cipher in ciphers if length in key_lengths(cipher))


def _split(path: Path) -> tuple[str, KeyKind] | None:
    for kind in KeyKind:
        if path.name.endswith(kind.value) and len(path.name) > len(kind.value):
            return path.name.removesuffix(kind.value), kind
    return None


def _how_to_get(key_id: str, kind: KeyKind) -> str:
    if kind is KeyKind.PUBLIC:
        return f"put the peer's PEM there, or make a pair with: busbar keys new rsa {key_id}"
    return f"make one with: busbar keys new {'mac' if kind is KeyKind.MAC else 'rsa'} {key_id}"


def _create(folder: Path, name: str, content: bytes, mode: int) -> None:
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise KeyringError(f"{path}: exists already; choose another id, or remove it when no bank uses it") from None
    except OSError as error:
        raise KeyringError(f"{path}: can't be written ({error.strerror})") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
