"""Which requests are proved, and how the proof is kept.

Strategy: the exact bytes of a request that moves money are stored, deflated, in the commit that books or refuses it.
What only asks (a bill enquiry, a status enquiry that leaves no tombstone) and what only opens or closes a session
moves nothing and is not kept.
"""

from __future__ import annotations

import zlib

from gateway.operations import Operation, Payment, PrepaymentDeposit, Reversal, SameDayCancel, StatusEnquiry

# The fastest level: requests are small and alike, the others gain a few per cent for twice the time.
_LEVEL = 1
# A request is at most some kilobytes; what unpacks to more than this was not written by us.
MAX_REQUEST_BYTES = 1 << 20
_MOVES_MONEY = (Payment, PrepaymentDeposit, SameDayCancel, Reversal)


def moves_money(operation: Operation) -> bool:
    """Whether the request must be kept: it books, undoes, or fences."""
    if isinstance(operation, StatusEnquiry):
        return operation.fence
    return isinstance(operation, _MOVES_MONEY)


def pack(request: bytes) -> bytes:
    return zlib.compress(request, _LEVEL)


def unpack(stored: bytes) -> bytes:
    """The request as it came; raises ValueError where the stored bytes are not a whole request."""
    inflater = zlib.decompressobj()
    try:
        request = inflater.decompress(stored, MAX_REQUEST_BYTES)
    except zlib.error:
        raise ValueError("stored evidence can't be unpacked") from None
    if not inflater.eof:
        raise ValueError(f"stored evidence is cut off or larger than {MAX_REQUEST_BYTES} bytes")
    return request
