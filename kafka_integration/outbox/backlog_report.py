"""What waits in the outbox, since when, and who is there to send it.

No table is counted to its end: at most :data:`BOUND` rows are looked at, and what is more than that
is told as such.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections, models
from django.db.models.functions import Now

from ..models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxLease,
    OutboxQueue,
    OutboxRelay,
    OutboxSetup,
    Outcome,
)
from ..models.queue import OutboxQueueQuerySet
from .leases import host_and_process

BOUND = 100_000
_MOST_HOLDS = 100

_ESTIMATE = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass"


@dataclass(frozen=True)
class Count:
    """A number of rows: exact, or a lower bound, or the database's own estimate."""

    number: int
    kind: str = "exact"


@dataclass(frozen=True)
class Waiting:
    """What waits for one topic, or in one shard, among the rows that were looked at.

    Args:
        name: the topic, or the shard's number.
        events: how many.
        held: how many of them have a held key.
        later: how many of them are not to be sent yet.
        oldest: when the oldest one was created.
    """

    name: str | int
    events: int
    held: int
    later: int
    oldest: datetime


@dataclass(frozen=True)
class HeldKey:
    """A held key.

    Args:
        behind: how many events of it wait as far as a relay has met them, counted up to 1,000.
    """

    topic: str
    key: str
    reason: str
    since: datetime
    behind: int


@dataclass(frozen=True)
class Lease:
    """Who may send a shard, and for how many ``seconds``; None if nobody holds the lease."""

    shard: int
    owner: str
    epoch: int
    seconds: float | None


@dataclass(frozen=True)
class LivingRelay:
    """A relay that gave a sign of life lately, and the shards that it holds."""

    name: str
    shards: tuple[int, ...]


@dataclass(frozen=True)
class BacklogReport:
    """The outbox at one moment.

    Args:
        queued: how many events are not out.
        by_topic, by_shard: the oldest of them, up to :data:`BOUND`.
        next_due: when the first event of those that wait for their time may go; or None.
        holds: the held keys, oldest first.
        held_keys: how many there are.
        leases: every shard's lease.
        events: how many events the outbox keeps, whatever became of them.
        sent, discarded: the same of the latest deliveries, up to :data:`BOUND`.
        relays: the relays that are alive, the oldest first.
    """

    queued: Count
    by_topic: tuple[Waiting, ...]
    by_shard: tuple[Waiting, ...]
    next_due: datetime | None
    holds: tuple[HeldKey, ...]
    held_keys: Count
    leases: tuple[Lease, ...]
    events: Count
    sent: Count
    discarded: Count
    relays: tuple[LivingRelay, ...] = ()


def backlog_report(using: str = "default") -> BacklogReport:
    """Return what waits in the outbox of the database ``using``, and who sends it."""
    later = _oldest(using).filter(available_at__gt=Now())
    sent, discarded = _delivered(using)
    return BacklogReport(
        queued=_count(OutboxQueue.objects.using(using)),
        by_topic=_waiting(using, "event__topic"),
        by_shard=_waiting(using, "shard"),
        next_due=later.aggregate(due=models.Min("available_at"))["due"],
        holds=tuple(_holds(using)),
        held_keys=_count(OutboxHold.objects.using(using)),
        leases=tuple(_leases(using)),
        events=_count(OutboxEvent.objects.using(using)),
        sent=sent,
        discarded=discarded,
        relays=tuple(_relays(using)),
    )


def _count(rows: models.QuerySet[Any]) -> Count:
    counted = rows.order_by()[: BOUND + 1].count()
    if counted <= BOUND:
        return Count(counted)
    connection = connections[rows.db]
    if connection.vendor != "postgresql":
        return Count(BOUND, "at least")
    with connection.cursor() as cursor:
        cursor.execute(_ESTIMATE, [rows.model._meta.db_table])
        estimate = cursor.fetchone()[0]
    return Count(estimate, "estimate") if estimate > BOUND else Count(BOUND, "at least")


def _oldest(using: str) -> OutboxQueueQuerySet:
    queue = OutboxQueue.objects.using(using)
    return queue.filter(pk__in=queue.order_by("position").values("pk")[:BOUND])


def _waiting(using: str, field: str) -> tuple[Waiting, ...]:
    groups = _oldest(using).with_hold().order_by(field).values_list(field)
    return tuple(
        Waiting(*row)
        for row in groups.annotate(
            events=models.Count("pk"),
            held=models.Count("pk", filter=models.Q(is_held=True)),
            later=models.Count("pk", filter=models.Q(available_at__gt=Now())),
            oldest=models.Min("event__created_at"),
        )
    )


def _holds(using: str) -> Iterable[HeldKey]:
    queue = OutboxQueue.objects.using(using)
    for hold in OutboxHold.objects.using(using).order_by("created_at", "pk")[:_MOST_HOLDS]:
        behind = queue.of_key(hold.topic, hold.key_hash).filter(blocked=True)[:1000].count()
        yield HeldKey(hold.topic, hold.key, hold.reason, hold.created_at, behind)


def _leases(using: str) -> Iterable[Lease]:
    shards = OutboxSetup.objects.using(using).shards()
    leases = OutboxLease.objects.using(using).below(shards).order_by("shard")
    # The database's clock decides; it is read as a column, so that time zones need no thought.
    clock = models.ExpressionWrapper(Now(), models.DateTimeField())
    columns = ("shard", "owner", "epoch", "expires_at", "now")
    for shard, owner, epoch, expiry, now in leases.annotate(now=clock).values_list(*columns):
        left = (expiry - now).total_seconds() if owner and expiry else None
        held = left is not None and left > 0
        yield Lease(shard, host_and_process(owner) if held else "", epoch, left if held else None)


def _relays(using: str) -> Iterable[LivingRelay]:
    held = OutboxLease.objects.using(using).taken().order_by("shard")
    pairs = list(held.values_list("owner", "shard"))
    for owner in OutboxRelay.objects.using(using).living().values_list("owner", flat=True):
        shards = tuple(shard for holder, shard in pairs if holder == owner)
        yield LivingRelay(host_and_process(owner), shards)


def _delivered(using: str) -> tuple[Count, Count]:
    deliveries = OutboxDelivery.objects.using(using)
    latest = deliveries.filter(pk__in=deliveries.order_by("-pk").values("pk")[:BOUND])
    groups = latest.order_by().values_list("outcome").annotate(models.Count("pk"))
    found: dict[str, int] = dict(groups)
    kind = "exact" if sum(found.values()) < BOUND else "at least"
    return Count(found.get(Outcome.SENT, 0), kind), Count(found.get(Outcome.DISCARDED, 0), kind)
