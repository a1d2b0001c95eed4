"""What every server shares: the door to the services, the limits, and the one log line of a refusal.

Strategy: a server is handed `Handle` and never learns what is behind it. Every refusal, whoever made it, is logged
once, here, in one shape: wire, bank, reason, trace id and trace number, and the note that says where; never content.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.banks.profile import BankProfile
from gateway.metrics import Metrics
from gateway.operations import Evidence, Operation
from gateway.outcomes import Approved, Outcome, Reason

Handle = Callable[[Operation, Evidence, BankProfile], Awaitable[Outcome]]
Told = Callable[[Operation, Evidence, Outcome, bool], None]
"""What the bank was answered, and whether all of it left on a connection that was open. Never waits, never raises."""

_log: Any = structlog.get_logger("gateway.servers")


def tell_nobody(_operation: Operation, _evidence: Evidence, _outcome: Outcome, _left: bool, /) -> None:
    """Where nobody keeps account of answers that did not arrive."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a message was refused or left open; `note` says where and is safe to log."""

    reason: Reason
    note: str
    trace_id: str
    trace_no: str | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Seconds and counts; where they come from and why is in the configuration."""

    connections: int = 64
    slow_reader_seconds: float = 10.0


def new_trace_id() -> str:
    """A name for one request in logs, evidence and entries: 16 hexadecimal digits, unlikely to meet twice."""
    return secrets.token_hex(8)


def refusal_of(outcome: Outcome, trace_id: str, trace_no: str | None) -> Refusal | None:
    """The refusal in an outcome; None where it is an approval."""
    if isinstance(outcome, Approved):
        return None
    return Refusal(outcome.reason, outcome.note, trace_id, trace_no)


def report_refusal(refusal: Refusal, wire: str, bank: str, metrics: Metrics) -> None:
    """Log and count one refusal. `bank` is a code of the configuration, or "" where the peer is unknown."""
    metrics.refusals.labels(bank, wire, refusal.reason.name).inc()
    _log.warning(
        "refused",
        wire=wire,
        bank=bank,
        reason=refusal.reason.name,
        note=refusal.note,
        trace_id=refusal.trace_id,
        trace_no=refusal.trace_no,
    )
