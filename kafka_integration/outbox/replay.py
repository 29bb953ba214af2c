"""Sends events again that are out already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import models, transaction
from django.db.models.functions import Length
from django.utils import timezone
from uuid_utils.compat import uuid7

from ..models import OutboxEvent, OutboxQueue, OutboxSetup
from ..models.outbox import OutboxEventQuerySet
from ..step import Step, share_of
from .selection import Selection
from .store import NewEvent, append, lock_keys

_WITH_PAYLOAD = 100  # events whose payloads, up to a megabyte each, are held in memory at once


@dataclass(frozen=True)
class Forecast:
    """What a replay would do.

    Args:
        events: how many it would send.
        waiting: how many it would leave alone, since they are in the queue anyway.
        erased: how many it would leave alone, since their payload was erased.
    """

    events: int
    waiting: int
    erased: int


def forecast(selection: Selection, using: str = "default") -> Forecast:
    """Return what :func:`replay` would do now, without doing it."""
    events = selection.events(using)
    waiting = events.pending().count()
    erased = events.annotate(size=Length("value")).filter(size=0).count()
    return Forecast(events.count() - waiting - erased, waiting, erased)


def replay(
    selection: Selection,
    using: str = "default",
    *,
    as_new: bool = False,
    batch_size: int = 1_000,
) -> Iterator[Step]:
    """Queue events again, in the order in which they were stored, a transaction for each batch.

    An event keeps its id, so that a group that has it does nothing. Events that are in the queue
    are left alone, and so are those whose payload was erased. Discarded ones are sent.

    Args:
        selection: which events.
        using: alias of the outbox's database.
        as_new: store new events with the same payloads and ids of their own, which every group
            handles again.
        batch_size: events queued in one transaction.

    Yields:
        How far it has come; ``last`` is the number of the last event that it has dealt with, and
        ``end`` that of the last one that was there when it began.

    Raises:
        PublishError: with ``as_new``, an event is larger than is allowed by now.
    """
    chosen = selection.events(using)
    bounds = chosen.aggregate(first=models.Min("pk"), end=models.Max("pk"))
    first, end = bounds["first"] or 0, bounds["end"] or 0
    put, size = (_store_anew, _WITH_PAYLOAD) if as_new else (_queue_again, batch_size)
    done = left = 0
    at = first - 1
    # Up to the last event of now: those that are stored anew match the selection too.
    while pks := _next(chosen.filter(pk__gt=at, pk__lte=end), min(size, batch_size)):
        put_now = put(using, pks)
        done, left = done + put_now, left + len(pks) - put_now
        at = pks[-1]
        yield Step(done, left, share_of(first - 1, at, end), at, end)


def _next(events: OutboxEventQuerySet, size: int) -> list[int]:
    return list(events.order_by("pk").values_list("pk", flat=True)[:size])


def _queue_again(using: str, pks: Sequence[int]) -> int:
    with transaction.atomic(using=using):
        events = list(_sendable(using, pks).only("topic", "key"))
        shards = OutboxSetup.objects.using(using).settled_shards()
        OutboxQueue.objects.using(using).bulk_create(
            OutboxQueue(event=event, shard=event.key_hash % shards, key_hash=event.key_hash)
            for event in events
        )
    return len(events)


def _store_anew(using: str, pks: Sequence[int]) -> int:
    with transaction.atomic(using=using):
        copies = [_copy(event) for event in _sendable(using, pks)]
        lock_keys(using, copies)
        append(using, copies)
    return len(copies)


def _copy(event: OutboxEvent) -> NewEvent:
    new_id = uuid7()
    headers = event.headers | {"ce_id": str(new_id)}
    return NewEvent(new_id, event.topic, event.key, bytes(event.value), headers, timezone.now())


def _sendable(using: str, pks: Sequence[int]) -> OutboxEventQuerySet:
    """Return those that can be sent again, locked, so that no purge takes them meanwhile."""
    events = OutboxEvent.objects.using(using).filter(pk__in=pks).order_by("pk")
    locked = list(events.select_for_update(of=("self",)).values_list("pk", flat=True))
    # A statement of its own: it sees what was committed before we had the locks.
    waiting = OutboxQueue.objects.using(using).filter(event__in=locked)
    again = set(locked) - set(waiting.values_list("event_id", flat=True))
    # The length is known without reading what is stored out of line.
    return events.filter(pk__in=again).annotate(size=Length("value")).exclude(size=0)
