"""Dead letters, and handlers for them in the project's registry."""

from __future__ import annotations

from typing import Any

from kafka_integration import Event
from kafka_integration.events.envelope import Message
from kafka_integration.inbox.store import Identity, record_dead
from kafka_integration.models import InboxRecord
from tests.sample.models import Effect

from .messages import GROUP, name_of


def effect(event: Event[Any]) -> None:
    """Leave one row a call."""
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def fail(event: Event[Any]) -> None:
    """Leave a row, and fail."""
    effect(event)
    raise ValueError("still broken")


def dead(found: Message, group: str = GROUP, using: str = "default", **fields: Any) -> InboxRecord:
    """Return a dead letter of that message."""
    named = name_of(found)
    who = Identity(group, named.source, named.event_id)
    record_dead(who, found, using=using, handler="app.events.take", attempts=3, error="old")
    records = InboxRecord.objects.using(using)
    latest = records.latest("pk")
    if fields:
        records.filter(pk=latest.pk).update(**fields)
    return records.get(pk=latest.pk)


def effects() -> int:
    """Return how many effects there are."""
    return Effect.objects.count()
