"""Which events an operator means: by id, key, topic, time or number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import models

from ..models import OutboxEvent, OutboxHold
from ..models.outbox import OutboxEventQuerySet
from ..models.queue import OutboxHoldQuerySet, key_hash


@dataclass(frozen=True)
class Selection:
    """Events to which all that is given applies; one that says nothing selects everything.

    Args:
        event_ids: their ids, ``ce_id`` on the wire.
        keys: their whole keys.
        topics: their topics.
        from_time: created then or later.
        to_time: created before.
        from_id: number of the first row of the outbox.
        to_id: number of the last one, itself included.
    """

    event_ids: tuple[UUID, ...] = ()
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    from_time: datetime | None = None
    to_time: datetime | None = None
    from_id: int | None = None
    to_id: int | None = None

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return self != Selection()

    def events(self, using: str) -> OutboxEventQuerySet:
        """Return the events of the database ``using`` that are meant."""
        events = OutboxEvent.objects.using(using)
        if self.keys:
            # The index begins with the topic.
            events = events.filter(topic__in=self.topics or events.topics(), key__in=self.keys)
        elif self.topics:
            events = events.filter(topic__in=self.topics)
        return events.filter(**self._bounds())

    def holds(self, using: str) -> OutboxHoldQuerySet:
        """Return the held keys that are meant: by topic and key, or that of an event."""
        holds = OutboxHold.objects.using(using)
        if self.keys:
            holds = holds.filter(key__in=self.keys)
        if self.topics:
            holds = holds.filter(topic__in=self.topics)
        if self.event_ids:
            named = models.Q(pk__in=[])
            for topic, key in self.events(using).values_list("topic", "key"):
                named |= models.Q(topic=topic, key_hash=key_hash(topic, key))
            holds = holds.filter(named)
        return holds

    def _bounds(self) -> dict[str, object]:
        bounds = {
            "event_id__in": self.event_ids or None,
            "created_at__gte": self.from_time,
            "created_at__lt": self.to_time,
            "pk__gte": self.from_id,
            "pk__lte": self.to_id,
        }
        return {name: value for name, value in bounds.items() if value is not None}
