"""What the gateway counts, for Prometheus.

Strategy: one registry a process, made by `main` and handed to those who count, so that tests read their own. Labels
are few and bounded: bank codes and operation kinds from the configuration, reasons from the table of reasons; nothing
that a peer can invent becomes a label.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
# One commit takes a few milliseconds; a bank gives up after its deadline (20 s by default).
_ANSWER_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60)


class Metrics:
    """The counters. `reason` is the name of a `Reason`, or "APPROVED"."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("busbar_requests", "Requests received", ("bank", "wire"), registry=self.registry)
        self.answers = Counter(
            "busbar_answers", "Operations answered", ("bank", "kind", "reason"), registry=self.registry
        )
        self.refusals = Counter(
            "busbar_refusals",
            "Messages refused or left open",
            ("bank", "wire", "reason"),
            registry=self.registry,
        )
        self.answer_seconds = Histogram(
            "busbar_answer_seconds",
            "From operation to outcome",
            ("bank", "kind"),
            buckets=_ANSWER_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge("busbar_in_flight", "Operations in flight", ("bank",), registry=self.registry)
        self.connections = Gauge("busbar_connections", "Open connections", ("bank",), registry=self.registry)
        self.connections_refused = Counter(
            "busbar_connections_refused", "Connections refused", ("bank", "why"), registry=self.registry
        )
        self.events_delivered = Counter(
            "busbar_events_delivered", "Payment events that a subscriber took", ("subscriber",), registry=self.registry
        )
        self.events_dead = Gauge(
            "busbar_events_dead",
            "Payment events that wait for a person",
            ("subscriber", "partition"),
            registry=self.registry,
        )
        self.events_lag_seconds = Gauge(
            "busbar_events_lag_seconds",
            "Age of the oldest payment event that was not told yet, letters aside",
            ("subscriber", "partition"),
            registry=self.registry,
        )

        self.unresolved_open = Gauge(
            "busbar_unresolved_open", "Operations whose end one side may not know", ("bank",), registry=self.registry
        )
        self.unresolved_oldest_seconds = Gauge(
            "busbar_unresolved_oldest_seconds", "Age of the oldest of them", ("bank",), registry=self.registry
        )
        self.unresolved_dropped = Gauge(
            "busbar_unresolved_dropped", "Doubts and ends that could not be noted", registry=self.registry
        )

    def render(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
