"""Compares what the outbox says it has sent with what the topic holds."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import TypeVar
from uuid import UUID

from django.db import models
from django.utils import timezone

from ..broker.backlog import Backlog
from ..broker.consumer import EventConsumer
from ..broker.offsets import Place
from ..conf import settings
from ..events.catalogue import catalogue
from ..events.envelope import Attributes, Message
from ..models import OutboxDelivery, OutboxEvent, Outcome

T = TypeVar("T")

_BATCH = 1_000
_POLL = 0.2


@dataclass(frozen=True)
class Difference:
    """Something that the outbox and the topic do not say alike.

    Args:
        kind: ``missing``: sent, says the outbox, and the topic lacks it; ``moved``: the topic has
            it elsewhere; ``unknown``: the topic has it under our source, and the outbox does not.
        event_id: which event.
        place: where the outbox says that it is; for an unknown one, where the topic has it.
        found: where the topic has a moved one; else empty.
    """

    kind: str
    event_id: str
    place: str
    found: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.event_id} at {self.place}" + (
            f", found at {self.found}" if self.found else ""
        )


class Seen:
    """Which of our events stood at which offset of a topic, at eight bytes a message.

    Args:
        marks: the first and the next offset of each partition.
    """

    def __init__(self, marks: Mapping[Place, tuple[int, int]]) -> None:
        self._lows = {number: low for (_, number), (low, _) in marks.items()}
        self._marks = {
            number: array("Q", bytes(8 * (high - low)))
            for (_, number), (low, high) in marks.items()
        }

    def add(self, partition: int, offset: int, event_id: str) -> None:
        """Note an event; what came after the marks were taken is left out."""
        at, known = offset - self._lows.get(partition, 0), self._marks.get(partition)
        if known is not None and 0 <= at < len(known):
            known[at] = _fingerprint(event_id)

    def has(self, partition: int, offset: int, event_id: str) -> bool:
        """Tell whether that event stood there."""
        at, known = offset - self._lows.get(partition, 0), self._marks.get(partition, ())
        return 0 <= at < len(known) and known[at] == _fingerprint(event_id)

    def expired(self, partition: int, offset: int) -> bool:
        """Tell whether the topic no longer keeps what stood there."""
        return offset < self._lows.get(partition, 0)

    def find(self, event_ids: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Return the last place of each of these events that stood anywhere."""
        wanted = {_fingerprint(event_id): event_id for event_id in event_ids}
        return {
            wanted[mark]: (partition, self._lows[partition] + at)
            for partition, marks in self._marks.items()
            for at, mark in enumerate(marks)
            if mark in wanted
        }


class Audit:
    """One comparison. It only reads, and may run beside relays, consumers and purges.

    Not told as differences: what the topic's retention has deleted (``expired``), what compaction
    has, a repeat of an event that the outbox knows, and an event that a purge may have made the
    outbox forget (``forgotten``): one that was written before the oldest delivery that is left, or
    longer ago than ``KAFKA_OUTBOX_RETENTION_DAYS``.

    Args:
        topic: which topic.
        using: alias of the outbox's database.
    """

    def __init__(self, topic: str, using: str = "default") -> None:
        self.topic = topic
        self.using = using
        self.messages = self.deliveries = self.expired = self.compacted = self.forgotten = 0
        self.differences = 0
        # Everything that is recorded by now was in the topic before its ends are asked for.
        self._until = self._sent().aggregate(last=models.Max("pk"))["last"] or 0
        self._known_since = self._oldest()

    def run(self) -> Iterator[Difference]:
        """Read the whole topic, then the deliveries, and yield each difference.

        Raises:
            BrokerError: Kafka does not answer or has no such topic.
        """
        group = f"kafka-outbox-audit-{secrets.token_hex(4)}"
        consumer = EventConsumer([self.topic], group, from_beginning=True, watch_ends=True)
        with closing(consumer):
            backlog = Backlog(consumer, from_beginning=True)
            marks = consumer.offsets.watermarks()
            yield from self.compare(marks, _read(consumer, backlog))

    def compare(
        self, marks: Mapping[Place, tuple[int, int]], messages: Iterable[Message]
    ) -> Iterator[Difference]:
        """Yield each difference.

        Args:
            marks: the first and the next offset of each partition of the topic.
            messages: what stands between them.
        """
        seen = Seen(marks)
        for batch in _batches(messages):
            yield from self._count(self._read(batch, seen))
        for deliveries in _batches(self._deliveries()):
            yield from self._count(self._check(deliveries, seen))

    def _count(self, found: Iterable[Difference]) -> Iterator[Difference]:
        for difference in found:
            self.differences += 1
            yield difference

    def _read(self, batch: list[Message], seen: Seen) -> Iterator[Difference]:
        ours: list[tuple[str, Message]] = []
        for message in batch:
            attributes = Attributes.of(message)
            if attributes.source == settings.source and attributes.id:
                seen.add(message.partition, message.offset, attributes.id)
                ours.append((attributes.id, message))
        self.messages += len(ours)
        known = self._known(event_id for event_id, _ in ours)
        for event_id, message in ours:
            if event_id in known:
                continue
            # Kafka counts milliseconds, and the outbox microseconds.
            if message.timestamp is not None and message.timestamp < int(self._known_since):
                self.forgotten += 1
            else:
                yield Difference("unknown", event_id, message.place())

    def _check(self, batch: list[OutboxDelivery], seen: Seen) -> Iterator[Difference]:
        self.deliveries += len(batch)
        doubtful: list[tuple[str, OutboxDelivery, int, int]] = []
        for delivery in batch:
            event_id = str(delivery.event.event_id)
            partition, offset = delivery.partition, delivery.offset
            if partition is None or offset is None:
                continue
            if seen.expired(partition, offset):
                self.expired += 1
            elif not seen.has(partition, offset, event_id):
                doubtful.append((event_id, delivery, partition, offset))
        places = seen.find(event_id for event_id, *_ in doubtful) if doubtful else {}
        for event_id, delivery, partition, offset in doubtful:
            place = f"{self.topic}[{partition}]@{offset}"
            if event_id in places:
                found = "{}[{}]@{}".format(self.topic, *places[event_id])
                yield Difference("moved", event_id, place, found)
            elif self._is_compacted(delivery):
                self.compacted += 1
            else:
                yield Difference("missing", event_id, place)

    def _is_compacted(self, delivery: OutboxDelivery) -> bool:
        """Tell whether a later event of the key explains that this one is gone."""
        topics = catalogue()
        topic = topics.get(self.topic) if topics else None
        if topic is None or "compact" not in topic.config.get("cleanup.policy", ""):
            return False
        later = self._sent().filter(partition=delivery.partition, offset__gt=delivery.offset)
        return later.filter(event__key=delivery.event.key).exists()

    def _known(self, event_ids: Iterable[str]) -> set[str]:
        ids = [found for found in map(_uuid, event_ids) if found]
        events = OutboxEvent.objects.using(self.using).filter(event_id__in=ids)
        return {str(found) for found in events.values_list("event_id", flat=True)}

    def _deliveries(self) -> Iterator[OutboxDelivery]:
        rows = self._sent().filter(pk__lte=self._until).select_related("event").order_by("pk")
        rows = rows.defer("event__value", "event__headers")
        after = 0
        while batch := list(rows.filter(pk__gt=after)[:_BATCH]):
            yield from batch
            after = batch[-1].pk

    def _sent(self) -> models.QuerySet[OutboxDelivery]:
        deliveries = OutboxDelivery.objects.using(self.using)
        return deliveries.filter(event__topic=self.topic, outcome=Outcome.SENT)

    def _oldest(self) -> float:
        """Return since when the outbox remembers, in milliseconds since 1970."""
        kept = timezone.now() - timedelta(days=settings.outbox_retention_days)
        first = self._sent().order_by("pk").values_list("at", flat=True).first()
        moment: datetime = max(first, kept) if first else kept
        return moment.timestamp() * 1000


def _read(consumer: EventConsumer, backlog: Backlog) -> Iterator[Message]:
    # Nothing is ever committed for this group, so that it leaves no trace.
    while not backlog.is_cleared():
        message = consumer.poll(_POLL)
        if message is not None:
            yield message


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _fingerprint(event_id: str) -> int:
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big") or 1


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
