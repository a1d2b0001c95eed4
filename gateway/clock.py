"""The only place of the gateway and the night that reads the time.

Strategy: everything else is handed `now` as a value, so that rules are functions and tests choose their day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Seconds on a clock that never goes back; for durations and deadlines only."""
    return time.monotonic()
