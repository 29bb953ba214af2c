"""The transactional outbox: an immutable event, a narrow queue, and what became of it.

An event is inserted once and never updated. A queue row stands for each event that is not out
yet and is deleted when Kafka has acknowledged it, which costs far less WAL than marking the wide
row.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import models, transaction
from django.utils import timezone

from .delivery import OutboxDelivery, Outcome
from .distinct import distinct_values
from .queue import OutboxHold, OutboxQueue, key_hash

if TYPE_CHECKING:
    from typing_extensions import Self


class EventStatus(models.TextChoices):
    """How far an event has come on its way to Kafka."""

    PENDING = "pending"
    HELD = "held"
    SENT = "sent"
    DISCARDED = "discarded"

    @classmethod
    def unsent(cls) -> tuple[EventStatus, ...]:
        """Return the statuses of events that are still in the queue."""
        return cls.PENDING, cls.HELD


class OutboxEventQuerySet(models.QuerySet["OutboxEvent"]):
    """Events by what became of them."""

    def with_status(self) -> Self:
        """Annotate ``status``: pending, held, sent or discarded."""
        queued = OutboxQueue.objects.filter(event=models.OuterRef("pk"))
        sent = OutboxDelivery.objects.filter(event=models.OuterRef("pk")).order_by("-pk")
        return self.annotate(
            status=models.Case(
                models.When(models.Exists(queued.held()), then=models.Value("held")),
                models.When(models.Exists(queued), then=models.Value("pending")),
                default=models.Subquery(sent.values("outcome")[:1]),
                output_field=models.CharField(),
            )
        )

    def pending(self) -> Self:
        """Return the events that are not out yet, held ones included."""
        return self.filter(models.Exists(OutboxQueue.objects.filter(event=models.OuterRef("pk"))))

    def in_status(self, status: str) -> Self:
        """Return the events that :meth:`with_status` gives this status.

        What waits is found from the queue, which is small, and not from the events.
        """
        if status in EventStatus.unsent():
            queued = OutboxQueue.objects.using(self.db)
            held = queued.held().values("event")
            if status == EventStatus.HELD:
                return self.filter(pk__in=held)
            return self.filter(pk__in=queued.values("event")).exclude(pk__in=held)
        out = OutboxDelivery.objects.filter(event=models.OuterRef("pk")).order_by("-pk")
        events = self.annotate(last_outcome=models.Subquery(out.values("outcome")[:1])).filter(
            ~models.Exists(OutboxQueue.objects.filter(event=models.OuterRef("pk"))),
            last_outcome=status,
        )
        if status == EventStatus.DISCARDED:
            # Few are: one pass over the deliveries finds them, in place of a look for each event.
            discarded = OutboxDelivery.objects.using(self.db).filter(outcome=Outcome.DISCARDED)
            return events.filter(pk__in=discarded.values("event"))
        return events

    def with_history(self) -> Self:
        """Fetch the queue rows and the deliveries, oldest first, in one query for each."""
        return self.prefetch_related(
            models.Prefetch("queued", OutboxQueue.objects.order_by("pk")),
            models.Prefetch("deliveries", OutboxDelivery.objects.order_by("pk")),
        )

    def topics(self) -> list[str]:
        """Return every topic that the outbox has an event for, sorted."""
        return distinct_values(self, "topic")

    def found_by(self, term: str) -> Self:
        """Return the events with this event id or this whole key; both have an index to go by."""
        named = models.Q(topic__in=self.topics(), key=term)
        with suppress(ValueError):  # what is no UUID can only be a key
            named |= models.Q(event_id=UUID(term))
        return self.filter(named)


class OutboxEvent(models.Model):
    """One event, exactly as it is or will be on the wire. Never updated."""

    event_id = models.UUIDField(unique=True, editable=False)
    topic = models.CharField(max_length=249)
    key = models.TextField()
    value = models.BinaryField()
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    objects = OutboxEventQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_event"
        verbose_name = "outbox event"
        indexes = [
            models.Index(fields=["topic", "key"], name="kafka_outbox_event_topic_key"),
            models.Index(fields=["created_at"], name="kafka_outbox_event_created"),
        ]
        permissions = [
            ("retry_outboxevent", "Can retry held outbox events"),
            ("discard_outboxevent", "Can discard unsent outbox events"),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.event_id}"

    @property
    def key_hash(self) -> int:
        """The unit of order that this event belongs to."""
        return key_hash(self.topic, self.key)

    def retry(self) -> bool:
        """Release the hold on this event's key, so that the relay sends all that waits behind it.

        Returns:
            Whether there was a hold.
        """
        using = self._state.db or "default"
        with transaction.atomic(using=using):
            return OutboxHold.objects.using(using).for_key(self.topic, self.key_hash).release() > 0

    def discard(self) -> bool:
        """Take this event out of the queue, and let the later events of its key go on.

        One that is on its way to Kafka at this moment may still be sent; its status says so then.

        Returns:
            Whether it was still in the queue.
        """
        using = self._state.db or "default"
        with transaction.atomic(using=using):
            # The hold is locked before the queue, in the order in which a release locks them.
            hold = OutboxHold.objects.using(using).for_key(self.topic, self.key_hash)
            is_held = hold.select_for_update().first() is not None
            queue = OutboxQueue.objects.using(using)
            waiting = queue.of_key(self.topic, self.key_hash).filter(blocked=True)
            first = waiting.order_by("position").first() if is_held else None
            removed, _ = queue.filter(event=self.pk).delete()
            if removed:
                OutboxDelivery.objects.using(using).create(event=self, outcome=Outcome.DISCARDED)
            # A hold is there for the first event of its key; it stays if that one stays.
            if removed and first is not None and first.event_id == self.pk:
                hold.release()
        return bool(removed)
