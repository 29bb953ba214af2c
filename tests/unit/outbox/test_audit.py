"""The outbox compared with a topic, without Kafka."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from django.utils import timezone
from pytest_django import Settings

from kafka_integration.broker.offsets import Place
from kafka_integration.conf import settings as ours
from kafka_integration.events.envelope import Message
from kafka_integration.models import OutboxDelivery, OutboxEvent, OutboxQueue, Outcome
from kafka_integration.outbox.audit import Audit
from tests.unit.outbox.conftest import TOPIC

Stored = Callable[..., list[OutboxQueue]]


class Topic:
    """What a topic with two partitions holds; the outbox has an account of it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.low = 0

    def put(self, event_id: str, offset: int, *, source: str = "", days: float = 0) -> None:
        headers = {"ce_id": event_id, "ce_source": source or ours.source}
        at = timezone.now() - timedelta(days=days)
        self.messages.append(
            Message(
                TOPIC,
                0,
                offset,
                b"a",
                b"{}",
                [(name, text.encode()) for name, text in headers.items()],
                int(at.timestamp() * 1000),
            )
        )

    def marks(self) -> dict[Place, tuple[int, int]]:
        end = max((message.offset + 1 for message in self.messages), default=self.low)
        return {(TOPIC, 0): (self.low, end), (TOPIC, 1): (0, 0)}

    def audit(self) -> tuple[list[str], Audit]:
        audit = Audit(TOPIC)
        return [str(found) for found in audit.compare(self.marks(), self.messages)], audit


@pytest.fixture
def topic(stored: Stored) -> Topic:
    """A topic that holds three events at the offsets 0 to 2, as the outbox says."""
    topic = Topic()
    for offset, row in enumerate(stored("a", "b", "a")):
        deliver(row.event, offset)
        topic.put(str(row.event.event_id), offset)
    OutboxQueue.objects.all().delete()
    return topic


def deliver(event: OutboxEvent, offset: int, partition: int = 0) -> None:
    OutboxDelivery.objects.create(
        event=event, outcome=Outcome.SENT, partition=partition, offset=offset
    )


def ids() -> list[str]:
    return [str(event.event_id) for event in OutboxEvent.objects.order_by("pk")]


def test_nothing_to_tell_of_what_is_the_same(topic: Topic) -> None:
    found, audit = topic.audit()
    assert found == []
    assert (audit.messages, audit.deliveries, audit.differences) == (3, 3, 0)


def test_an_event_that_the_topic_lacks(topic: Topic) -> None:
    del topic.messages[1]
    found, audit = topic.audit()
    assert found == [f"missing: {ids()[1]} at {TOPIC}[0]@1"]
    assert audit.differences == 1


def test_an_event_behind_the_topics_end(topic: Topic) -> None:
    del topic.messages[2]
    assert topic.audit()[0] == [f"missing: {ids()[2]} at {TOPIC}[0]@2"]


def test_an_event_that_is_elsewhere(topic: Topic) -> None:
    deliver(OutboxEvent.objects.earliest("pk"), offset=7, partition=1)
    assert topic.audit()[0] == [f"moved: {ids()[0]} at {TOPIC}[1]@7, found at {TOPIC}[0]@0"]


def test_an_event_that_the_outbox_does_not_know(topic: Topic) -> None:
    alien = str(uuid4())
    topic.put(alien, 3)
    topic.put("no uuid", 4)
    assert topic.audit()[0] == [
        f"unknown: {alien} at {TOPIC}[0]@3",
        f"unknown: no uuid at {TOPIC}[0]@4",
    ]


def test_messages_of_others_are_none_of_our_business(topic: Topic) -> None:
    topic.put(str(uuid4()), 3, source="elsewhere")
    topic.messages.append(Message(TOPIC, 0, 4, None, b"bare"))
    assert topic.audit()[0] == []


def test_another_source_at_our_place_is_no_event_of_ours(topic: Topic) -> None:
    del topic.messages[2]
    topic.put(ids()[2], 2, source="elsewhere")
    assert topic.audit()[0] == [f"missing: {ids()[2]} at {TOPIC}[0]@2"]


def test_a_repeat_is_no_difference(topic: Topic) -> None:
    topic.put(ids()[0], 3)
    assert topic.audit()[0] == []


def test_what_retention_deleted_is_no_difference(topic: Topic) -> None:
    topic.low = 2
    del topic.messages[:2]
    found, audit = topic.audit()
    assert (found, audit.expired) == ([], 2)


def test_what_a_purge_made_the_outbox_forget_is_no_difference(topic: Topic) -> None:
    topic.messages.clear()
    topic.put(str(uuid4()), 0, days=8)
    OutboxDelivery.objects.all().delete()
    found, audit = topic.audit()
    assert (found, audit.forgotten) == ([], 1)


def test_what_is_sent_during_the_audit_is_left_out(topic: Topic) -> None:
    audit, marks = Audit(TOPIC), topic.marks()
    deliver(OutboxEvent.objects.earliest("pk"), offset=3)
    topic.put(ids()[0], 3)
    assert list(audit.compare(marks, topic.messages)) == []
    assert audit.deliveries == 3


def test_compaction_explains_what_a_later_event_of_the_key_replaced(
    topic: Topic, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "topics.yaml"
    entry = {
        "name": TOPIC,
        "description": "x",
        "partitions": 2,
        "config": {"cleanup.policy": "compact"},
    }
    file.write_text(yaml.safe_dump({"topics": [entry]}))
    settings.KAFKA_TOPICS_FILE = str(file)
    del topic.messages[0:2]
    found, audit = topic.audit()
    assert found == [f"missing: {ids()[1]} at {TOPIC}[0]@1"]
    assert audit.compacted == 1
