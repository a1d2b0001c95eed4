"""The signature on a delivery: RSA-SHA256 over who, when and the body's digest. Pure.

Strategy: the signed statement is four lines of ASCII, so that a receiver can check it with `openssl dgst` and a few
lines of any language, without knowing JSON's many spellings: what is signed are the bytes that came. Rules:

- the subscriber's name is in it, so that a delivery to one receiver is none to another;
- the time is in it, so that a receiver can refuse what was recorded and sent again much later;
- PKCS #1 v1.5, as every tool and every hardware module has it; the key is named, and the receiver's own list says
  which names it takes.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from protocols.signing.keys import SigningKey

HEADER = "Busbar-Signature"
ALGORITHM = "RSA-SHA256"


def statement(subscriber: str, timestamp: str, body: bytes) -> bytes:
    """The bytes that are signed: four lines, each with a line feed."""
    digest = sha256(body).hexdigest()
    return f"busbar-events: 1\nsubscriber: {subscriber}\ntimestamp: {timestamp}\nsha256: {digest}\n".encode("ascii")


def header_value(key: SigningKey, subscriber: str, body: bytes, now: datetime) -> str:
    """The value of `Busbar-Signature`; raises TypeError unless the key is RSA."""
    if not isinstance(key.private, RSAPrivateKey):
        raise TypeError(f"key {key.key_id}: deliveries are signed with RSA")
    timestamp = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    signed = key.private.sign(statement(subscriber, timestamp, body), padding.PKCS1v15(), hashes.SHA256())
    return f"key={key.key_id}; algorithm={ALGORITHM}; timestamp={timestamp}; signature={b64encode(signed).decode()}"
