"""What is counted, and in which form it is given out."""

from __future__ import annotations

from gateway.metrics import Metrics


def test_counts_are_rendered_with_their_labels() -> None:
    metrics = Metrics()
    metrics.requests.labels("GZB", "bankxml").inc()
    metrics.answers.labels("GZB", "PAYMENT", "APPROVED").inc(2)
    metrics.answer_seconds.labels("GZB", "PAYMENT").observe(0.003)
    metrics.in_flight.labels("GZB").set(3)
    text = metrics.render().decode()
    assert 'busbar_requests_total{bank="GZB",wire="bankxml"} 1.0' in text
    assert 'busbar_answers_total{bank="GZB",kind="PAYMENT",reason="APPROVED"} 2.0' in text
    assert 'busbar_answer_seconds_bucket{bank="GZB",kind="PAYMENT",le="0.005"} 1.0' in text
    assert 'busbar_in_flight{bank="GZB"} 3.0' in text


def test_two_processes_in_one_test_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.refusals.labels("GZB", "bankxml", "FORMAT_ERROR").inc()
    assert "FORMAT_ERROR" in one.render().decode()
    assert "FORMAT_ERROR" not in other.render().decode()
