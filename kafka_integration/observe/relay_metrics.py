"""What a relay did, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal
from prometheus_client import CollectorRegistry, Counter, Histogram

from .. import signals
from .receivers import Receivers

# A batch takes milliseconds, or as long as Kafka stays away.
_BATCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class RelayMetrics(Receivers):
    """Counts what a relay of this process does.

    Args:
        registry: where the metrics go.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._published = Counter(
            "kafka_outbox_published_events",
            "Events that Kafka has acknowledged to this relay.",
            registry=registry,
        )
        self._held = Counter(
            "kafka_outbox_refused_events",
            "Events that Kafka refused for good, so that their key is held.",
            ["topic"],
            registry=registry,
        )
        self._seconds = Histogram(
            "kafka_outbox_batch_seconds",
            "From reading a batch to having recorded it as out.",
            buckets=_BATCH_SECONDS,
            registry=registry,
        )
        self._waits = Counter(
            "kafka_relay_waits", "How often this relay said that it must wait.", registry=registry
        )
        self._turns = Counter(
            "kafka_relay_turns", "How often this relay's loop went round.", registry=registry
        )

    def pairs(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        """Return which method listens to which signal."""
        return (
            (signals.batch_relayed, self._relayed),
            (signals.event_held, self._refused),
            (signals.relay_waiting, lambda **_: self._waits.inc()),
            (signals.relay_turned, lambda **_: self._turns.inc()),
        )

    def _relayed(self, published: int, seconds: float, **_: Any) -> None:
        self._published.inc(published)
        self._seconds.observe(seconds)

    def _refused(self, topic: str, **_: Any) -> None:
        self._held.labels(topic).inc()
