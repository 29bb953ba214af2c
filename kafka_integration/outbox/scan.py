"""Reads the queue: the next rows to send, in order, as slim as they can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import connections, transaction
from django.db.models.functions import Length

from ..events.envelope import sequence
from ..models import OutboxHold, OutboxQueue
from ..models.queue import OutboxQueueQuerySet

BATCH_BYTES = 8 * 1024 * 1024
"""Values of one batch, together; several batches are under way at once."""

_AMONG = 10_000
# So many rows of one held key among those of one read tell that thousands follow.
_MANY = 100
_AHEAD = 20_000


class QueueRow(NamedTuple):
    """An event that waits, with its place in the queue.

    A model instance for each would cost more than everything else that is done with it.
    """

    position: int
    shard: int
    key_hash: int
    event_pk: int
    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]
    is_held: bool

    @property
    def unit(self) -> tuple[str, int]:
        """The unit of order that it belongs to."""
        return self.topic, self.key_hash

    def wire_headers(self) -> list[tuple[str, str]]:
        """Return the headers to send: the stored ones and its place in order."""
        return [*self.headers.items(), ("ce_sequence", sequence(self.position))]


COLUMNS = (
    "position",
    "shard",
    "key_hash",
    "event_id",
    "event__topic",
    "event__key",
    "event__value",
    "event__headers",
    "is_held",
)


def array(numbers: Iterable[int]) -> str:
    """Return numbers as PostgreSQL's text of an array.

    Drivers adapt a list element by element, which costs more than what is done with it.
    """
    return "{" + ",".join(map(str, numbers)) + "}"


def read(
    using: str,
    shards: Sequence[int],
    limit: int,
    closed: Iterable[str],
    most_bytes: int | None = None,
) -> list[QueueRow]:
    """Return the next rows to send, in order, and put those behind a hold out of sight.

    Args:
        using: alias of the outbox's database.
        shards: the shards that we hold.
        limit: how many rows at most.
        closed: topics that are left alone for now.
        most_bytes: what their values may take up together; the first row is read in any case.
    """
    queue = _sendable(using, shards, closed)
    last = _last_that_fits(queue, limit, most_bytes or BATCH_BYTES)
    if last is None:
        return []
    # Hold and rows are seen at one instant: if the hold were looked up afterwards, its release in
    # between would let us send a later event of the key without the ones that it had blocked.
    found = queue.filter(position__lte=last).with_hold().values_list(*COLUMNS)[:limit]
    rows = [QueueRow._make(values) for values in found]
    put_out_of_sight(using, [row for row in rows if row.is_held])
    return [row for row in rows if not row.is_held]


def pending(using: str, shards: Sequence[int], closed: Iterable[str]) -> bool:
    """Tell whether a row waits in ``shards`` that could be sent now."""
    return _sendable(using, shards, closed).exists()


def transaction_id(using: str) -> int:
    """Return the number of the open transaction; PostgreSQL only."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        return int(cursor.fetchone()[0])


def waiting(using: str, shards: Sequence[int], closed: Iterable[str]) -> list[int]:
    """Return those of ``shards`` that have a row among the next that could be sent."""
    rows = _sendable(using, shards, closed).values_list("shard", flat=True)
    return sorted(set(rows[:_AMONG]))


def _sendable(using: str, shards: Sequence[int], closed: Iterable[str]) -> OutboxQueueQuerySet:
    queue = OutboxQueue.objects.using(using).in_shards(shards).sendable()
    closed = list(closed)
    return queue.outside(closed) if closed else queue


def _last_that_fits(queue: OutboxQueueQuerySet, limit: int, most_bytes: int) -> int | None:
    """Return the position up to which values fit into memory; None if nothing waits.

    Asked before any value is fetched: a batch of the largest events would be gigabytes.
    """
    last, total = None, 0
    for position, size in queue.values_list("position", Length("event__value"))[:limit]:
        total += size
        if last is not None and total > most_bytes:
            break
        last = position
    return last


def put_out_of_sight(using: str, rows: Sequence[QueueRow]) -> None:
    """Block rows whose key is held, unless it has been released meanwhile.

    Where many rows of a key were read, those that follow soon are blocked too, unread: behind a
    key that is held for long a hundred thousand may wait, and all other keys behind them.
    """
    if not rows:
        return
    with transaction.atomic(using=using):
        # Locked, as a release locks them, so that nothing is blocked without its hold.
        holds = OutboxHold.objects.using(using).filter(key_hash__in={row.key_hash for row in rows})
        held = {(hold.topic, hold.key_hash) for hold in holds.select_for_update()}
        behind = [row for row in rows if row.unit in held]
        queue = OutboxQueue.objects.using(using)
        queue.filter(pk__in=[row.position for row in behind]).block()
        last = {row.unit: row.position for row in behind}
        for (topic, hashed), count in Counter(row.unit for row in behind).items():
            if count >= _MANY:
                queue.following((last[topic, hashed], hashed, topic), _AHEAD).block()
