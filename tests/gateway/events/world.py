"""A ledger whose payments are told: booking as a lane does, and tellers as a gateway process runs them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.clock import monotonic_seconds
from gateway.events.deliveries import delivering
from gateway.events.judging import Patience
from gateway.events.letters import SubscriptionStatus, status
from gateway.events.outbox import Outbox, open_outbox
from gateway.events.subscriber import Subscriber
from gateway.ledger.store_postgres import PostgresStore, open_postgres_store
from gateway.metrics import Metrics
from gateway.outcomes import Approved
from protocols.signing.keys import SigningKey
from tests.gateway.ledger.installations import NOW, PARTITIONS, Installation, at_home, payment, run_batch

from .receiver import Receiver

CUSTOMERS = [at_home(0, n) for n in range(6)]
OTHER_CUSTOMERS = [at_home(1, n) for n in range(3)]
QUICK = Patience(timedelta(days=1), first_pause=timedelta(0), most_pause=timedelta(0))
HOPELESS = Patience(timedelta(0), first_pause=timedelta(0), most_pause=timedelta(0))
_STARTED = monotonic_seconds()


def now() -> datetime:
    """A clock that goes on from the moment at which the tests book."""
    return NOW + timedelta(seconds=1 + monotonic_seconds() - _STARTED)


@dataclass
class World:
    """`pay` books, `telling` tells."""

    installation: Installation
    receiver: Receiver
    subscriber: Subscriber
    stores: list[PostgresStore]
    metrics: Metrics = field(default_factory=Metrics)
    traces: Any = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def of(cls, installation: Installation, receiver: Receiver, key: SigningKey) -> World:
        subscriber = Subscriber("call-centre", receiver.url, key, timeout_seconds=5.0, patience=QUICK)
        stores = [
            await open_postgres_store(installation.gateway_dsn, partition, PARTITIONS, "CNY")
            for partition in range(PARTITIONS)
        ]
        return cls(installation, receiver, subscriber, stores)

    async def close(self) -> None:
        for store in self.stores:
            await store.close()

    @property
    def dsn(self) -> str:
        return self.installation.gateway_dsn

    def changed(self, **changes: Any) -> None:
        self.subscriber = replace(self.subscriber, **changes)

    def trace(self) -> str:
        return f"T{next(self.traces)}"

    async def pay(self, *customer_nos: str, partition: int = 0, amount_fen: int = 100) -> None:
        """One batch with a payment of each, in this order."""
        operations = [payment(self.trace(), who, amount_fen) for who in customer_nos]
        outcomes = await run_batch(self.stores[partition], operations)
        assert all(isinstance(outcome, Approved) for outcome in outcomes), outcomes

    async def booked(self, partition: int = 0) -> list[tuple[str, int]]:
        """Customer and number of every posting, in the order of booking."""
        rows = await self.installation.admin.fetch(
            f"SELECT customer_no, recording_no FROM ledger_{partition:02d}.payment ORDER BY recording_no"
        )
        return [(row["customer_no"], row["recording_no"]) for row in rows]

    @asynccontextmanager
    async def telling(self, *subscribers: Subscriber, metrics: Metrics | None = None) -> AsyncIterator[None]:
        """A gateway process's tellers."""
        chosen: Sequence[Subscriber] = subscribers or (self.subscriber,)
        async with delivering(self.dsn, PARTITIONS, chosen, metrics or self.metrics, clock=now):
            yield

    async def subscribe(self) -> None:
        """The subscription begins; nobody tells."""
        async with self.telling():
            pass

    async def outbox(self, partition: int = 0, lease_seconds: float = 60.0) -> Outbox:
        return await open_outbox(self.dsn, partition, self.subscriber.name, lease_seconds)

    async def status(self, partition: int = 0) -> SubscriptionStatus:
        return (await status(self.dsn, PARTITIONS))[partition]

    async def until_letters(self, **wanted: int) -> None:
        """Until partition 0 has so many letters `trying`, `behind`, `dead`."""
        async with asyncio.timeout(30):
            while True:
                now = await self.status()
                if all(getattr(now, name) == number for name, number in wanted.items()):
                    return
                await asyncio.sleep(0.02)
