"""Deletes inbox records of messages that Kafka cannot deliver again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import models
from django.utils import timezone

from ..models import InboxRecord, InboxStatus
from ..step import Step, share_of

_FINISHED = (InboxStatus.DONE, InboxStatus.DISCARDED)


def purge(
    older_than: timedelta, using: str = "default", *, batch_size: int = 1_000
) -> Iterator[Step]:
    """Delete the records of finished messages that are older than ``older_than``.

    It must be longer than any topic that is read keeps its messages: a message whose record is
    gone would be handled again. Dead and parked messages stay until someone decides.

    Args:
        older_than: for how long records are kept after they were written.
        using: alias of the database that the records are in.
        batch_size: records deleted in one transaction.

    Yields:
        How far it has come, after each batch.
    """
    cutoff = timezone.now() - older_than
    old = (
        InboxRecord.objects.using(using)
        .filter(status__in=_FINISHED, created_at__lt=cutoff)
        .order_by("created_at")
    )
    bounds = old.aggregate(first=models.Min("created_at"), end=models.Max("created_at"))
    first, end = ((bounds[name] or cutoff).timestamp() for name in ("first", "end"))
    done = 0
    while batch := list(old.values_list("pk", "created_at")[:batch_size]):
        # A record that was touched meanwhile no longer matches and stays.
        done += old.filter(pk__in=[pk for pk, _ in batch]).order_by().delete()[0]
        yield Step(done, 0, share_of(first, batch[-1][1].timestamp(), end))
