"""What follows from a receiver's answers: how far the cursor moves, and which events are set aside. Pure.

Strategy: events are offered in the order of their numbers, and a prefix of them is done with: told, or set aside as a
letter. Rules:

1. An event that is refused becomes a dead letter. One at which the receiver fails is set aside to be tried again, but
   only where the receiver took somebody else's at the same time; where it takes nobody's, the trouble is the
   receiver's, nothing moves, and the events wait where they are safe: in the ledger.
2. Whatever comes later for a customer with an open letter queues behind it, so that a customer's order is kept.
3. Giving up: a letter that was tried in vain for `give_up_after`, and in an outage of that length the events that
   waited as long, become dead letters. They are never forgotten; a person says what becomes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.events.answers import Answer, Verdict
from gateway.events.event import PaymentEvent

BEHIND = "behind an earlier event of the customer"
_DOUBLINGS_LIMIT = 20  # enough for any pause; without it a long row of attempts makes a huge number


class LetterState(StrEnum):
    """TRYING and DEAD are heads of a customer's queue; the last two are closed."""

    TRYING = "TRYING"
    BEHIND = "BEHIND"
    DEAD = "DEAD"
    DELIVERED = "DELIVERED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True)
class Patience:
    """Pauses between attempts at a letter double from the first to the most."""

    give_up_after: timedelta
    first_pause: timedelta = timedelta(seconds=1)
    most_pause: timedelta = timedelta(minutes=5)

    def pause(self, attempts: int) -> timedelta:
        doubled: timedelta = self.first_pause * 2 ** min(max(attempts - 1, 0), _DOUBLINGS_LIMIT)
        return min(self.most_pause, doubled)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event to be told. `is_behind`: its customer has an open letter. The last two are those of a letter."""

    event: PaymentEvent
    is_behind: bool = False
    attempts: int = 0
    trying_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    """An event set aside, or what became of one."""

    sequence: int
    customer_no: str = field(repr=False)
    state: LetterState
    reason: str
    attempts: int
    next_try_at: datetime


Answers = Mapping[int, Answer]
"""By the event's sequence; an event that was not offered has none."""


@dataclass(frozen=True, slots=True)
class Moves:
    """`handled` is the number up to which all is done with (None: nothing moved); `trouble` says why it stops there."""

    handled: int | None
    letters: tuple[Letter, ...]
    delivered: int
    trouble: str | None


def judge_new(
    waiting: Sequence[Waiting], answers: Answers, patience: Patience, failing_since: datetime | None, now: datetime
) -> Moves:
    """The moves after `waiting` (in order) was offered; `failing_since`: since when nobody's event was taken."""
    is_alive = any(answer.is_accepted for answer in answers.values())
    letters: list[Letter] = []
    set_aside: set[str] = set()
    handled, delivered, trouble = None, 0, None
    for one in waiting:
        event = one.event
        answer = answers.get(event.sequence)
        if one.is_behind or event.customer_no in set_aside:
            letters.append(_letter(event, LetterState.BEHIND, BEHIND, 0, now))
        elif answer is None:
            trouble = "not every event could be offered"
            break
        elif answer.is_accepted:
            delivered += 1
        else:
            state = _state_of(event, answer, patience, failing_since, now, is_alive=is_alive)
            if state is None:
                trouble = answer.reason
                break
            letters.append(_letter(event, state, answer.reason, 1, now + patience.pause(1)))
            set_aside.add(event.customer_no)
        handled = event.sequence
    return Moves(handled, tuple(letters), delivered, trouble)


def judge_again(due: Sequence[Waiting], answers: Answers, patience: Patience, now: datetime) -> tuple[Letter, ...]:
    """What becomes of letters that were offered again; those that were not offered stay as they are."""
    judged = []
    for one in due:
        answer = answers.get(one.event.sequence)
        if answer is None:
            continue
        attempts = one.attempts + 1
        state = _state_again(one, answer, patience, now)
        judged.append(_letter(one.event, state, answer.reason, attempts, now + patience.pause(attempts)))
    return tuple(judged)


def _state_of(
    event: PaymentEvent,
    answer: Answer,
    patience: Patience,
    failing_since: datetime | None,
    now: datetime,
    *,
    is_alive: bool,
) -> LetterState | None:
    """None: it stays where it is."""
    if answer.verdict is Verdict.REFUSED:
        return LetterState.DEAD
    if is_alive and answer.verdict is Verdict.FAILED:
        return LetterState.TRYING
    long_ago = now - patience.give_up_after
    if failing_since is not None and failing_since <= long_ago and event.recorded_at <= long_ago:
        return LetterState.DEAD
    return None


def _state_again(one: Waiting, answer: Answer, patience: Patience, now: datetime) -> LetterState:
    if answer.is_accepted:
        return LetterState.DELIVERED
    if answer.verdict is Verdict.REFUSED:
        return LetterState.DEAD
    since = one.trying_since
    has_given_up = since is not None and since <= now - patience.give_up_after
    return LetterState.DEAD if has_given_up else LetterState.TRYING


def _letter(event: PaymentEvent, state: LetterState, reason: str, attempts: int, next_try_at: datetime) -> Letter:
    return Letter(event.sequence, event.customer_no, state, reason, attempts, next_try_at)
