"""Message type indicators: four digits, and which reply answers which request.

Strategy: an MTI is plain text of four digits ("0200"). Pairs of request and reply are a literal table; nothing is
computed from the digits, because a dialect may pair them in its own way (here 0820 is answered by 0830).
Source: ISO 8583:1987 chapter 4; the pairs are those of the Guangzhou dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from protocols.errors import ProtocolError

MTI_DIGITS = 4

REPLY_OF: Mapping[str, str] = MappingProxyType(
    {
        "0100": "0110",  # arrears enquiry
        "0200": "0210",  # payment
        "0400": "0410",  # cancel and reversal
        "0820": "0830",  # network management
    }
)


def check_mti(text: str) -> str:
    """`text` itself if it is four digits; raises ProtocolError at "MTI" otherwise."""
    if len(text) != MTI_DIGITS or not (text.isascii() and text.isdigit()):
        raise ProtocolError("MTI", "a message type is four digits")
    return text


def reply_mti(request_mti: str) -> str:
    """The MTI that answers `request_mti`; raises ProtocolError where we answer no such message."""
    try:
        return REPLY_OF[request_mti]
    except KeyError:
        known = ", ".join(REPLY_OF)
        raise ProtocolError("MTI", f"not a request of this interface; expected one of {known}") from None
