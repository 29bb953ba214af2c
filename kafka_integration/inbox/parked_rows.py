"""The group's parked messages as the database has them."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db import OperationalError, models, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..broker.offsets import Place
from ..database import is_contention
from ..errors import RecordLocked
from ..events.envelope import Message
from ..events.registry import Handler
from ..models import InboxRecord, InboxStatus
from ..models.inbox import InboxRecordQuerySet
from .order import in_lane, lane_of, order_of
from .store import Identity


class ParkedLane(NamedTuple):
    """A lane that messages are parked in.

    Args:
        lane: see :func:`kafka_integration.inbox.order.lane_of`.
        message: its first one, without its value.
        number: how many there are.
        starts: how many processes began to try one of them and came to no end.
    """

    lane: Hashable
    message: Message
    number: int
    starts: int = 0


class ParkedRows:
    """Finds and changes parked records. Its methods raise ``DatabaseError`` in an outage.

    Args:
        group: the consumer group.
        handlers: its handlers; their databases are looked into.
    """

    def __init__(self, group: str, handlers: Sequence[Handler]) -> None:
        self._group = group
        self._databases: dict[str, list[str]] = {
            topic: sorted({handler.using for handler in handlers if handler.topic == topic})
            for topic in {handler.topic for handler in handlers}
        }
        self._orders = {topic: order_of(topic, handlers) for topic in self._databases}

    def lanes(self, places: Collection[Place]) -> list[ParkedLane]:
        """Return the parked lanes of these partitions; one in several databases comes each time."""
        return [found for using in self._all_databases() for found in self._lanes(using, places)]

    def first_of(self, message: Message) -> InboxRecord | None:
        """Return the first parked record of the message's lane, or None."""
        order = self._orders[message.topic]
        found = [
            in_lane(self._holding(using), message, order).first()
            for using in self._databases[message.topic]
        ]
        records = [record for record in found if record is not None]
        return min(records, key=lambda record: record.offset, default=None)

    def demanded(self, most: int) -> list[InboxRecord]:
        """Return records that someone wants tried again, without their values."""
        found: list[InboxRecord] = []
        for using in self._all_databases():
            due = InboxRecord.objects.using(using).due(self._group, timezone.now())
            found += due.defer("value", "headers")[: most - len(found)]
        return found

    def is_overdue(self) -> bool:
        """Tell whether a parked message waits for the owner of its partition, its pause over."""
        due = {"topic__in": self._databases, "available_at__lte": timezone.now()}
        return any(self._holding(using).filter(**due).exists() for using in self._all_databases())

    def get(self, using: str, pk: int) -> InboxRecord | None:
        """Return a parked record, or None if it is parked no longer."""
        return self._parked(using).filter(pk=pk).first()

    def of(self, who: Identity, using: str) -> InboxRecord | None:
        """Return the record of a message that was parked before others of its key, or None."""
        rows = InboxRecord.objects.using(using).holding(who.group)
        return rows.filter(source=who.source, event_id=who.event_id).first()

    def lock(self, record: InboxRecord) -> InboxRecord | None:
        """Lock a record in the open transaction; None if it is parked no longer or not due.

        Raises:
            RecordLocked: another consumer is at it.
        """
        locked = self._lock(record)
        return locked if locked is not None and is_ready(locked, timezone.now()) else None

    def begin(self, record: InboxRecord) -> bool:
        """Write down that a try begins, before it does; return False if it is not ours to try.

        Raises:
            RecordLocked: another consumer is at it.
        """
        using = record._state.db or "default"
        with transaction.atomic(using=using):
            if self.lock(record) is None:
                return False
            rows = self._parked(using).filter(pk=record.pk)
            return rows.update(starts=Coalesce(models.F("starts"), 0) + 1) > 0

    def change(self, record: InboxRecord, **values: object) -> bool:
        """Change a record after a try; return False if someone else did meanwhile.

        Raises:
            RecordLocked: another consumer is at it.
        """
        using = record._state.db or "default"
        with transaction.atomic(using=using):
            locked = self._lock(record)
            if locked is None or locked.attempts != record.attempts:
                return False
            rows = self._parked(using).filter(pk=record.pk)
            return rows.update(starts=0, updated_at=timezone.now(), **values) > 0

    def _lock(self, record: InboxRecord) -> InboxRecord | None:
        rows = self._parked(record._state.db or "default").filter(pk=record.pk)
        try:
            return rows.select_for_update(nowait=True).first()
        except OperationalError as error:
            if not is_contention(error):
                raise
            raise RecordLocked(self._group, record.place(), 0.0) from error

    def _lanes(self, using: str, places: Collection[Place]) -> Iterator[ParkedLane]:
        for order in set(self._orders.values()):
            topics = {topic for topic, _ in places if self._orders.get(topic) == order}
            names = ["topic", "partition", *_NAMES[order]]
            rows = (
                self._holding(using)
                .filter(topic__in=topics, partition__in={number for _, number in places})
                .order_by()
                .values(*names)
                .annotate(
                    first=models.Min("offset"),
                    number=models.Count("pk"),
                    starts=models.Max("starts"),
                )
            )
            for row in rows if topics else ():
                if (row["topic"], row["partition"]) in places:
                    key = row.get("key")
                    message = Message(
                        row["topic"],
                        row["partition"],
                        row["first"],
                        None if key is None else bytes(key),
                        None,
                    )
                    yield ParkedLane(
                        lane_of(message, order), message, row["number"], row["starts"] or 0
                    )

    def _all_databases(self) -> list[str]:
        return sorted({using for found in self._databases.values() for using in found})

    def _holding(self, using: str) -> InboxRecordQuerySet:
        return InboxRecord.objects.using(using).holding(self._group)

    def _parked(self, using: str) -> InboxRecordQuerySet:
        return InboxRecord.objects.using(using).filter(status=InboxStatus.PARKED)


_NAMES = {"key": ["key"], "partition": [], "none": ["offset"]}


def is_ready(record: InboxRecord, now: datetime) -> bool:
    """Tell whether a parked record may be tried at ``now``."""
    return record.available_at is None or record.available_at <= now
