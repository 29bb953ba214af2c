"""Who relays: the shards, and the leases on them."""

from __future__ import annotations

from django.db import models

DEFAULT_SHARDS = 16


class OutboxSetupQuerySet(models.QuerySet["OutboxSetup"]):
    """The facts that writers and relays must agree on."""

    def shards(self) -> int:
        """Return how many shards the outbox has; without a row, :data:`DEFAULT_SHARDS`."""
        found = self.values_list("shard_count", flat=True).first()
        return DEFAULT_SHARDS if found is None else found


class OutboxSetup(models.Model):
    """At most one row of facts. It may be absent: test suites empty every table."""

    shard_count = models.SmallIntegerField(default=DEFAULT_SHARDS)

    objects = OutboxSetupQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_setup"
        verbose_name = "outbox setup"

    def __str__(self) -> str:
        return f"{self.shard_count} shards"


class OutboxLease(models.Model):
    """Which relay may send a shard, until when. ``epoch`` grows with each change of owner."""

    shard = models.SmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=200, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "kafka_outbox_lease"
        verbose_name = "relay lease"

    def __str__(self) -> str:
        return f"shard {self.shard}"
