"""Keys for signatures: loaded from bytes, checked when loaded, never shown.

Strategy: a key is a frozen value that carries its name (`key_id`, the name both sides use on the wire) and the key
object itself. It is checked once, when it is loaded, so that signing and verifying need no further thought:

- RSA of at least 2048 bits with a public exponent of 65537, or an elliptic curve P-256 or P-384. Nothing else.
- A public key comes as a PEM "PUBLIC KEY" or as a PEM certificate. Of a certificate only the key is taken: trust
  comes from its being in the bank's profile, not from a chain, and its dates are the business of whoever installs it.
- Loading is pure: bytes in, key out. Reading files and asking for passwords belong to the caller.
- `repr` shows the name and, for public keys, the fingerprint; never the key. Error texts never quote the input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

MIN_RSA_BITS = 2048
"""The least that is still held to be safe until 2030 (NIST SP 800-57)."""
MAX_RSA_BITS = 4096
"""Verifying slows down with the size, and a peer's key is the peer's choice."""
RSA_EXPONENT = 65537
_CURVES = ("secp256r1", "secp384r1")
_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class KeyLoadError(ValueError):
    """Bytes are no usable key. The text names the key and the rule, never the bytes."""


def check_key_id(key_id: str) -> str:
    """A key's name: 1 to 64 letters, digits, dots, hyphens, underscores. Raises KeyLoadError."""
    if _KEY_ID.match(key_id) is None:
        raise KeyLoadError("a key id has 1 to 64 letters, digits, '.', '-' or '_' and starts with a letter or digit")
    return key_id


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key of ours with its name on the wire."""

    key_id: str
    private: PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        check_key_id(self.key_id)
        _check(self.key_id, self.private.public_key())

    def verifying(self) -> VerifyingKey:
        """The public half, under the same name."""
        return VerifyingKey(self.key_id, self.private.public_key())


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A peer's public key with its name on the wire."""

    key_id: str
    public: PublicKey = field(repr=False)

    def __post_init__(self) -> None:
        check_key_id(self.key_id)
        _check(self.key_id, self.public)

    def pem(self) -> bytes:
        """The key as PEM "PUBLIC KEY", to be given to a peer."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def fingerprint(self) -> str:
        """SHA-256 of the DER SubjectPublicKeyInfo, 64 hex digits: what two people compare by telephone."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        return digest.finalize().hex()


def load_signing_key(pem: bytes, key_id: str, password: bytes | None = None) -> SigningKey:
    """A PEM private key (PKCS#8 or traditional, encrypted where `password` is given); raises KeyLoadError."""
    try:
        key = load_pem_private_key(pem, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyLoadError(f"key {check_key_id(key_id)}: not a PEM private key, or the password is wrong") from None
    if not isinstance(key, PrivateKey):
        raise KeyLoadError(f"key {key_id}: neither RSA nor elliptic curve")
    return SigningKey(key_id, key)


def load_verifying_key(pem: bytes, key_id: str) -> VerifyingKey:
    """A PEM public key or certificate; raises KeyLoadError."""
    try:
        key = x509.load_pem_x509_certificate(pem).public_key() if _CERTIFICATE in pem else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyLoadError(f"key {check_key_id(key_id)}: neither a PEM public key nor a PEM certificate") from None
    if not isinstance(key, PublicKey):
        raise KeyLoadError(f"key {key_id}: neither RSA nor elliptic curve")
    return VerifyingKey(key_id, key)


def _check(key_id: str, key: PublicKey) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise KeyLoadError(
                f"key {key_id}: RSA of {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are allowed"
            )
        if key.public_numbers().e != RSA_EXPONENT:
            raise KeyLoadError(f"key {key_id}: the public exponent must be {RSA_EXPONENT}")
    elif key.curve.name not in _CURVES:
        raise KeyLoadError(f"key {key_id}: curve {key.curve.name}; one of {', '.join(_CURVES)} is needed")
