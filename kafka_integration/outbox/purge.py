"""Deletes events that have been out for long enough, and never one that is not out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import connections, models, transaction
from django.utils import timezone

from ..models import OutboxDelivery, OutboxEvent, OutboxQueue
from ..models.outbox import OutboxEventQuerySet
from ..step import Step, share_of

_Window = list[tuple[int, datetime]]


def purge(
    older_than: timedelta, using: str = "default", *, batch_size: int = 1_000
) -> Iterator[Step]:
    """Delete the events that were created, and went out, longer ago than ``older_than``.

    What is in the queue stays, however old. So does an event that no delivery speaks for: that it
    is not in the queue does not prove that it is out. Each batch is a transaction of its own, so
    it may be stopped after any of them.

    Args:
        older_than: for how long events are kept after they went out.
        using: alias of the outbox's database.
        batch_size: events looked at in one transaction.

    Yields:
        How far it has come, after each batch.
    """
    cutoff = timezone.now() - older_than
    first, end = _bounds(using, cutoff)
    done = left = 0
    window: _Window = []
    while window := _next(using, cutoff, window, batch_size):
        removed = _purge(using, [pk for pk, _ in window], cutoff)
        done, left = done + removed, left + len(window) - removed
        yield Step(done, left, share_of(first, window[-1][1].timestamp(), end))


def _bounds(using: str, cutoff: datetime) -> tuple[float, float]:
    old = OutboxEvent.objects.using(using).filter(created_at__lt=cutoff)
    found = old.aggregate(first=models.Min("created_at"), end=models.Max("created_at"))
    return (found["first"] or cutoff).timestamp(), (found["end"] or cutoff).timestamp()


def _next(using: str, cutoff: datetime, before: _Window, size: int) -> _Window:
    """Return the next old events, in the order of their age, whether they are out or not."""
    events = OutboxEvent.objects.using(using).filter(created_at__lt=cutoff)
    if before:
        pk, at = before[-1]
        later = models.Q(created_at__gt=at) | models.Q(created_at=at, pk__gt=pk)
        events = events.filter(later, created_at__gte=at)
    return list(events.order_by("created_at", "pk").values_list("pk", "created_at")[:size])


def _purge(using: str, pks: list[int], cutoff: datetime) -> int:
    with transaction.atomic(using=using):
        chosen = _locked(using, pks, cutoff)
        if not chosen:
            return 0
        # Asked again by the statement that deletes: a replay that was committed before we had the
        # lock is seen here, and one that comes later waits for the lock and finds no event.
        removed = _out(using, cutoff).filter(pk__in=chosen)._raw_delete(using)
        gone = ~models.Exists(OutboxEvent.objects.filter(pk=models.OuterRef("event")))
        deliveries = OutboxDelivery.objects.using(using).filter(gone, event__in=chosen)
        deliveries._raw_delete(using)
    return int(removed)


def _locked(using: str, pks: list[int], cutoff: datetime) -> list[int]:
    """Return those of ``pks`` that are out, locked where the database can."""
    if not connections[using].features.has_select_for_update_skip_locked:
        return pks  # SQLite has one writer at a time
    out = _out(using, cutoff).filter(pk__in=pks).order_by("pk")
    return list(out.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))


def _out(using: str, cutoff: datetime) -> OutboxEventQuerySet:
    queued = OutboxQueue.objects.filter(event=models.OuterRef("pk"))
    deliveries = OutboxDelivery.objects.filter(event=models.OuterRef("pk"))
    return OutboxEvent.objects.using(using).filter(
        ~models.Exists(queued),
        models.Exists(deliveries),
        ~models.Exists(deliveries.filter(at__gte=cutoff)),
    )
