"""What an exactly-once relay is about to publish, written down before it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from typing_extensions import Self


class OutboxManifestQuerySet(models.QuerySet["OutboxManifest"]):
    """The last batch of each shard."""

    def of(self, shards: Iterable[int]) -> Self:
        """Return the manifests of these shards."""
        return self.filter(shard__in=list(shards))

    def unsettled(self) -> Self:
        """Return those whose batch is not known to be out."""
        return self.filter(settled=False)

    def announce(self, manifests: Sequence[OutboxManifest]) -> None:
        """Write down what is about to be published, each in place of its shard's last manifest."""
        self.bulk_create(
            manifests,
            update_conflicts=True,
            unique_fields=["shard"],
            update_fields=["batch", "previous", "positions", "events", "settled", "at"],
        )

    def settle(self, batches: Iterable[tuple[int, int]]) -> set[int]:
        """Take batches, given with their shards, as out; return the shards for which that is new.

        What they name is forgotten: the deliveries say it from now on.
        """
        wanted = dict(batches)
        found = self.of(wanted).unsettled().select_for_update().order_by("shard")
        new = {item.shard for item in found if item.batch == wanted[item.shard]}
        self.filter(shard__in=new).update(settled=True, positions=[], events=[])
        return new


class OutboxManifest(models.Model):
    """The last batch of a shard that a relay has begun to publish in a Kafka transaction.

    ``batch`` grows with each one. ``previous`` is the last batch before it that is known to stand
    in Kafka, 0 if there is none: as long as the progress topic says less than that, it has lost
    something. ``positions`` and ``events`` are the rows' places in the queue and the primary keys
    of their events, in order; the rows themselves may be discarded meanwhile.
    """

    shard = models.SmallIntegerField(primary_key=True)
    batch = models.BigIntegerField()
    previous = models.BigIntegerField(default=0)
    positions = models.JSONField(default=list)
    events = models.JSONField(default=list)
    settled = models.BooleanField(default=False)
    at = models.DateTimeField(default=timezone.now)

    objects = OutboxManifestQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_manifest"
        verbose_name = "outbox manifest"

    def __str__(self) -> str:
        return f"batch {self.batch} of shard {self.shard}"
