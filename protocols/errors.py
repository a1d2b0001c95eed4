"""Errors of the protocols room.

Strategy: a codec either returns a value or raises one `ProtocolError` that says *where* (field, offset, line, element
path) and *what* is wrong. The text is safe to log and to send back: it names positions and rules, never the content
of a field (account numbers, names and keys must not leak through an error).
"""

from __future__ import annotations


class ProtocolError(ValueError):
    """The peer's bytes break the protocol.

    `where` is a position in the peer's own terms ("field 4", "byte 18", "line 3 field 12", "/Msg/Body/Amt");
    `what` says what is wrong and, where it helps, what was expected. Neither holds field content.
    """

    def __init__(self, where: str, what: str) -> None:
        self.where = where
        self.what = what
        super().__init__(f"{where}: {what}")


class FramingError(ProtocolError):
    """The stream can't be cut into frames any more; the connection has to be closed after the refusal."""


class SignatureError(ProtocolError):
    """A MAC, a digest or a signature is missing, of a kind that is not allowed, or wrong."""


class MoneyError(ProtocolError):
    """An amount is not an amount: zero where that is not allowed, negative, too many decimals, too large."""


class DateError(ProtocolError):
    """A date, time or month does not exist or is not written as the protocol asks."""
