"""The inbox: which messages a consumer group has dealt with, and how.

A record is written in the same transaction as its handler's effect, so that the effect happens
once however often Kafka delivers the message.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

from ..events.envelope import Message, headers_from_json
from .distinct import distinct_values

if TYPE_CHECKING:
    from typing_extensions import Self


class InboxStatus(models.TextChoices):
    """How far a message has come in its group."""

    DONE = "done"
    PARKED = "parked", "waiting for retry"
    DEAD = "dead"
    DISCARDED = "discarded"


def key_hash(key: bytes | None) -> int:
    """Return a number of 64 bits that stands for a message's key in an index."""
    text = b"" if key is None else b"k" + key
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


class InboxRecordQuerySet(models.QuerySet["InboxRecord"]):
    """Messages by what became of them."""

    def due(self, group: str, now: datetime) -> Self:
        """Return the group's messages that someone wants tried again, oldest first."""
        return self.filter(
            group=group,
            status=InboxStatus.PARKED,
            key_hash__isnull=True,
            available_at__lte=now,
        ).order_by("pk")

    def holding(self, group: str) -> Self:
        """Return the group's parked messages that the later ones of their keys wait behind."""
        return self.filter(group=group, status=InboxStatus.PARKED, key_hash__isnull=False)

    def of_key(self, key: bytes | None) -> Self:
        """Return the messages with this key, by way of its hash, which has an index."""
        return self.filter(key_hash=key_hash(key), key=key)

    def dead(self) -> Self:
        """Return the dead letters: what was given up and nobody has decided about yet."""
        return self.filter(status=InboxStatus.DEAD)

    def newest(self, number: int) -> list[InboxRecord]:
        """Return the latest of these messages, without their bytes, the newest first."""
        return list(self.defer("value", "headers").order_by("-pk")[:number])

    def count_by_group(self) -> dict[str, int]:
        """Return how many of these messages each group has, by the group's name."""
        counted = self.order_by("group").values_list("group").annotate(models.Count("pk"))
        return dict(counted)

    def retry(self) -> int:
        """Hand the dead ones to their groups' consumers again; return how many were dead."""
        return self._leave_dead(status=InboxStatus.PARKED, available_at=timezone.now())

    def discard(self) -> int:
        """Give the dead ones up; return how many were dead."""
        return self._leave_dead(status=InboxStatus.DISCARDED)

    def finish(self) -> int:
        """Take the dead ones for handled; return how many were dead.

        Call it in the transaction of the effect and before it: whoever comes second waits for the
        row, and then finds that it is dead no longer.
        """
        return self._leave_dead(
            status=InboxStatus.DONE,
            attempts=models.F("attempts") + 1,
            last_error="",
            key=None,
            value=None,
            headers=[],
        )

    def fail_again(self, error: str) -> int:
        """Put down one more try of the dead ones and why it failed; they stay dead."""
        return self._leave_dead(attempts=models.F("attempts") + 1, last_error=error)

    def _leave_dead(self, **values: object) -> int:
        return self.dead().update(updated_at=timezone.now(), **values)

    def groups(self) -> list[str]:
        """Return every group that has a record, sorted."""
        return distinct_values(self, "group")

    def topics(self) -> list[str]:
        """Return every topic that there is a record for, sorted."""
        return distinct_values(self, "topic")

    def found_by(self, event_id: str) -> Self:
        """Return the records of this event in all groups, by way of the identity's index."""
        return self.filter(group__in=self.groups(), event_id=event_id)


class InboxRecord(models.Model):
    """One message in one group. ``source`` and ``event_id`` name it; see ``inbox.store``."""

    group = models.CharField(max_length=255)
    source = models.CharField(max_length=255)
    event_id = models.CharField(max_length=255)
    status = models.CharField(max_length=9, choices=InboxStatus.choices, default=InboxStatus.DONE)
    topic = models.CharField(max_length=249)
    partition = models.IntegerField()
    offset = models.BigIntegerField()
    timestamp = models.BigIntegerField(null=True, blank=True)
    handler = models.CharField(max_length=255, blank=True, default="")
    attempts = models.PositiveIntegerField(default=1)
    last_error = models.TextField(blank=True, default="")
    key = models.BinaryField(null=True, blank=True)
    value = models.BinaryField(null=True, blank=True)
    headers = models.JSONField(default=list, blank=True)
    available_at = models.DateTimeField(null=True, blank=True)
    key_hash = models.BigIntegerField(null=True, blank=True)
    """Set while it is parked and the later messages of its key wait behind it."""
    tried_at = models.DateTimeField(null=True, blank=True)
    """When its first try failed, while it is parked."""
    starts = models.SmallIntegerField(null=True, blank=True, default=0)
    """How many processes began to try it since one came to an end; while it is parked."""
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    objects = InboxRecordQuerySet.as_manager()

    class Meta:
        db_table = "kafka_inbox_record"
        verbose_name = "inbox record"
        constraints = [
            models.UniqueConstraint(
                fields=["group", "source", "event_id"], name="kafka_inbox_identity"
            )
        ]
        indexes = [
            models.Index(
                fields=["group", "available_at"],
                name="kafka_inbox_parked",
                condition=models.Q(status="parked"),
            ),
            models.Index(
                fields=["group", "topic", "partition", "key_hash", "offset"],
                name="kafka_inbox_waiting",
                condition=models.Q(status="parked", key_hash__isnull=False),
            ),
            models.Index(fields=["status", "created_at"], name="kafka_inbox_status"),
            models.Index(fields=["topic", "created_at"], name="kafka_inbox_topic"),
        ]
        permissions = [
            ("retry_inboxrecord", "Can retry dead inbox records"),
            ("discard_inboxrecord", "Can discard dead inbox records"),
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.topic} {self.event_id}"

    def message(self) -> Message:
        """Return the message as it came from Kafka; only parked and dead records keep it."""
        return Message(
            topic=self.topic,
            partition=self.partition,
            offset=self.offset,
            key=None if self.key is None else bytes(self.key),
            value=None if self.value is None else bytes(self.value),
            headers=headers_from_json(self.headers),
            timestamp=self.timestamp,
        )

    def outline(self) -> Message:
        """Return the message without its value and headers: enough to know its place and key."""
        key = None if self.key is None else bytes(self.key)
        return Message(self.topic, self.partition, self.offset, key, None, timestamp=self.timestamp)

    def place(self) -> str:
        """Return topic, partition and offset as one readable word."""
        return self.outline().place()

    def finished(self) -> dict[str, Any]:
        """Return the values of a message that was parked and has been dealt with at one more try.

        Its reason for being ignored, if there is one, stays.
        """
        return {
            "status": InboxStatus.DONE,
            "attempts": self.attempts + 1,
            "available_at": None,
            "key_hash": None,
            "tried_at": None,
            "last_error": self.last_error,
            "key": None,
            "value": None,
            "headers": [],
        }

    def finish(self) -> None:
        """Note that a parked message is handled, in the open transaction."""
        self.last_error = ""
        values = {**self.finished(), "starts": 0}
        for name, value in values.items():
            setattr(self, name, value)
        self.save(using=self._state.db, update_fields=[*values, "updated_at"])

    def retry(self) -> bool:
        """Hand a dead message to its group's consumer again; return whether it was dead."""
        return self._changed(self._row().retry())

    def discard(self) -> bool:
        """Give a dead message up; return whether it was dead."""
        return self._changed(self._row().discard())

    def _row(self) -> InboxRecordQuerySet:
        return type(self).objects.using(self._state.db or "default").filter(pk=self.pk)

    def _changed(self, rows: int) -> bool:
        self.refresh_from_db()
        return bool(rows)
