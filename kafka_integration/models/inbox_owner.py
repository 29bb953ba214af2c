"""Who handles a partition's messages, so that it is known when an owner ended without a word."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.utils import timezone


class InboxOwnerQuerySet(models.QuerySet["InboxOwner"]):
    """A group's partitions, by who has them."""

    def claim(self, group: str, places: Collection[tuple[str, int]], owner: str) -> set[int]:
        """Take partitions, in the open transaction.

        Returns:
            The primary keys of those whose last owner has not given them up.
        """
        rows = [InboxOwner(group=group, topic=topic, partition=number) for topic, number in places]
        self.bulk_create(rows, ignore_conflicts=True)
        found = list(self.of(group, places).select_for_update().order_by("pk"))
        self.filter(pk__in=[row.pk for row in found]).update(owner=owner, taken_at=timezone.now())
        return {row.pk for row in found if row.owner not in ("", owner)}

    def release(self, group: str, places: Collection[tuple[str, int]], owner: str) -> int:
        """Give partitions up that are still this owner's; return how many were."""
        return self.of(group, places).filter(owner=owner).update(owner="")

    def of(self, group: str, places: Collection[tuple[str, int]]) -> models.QuerySet[InboxOwner]:
        """Return the rows of these partitions."""
        wanted = models.Q(pk__in=[])
        for topic, number in places:
            wanted |= models.Q(topic=topic, partition=number)
        return self.filter(wanted, group=group)


class InboxOwner(models.Model):
    """The last owner of a partition in a group; an empty one has given it up in an orderly end."""

    group = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.IntegerField()
    owner = models.CharField(max_length=36, blank=True, default="")
    taken_at = models.DateTimeField(null=True, blank=True)

    objects = InboxOwnerQuerySet.as_manager()

    class Meta:
        db_table = "kafka_inbox_owner"
        verbose_name = "inbox owner"
        constraints = [
            models.UniqueConstraint(
                fields=["group", "topic", "partition"], name="kafka_inbox_owner_place"
            )
        ]

    def __str__(self) -> str:
        return f"{self.group} {self.topic}[{self.partition}] {self.owner or 'nobody'}"
