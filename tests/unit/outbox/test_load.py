"""What a Kafka transaction carries when Kafka has rejected some of the events before."""

from __future__ import annotations

from collections.abc import Callable

from kafka_integration.errors import BrokerError, DeliveryFailed
from kafka_integration.models import OutboxHold, OutboxQueue
from kafka_integration.outbox.batch import Batch, Sent, record
from kafka_integration.outbox.load import load
from kafka_integration.outbox.scan import QueueRow
from tests.unit.outbox.conftest import ALL, TOPIC

Queued = Callable[..., list[QueueRow]]
TOO_LARGE = DeliveryFailed(TOPIC, "too large")


def test_without_a_refusal_everything_goes(queued: Queued) -> None:
    rows = queued("a", "b", "a")
    found = load(rows, {})
    assert (found.rows, found.refused, found.behind) == (rows, [], [])


def test_what_stands_before_a_refused_event_goes_and_what_follows_waits(queued: Queued) -> None:
    rows = queued("a", "b", "a", "b", "a", "b")
    refusals: dict[int, BrokerError] = {rows[2].position: TOO_LARGE, rows[4].position: TOO_LARGE}

    found = load(rows, refusals)

    assert found.rows == [rows[0], rows[1], rows[3], rows[5]]
    assert found.refused == [(rows[2], TOO_LARGE)]
    assert found.behind == [rows[2], rows[4]]


def test_recorded_the_key_is_held_for_the_refused_event(queued: Queued) -> None:
    rows = queued("a", "b", "a", "a")
    found = load(rows, {rows[2].position: TOO_LARGE})
    answers = Batch(found.rows, [Sent(row, 0, at) for at, row in enumerate(found.rows)])

    record("default", found.outcome(answers), ALL)

    assert [hold.key for hold in OutboxHold.objects.all()] == ["a"]
    left = OutboxQueue.objects.order_by("position").values_list("position", "blocked", "attempts")
    assert list(left) == [(rows[2].position, True, 1), (rows[3].position, True, 0)]
