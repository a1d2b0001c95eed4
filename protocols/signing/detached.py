"""The `.sig` beside a file: what the file is, its digest, and a signature over that statement.

Strategy: a few lines of ASCII text, "name: value", in one fixed order. The statement is the first seven lines, with a
line feed after each; the signature is RSA (PKCS #1 v1.5, SHA-256) over exactly those bytes, so that a bank can make it
with `openssl dgst -sha256 -sign` and an auditor check it without us. (PKCS #1 v1.5 rather than PSS because every
bank's HSM and every tool has it.)

    version: 1
    bank: 301581000230
    clearing_date: 20240403
    sequence: 001
    file: RECON_301581000230_20240403_001.txt
    digest_algorithm: SHA-256
    digest: d7e7b3a253371aee92f9d82e96d33c2433f63264da73d55d52508d090f7869ee
    signature_algorithm: RSA-SHA256
    key: settlement-2024
    signature: (base64, one line)

Rules: checked in the order form, digest algorithm, digest, key and signature, statement against what is expected of
this file, so that bank, day, sequence, name and content are bound together and no `.sig` fits another file. The
algorithms and the key are those of the bank's profile; what the text names must be the same and chooses nothing.
A profile without a key asks for the digest only; then the last three lines may be absent. MD5 is for such old peers:
it is taken only where a profile asks for it. Digests are compared in constant time.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from hmac import compare_digest

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from protocols.errors import SignatureError

MAX_SIG_BYTES = 4096
"""Ten short lines; the longest is the base64 of a 4096-bit signature, 684 characters."""
VERSION = "1"
SIGNATURE_ALGORITHM = "RSA-SHA256"
_STATEMENT_NAMES = ("version", "bank", "clearing_date", "sequence", "file", "digest_algorithm", "digest")
_SIGNATURE_NAMES = ("signature_algorithm", "key", "signature")
_WORD = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}\Z")
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")


class DigestAlgorithm(StrEnum):
    """Digests of a file; the value is the name in the bank's profile and in the `.sig`."""

    SHA256 = "SHA-256"
    SM3 = "SM3"
    MD5 = "MD5"


_HASHES: dict[DigestAlgorithm, type[hashes.HashAlgorithm]] = {
    DigestAlgorithm.SHA256: hashes.SHA256,
    DigestAlgorithm.SM3: hashes.SM3,
    DigestAlgorithm.MD5: hashes.MD5,
}


class RunningDigest:
    """A digest that takes bytes as they come."""

    __slots__ = ("_hash", "_result")

    def __init__(self, algorithm: DigestAlgorithm) -> None:
        self._hash = hashes.Hash(_HASHES[algorithm]())
        self._result: str | None = None

    def update(self, chunk: bytes) -> None:
        """Take the next bytes; not after `hexadecimal()`."""
        self._hash.update(chunk)

    def hexadecimal(self) -> str:
        """The digest of all bytes, lower-case hexadecimal."""
        if self._result is None:
            self._result = self._hash.finalize().hex()
        return self._result


def digest_of(chunks: Iterable[bytes], algorithm: DigestAlgorithm = DigestAlgorithm.SHA256) -> str:
    """The digest of a stream, lower-case hexadecimal."""
    running = RunningDigest(algorithm)
    for chunk in chunks:
        running.update(chunk)
    return running.hexadecimal()


class SigProblem(StrEnum):
    """What is wrong with a `.sig`, in the order in which it is checked."""

    FORM = "FORM"
    DIGEST_ALGORITHM = "DIGEST_ALGORITHM"
    DIGEST = "DIGEST"
    UNSIGNED = "UNSIGNED"
    KEY = "KEY"
    SIGNATURE = "SIGNATURE"
    STATEMENT = "STATEMENT"


class SigError(SignatureError):
    """A `.sig` is refused; `problem` says why in a word, `where` names the line of the text."""

    def __init__(self, problem: SigProblem, where: str, what: str) -> None:
        self.problem = problem
        super().__init__(where, what)


@dataclass(frozen=True, slots=True)
class FileStatement:
    """What is signed: this bank's file of this day and number, by this name, has this digest (hexadecimal)."""

    bank: str
    clearing_date: date
    sequence: int
    name: str
    digest: str
    algorithm: DigestAlgorithm = DigestAlgorithm.SHA256

    def __post_init__(self) -> None:
        if not (_WORD.match(self.bank) and _WORD.match(self.name)):
            raise ValueError("bank and file name are letters, digits, points, underscores and hyphens, at most 128")
        if not 0 <= self.sequence <= 999 or not _HEX.match(self.digest):
            raise ValueError("a sequence has three digits and a digest is lower-case hexadecimal")

    def text(self) -> bytes:
        """The canonical bytes that are signed: the first seven lines of the `.sig`, each ended by a line feed."""
        day = self.clearing_date.isoformat().replace("-", "")
        values = (VERSION, self.bank, day, f"{self.sequence:03d}", self.name, self.algorithm, self.digest)
        return "".join(f"{n}: {v}\n" for n, v in zip(_STATEMENT_NAMES, values, strict=True)).encode("ascii")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """The bank's public key by the name that both sides use for it; from the bank's profile, never from a file."""

    key_id: str
    public_key: RSAPublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class DetachedSignature:
    """A `.sig` taken apart: the lines of its statement as they stand, and the signature if there is one."""

    statement: tuple[str, ...]
    algorithm: str | None
    key_id: str | None
    signature: bytes | None = field(repr=False)

    def signed_bytes(self) -> bytes:
        """The bytes the signature is over."""
        return "".join(f"{n}: {v}\n" for n, v in zip(_STATEMENT_NAMES, self.statement, strict=True)).encode("ascii")


def make_sig(statement: FileStatement, key_id: str | None = None, private_key: RSAPrivateKey | None = None) -> bytes:
    """The `.sig` of a file: signed if a key and its name are given, digest only without. ValueError if only one is."""
    if (key_id is None) != (private_key is None):
        raise ValueError("a key and its name come together")
    text = statement.text()
    if private_key is None or key_id is None:
        return text
    if not _WORD.match(key_id):
        raise ValueError("a key's name is letters, digits, points, underscores and hyphens")
    signature = b64encode(private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode("ascii")
    return text + f"signature_algorithm: {SIGNATURE_ALGORITHM}\nkey: {key_id}\nsignature: {signature}\n".encode("ascii")


def parse_sig(data: bytes) -> DetachedSignature:
    """Take a `.sig` apart; lines may end with LF or CRLF. Raises SigError (FORM). Nothing is proved by this."""
    if len(data) > MAX_SIG_BYTES:
        raise SigError(SigProblem.FORM, ".sig", f"longer than {MAX_SIG_BYTES} bytes")
    if not data.isascii():
        raise SigError(SigProblem.FORM, ".sig", "not plain ASCII text")
    lines = data.decode("ascii").replace("\r\n", "\n").split("\n")
    if lines.pop():
        raise SigError(SigProblem.FORM, f".sig line {len(lines) + 1}", "the line has no end")
    names = _STATEMENT_NAMES + (_SIGNATURE_NAMES if len(lines) > len(_STATEMENT_NAMES) else ())
    if len(lines) != len(names):
        raise SigError(
            SigProblem.FORM, ".sig", f"has {len(lines)} lines; {len(_STATEMENT_NAMES)} or {len(_STATEMENT_NAMES) + 3}"
        )
    values = [_value(number, name, line) for number, (name, line) in enumerate(zip(names, lines, strict=True), 1)]
    statement = tuple(values[: len(_STATEMENT_NAMES)])
    if len(values) == len(statement):
        return DetachedSignature(statement, None, None, None)
    algorithm, key_id, signature = values[len(statement) :]
    return DetachedSignature(statement, algorithm, key_id, _base64(len(values), signature))


def check_sig(data: bytes, expected: FileStatement, key: TrustedKey | None) -> None:
    """Raise SigError unless `data` states `expected` (whose digest the caller computed from the file's bytes).

    With `key`, the statement must be signed by it; with None (a profile without a key) the digest alone is checked.
    """
    sig = parse_sig(data)
    stated = dict(zip(_STATEMENT_NAMES, sig.statement, strict=True))
    if stated["digest_algorithm"] != expected.algorithm:
        raise SigError(SigProblem.DIGEST_ALGORITHM, ".sig line 6", f"the digest must be {expected.algorithm}")
    if not compare_digest(stated["digest"].lower(), expected.digest):
        raise SigError(SigProblem.DIGEST, ".sig line 7", "the file's content has another digest")
    if key is not None:
        _check_signature(sig, key)
    wanted = expected.text().decode("ascii").splitlines()
    for number, (name, value) in enumerate(zip(_STATEMENT_NAMES, sig.statement, strict=True), start=1):
        if name != "digest" and f"{name}: {value}" != wanted[number - 1]:
            raise SigError(SigProblem.STATEMENT, f".sig line {number}", f"{name} is not that of this file")


def _value(number: int, name: str, line: str) -> str:
    prefix = f"{name}: "
    if not line.startswith(prefix) or not line[len(prefix) :].isprintable() or not line[len(prefix) :].strip():
        raise SigError(SigProblem.FORM, f".sig line {number}", f'must be "{prefix}" and a value')
    return line[len(prefix) :]


def _base64(number: int, text: str) -> bytes:
    try:
        decoded = b64decode(text, validate=True)
    except binascii.Error:
        decoded = b""
    if b64encode(decoded).decode("ascii") != text:  # unused bits of the last digit must be 0: one text per signature
        raise SigError(SigProblem.FORM, f".sig line {number}", "the signature is not base64")
    return decoded


def _check_signature(sig: DetachedSignature, key: TrustedKey) -> None:
    if sig.signature is None:
        raise SigError(SigProblem.UNSIGNED, ".sig", "there is no signature and the bank's profile asks for one")
    if sig.algorithm != SIGNATURE_ALGORITHM:
        raise SigError(SigProblem.KEY, ".sig line 8", f"the signature must be {SIGNATURE_ALGORITHM}")
    if sig.key_id != key.key_id:
        raise SigError(SigProblem.KEY, ".sig line 9", f"the key must be {key.key_id}")
    try:
        key.public_key.verify(sig.signature, sig.signed_bytes(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise SigError(SigProblem.SIGNATURE, ".sig line 10", "the signature does not verify") from None
