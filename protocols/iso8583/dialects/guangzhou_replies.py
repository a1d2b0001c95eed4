"""Guangzhou dialect, the utility's side: the frame of a reply, without its meaning.

Strategy: a reply returns every field of the request that its own table has, except those that the answering side sets
(`ANSWERED`). So a bank can pair a reply with its request by any of them. `refusal_for` does the same with a message
that could not be read to its end: it returns what was read, and the code, so that the bank learns which message we
refused. Such a message was not authenticated, so that the refusal says nothing of its transaction, in field 60 neither.
Whoever calls puts the MAC on (`mac_field.seal`).
"""

from __future__ import annotations

from collections.abc import Mapping

from protocols.iso8583.codec import Message, decode_partly
from protocols.iso8583.dialects.guangzhou import GUANGZHOU, MAC_FIELD, OPTIONAL, REQUIRED
from protocols.iso8583.mti import REPLY_OF, reply_mti
from protocols.iso8583.spec import Spec

OUTCOME_UNKNOWN = "8093"
# Set by the side that answers, never returned: time sent, clearing date, sender, reference, result, MAC.
ANSWERED = frozenset({7, 15, 33, 37, 39, 60, MAC_FIELD})
_AMOUNT = 4


def reply_to(request: Message, answer: Mapping[int, str]) -> Message:
    """The reply to `request`: its fields returned, with those of `answer` added or put in their place."""
    mti = reply_mti(request.mti)
    returned = (REQUIRED[mti] | OPTIONAL[mti]) - ANSWERED
    if request.mti == "0100":
        returned -= {_AMOUNT}  # there it is the utility's word: what is owed
    echoed = {number: text for number, text in request.fields.items() if number in returned}
    return Message(mti, {**echoed, **answer})


def refusal_for(data: bytes, code: str, spec: Spec = GUANGZHOU) -> Message | None:
    """A reply with response `code` to a message that can't be decoded: what could be read of it is returned.

    None where not even the MTI could be read or it is no request: there is nobody to answer. The reply may lack fields
    that a reply otherwise has.
    """
    request, _error = decode_partly(data, spec)
    if request is None or request.mti not in REPLY_OF:
        return None
    answer = {39: code, 60: OUTCOME_UNKNOWN} if request.mti == "0400" else {39: code}
    return reply_to(request, answer)
