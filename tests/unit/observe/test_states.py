"""What a scrape reads from the database."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest

from kafka_integration.models import InboxRecord, OutboxEvent, OutboxHold, OutboxLease, OutboxQueue
from kafka_integration.models.inbox import InboxStatus
from kafka_integration.observe import state
from kafka_integration.observe.inbox_state import InboxState
from kafka_integration.observe.outbox_state import OutboxState

pytestmark = pytest.mark.django_db

TOPIC = "thing.made.json"


def queue(topic: str = TOPIC, *, age: float = 0, blocked: bool = False, later: float = 0) -> None:
    """Let an event wait that is ``age`` seconds old, or may go ``later`` seconds from now."""
    event = OutboxEvent.objects.create(
        event_id=uuid4(),
        topic=topic,
        key="k",
        value=b"{}",
        created_at=timezone.now() - timedelta(seconds=age),
    )
    due = timezone.now() + timedelta(seconds=later) if later else None
    OutboxQueue.objects.create(
        event=event, shard=0, key_hash=event.key_hash, blocked=blocked, available_at=due
    )


def of(collector: Any) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


@pytest.fixture
def outbox() -> CollectorRegistry:
    return of(OutboxState("default"))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "_FRESH_SECONDS", 0)


def test_events_are_counted_by_topic_and_held_ones_among_them(outbox: CollectorRegistry) -> None:
    queue(age=50)
    queue(age=900, blocked=True)
    queue("other.made.json", age=5)
    seen = outbox.get_sample_value
    assert seen("kafka_outbox_queued_events", {"topic": TOPIC}) == 2
    assert seen("kafka_outbox_held_events", {"topic": TOPIC}) == 1
    assert seen("kafka_outbox_queued_events", {"topic": "other.made.json"}) == 1


def test_the_oldest_is_one_that_could_be_sent_now(outbox: CollectorRegistry) -> None:
    queue(age=50)
    queue(age=900, blocked=True)
    queue(age=800, later=60)
    oldest = outbox.get_sample_value("kafka_outbox_oldest_seconds", {"topic": TOPIC})
    assert oldest is not None
    assert 50 <= oldest < 800


def test_a_topic_whose_backlog_is_gone_has_a_backlog_of_none(outbox: CollectorRegistry) -> None:
    queue(age=50)
    assert outbox.get_sample_value("kafka_outbox_queued_events", {"topic": TOPIC}) == 1
    OutboxQueue.objects.all().delete()
    assert outbox.get_sample_value("kafka_outbox_queued_events", {"topic": TOPIC}) == 0
    assert outbox.get_sample_value("kafka_outbox_oldest_seconds", {"topic": TOPIC}) == 0


def test_held_keys_and_leases_are_counted(outbox: CollectorRegistry) -> None:
    OutboxHold.objects.create(topic=TOPIC, key_hash=1, key="a", reason="too large")
    OutboxHold.objects.create(topic=TOPIC, key_hash=2, key="b", reason="too large")
    soon = timezone.now() + timedelta(seconds=60)
    OutboxLease.objects.create(shard=0, owner="host:12:one", epoch=1, expires_at=soon)
    OutboxLease.objects.create(shard=1, owner="host:12:two", epoch=1, expires_at=soon)
    OutboxLease.objects.create(shard=2, owner="gone:9:x", epoch=1, expires_at=timezone.now())
    seen = outbox.get_sample_value
    assert seen("kafka_outbox_held_keys", {"topic": TOPIC}) == 2
    assert seen("kafka_outbox_leased_shards", {"relay": "host:12"}) == 2
    assert seen("kafka_outbox_leased_shards", {"relay": "gone:9"}) is None
    assert seen("kafka_outbox_shards") == 16
    assert seen("kafka_outbox_living_relays") == 0


def test_parked_and_dead_messages_are_counted_and_handled_ones_are_not() -> None:
    for number, status in enumerate([*InboxStatus, InboxStatus.DEAD]):
        InboxRecord.objects.create(
            group="g", source="s", event_id=str(number), status=status, topic=TOPIC,
            partition=0, offset=number,
        )  # fmt: skip
    seen = of(InboxState("default")).get_sample_value
    where = {"group": "g", "topic": TOPIC}
    assert seen("kafka_inbox_open_records", where | {"status": "dead"}) == 2
    assert seen("kafka_inbox_open_records", where | {"status": "parked"}) == 1
    assert seen("kafka_inbox_open_records", where | {"status": "done"}) is None


def test_a_database_that_does_not_answer_is_told_and_nothing_old_is_shown(
    monkeypatch: pytest.MonkeyPatch, outbox: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    queue()
    up = ("kafka_outbox_database_up", {"database": "default"})
    assert outbox.get_sample_value(*up) == 1

    def fail(*_: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(OutboxState, "metrics", fail)
    monkeypatch.setattr(
        state, "connections", {"default": type("C", (), {"close": lambda _: None})()}
    )
    assert outbox.get_sample_value(*up) == 0
    assert b"queued" not in generate_latest(outbox)
    assert "gone" in caplog.text


def test_the_database_is_not_asked_again_at_once(
    monkeypatch: pytest.MonkeyPatch, outbox: CollectorRegistry
) -> None:
    monkeypatch.setattr(state, "_FRESH_SECONDS", 3_600)
    name = ("kafka_outbox_held_keys", {"topic": TOPIC})
    outbox.get_sample_value(*name)
    OutboxHold.objects.create(topic=TOPIC, key_hash=1, key="a", reason="too large")
    assert outbox.get_sample_value(*name) is None
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 3_601)
    monkeypatch.setattr(state, "time", later)
    assert outbox.get_sample_value(*name) == 1
