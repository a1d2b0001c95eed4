"""The MAC of a message: field 64 or 128.

Strategy: the MAC covers MTI, bitmap and all fields before it, as sent (the bitmap with the MAC's own bit), and not the
frame's length. Because the MAC is the last field and of fixed length, that is the message without its last bytes, and
`check` works on the bytes that arrived, never on bytes made again from the parsed message.
Check before any business field is looked at; check replies too, refusals included.
"""

from __future__ import annotations

from protocols.errors import SignatureError
from protocols.iso8583.codec import Message, encode
from protocols.iso8583.spec import Spec
from protocols.signing.macs import MAC_TEXT_LENGTH, MacAlgorithm, mac_text, verify_mac

_PLACEHOLDER = "0" * MAC_TEXT_LENGTH


def _mac_field(spec: Spec) -> int:
    if spec.mac_field is None:
        raise ValueError(f"{spec.name} has no MAC field")
    return spec.mac_field


def seal(message: Message, spec: Spec, algorithm: MacAlgorithm, key: bytes) -> bytes:
    """The bytes of `message` with its MAC put in (one that it has is replaced).

    Raises ProtocolError where the message does not fit `spec`, SignatureError where the key does not fit `algorithm`.
    """
    covered = encode(message.with_fields({_mac_field(spec): _PLACEHOLDER}), spec)[:-MAC_TEXT_LENGTH]
    return covered + mac_text(algorithm, key, covered).encode("ascii")


def check(data: bytes, message: Message, spec: Spec, algorithm: MacAlgorithm, key: bytes) -> None:
    """Raises SignatureError where the MAC of `data` (which decodes to `message`) is missing or wrong."""
    number = _mac_field(spec)
    received = message.get(number)
    if received is None:
        raise SignatureError(f"field {number}", "the MAC is missing")
    if not verify_mac(algorithm, key, data[:-MAC_TEXT_LENGTH], received):
        raise SignatureError(f"field {number}", "the MAC is wrong")
