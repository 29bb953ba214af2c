"""Changes how many shards the outbox has."""

from __future__ import annotations

from django.db import connections, models, transaction
from django.db.utils import OperationalError

from ..database import is_contention
from ..errors import ConfigurationError, OutboxInUse, OutboxNotEmpty
from ..models import OutboxLease, OutboxQueue, OutboxSetup

MOST_SHARDS = 1_024

_LOCK_QUEUE = "LOCK TABLE kafka_outbox_queue IN SHARE ROW EXCLUSIVE MODE"
# Whoever writes later waits behind us, so we do not wait for long.
_BE_BRIEF = "SET LOCAL lock_timeout = '2s'"


def reshard(shards: int, using: str = "default") -> int:
    """Let the outbox have ``shards`` shards; return how many it had.

    Only with nothing queued: else the events of one key would be in two shards, and two relays
    would send them in whatever order. While it is done no transaction can queue an event; those
    that see the past (REPEATABLE READ) fail afterwards when they store their first event, as
    PostgreSQL lets such transactions fail, and have to be tried again.

    Args:
        shards: from 1 to :data:`MOST_SHARDS`.
        using: alias of the outbox's database.

    Raises:
        ConfigurationError: ``shards`` is out of bounds.
        OutboxNotEmpty: events wait.
        OutboxInUse: a transaction that has queued events, or sends some, does not end.
    """
    if not 1 <= shards <= MOST_SHARDS:
        raise ConfigurationError(
            f"An outbox has 1 to {MOST_SHARDS:,} shards, not {shards:,}. Four for each relay that "
            "you will ever run are plenty."
        )
    OutboxSetup.objects.using(using).row()
    try:
        before = _change(shards, using)
    except OperationalError as error:
        if not is_contention(error):
            raise
        raise OutboxInUse() from error
    if before is None:
        raise OutboxNotEmpty(OutboxQueue.objects.using(using).count())
    return before


def _change(shards: int, using: str) -> int | None:
    """Change the count; return how many shards there were, or None if events are queued."""
    with transaction.atomic(using=using):
        _lock(using)
        if OutboxQueue.objects.using(using).exists():
            return None
        setup = OutboxSetup.objects.using(using).select_for_update().get()
        before = setup.shard_count
        setup.reshard(shards)
        leases = OutboxLease.objects.using(using)
        leases.filter(shard__gte=shards).void()
        leases.ensure(shards)
    return before


def _lock(using: str) -> None:
    """Keep relays and writers out until the transaction ends.

    Leases, queue, setup: in the order in which a relay that records, and a writer, lock them.
    """
    leases = OutboxLease.objects.using(using)
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_BE_BRIEF)
            leases.lock()
            cursor.execute(_LOCK_QUEUE)
    else:
        # The first write is what makes a transaction the only one that writes.
        OutboxSetup.objects.using(using).update(shard_count=models.F("shard_count"))
