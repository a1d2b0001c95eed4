"""A subscriber: where payment events go, under which name and key, and how long we try."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import timedelta

from gateway.config import Installation
from gateway.events.judging import Patience
from protocols.signing.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Subscriber:
    """`tls` is None where the system's certificates decide. The address may hold what is nobody's business."""

    name: str
    url: str = field(repr=False)
    key: SigningKey
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    batch_events: int = 100
    timeout_seconds: float = 5.0
    patience: Patience = field(default_factory=lambda: Patience(give_up_after=timedelta(days=1)))


def subscribers_of(installation: Installation) -> tuple[Subscriber, ...]:
    """The `[[events]]` of a checked installation."""
    return tuple(
        Subscriber(
            name=one.name,
            url=one.url,
            key=installation.keyring.signing_key(one.sign_key),
            tls=None if one.ca_file is None else ssl.create_default_context(cafile=installation.folder / one.ca_file),
            batch_events=one.batch_events,
            timeout_seconds=one.timeout_seconds,
            patience=Patience(timedelta(seconds=one.give_up_after_seconds)),
        )
        for one in installation.settings.events
    )
