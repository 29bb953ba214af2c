"""Writes events into the outbox: one statement for both of its tables where the database can."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections

from ..conf import settings
from ..errors import EventTooLarge, UnusableKey
from ..models import OutboxEvent, OutboxQueue, OutboxSetup
from ..models.queue import key_hash
from ..models.setup import DEFAULT_SHARDS

_ADVISORY_CLASS = 0x4B61666B  # "Kafk": keeps our locks apart from the application's own
_ALL_KEYS = -1  # no key's hash is negative

MANY_KEYS = 1_000
"""PostgreSQL has room for 6,400 locks as it comes, for all its sessions together."""


@dataclass(frozen=True)
class NewEvent:
    """An event about to be stored.

    Args:
        event_id: unique, growing (UUIDv7).
        topic, key, value, headers: as they shall be on the wire.
        created_at: when it happened; aware.
        available_at: not to be sent before, or None.
    """

    event_id: UUID
    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]
    created_at: datetime
    available_at: datetime | None = None

    @property
    def key_hash(self) -> int:
        """The unit of order that the event belongs to."""
        return key_hash(self.topic, self.key)

    def size(self) -> int:
        """Return the bytes of key, value and headers together."""
        headers = sum(len(name) + len(text.encode()) for name, text in self.headers.items())
        return len(self.key.encode()) + len(self.value) + headers

    def check(self, limit: int) -> None:
        """Refuse what could be stored but never sent.

        Args:
            limit: the setting ``KAFKA_MAX_MESSAGE_BYTES``.

        Raises:
            UnusableKey: the key is empty, too long, or holds a NUL.
            EventTooLarge: it has more bytes than ``limit``.
        """
        if not self.key or "\x00" in self.key or len(self.key.encode()) > UnusableKey.LIMIT:
            raise UnusableKey(self.topic, self.key)
        if self.size() > limit:
            raise EventTooLarge(self.topic, self.size(), limit)


def append(using: str, events: Sequence[NewEvent]) -> None:
    """Store events in the open transaction of the database ``using``, in the order given.

    Raises:
        PublishError: see :meth:`NewEvent.check`; nothing is stored.
    """
    if not events:
        return
    limit = settings.max_message_bytes
    for event in events:
        event.check(limit)
    if connections[using].vendor == "postgresql":
        _append_in_one_statement(using, events)
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
    if connections[using].vendor != "postgresql":
        return  # SQLite has one writer at a time
    hashes = {event.key_hash % 2**31 for event in events}
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


# A transaction that sees the past may not know of a change of the count: to lock the row makes it
# fail, in PostgreSQL's usual way, and it has to be tried again. All others see the present, since
# they lock the queue first, which a change of the count waits for.
_APPEND = """
WITH input AS (
    SELECT * FROM unnest(
        %s::uuid[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::timestamptz[],
        %s::bigint[], %s::timestamptz[]
    ) WITH ORDINALITY AS input (
        event_id, topic, key, value, headers, created_at, key_hash, available_at, place
    )
), event AS (
    INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
    SELECT event_id, topic, key, value, headers::jsonb, created_at FROM input ORDER BY place
    RETURNING id, event_id
)
INSERT INTO kafka_outbox_queue
    (event_id, shard, key_hash, available_at, blocked, attempts, last_error)
SELECT event.id,
       mod(input.key_hash, coalesce(
           CASE WHEN current_setting('transaction_isolation') LIKE 'read %%'
                THEN (SELECT shard_count FROM kafka_outbox_setup)
                ELSE (SELECT shard_count FROM kafka_outbox_setup FOR SHARE)
           END, %s)),
       input.key_hash, input.available_at, false, 0, ''
FROM input JOIN event USING (event_id) ORDER BY input.place
"""


def _append_in_one_statement(using: str, events: Sequence[NewEvent]) -> None:
    columns = [
        _array(str(event.event_id) for event in events),
        _array(_quoted(event.topic) for event in events),
        _array(_quoted(event.key) for event in events),
        _array(f'"\\\\x{event.value.hex()}"' for event in events),
        _array(_quoted(json.dumps(dict(event.headers))) for event in events),
        _array(f'"{event.created_at.isoformat()}"' for event in events),
        _array(str(event.key_hash) for event in events),
        _array(_time_or_null(event.available_at) for event in events),
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(_APPEND, [*columns, DEFAULT_SHARDS])


def _array(elements: Iterable[str]) -> str:
    # Drivers adapt lists element by element: for a thousand events that costs more than storing
    # them.
    return "{" + ",".join(elements) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _time_or_null(time: datetime | None) -> str:
    return "NULL" if time is None else f'"{time.isoformat()}"'


def _append_by_orm(using: str, events: Sequence[NewEvent]) -> None:
    shards = OutboxSetup.objects.using(using).shards()
    rows = OutboxEvent.objects.using(using).bulk_create(
        OutboxEvent(
            event_id=event.event_id,
            topic=event.topic,
            key=event.key,
            value=event.value,
            headers=dict(event.headers),
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
