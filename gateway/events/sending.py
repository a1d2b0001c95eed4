"""One delivery: a signed POST, and the answer as a verdict.

Strategy: whatever happens on the way becomes an `Answer`, so that nobody else knows HTTP. Rules: no redirect is
followed (events go where the configuration says and nowhere else); of the receiver's answer only the status counts;
no address, body or message of a library reaches a log.

A whole batch is offered first. If the receiver answers, but not with yes, the events are offered one by one: then it
is known which of them it means. After an event that did not go through, no other of the same customer is offered.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Sequence

import aiohttp

from gateway.clock import Clock
from gateway.events.answers import Answer, Verdict, answer_of_status
from gateway.events.event import PaymentEvent, body_of
from gateway.events.signature import HEADER, header_value
from gateway.events.subscriber import Subscriber

# So many in a row that fail alone, and it is the receiver that fails: a sick one is not made sicker.
FAILURES_IN_A_ROW = 10
_ANSWER_LIMIT_BYTES = 65_536  # read and thrown away, so that the connection can be used again
Send = Callable[[Sequence[PaymentEvent]], Awaitable[Answer]]


class Sender:
    """Sends to one subscriber; `client` may be shared."""

    def __init__(self, subscriber: Subscriber, client: aiohttp.ClientSession, clock: Clock) -> None:
        self._subscriber = subscriber
        self._client = client
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(
            total=subscriber.timeout_seconds, sock_connect=subscriber.timeout_seconds / 2
        )

    async def send(self, partition: int, events: Sequence[PaymentEvent]) -> Answer:
        """One request with all of `events`."""
        to = self._subscriber
        body = body_of(to.name, partition, events)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "busbar",
            HEADER: header_value(to.key, to.name, body, self._clock()),
        }
        tls: ssl.SSLContext | bool = True if to.tls is None else to.tls
        try:
            async with self._client.post(
                to.url, data=body, headers=headers, timeout=self._timeout, ssl=tls, allow_redirects=False
            ) as response:
                await response.content.read(_ANSWER_LIMIT_BYTES)
                return answer_of_status(response.status)
        except aiohttp.ClientConnectorCertificateError:
            return Answer(Verdict.UNAVAILABLE, "the receiver's certificate is not trusted")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Answer(Verdict.UNAVAILABLE, "no connection")
        except TimeoutError:
            return Answer(Verdict.FAILED, f"no answer within {to.timeout_seconds:g} seconds")
        except (aiohttp.ClientError, OSError) as error:
            return Answer(Verdict.UNAVAILABLE, f"connection lost ({type(error).__name__})")


async def offer(send: Send, events: Sequence[PaymentEvent]) -> dict[int, Answer]:
    """Each event's answer by its sequence; events that were not offered alone have none."""
    if not events:
        return {}
    whole = await send(events)
    if whole.is_accepted or whole.verdict is Verdict.UNAVAILABLE or len(events) == 1:
        return {event.sequence: whole for event in events}
    return await _one_by_one(send, events)


async def _one_by_one(send: Send, events: Sequence[PaymentEvent]) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    set_aside: set[str] = set()
    failures = 0
    for event in events:
        if event.customer_no in set_aside:
            continue
        answer = answers[event.sequence] = await send([event])
        if not answer.is_accepted:
            set_aside.add(event.customer_no)
        failures = failures + 1 if answer.verdict is Verdict.FAILED else 0
        if answer.verdict is Verdict.UNAVAILABLE or failures == FAILURES_IN_A_ROW:
            break
    return answers
