"""One batch on its way: what Kafka said of it, and how that is recorded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from typing import Any, NamedTuple

from django.db import connections
from django.utils import timezone

from ..broker.producer import Delivery
from ..errors import BrokerError, DeliveryFailed, TopicMissing, TopicRefused
from ..models import OutboxDelivery, OutboxHold, OutboxQueue, Outcome
from .scan import QueueRow, array


class Sent(NamedTuple):
    """Where an acknowledged event landed."""

    row: QueueRow
    partition: int
    offset: int


@dataclass
class Batch:
    """The rows of one round, and Kafka's answers so far.

    Args:
        rows: what is to be sent, in order.
        sent: what Kafka has acknowledged.
        failed: what it has not, with the reason.
        handed_over: how many rows it was asked to take, those that it is asked again included.
        started: when, on the monotonic clock.
    """

    rows: Sequence[QueueRow]
    sent: list[Sent] = field(default_factory=list)
    failed: list[tuple[QueueRow, BrokerError]] = field(default_factory=list)
    handed_over: int = 0
    started: float = field(default_factory=time.monotonic)

    def note(self, row: QueueRow, delivery: Delivery) -> None:
        """Note Kafka's answer for a row."""
        if delivery.error is None:
            self.sent.append(Sent(row, delivery.partition, delivery.offset))
        else:
            self.failed.append((row, delivery.error))

    def is_answered(self) -> bool:
        """Tell whether every row that was handed over has its answer."""
        return len(self.sent) + len(self.failed) == self.handed_over

    @cached_property
    def size(self) -> int:
        """The bytes of all values."""
        return sum(len(row.value) for row in self.rows)

    def rejected(self) -> list[tuple[QueueRow, BrokerError]]:
        """Return the events that Kafka will never take as they are."""
        return [(row, error) for row, error in self.failed if isinstance(error, DeliveryFailed)]

    def closed_topics(self) -> dict[str, BrokerError]:
        """Return the topics that are missing or forbidden, which is no fault of an event."""
        return {
            row.topic: error
            for row, error in self.failed
            if isinstance(error, (TopicMissing, TopicRefused))
        }

    def withholds(self, row: QueueRow) -> bool:
        """Tell whether a row must not be sent because of what became of another."""
        return bool(self.failed) and (
            row.topic in self.closed_topics()
            or any(row.unit == other.unit for other, _ in self.rejected())
        )

    def unsent(self) -> list[QueueRow]:
        """Return the rows that Kafka has not acknowledged, in order."""
        sent = {item.row.position for item in self.sent}
        return [row for row in self.rows if row.position not in sent]

    def other_failure(self) -> BrokerError | None:
        """Return a failure that says nothing about events or topics, if there was one."""
        for _, error in self.failed:
            if not isinstance(error, (DeliveryFailed, TopicMissing, TopicRefused)):
                return error
        return None


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
            _hold(using, batch, row, str(error))


def _record_sent(using: str, sent: Sequence[Sent]) -> None:
    if not sent:
        return
    if connections[using].vendor == "postgresql":
        _record_by_copy(using, sent)
    else:
        _record_by_orm(using, sent)


_COPY = 'COPY kafka_outbox_delivery (event_id, outcome, partition, "offset", at) FROM STDIN'


def _record_by_copy(using: str, sent: Sequence[Sent]) -> None:
    # COPY logs a page at once: 48 bytes of WAL an event less than INSERT.
    at = timezone.now().isoformat()
    lines = "".join(
        f"{row.event_pk}\t{Outcome.SENT.value}\t{partition}\t{offset}\t{at}\n"
        for row, partition, offset in sent
    )
    with connections[using].cursor() as cursor:
        positions = array(item.row.position for item in sent)
        cursor.execute("DELETE FROM kafka_outbox_queue WHERE position = ANY (%s)", [positions])
        _copy(cursor, _COPY, lines)


def _copy(cursor: Any, statement: str, lines: str) -> None:
    if hasattr(cursor, "copy_expert"):  # psycopg 2
        cursor.copy_expert(statement, StringIO(lines))
        return
    with cursor.copy(statement) as copy:
        copy.write(lines)


def _record_by_orm(using: str, sent: Sequence[Sent]) -> None:
    positions = [item.row.position for item in sent]
    OutboxQueue.objects.using(using).filter(position__in=positions).delete()
    OutboxDelivery.objects.using(using).bulk_create(
        OutboxDelivery(
            event_id=item.row.event_pk,
            outcome=Outcome.SENT,
            partition=item.partition,
            offset=item.offset,
        )
        for item in sent
    )


def _hold(using: str, batch: Batch, row: QueueRow, reason: str) -> None:
    queue = OutboxQueue.objects.using(using)
    OutboxHold.objects.using(using).update_or_create(
        topic=row.topic, key_hash=row.key_hash, defaults={"key": row.key, "reason": reason}
    )
    tried = queue.filter(pk=row.position)
    if not tried.count_attempt(reason):
        # Discarded while it was on its way: nothing is left that the key must wait for.
        OutboxHold.objects.using(using).for_key(row.topic, row.key_hash).release()
        return
    # What waits beyond this batch is blocked when it is met; all of it at once could be millions.
    queue.filter(pk__in=[other.position for other in batch.rows if other.unit == row.unit]).block()
