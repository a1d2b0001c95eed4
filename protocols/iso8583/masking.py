"""Masking: what a person may see of a value.

Strategy: masking is by kind of data, not by guess. `SHOWN` hides nothing; `ACCOUNT` leaves the first six and the last
four characters, which name the issuer and let two people talk about the same card, and hides a value fully when too
little would stay hidden; `HIDDEN` leaves nothing, not even the length.
"""

from __future__ import annotations

from enum import StrEnum

_FIRST_SHOWN, _LAST_SHOWN = 6, 4
# Below this at most two characters would be hidden, which is no masking.
_SHORTEST_ACCOUNT = 13
_STARS = "****"


class Mask(StrEnum):
    SHOWN = "shown"
    ACCOUNT = "account"
    HIDDEN = "hidden"

    def apply(self, text: str) -> str:
        if self is Mask.SHOWN:
            return text
        if self is Mask.HIDDEN or len(text) < _SHORTEST_ACCOUNT:
            return _STARS if text else ""
        return f"{text[:_FIRST_SHOWN]}{_STARS}{text[-_LAST_SHOWN:]}"
