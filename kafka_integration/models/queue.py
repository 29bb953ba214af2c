"""The queue of unsent events, and the keys that are held back.

Order is kept for each (topic, key), so hold and shard go by the hash of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import TYPE_CHECKING

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from .setup import DEFAULT_SHARDS, OutboxSetup

if TYPE_CHECKING:
    from typing_extensions import Self


def key_hash(topic: str, key: str) -> int:
    """Return the hash that stands for one unit of order: 63 bits, never negative."""
    digest = blake2b(f"{topic}\x00{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


HANDED_OVER = "Handed over to Kafka, and no answer yet."
"""``last_error`` of a row while a relay tries whether it survives the event."""

HANDED_OVER_TOGETHER = "Handed over to Kafka together with others, and no answer yet."
"""``last_error`` of rows while a relay tries whether it survives several events at once."""


def deaths(attempts: int, last_error: str) -> int:
    """Return how many relays handed a row over and brought no answer, by what the row says."""
    return attempts if last_error == HANDED_OVER else 0


def is_accused(last_error: str) -> bool:
    """Tell whether a relay handed a row over, alone or with others, and brought no answer."""
    return last_error in (HANDED_OVER, HANDED_OVER_TOGETHER)


class OutboxQueueQuerySet(models.QuerySet["OutboxQueue"]):
    """Unsent events."""

    def in_shards(self, shards: Iterable[int]) -> Self:
        """Return the rows of these shards."""
        return self.filter(shard__in=list(shards))

    def sendable(self) -> Self:
        """Return the rows that are due and not behind a hold, in the order of sending."""
        due = models.Q(available_at=None) | models.Q(available_at__lte=Now())
        return self.filter(due, blocked=False).order_by("position")

    def outside(self, topics: Iterable[str]) -> Self:
        """Leave out the events of these topics.

        Each row's event is looked up by its key: joined, PostgreSQL would read every event that
        was ever kept to find the few that wait.
        """
        return self.annotate(event_topic=_topic()).exclude(event_topic__in=list(topics))

    def held(self) -> Self:
        """Return the rows whose key is held."""
        return self.filter(_hold_exists())

    def with_hold(self) -> Self:
        """Annotate ``is_held``: whether the row's key is held."""
        return self.annotate(is_held=_hold_exists())

    def of_key(self, topic: str, hashed: int) -> Self:
        """Return all rows of one unit of order."""
        return self.filter(key_hash=hashed, event__topic=topic)

    def following(self, row: tuple[int, int, str], within: int) -> Self:
        """Return the rows of a unit of order that come soon after one of its rows.

        Args:
            row: that one's position, key hash and topic.
            within: how many positions are looked at: a bound where few of them are the unit's.
        """
        position, hashed, topic = row
        near = self.filter(position__gt=position, position__lte=position + within, key_hash=hashed)
        return near.annotate(event_topic=_topic()).filter(event_topic=topic)

    def block(self) -> int:
        """Take the rows out of the relay's sight; return how many.

        Those that were handed over with others are under suspicion no more: another one was held.
        """
        error = models.Case(
            models.When(last_error=HANDED_OVER_TOGETHER, then=models.Value("")),
            default=models.F("last_error"),
            output_field=models.TextField(),
        )
        return self.filter(blocked=False).update(blocked=True, last_error=error)

    def unblock(self) -> int:
        """Put the rows back into the relay's sight; return how many."""
        return self.filter(blocked=True).update(blocked=False)

    def try_out(self) -> int:
        """Write down that a row's event is about to be handed over alone; return how many rows.

        ``attempts`` then counts the relays that did so and brought no answer, this one included.
        """
        count = models.Case(
            models.When(last_error=HANDED_OVER, then=models.F("attempts") + 1), default=1
        )
        return self.update(attempts=count, last_error=HANDED_OVER)

    def try_out_together(self) -> int:
        """Write down that the rows' events are about to be handed over; return how many rows.

        Nothing is counted: if the relay dies, it is not known of which of them.
        """
        return self.exclude(last_error=HANDED_OVER).update(last_error=HANDED_OVER_TOGETHER)

    def survived(self) -> int:
        """Take back that the rows were tried: whoever handed them over did not die of it."""
        tried = self.filter(last_error__in=[HANDED_OVER, HANDED_OVER_TOGETHER])
        alone = models.Case(
            models.When(last_error=HANDED_OVER, then=models.F("attempts") - 1),
            default=models.F("attempts"),
            output_field=models.PositiveIntegerField(),
        )
        return tried.update(attempts=alone, last_error="")

    def count_attempt(self, reason: str) -> int:
        """Write down that an event was not taken; return how many rows there are."""
        tried = models.Case(
            models.When(last_error=HANDED_OVER, then=models.F("attempts")),
            default=models.F("attempts") + 1,
        )
        return self.update(attempts=tried, last_error=reason)

    def bring_home(self) -> int:
        """Move the rows of shards that do not exist to those that do; return how many.

        No relay looks there. Rows may be there after the row of :class:`OutboxSetup` was deleted,
        and nothing moves them in the order of their keys. One statement, so that the count is
        that of the rows' own time.
        """
        known = OutboxSetup.objects.using(self.db).values("shard_count")[:1]
        shards = Coalesce(models.Subquery(known), models.Value(DEFAULT_SHARDS))
        stray = self.filter(blocked=False, shard__gte=shards)
        return stray.update(shard=models.F("key_hash") % shards)


def _topic() -> models.Subquery:
    events = apps.get_model("kafka_integration", "OutboxEvent").objects
    return models.Subquery(events.filter(pk=models.OuterRef("event_id")).values("topic")[:1])


def _hold_exists() -> models.Exists:
    holds = OutboxHold.objects.filter(
        topic=models.OuterRef("event__topic"), key_hash=models.OuterRef("key_hash")
    )
    return models.Exists(holds)


class OutboxQueue(models.Model):
    """One event that waits to be sent. ``position`` is the order within its topic and key."""

    position = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(
        "kafka_integration.OutboxEvent",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="queued",
    )
    shard = models.SmallIntegerField()
    key_hash = models.BigIntegerField()
    available_at = models.DateTimeField(null=True, blank=True)
    blocked = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True, default="")

    is_held: bool  # only with_hold() gives it

    objects = OutboxQueueQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_queue"
        verbose_name = "queued event"
        indexes = [
            models.Index(
                fields=["key_hash", "position"],
                name="kafka_outbox_queue_blocked",
                condition=models.Q(blocked=True),
            ),
        ]

    def __str__(self) -> str:
        return f"position {self.position}"


class OutboxHoldQuerySet(models.QuerySet["OutboxHold"]):
    """Keys that are held back."""

    def for_key(self, topic: str, hashed: int) -> Self:
        """Return the hold on one unit of order, if there is one."""
        return self.filter(topic=topic, key_hash=hashed)

    def release(self) -> int:
        """Delete the holds and unblock what waits behind them; return how many holds.

        The hold is locked before anything is unblocked: a relay that is just blocking rows of the
        key holds the same lock, so that no row stays blocked without a hold.
        """
        with transaction.atomic(using=self.db):
            holds = list(self.select_for_update())
            self.model.objects.using(self.db).filter(pk__in=[h.pk for h in holds]).delete()
            for hold in holds:
                OutboxQueue.objects.using(self.db).of_key(hold.topic, hold.key_hash).unblock()
        return len(holds)


class OutboxHold(models.Model):
    """A key that must wait until someone decides, with the reason."""

    topic = models.CharField(max_length=249)
    key_hash = models.BigIntegerField()
    key = models.TextField()
    reason = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    objects = OutboxHoldQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_hold"
        verbose_name = "held key"
        constraints = [
            models.UniqueConstraint(fields=["topic", "key_hash"], name="kafka_outbox_hold_key")
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"
