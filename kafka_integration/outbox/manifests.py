"""What became of a batch that a Kafka transaction was begun for, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from ..conf import settings
from ..errors import BatchUnsettled, OutboxBusy, ProgressAhead, ProgressLost
from ..models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxLease,
    OutboxManifest,
    OutboxQueue,
    Outcome,
)
from .scan import COLUMNS, QueueRow


class Verdict(Enum):
    """What to do about a shard's last manifest."""

    NOTHING = "nothing is under way"
    OUT = "its batch was committed: record that"
    AGAIN = "its batch was not committed, and never will be: send it again"


def settlement(manifest: OutboxManifest | None, progress: int | None) -> Verdict:
    """Decide about a shard's last manifest.

    It holds only for progress that was read after the shard's transactional id was initialised:
    before, a transaction of someone else could still be committed.

    Args:
        manifest: the shard's last one, or None if there never was one.
        progress: the last batch that Kafka has of the shard, None if it has none.

    Raises:
        ProgressLost: Kafka does not have what it had when the manifest was written.
        ProgressAhead: Kafka has more than the database knows of.
    """
    if manifest is None:
        return Verdict.NOTHING
    known, topic = progress or 0, settings.progress_topic
    if known > manifest.batch:
        raise ProgressAhead(manifest.shard, manifest.batch, topic, known)
    if manifest.settled:
        return Verdict.NOTHING
    if known < manifest.previous:
        raise ProgressLost(manifest.shard, manifest.batch, topic, progress, manifest.previous)
    return Verdict.OUT if known == manifest.batch else Verdict.AGAIN


def next_batch(manifest: OutboxManifest | None, progress: int | None) -> int:
    """Return the number of a shard's next batch, above every one that may ever have been used."""
    return max(progress or 0, manifest.batch if manifest else 0) + 1


def manifest_of(shard: int, batch: int, previous: int, rows: Sequence[QueueRow]) -> OutboxManifest:
    """Return the manifest of a batch that is about to be published."""
    return OutboxManifest(
        shard=shard,
        batch=batch,
        previous=previous,
        positions=[row.position for row in rows],
        events=[row.event_pk for row in rows],
        settled=False,
        at=timezone.now(),
    )


def rows_of(using: str, manifest: OutboxManifest) -> list[QueueRow]:
    """Return the rows that a manifest names, in order; what was discarded meanwhile is missing."""
    queue = OutboxQueue.objects.using(using).filter(pk__in=manifest.positions)
    found = queue.with_hold().order_by("position").values_list(*COLUMNS)
    return [QueueRow._make(values) for values in found]


def record_out(using: str, manifest: OutboxManifest) -> int:
    """Record that all of a manifest's events are out, in the open transaction.

    Where they landed is not known: whoever published them died before it wrote that down. What
    was discarded meanwhile is out all the same, and its last delivery says so.

    Returns:
        How many events that are; 0 if it was recorded before.
    """
    manifests = OutboxManifest.objects.using(using)
    if not manifests.settle([(manifest.shard, manifest.batch)]):
        return 0
    OutboxQueue.objects.using(using).filter(pk__in=manifest.positions).delete()
    events = OutboxEvent.objects.using(using).filter(pk__in=manifest.events)
    there = set(events.values_list("pk", flat=True))
    OutboxDelivery.objects.using(using).bulk_create(
        OutboxDelivery(event_id=event, outcome=Outcome.SENT)
        for event in manifest.events
        if event in there
    )
    return len(manifest.events)


def require_settled(using: str, shards: Collection[int]) -> None:
    """Make sure that a relay without exactly-once may send these shards.

    Raises:
        BatchUnsettled: an exactly-once relay left a batch of one of them unfinished.
    """
    left = OutboxManifest.objects.using(using).of(shards).unsettled().order_by("shard").first()
    if left is not None:
        raise BatchUnsettled(left.shard, left.batch)


def decide(using: str, shard: int, *, sent: bool) -> int | None:
    """Settle a shard's last batch by an operator's word, where Kafka cannot tell.

    Args:
        using: alias of the outbox's database.
        shard: whose manifest it is.
        sent: the events are taken as published; else they are sent again.

    Returns:
        How many events it was about; None if the shard has no manifest.

    Raises:
        OutboxBusy: a relay holds the shard, and may be publishing that batch.
    """
    manifests = OutboxManifest.objects.using(using)
    with transaction.atomic(using=using):
        _require_free(using, shard)
        manifest = manifests.select_for_update().filter(shard=shard).first()
        if manifest is None:
            return None
        count = len(manifest.positions)
        if sent:
            record_out(using, manifest)
        # Without a manifest, the next batch goes by what Kafka has.
        manifest.delete()
    return count


def _require_free(using: str, shard: int) -> None:
    """Make sure that no relay has the shard, nor takes it until the open transaction ends."""
    leases = OutboxLease.objects.using(using).filter(shard=shard)
    leases.select_for_update().first()
    taken = leases.exclude(owner="").filter(expires_at__gt=Now()).first()
    if taken is not None:
        raise OutboxBusy(taken.owner.rpartition(":")[0])
