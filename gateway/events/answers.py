"""What a receiver's answer means for the events it was given. A literal table; pure.

Strategy: four verdicts, because four things follow. ACCEPTED: told. REFUSED: the receiver will never take this event.
FAILED: it failed at it, which may be this event's doing. UNAVAILABLE: nothing was said about the events at all.

Rule: a status that speaks of the way there (address, login, load) is no judgement of an event, although it begins with
a 4: a receiver that is moved or rolled out wrongly must not fill the dead-letter list with thousands of customers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` is safe to log and to store: a status or what went wrong, never what the receiver wrote."""

    verdict: Verdict
    reason: str

    @property
    def is_accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPTED


# 401, 403, 407 login; 404, 405, 421 address; 408, 425, 429 load; 502, 503, 504 whoever stands in front.
_SAYS_NOTHING_OF_THE_EVENT = frozenset((401, 403, 404, 405, 407, 408, 421, 425, 429, 502, 503, 504))


def answer_of_status(status: int) -> Answer:
    """The answer that an HTTP status is."""
    return Answer(_verdict(status), f"HTTP {status}")


def _verdict(status: int) -> Verdict:
    if status in _SAYS_NOTHING_OF_THE_EVENT:
        return Verdict.UNAVAILABLE
    by_class = {2: Verdict.ACCEPTED, 4: Verdict.REFUSED, 5: Verdict.FAILED}
    return by_class.get(status // 100, Verdict.UNAVAILABLE)
