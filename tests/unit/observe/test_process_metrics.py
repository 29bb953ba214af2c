"""What relay and consumer count, by their signals."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from kafka_integration import signals
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.timing import timed
from kafka_integration.observe.consumer_metrics import ConsumerMetrics
from kafka_integration.observe.relay_metrics import RelayMetrics
from tests.unit.inbox.messages import GROUP, TOPIC, handler, ignore, message


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_a_relays_batches_are_counted_with_their_time(registry: CollectorRegistry) -> None:
    with RelayMetrics(registry):
        signals.batch_relayed.send(None, published=3, held=1, seconds=0.2)
        signals.batch_relayed.send(None, published=4, held=0, seconds=0.3)
        signals.relay_waiting.send(None, reason="Kafka does not answer")
        signals.relay_turned.send(None)
        signals.event_held.send(None, event_id=1, topic=TOPIC, key_hash=1, reason="too large")
    signals.batch_relayed.send(None, published=50, held=0, seconds=0.3)
    assert value(registry, "kafka_outbox_published_events_total") == 7
    assert value(registry, "kafka_outbox_batch_seconds_count") == 2
    assert value(registry, "kafka_outbox_batch_seconds_sum") == pytest.approx(0.5)
    assert value(registry, "kafka_outbox_refused_events_total", topic=TOPIC) == 1
    assert value(registry, "kafka_relay_waits_total") == 1
    assert value(registry, "kafka_relay_turns_total") == 1


def test_a_consumers_messages_are_counted_by_outcome(registry: CollectorRegistry) -> None:
    found = replace(message(), timestamp=int((time.time() - 20) * 1000))
    with ConsumerMetrics(registry):
        for outcome in (Outcome.HANDLED, Outcome.HANDLED, Outcome.DEAD):
            signals.message_handled.send(None, group=GROUP, message=found, outcome=outcome)
        signals.message_failed.send(
            None, group=GROUP, message=found, attempt=1, error=ValueError(), pause=0.5
        )
        signals.message_dead.send(None, group=GROUP, message=found, reason="broken", letter=True)
        signals.message_dead.send(None, group=GROUP, message=found, reason="broken", letter=False)
        signals.record_retried.send(None, group=GROUP, record=None, outcome=Outcome.HANDLED)
        signals.consumer_turned.send(None, group=GROUP, in_flight=5, busy_seconds=2.5)
    where = {"group": GROUP, "topic": TOPIC}
    assert value(registry, "kafka_inbox_messages_total", **where, outcome="handled") == 2
    assert value(registry, "kafka_inbox_messages_total", **where, outcome="dead") == 1
    assert value(registry, "kafka_inbox_retries_total", **where) == 1
    assert value(registry, "kafka_inbox_dead_letters_total", **where, taken="true") == 1
    assert value(registry, "kafka_inbox_dead_letters_total", **where, taken="false") == 1
    assert value(registry, "kafka_inbox_redriven_total", group=GROUP, outcome="handled") == 1
    assert value(registry, "kafka_inbox_in_flight_messages", group=GROUP) == 5
    assert value(registry, "kafka_inbox_busy_seconds", group=GROUP) == 2.5
    assert value(registry, "kafka_inbox_turns_total", group=GROUP) == 1
    delay = value(registry, "kafka_inbox_delay_seconds_sum", **where)
    assert delay is not None
    assert delay >= 60


def test_a_message_of_a_clock_ahead_of_ours_has_no_delay(registry: CollectorRegistry) -> None:
    found = replace(message(), timestamp=int((time.time() + 3_600) * 1000))
    with ConsumerMetrics(registry):
        signals.message_handled.send(None, group=GROUP, message=found, outcome=Outcome.HANDLED)
    assert value(registry, "kafka_inbox_delay_seconds_sum", group=GROUP, topic=TOPIC) == 0


def test_a_handlers_time_is_taken_also_where_it_raises(registry: CollectorRegistry) -> None:
    slow = handler(ignore)
    with ConsumerMetrics(registry):
        with timed(slow):
            time.sleep(0.05)
        with pytest.raises(ZeroDivisionError), timed(slow):
            raise ZeroDivisionError
    where = {"group": GROUP, "handler": slow.name}
    assert value(registry, "kafka_inbox_handler_seconds_count", **where) == 2
    total = value(registry, "kafka_inbox_handler_seconds_sum", **where)
    assert total is not None
    assert total >= 0.04
