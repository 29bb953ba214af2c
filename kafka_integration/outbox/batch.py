"""One batch on its way: what was read, what Kafka said of it, and how that is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import models, transaction

from ..errors import BrokerError, DeliveryFailed, TopicMissing, TopicRefused
from ..events.envelope import sequence
from ..models import OutboxDelivery, OutboxHold, OutboxQueue, Outcome

_BATCH_BYTES = 32 * 1024 * 1024  # half of what the producer's queue takes


@dataclass(frozen=True)
class Sent:
    """Where an acknowledged event landed."""

    row: OutboxQueue
    topic: str
    partition: int
    offset: int


@dataclass
class Batch:
    """The rows of one round, and Kafka's answers so far.

    Args:
        rows: what is to be sent, in order.
        sent: what Kafka has acknowledged.
        failed: what it has not, with the reason.
    """

    rows: Sequence[OutboxQueue]
    sent: list[Sent] = field(default_factory=list)
    failed: list[tuple[OutboxQueue, BrokerError]] = field(default_factory=list)

    def rejected(self) -> list[tuple[OutboxQueue, BrokerError]]:
        """Return the events that Kafka will never take as they are."""
        return [(row, error) for row, error in self.failed if isinstance(error, DeliveryFailed)]

    def closed_topics(self) -> dict[str, BrokerError]:
        """Return the topics that are missing or forbidden, which is no fault of an event."""
        return {
            row.event.topic: error
            for row, error in self.failed
            if isinstance(error, (TopicMissing, TopicRefused))
        }

    def withholds(self, row: OutboxQueue) -> bool:
        """Tell whether a row must not be sent because of what became of another."""
        return bool(self.failed) and (
            row.event.topic in self.closed_topics()
            or any(_unit(row) == _unit(other) for other, _ in self.rejected())
        )

    def unsent(self) -> list[OutboxQueue]:
        """Return the rows that Kafka has not acknowledged, in order."""
        sent = {item.row.position for item in self.sent}
        return [row for row in self.rows if row.position not in sent]

    def other_failure(self) -> BrokerError | None:
        """Return a failure that says nothing about events or topics, if there was one."""
        for _, error in self.failed:
            if not isinstance(error, (DeliveryFailed, TopicMissing, TopicRefused)):
                return error
        return None


def wire_headers(row: OutboxQueue) -> list[tuple[str, bytes]]:
    """Return the headers that an event is sent with: the stored ones and its place in order."""
    headers = [(name, text.encode()) for name, text in row.event.headers.items()]
    return [*headers, ("ce_sequence", sequence(row.position).encode())]


def read(using: str, shards: Sequence[int], limit: int, closed: Iterable[str]) -> list[OutboxQueue]:
    """Return the next rows to send, in order, and put those behind a hold out of sight.

    Args:
        using: alias of the outbox's database.
        shards: the shards that we hold.
        limit: how many rows at most.
        closed: topics that are left alone for now.
    """
    queue = OutboxQueue.objects.using(using).in_shards(shards).sendable()
    closed = list(closed)
    if closed:
        queue = queue.exclude(event__topic__in=closed)
    # Hold and rows are seen at one instant: if the hold were looked up afterwards, its release in
    # between would let us send a later event of the key without the ones that it had blocked.
    rows = list(queue.with_hold().select_related("event")[:limit])
    _block(using, [row for row in rows if row.is_held])
    return _bounded([row for row in rows if not row.is_held])


def pending(using: str, shards: Sequence[int], closed: Iterable[str]) -> int:
    """Return how many rows wait in ``shards`` that could be sent now."""
    queue = OutboxQueue.objects.using(using).in_shards(shards).sendable()
    return queue.exclude(event__topic__in=list(closed)).count()


def record(using: str, batch: Batch, shards: Sequence[int]) -> None:
    """Record what Kafka acknowledged and hold what it rejected, in the open transaction.

    Args:
        using: alias of the outbox's database.
        batch: a batch that all answers have come for.
        shards: the shards that are ours for sure; rows of others are left to their owner.
    """
    _record_sent(using, [sent for sent in batch.sent if sent.row.shard in shards])
    for row, error in batch.rejected():
        if row.shard in shards:
            _hold(using, row, str(error))


def _record_sent(using: str, sent: Sequence[Sent]) -> None:
    positions = [item.row.position for item in sent]
    OutboxQueue.objects.using(using).filter(position__in=positions).delete()
    OutboxDelivery.objects.using(using).bulk_create(
        OutboxDelivery(
            event_id=item.row.event_id,
            outcome=Outcome.SENT,
            topic=item.topic,
            partition=item.partition,
            offset=item.offset,
        )
        for item in sent
    )


def _hold(using: str, row: OutboxQueue, reason: str) -> None:
    event = row.event
    OutboxHold.objects.using(using).update_or_create(
        topic=event.topic, key_hash=row.key_hash, defaults={"key": event.key, "reason": reason}
    )
    queue = OutboxQueue.objects.using(using)
    queue.filter(pk=row.pk).update(attempts=models.F("attempts") + 1, last_error=reason)
    queue.of_key(event.topic, row.key_hash).block()


def _block(using: str, rows: Sequence[OutboxQueue]) -> None:
    """Block rows whose key is held, unless it has been released meanwhile."""
    if not rows:
        return
    with transaction.atomic(using=using):
        # Locked, as a release locks them, so that nothing is blocked without its hold.
        holds = OutboxHold.objects.using(using).filter(key_hash__in={row.key_hash for row in rows})
        held = {(hold.topic, hold.key_hash) for hold in holds.select_for_update()}
        blocked = [row.pk for row in rows if _unit(row) in held]
        OutboxQueue.objects.using(using).filter(pk__in=blocked).block()


def _bounded(rows: Sequence[OutboxQueue]) -> list[OutboxQueue]:
    """Return as many rows as the producer's queue has room for, at least one."""
    total = 0
    found: list[OutboxQueue] = []
    for row in rows:
        total += len(row.event.value)
        if found and total > _BATCH_BYTES:
            break
        found.append(row)
    return found


def _unit(row: OutboxQueue) -> tuple[str, int]:
    """Return the unit of order that a row belongs to."""
    return row.event.topic, row.key_hash
