"""Refuses a message that was seen before, or that was sent too long ago to be known.

Strategy: a message is remembered, by its nonce and message id, for as long as its send time is inside the clock
window; after that the window itself refuses it. So nothing has to be remembered for ever. The rules:

1. The send time may lie `window_seconds` before or after our time, not more (banks' clocks are kept by NTP).
2. The same nonce and message id of the same sender are refused while they are remembered.
3. Store-and-forward messages (reversals) may be old: they are exempt from the window, not from uniqueness. They are
   remembered for `FORWARD_MEMORY_SECONDS`; a copy that comes later still meets the ledger's idempotency.
4. Memory is bounded for each sender. When it is full, new messages are put off (OVERLOADED); nothing is forgotten
   early, because forgetting is what an attacker would fill the memory for. One sender's flood is its own trouble.
5. Only a message that passes is remembered. Call this after the signature was verified: a forged message must not
   use up a nonce.

The guard is a first fence of one process and forgets when the process ends. The lasting one is the operation's
idempotency key in the ledger, which every process shares. No clock inside: `now` is given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.outcomes import Reason

WINDOW_SECONDS = 300
CAPACITY_PER_SENDER = 500_000
"""Ten minutes (the whole window) of 800 messages a second; about 100 MB."""
FORWARD_MEMORY_SECONDS = 86_400
_BUCKET_SECONDS = 60


@dataclass(slots=True)
class _Memory:
    """What one sender sent: the tokens, and the same tokens by the minute in which they may be forgotten."""

    tokens: set[str] = field(default_factory=set)
    by_minute: dict[int, list[str]] = field(default_factory=dict)
    forgotten_until: int = 0

    def forget(self, minute: int) -> None:
        """Drop the tokens whose minute has passed."""
        if minute <= self.forgotten_until:
            return
        for past in [kept for kept in self.by_minute if kept < minute]:
            self.tokens.difference_update(self.by_minute.pop(past))
        self.forgotten_until = minute

    def remember(self, token: str, minute: int) -> None:
        self.tokens.add(token)
        self.by_minute.setdefault(minute, []).append(token)


class ReplayGuard:
    """The rules above for any number of senders."""

    __slots__ = ("_capacity", "_memories", "_window_seconds")

    def __init__(self, window_seconds: int = WINDOW_SECONDS, capacity_per_sender: int = CAPACITY_PER_SENDER) -> None:
        if window_seconds < 1 or capacity_per_sender < 1:
            raise ValueError("a replay guard needs a window and a capacity of at least 1")
        self._window_seconds = window_seconds
        self._capacity = capacity_per_sender
        self._memories: dict[str, _Memory] = {}

    def check(
        self,
        sender: str,
        nonce: str,
        sent_at: datetime,
        now: datetime,
        *,
        message_id: str = "",
        store_and_forward: bool = False,
    ) -> Reason | None:
        """None and remembered, or why not: REPLAYED or OVERLOADED. Both times are aware; `sender` is a known bank."""
        sent, present = sent_at.timestamp(), now.timestamp()
        if not store_and_forward and abs(present - sent) > self._window_seconds:
            return Reason.REPLAYED
        memory = self._memories.setdefault(sender, _Memory())
        memory.forget(int(present) // _BUCKET_SECONDS)
        token = f"{message_id} {nonce}"
        if token in memory.tokens:
            return Reason.REPLAYED
        if len(memory.tokens) >= self._capacity:
            return Reason.OVERLOADED
        keep_until = present + FORWARD_MEMORY_SECONDS if store_and_forward else sent + self._window_seconds
        memory.remember(token, int(keep_until) // _BUCKET_SECONDS)
        return None

    def remembered(self, sender: str) -> int:
        """How many messages of `sender` are remembered: a figure for the metrics."""
        memory = self._memories.get(sender)
        return 0 if memory is None else len(memory.tokens)
