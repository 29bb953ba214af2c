"""Writes events into the outbox: one statement for both of its tables where the database can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connections

from ..conf import settings
from ..models import OutboxEvent, OutboxQueue, OutboxSetup
from .insert import append_in_one_statement
from .new_event import NewEvent, check

__all__ = ["MANY_KEYS", "NewEvent", "append", "lock_all_keys", "lock_hashes", "lock_keys"]

_ADVISORY_CLASS = 0x4B61666B  # "Kafk": keeps our locks apart from the application's own
_ALL_KEYS = -1  # no key's hash is negative

MANY_KEYS = 1_000
"""PostgreSQL has room for 6,400 locks as it comes, for all its sessions together."""


def append(using: str, events: Sequence[NewEvent]) -> None:
    """Store events in the open transaction of the database ``using``, in the order given.

    Raises:
        PublishError: an event could never be sent; nothing is stored.
    """
    if not events:
        return
    check(events, settings.max_message_bytes)
    if connections[using].vendor == "postgresql":
        append_in_one_statement(using, events)
    else:
        _append_by_orm(using, events)


_LOCK_KEYS = """
SELECT CASE WHEN hashed = -1
            THEN pg_advisory_xact_lock_shared(%s, hashed)::text
            ELSE pg_advisory_xact_lock(%s, hashed)::text
       END
FROM (SELECT hashed FROM unnest(%s::int[]) AS hashed ORDER BY hashed OFFSET 0) AS in_order
"""


def lock_keys(using: str, events: Sequence[NewEvent]) -> None:
    """Let only one transaction at a time add to each event's (topic, key), until it ends.

    Needed where nothing else does: two transactions that publish under one key without locking
    one row could commit in the other order than they took their positions. The locks of one call
    are taken in sorted order, so that two such transactions never wait for each other. Those that
    call this several times, in different orders, may deadlock as with any locks; PostgreSQL ends
    one of them.
    """
    lock_hashes(using, (event.key_hash for event in events))


def lock_hashes(using: str, key_hashes: Iterable[int]) -> None:
    """Do what :func:`lock_keys` does for keys whose events are not made yet."""
    if connections[using].vendor != "postgresql":
        return  # SQLite has one writer at a time
    hashes = {found % 2**31 for found in key_hashes}
    if len(hashes) > MANY_KEYS:
        lock_all_keys(using)
    elif hashes:
        with connections[using].cursor() as cursor:
            # The subquery is sorted before the first lock is taken.
            classes = [_ADVISORY_CLASS, _ADVISORY_CLASS]
            cursor.execute(_LOCK_KEYS, [*classes, [_ALL_KEYS, *hashes]])


def lock_all_keys(using: str) -> None:
    """Let no other transaction add under a key of its own choice, until this one ends.

    For a transaction with more keys than the server has room for locks. Every :func:`lock_keys`
    holds a share of this lock.
    """
    if connections[using].vendor != "postgresql":
        return
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_ADVISORY_CLASS, _ALL_KEYS])


def _append_by_orm(using: str, events: Sequence[NewEvent]) -> None:
    shards = OutboxSetup.objects.using(using).shards()
    rows = OutboxEvent.objects.using(using).bulk_create(
        OutboxEvent(
            event_id=event.event_id,
            topic=event.topic,
            key=event.key,
            value=event.value,
            headers=event.all_headers(),
            created_at=event.created_at,
        )
        for event in events
    )
    OutboxQueue.objects.using(using).bulk_create(
        OutboxQueue(
            event=row,
            shard=event.key_hash % shards,
            key_hash=event.key_hash,
            available_at=event.available_at,
        )
        for row, event in zip(rows, events, strict=True)
    )
