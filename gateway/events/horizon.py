"""Up to which number every posting is known to be committed, or never will be. Pure.

Strategy: numbers are taken in order and committed in any order, so the newest that can be seen says nothing about the
ones below it. But whoever books holds the partition's clearing lock, shared, from before its first number until its
commit is visible. So of two looks: the first notes the newest number seen and who was booking *after* that was seen;
once none of those is booking any more, all numbers up to there are settled. Whoever began later takes higher numbers.
Nothing waits for transactions elsewhere in the cluster, and nothing of it is stored: after a restart it is looked anew.
"""

from __future__ import annotations

from collections.abc import Collection


class Horizon:
    """Feed it looks in their order; `settled` is the number up to which nothing can be skipped any more."""

    __slots__ = ("_candidate", "_still_booking", "settled")

    def __init__(self) -> None:
        self.settled = 0
        self._candidate = 0
        self._still_booking: frozenset[str] = frozenset()

    @property
    def is_waiting(self) -> bool:
        """Whether something newer is seen whose predecessors may still be booked: look again soon."""
        return self._candidate > self.settled

    def look(self, newest: int, booking: Collection[str]) -> int:
        """`newest` as of a moment; `booking` names the transactions that were booking at or after it."""
        now_booking = frozenset(booking)
        if self.is_waiting:
            self._still_booking &= now_booking
            if not self._still_booking:
                self.settled = self._candidate
        if not self.is_waiting and newest > self.settled:
            self._candidate, self._still_booking = newest, now_booking
            if not now_booking:
                self.settled = newest
        return self.settled
