"""What an operator can do to an event in the outbox."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from kafka_integration.models import (
    EventStatus,
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxQueue,
    Outcome,
)
from mediajira.campaigns.models import Campaign

TOPIC = "campaign.updated.json"


@pytest.fixture
def events(db: None) -> list[OutboxEvent]:
    """Three events of one key; the first one is held and so all of them wait."""
    campaign = Campaign.objects.create(name="0", owner=User.objects.create_user("ada"))
    for name in ("1", "2", "3"):
        campaign.name = name
        campaign.save()
    found = list(OutboxEvent.objects.filter(topic=TOPIC).order_by("queued__position"))
    hashed = found[0].key_hash
    OutboxHold.objects.create(topic=TOPIC, key_hash=hashed, key=found[0].key, reason="too large")
    OutboxQueue.objects.of_key(TOPIC, hashed).block()
    return found


def waiting() -> list[bool]:
    queue = OutboxQueue.objects.filter(event__topic=TOPIC).order_by("position")
    return list(queue.values_list("blocked", flat=True))


def test_a_held_key_is_out_of_the_relays_sight(events: list[OutboxEvent]) -> None:
    assert not OutboxQueue.objects.sendable().filter(event__topic=TOPIC).exists()
    held = OutboxEvent.objects.in_status(EventStatus.HELD)
    assert {event.pk for event in held} == {event.pk for event in events}


def test_retry_releases_everything_that_waits(events: list[OutboxEvent]) -> None:
    assert events[0].retry()
    assert waiting() == [False, False, False]
    assert not OutboxHold.objects.exists()
    assert not events[0].retry()


def test_discarding_the_held_event_lets_the_others_go(events: list[OutboxEvent]) -> None:
    assert events[0].discard()
    assert waiting() == [False, False]
    assert OutboxDelivery.objects.get(event=events[0]).outcome == Outcome.DISCARDED
    assert not events[0].discard()


def test_discarding_a_later_event_keeps_the_hold(events: list[OutboxEvent]) -> None:
    assert events[1].discard()
    assert waiting() == [True, True]
    assert OutboxHold.objects.exists()


def test_a_hold_is_for_a_topic_and_a_key(events: list[OutboxEvent]) -> None:
    created = OutboxEvent.objects.get(topic="campaign.created.json")
    assert created.key == events[0].key
    assert OutboxQueue.objects.sendable().get().event_id == created.pk
