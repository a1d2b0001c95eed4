"""What follows from answers: a table of cases, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events.answers import Answer, Verdict, answer_of_status
from gateway.events.event import PaymentEvent
from gateway.events.judging import LetterState, Moves, Patience, Waiting, judge_again, judge_new
from gateway.events.sending import FAILURES_IN_A_ROW, offer

from .test_event import EVENT

NOW = datetime(2026, 3, 5, tzinfo=UTC)
PATIENCE = Patience(timedelta(hours=1), first_pause=timedelta(seconds=1), most_pause=timedelta(seconds=60))
OK, NO, ILL, AWAY = (Answer(verdict, verdict.value) for verdict in Verdict)
BY_LETTER = {"+": OK, "-": NO, "!": ILL, "?": AWAY}


def event(sequence: int, customer: str, recorded_at: datetime = NOW) -> PaymentEvent:
    return replace(EVENT, sequence=sequence, customer_no=customer, recorded_at=recorded_at)


def case(text: str, recorded_at: datetime = NOW) -> tuple[list[Waiting], dict[int, Answer]]:
    """`a+ b- c!`: customers and answers (+ accepted, - refused, ! failed, ? unavailable); . not offered, < behind."""
    waiting, answers = [], {}
    for sequence, (customer, answer) in enumerate(text.split(), start=1):
        waiting.append(Waiting(event(sequence, customer, recorded_at), is_behind=answer == "<"))
        if answer in BY_LETTER:
            answers[sequence] = BY_LETTER[answer]
    return waiting, answers


# Answers, then: handled up to, letters as "customer state", whether there is trouble.
CASES = [
    ("a+ b+ a+", 3, "", False),
    ("a+ b- c+", 3, "b DEAD", False),
    ("a+ b- b. c+", 4, "b DEAD,b BEHIND", False),
    ("a+ b! b. c+", 4, "b TRYING,b BEHIND", False),
    ("a! b! c!", None, "", True),  # it fails at everybody's: its own trouble
    ("a?", None, "", True),
    ("a+ b? c.", 1, "", True),
    ("a- b? c.", 1, "a DEAD", True),
    ("a! b- c.", None, "", True),
    ("a< b+", 2, "a BEHIND", False),
    ("a<", 1, "a BEHIND", False),
    ("a+ b. c.", 1, "", True),
    ("a! b+ c. a.", 2, "a TRYING", True),
]


@pytest.mark.parametrize(("text", "handled", "letters", "trouble"), CASES)
def test_new_events(text: str, handled: int | None, letters: str, trouble: bool) -> None:
    waiting, answers = case(text)
    moves = judge_new(waiting, answers, PATIENCE, None, NOW)
    assert moves.handled == handled
    assert ",".join(f"{letter.customer_no} {letter.state}" for letter in moves.letters) == letters
    assert (moves.trouble is not None) is trouble
    assert moves.delivered == sum(answers[n].is_accepted for n in answers if n <= (handled or 0))


LONG_AGO, LATELY = NOW - timedelta(hours=2), NOW - timedelta(minutes=5)


@pytest.mark.parametrize("answer", "?!")
@pytest.mark.parametrize(
    ("failing_since", "recorded_at", "gives_up"),
    [
        (LONG_AGO, LONG_AGO, True),
        (LONG_AGO, LATELY, False),  # the event has not waited that long
        (LATELY, LONG_AGO, False),  # we have not tried that long: the gateway was away
        (None, LONG_AGO, False),
        (NOW - timedelta(hours=1), NOW - timedelta(hours=1), True),  # exactly
    ],
)
def test_giving_up_in_an_outage(
    answer: str, failing_since: datetime | None, recorded_at: datetime, gives_up: bool
) -> None:
    waiting, answers = case(f"a{answer} b{answer} a{answer}", recorded_at)
    moves = judge_new(waiting, answers, PATIENCE, failing_since, NOW)
    states = [letter.state for letter in moves.letters]
    expected = [LetterState.DEAD, LetterState.DEAD, LetterState.BEHIND] if gives_up else []
    assert states == expected
    assert moves.handled == (3 if gives_up else None)


AGAIN = [
    (OK, 3, LATELY, LetterState.DELIVERED),
    (OK, 3, LONG_AGO, LetterState.DELIVERED),
    (NO, 3, LATELY, LetterState.DEAD),
    (ILL, 3, LATELY, LetterState.TRYING),
    (AWAY, 3, LATELY, LetterState.TRYING),
    (ILL, 3, LONG_AGO, LetterState.DEAD),
    (AWAY, 3, LONG_AGO, LetterState.DEAD),
]


@pytest.mark.parametrize(("answer", "attempts", "since", "state"), AGAIN)
def test_letters_tried_again(answer: Answer, attempts: int, since: datetime, state: LetterState) -> None:
    due = [Waiting(event(7, "a"), False, attempts, since), Waiting(event(8, "b"), False, 1, since)]
    [letter] = judge_again(due, {7: answer}, PATIENCE, NOW)
    assert (letter.sequence, letter.state, letter.attempts, letter.reason) == (7, state, 4, answer.reason)
    assert letter.next_try_at == NOW + timedelta(seconds=8)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 1), (2, 2), (6, 32), (7, 60), (1_000_000, 60)])
def test_pauses_double_up_to_a_limit(attempts: int, seconds: int) -> None:
    assert PATIENCE.pause(attempts) == timedelta(seconds=seconds)


# Customer d has an open letter from before, so that nothing of d's is offered.
EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("+-!?.")) | st.just(("d", "<")), min_size=1, max_size=12
)


@given(EVENTS, st.booleans())
def test_nothing_is_lost_and_no_customer_is_overtaken(pairs: list[tuple[str, str]], outage: bool) -> None:
    waiting, answers = case(" ".join(customer + answer for customer, answer in pairs))
    moves: Moves = judge_new(waiting, answers, PATIENCE, LONG_AGO if outage else None, NOW)
    letters = {letter.sequence: letter for letter in moves.letters}
    assert len(letters) == len(moves.letters)
    heads = [one.customer_no for one in moves.letters if one.state is not LetterState.BEHIND]
    assert len(heads) == len(set(heads)), "a queue has one head"
    open_queues: set[str] = set()
    for one in waiting:
        if moves.handled is None or one.event.sequence > moves.handled:
            assert one.event.sequence not in letters
            continue
        letter = letters.get(one.event.sequence)
        if letter is None:
            assert answers[one.event.sequence].is_accepted, "done with means told or set aside"
            assert one.event.customer_no not in open_queues, "told before an earlier one of its customer"
        else:
            open_queues.add(one.event.customer_no)


STATUSES = [
    (Verdict.ACCEPTED, (200, 201, 202, 204, 299)),
    (Verdict.REFUSED, (400, 402, 406, 409, 410, 413, 415, 422, 451)),
    (Verdict.FAILED, (500, 501, 505, 507)),
    (Verdict.UNAVAILABLE, (301, 302, 304, 401, 403, 404, 405, 407, 408, 421, 425, 429, 502, 503, 504, 100, 600)),
]


@pytest.mark.parametrize(("verdict", "status"), [(verdict, one) for verdict, many in STATUSES for one in many])
def test_statuses(verdict: Verdict, status: int) -> None:
    assert answer_of_status(status) == Answer(verdict, f"HTTP {status}")


# What is waiting, who is ill for good (capitals are refused, small letters fail), what is offered, who gets an answer.
OFFERS = [
    ("a b c", "", "abc", "a+ b+ c+"),
    ("a", "a", "a", "a!"),
    ("a b c", "b", "abc a b c", "a+ b! c+"),
    ("a b b c", "b", "abbc a b c", "a+ b! c+"),
    ("a B c", "B", "aBc a B c", "a+ B- c+"),
    ("a b", "ab", "ab a b", "a! b!"),
]


@pytest.mark.parametrize(("text", "ill", "offered", "answered"), OFFERS)
async def test_offering(text: str, ill: str, offered: str, answered: str) -> None:
    events = [event(number, customer) for number, customer in enumerate(text.split())]
    requests = []

    async def send(some: object) -> Answer:
        names = [one.customer_no for one in some]  # type: ignore[attr-defined]
        requests.append("".join(names))
        bad = [name for name in names if name in ill]
        return OK if not bad else NO if bad[0].isupper() else ILL

    answers = await offer(send, events)
    assert " ".join(requests) == offered
    by_sequence = {one.sequence: one.customer_no for one in events}
    signs = {answer: sign for sign, answer in BY_LETTER.items()}
    assert " ".join(by_sequence[number] + signs[answer] for number, answer in answers.items()) == answered


async def test_who_is_not_there_is_not_asked_event_by_event() -> None:
    requests = 0

    async def send(_some: object) -> Answer:
        nonlocal requests
        requests += 1
        return AWAY

    assert set((await offer(send, [event(1, "a"), event(2, "b")])).values()) == {AWAY}
    assert requests == 1
    assert await offer(send, []) == {}
    assert requests == 1


async def test_a_sick_receiver_is_not_made_sicker() -> None:
    requests = 0

    async def send(_some: object) -> Answer:
        nonlocal requests
        requests += 1
        return ILL

    answers = await offer(send, [event(number, f"customer {number}") for number in range(100)])
    assert len(answers) == FAILURES_IN_A_ROW
    assert requests == 1 + FAILURES_IN_A_ROW
