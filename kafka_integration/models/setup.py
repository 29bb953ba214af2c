"""The facts that writers and relays must agree on."""

from __future__ import annotations

from django.db import connections, models

CHANNEL = "kafka_outbox"
"""What writers name in NOTIFY, and relays in LISTEN."""

DEFAULT_SHARDS = 16

_KEEP_RESHARD_OUT = "LOCK TABLE kafka_outbox_queue IN ROW EXCLUSIVE MODE"


class OutboxSetupQuerySet(models.QuerySet["OutboxSetup"]):
    """The facts, whether or not their row is there."""

    def shards(self) -> int:
        """Return how many shards the outbox has; without a row, :data:`DEFAULT_SHARDS`."""
        found = self.values_list("shard_count", flat=True).first()
        return DEFAULT_SHARDS if found is None else found

    def settled_shards(self) -> int:
        """Return how many shards there are, and keep that so until the open transaction ends.

        As an insert does, this locks the queue first, which a change of the count waits for, and
        only then reads. A transaction that sees the past (REPEATABLE READ) fails to lock a row
        that was changed meanwhile, and has to be tried again.
        """
        connection = connections[self.db]
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(_KEEP_RESHARD_OUT)
        return self.select_for_update().shards()

    def cluster_id(self) -> str:
        """Return the id of the Kafka cluster that the outbox is sent to; empty if unknown."""
        return self.values_list("cluster_id", flat=True).first() or ""

    def row(self) -> OutboxSetup:
        """Return the row, made with what holds without one if it is missing."""
        return self.first() or self.get_or_create(pk=1)[0]


class OutboxSetup(models.Model):
    """At most one row of facts. It may be absent: test suites empty every table."""

    shard_count = models.SmallIntegerField(default=DEFAULT_SHARDS)
    cluster_id = models.CharField(max_length=255, blank=True, default="")

    objects = OutboxSetupQuerySet.as_manager()

    class Meta:
        db_table = "kafka_outbox_setup"
        verbose_name = "outbox setup"

    def __str__(self) -> str:
        return f"{self.shard_count} shards"

    def remember_cluster(self, cluster_id: str, instead_of: str) -> bool:
        """Note the cluster that the outbox is sent to, unless another one was noted meanwhile.

        Args:
            cluster_id: its id; empty forgets.
            instead_of: what was noted when that was decided.

        Returns:
            Whether it was noted.
        """
        setup = OutboxSetup.objects.using(self._state.db).filter(pk=self.pk, cluster_id=instead_of)
        return setup.update(cluster_id=cluster_id) == 1

    def reshard(self, shards: int) -> None:
        """Let the outbox have ``shards`` shards; for :mod:`..outbox.reshard`, which makes sure."""
        self.shard_count = shards
        self.save(update_fields=["shard_count"])
