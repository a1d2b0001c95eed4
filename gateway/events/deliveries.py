"""All tellers of a gateway process: one for each subscriber and partition.

Strategy: started before the gateway takes its first message, so that a new subscription misses nothing of it; stopped
after the last answer. Several processes may run on one database: each partition is told by one of them at a time, and
taken over by another when that one ends or dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from gateway import clock as clocks
from gateway.clock import Clock
from gateway.events.sending import Sender
from gateway.events.subscriber import Subscriber
from gateway.events.telling import Teller
from gateway.metrics import Metrics


@asynccontextmanager
async def delivering(
    dsn: str,
    partitions: int,
    subscribers: Sequence[Subscriber],
    metrics: Metrics,
    *,
    clock: Clock = clocks.now,
    stop_seconds: float = 10.0,
) -> AsyncIterator[None]:
    """Tell `subscribers` of payments as long as the block runs; `dsn` logs in as the gateway's role.

    At the end what is being sent is finished, at most for `stop_seconds`; the rest is told by whoever runs next.
    Raises the errors of `gateway.database` where the subscriptions can't be made.
    """
    stop = asyncio.Event()
    if not subscribers:
        yield
        return
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        tellers = [
            Teller(dsn, partition, one, Sender(one, client, clock), metrics=metrics, clock=clock, stop=stop)
            for one in subscribers
            for partition in range(partitions)
        ]
        await asyncio.gather(*(teller.subscribe() for teller in tellers))
        tasks = [asyncio.create_task(teller.run(), name="payment events") for teller in tellers]
        try:
            yield
        finally:
            stop.set()
            _done, late = await asyncio.wait(tasks, timeout=stop_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
