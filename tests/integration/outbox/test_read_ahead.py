"""Batches that were read ahead are left when what comes before them is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.models import OutboxQueue
from kafka_integration.outbox import gate
from kafka_integration.outbox.reader import Reader
from kafka_integration.outbox.relay import Relay
from tests.integration.outbox.conftest import numbers_by_key

pytestmark = pytest.mark.django_db(transaction=True)

LANES = ["a", "b"]
EACH = 30


@pytest.fixture
def waiting(topic: str, send: Callable[..., None]) -> str:
    """A topic for which events wait."""
    send(topic, [(lane, number) for number in range(EACH) for lane in LANES])
    return topic


def test_order_is_kept_when_a_topic_comes_while_its_later_events_are_read(
    waiting: str,
    make_topic: Callable[..., str],
    send: Callable[..., None],
    read_topic: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = make_topic()
    send(late, [(lane, number) for number in range(EACH) for lane in LANES])
    missing, asked = TopicAdmin.missing, []

    def missing_at_first(self: TopicAdmin, topics: list[str], **more: Any) -> list[str]:
        asked.extend(topics)
        return [late] if asked.count(late) == 1 else list(missing(self, topics, **more))

    monkeypatch.setattr(TopicAdmin, "missing", missing_at_first)
    monkeypatch.setattr(gate, "_PAUSE", 0.0)

    Relay(batch_size=3).drain()

    assert numbers_by_key(read_topic(late)) == {lane: list(range(EACH)) for lane in LANES}
    assert not OutboxQueue.objects.exists()


def test_order_is_kept_when_a_read_fails_and_another_waits_behind_it(
    waiting: str, read_topic: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_on, reads = Reader._read_on, []

    def lost_once(self: Reader, wanted: Any) -> Any:
        rows = read_on(self, wanted)
        reads.append(len(rows))
        if len(reads) == 3:
            raise OperationalError("the answer was lost")
        return rows

    monkeypatch.setattr(Reader, "_read_on", lost_once)
    monkeypatch.setattr("kafka_integration.outbox.watch.is_outage", lambda error: True)

    Relay(batch_size=3).drain()

    assert numbers_by_key(read_topic(waiting)) == {lane: list(range(EACH)) for lane in LANES}
    assert not OutboxQueue.objects.exists()
