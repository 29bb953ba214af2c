"""What a consumer did, as Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.dispatch import Signal
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .. import signals
from ..events.envelope import Message
from ..events.registry import Handler
from ..inbox.dispatch import Outcome
from ..models import InboxRecord
from .receivers import Receivers

_HANDLER_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_DELAY_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)


class ConsumerMetrics(Receivers):
    """Counts what a consumer of this process does.

    Args:
        registry: where the metrics go.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"kafka_inbox_{name}", text, ["group", *labels], registry=registry)

        self._messages = counter("messages", "Messages dealt with.", "topic", "outcome")
        self._retries = counter(
            "retries", "Tries that failed and are followed by another.", "topic"
        )
        self._letters = counter(
            "dead_letters",
            "Messages given up, taken by the dead-letter topic or not.",
            "topic",
            "taken",
        )
        self._redriven = counter("redriven", "Messages tried again on demand.", "outcome")
        self._turns = counter("turns", "How often the consumer's loop looked around.")
        self._handler_seconds = Histogram(
            "kafka_inbox_handler_seconds",
            "How long a handler took, whether it returned or raised.",
            ["group", "handler"],
            buckets=_HANDLER_SECONDS,
            registry=registry,
        )
        self._delay = Histogram(
            "kafka_inbox_delay_seconds",
            "From the message's timestamp in Kafka to its being dealt with.",
            ["group", "topic"],
            buckets=_DELAY_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "kafka_inbox_in_flight_messages",
            "Messages in memory: waiting for their turn or being handled.",
            ["group"],
            registry=registry,
        )
        self._busy = Gauge(
            "kafka_inbox_busy_seconds",
            "How long the handler that is longest at work has been.",
            ["group"],
            registry=registry,
        )

    def pairs(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        """Return which method listens to which signal."""
        return (
            (signals.consumer_turned, self._turned),
            (signals.handler_ended, self._ended),
            (signals.message_handled, self._handled),
            (signals.message_failed, self._failed),
            (signals.message_dead, self._dead),
            (signals.record_retried, self._retried),
        )

    def _turned(self, group: str, in_flight: int, busy_seconds: float, **_: Any) -> None:
        self._turns.labels(group).inc()
        self._in_flight.labels(group).set(in_flight)
        self._busy.labels(group).set(busy_seconds)

    def _ended(self, handler: Handler, seconds: float, **_: Any) -> None:
        self._handler_seconds.labels(handler.group, handler.name).observe(seconds)

    def _handled(self, group: str, message: Message, outcome: Outcome, **_: Any) -> None:
        self._messages.labels(group, message.topic, outcome.value).inc()
        if message.timestamp is not None:
            # Clocks of machines differ: a message from the future has no delay.
            delay = max(0.0, time.time() - message.timestamp / 1_000)
            self._delay.labels(group, message.topic).observe(delay)

    def _failed(self, group: str, message: Message, **_: Any) -> None:
        self._retries.labels(group, message.topic).inc()

    def _dead(self, group: str, message: Message, letter: bool, **_: Any) -> None:
        self._letters.labels(group, message.topic, "true" if letter else "false").inc()

    def _retried(self, group: str, record: InboxRecord, outcome: Outcome, **_: Any) -> None:
        self._redriven.labels(group, outcome.value).inc()
