"""Reads the queue in order, each row once, while what was read is still under way."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any

from django.db import connections, transaction

from .horizon import Horizon, Mark, Snapshot
from .scan import BATCH_BYTES, QueueRow, array, put_out_of_sight, read

_RESTART_SECONDS = 1.0
_RESTART_SHARE = 0.05  # of the time, for beginning at the lowest row again


@dataclass(frozen=True)
class Wanted:
    """What to read.

    Args:
        shards: the shards that we hold.
        limit: how many rows at most.
        closed: topics that are left alone for now.
        under_way: positions that were returned before and are not recorded yet.
    """

    shards: Sequence[int]
    limit: int
    closed: Collection[str] = ()
    under_way: Collection[int] = ()


class Reader:
    """Reads what is new in the queue: on PostgreSQL without a look at what it has passed.

    Args:
        using: alias of the outbox's database.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.is_cut = False
        self._horizon = Horizon()
        self._marks: deque[Mark] = deque()
        self._holds = ""
        self._must_restart = False
        self._next_restart = 0.0

    def read(self, wanted: Wanted) -> list[QueueRow]:
        """Return the next rows to send, in order, and put those behind a hold out of sight.

        Afterwards ``is_cut`` tells whether more may wait.
        """
        connection = connections[self.using]
        if connection.vendor != "postgresql" or connection.in_atomic_block:
            return self._read_all(wanted)
        began = time.monotonic()
        if begins_anew := self._must_restart or began >= self._next_restart:
            self._must_restart = False
            self._horizon.restart()
        rows = self._read_on(wanted)
        if begins_anew:
            took = time.monotonic() - began
            self._next_restart = began + max(_RESTART_SECONDS, took / _RESTART_SHARE)
        held = [row for row in rows if row.is_held]
        if not held:
            return rows
        put_out_of_sight(self.using, held)
        return [row for row in rows if not row.is_held]

    def restart(self) -> None:
        """Begin the next read at the lowest row: something that was passed may be sent now.

        May be called from another thread while a read is under way.
        """
        self._must_restart = True

    def seen(self) -> int:
        """Return the highest position that was read so far."""
        return self._horizon.top

    def note_own(self, own: int, seen: int) -> None:
        """Note a transaction of the relay's own before it ends; from any thread.

        Args:
            own: its number.
            seen: what :meth:`seen` returned before it got that.
        """
        self._marks.append(Mark(own, seen))

    def _read_all(self, wanted: Wanted) -> list[QueueRow]:
        limit = wanted.limit + len(wanted.under_way)
        rows = read(self.using, wanted.shards, limit, wanted.closed)
        fresh = [row for row in rows if row.position not in wanted.under_way]
        self.is_cut = len(fresh) >= wanted.limit
        return fresh[: wanted.limit]

    def _read_on(self, wanted: Wanted) -> list[QueueRow]:
        while self._marks:
            self._horizon.mark(self._marks.popleft())
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            # All statements see one instant. Were the holds looked up later than the rows, a
            # release in between would let a later event of the key go without what it blocked.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(_LOOK)
            [(text, holds, *_)] = cursor.fetchall()
            snapshot = Snapshot.parse(text)
            start = self._start(snapshot, holds)
            cursor.execute(*_query(start, wanted))
            rows = [_row(values) for values in cursor.fetchall()]
        size = sum(len(row.value) for row in rows)
        self.is_cut = len(rows) >= wanted.limit or size >= BATCH_BYTES
        self._horizon.advance(snapshot, rows[-1].position if rows else None, self.is_cut)
        return rows

    def _start(self, snapshot: Snapshot, holds: str) -> int:
        if not self._horizon.knows(snapshot):
            self._horizon = Horizon()
        if holds != self._holds:
            # A hold that is gone has put rows back into sight that were passed.
            self._horizon.restart()
            self._holds = holds
        return self._horizon.start(snapshot)


def _query(start: int, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    return _READ.format(open=_OPEN if wanted.closed else ""), {
        "start": start,
        "shards": array(wanted.shards),
        "under_way": array(position for position in wanted.under_way if position > start),
        "closed": list(wanted.closed),
        "limit": wanted.limit,
        "bytes": BATCH_BYTES,
    }


def _row(values: Sequence[Any]) -> QueueRow:
    position, shard, key_hash, event_pk, topic, key, value, headers, is_held = values
    return QueueRow(
        position, shard, key_hash, event_pk, topic, key, value, _decode(headers)[0], is_held
    )


# What PostgreSQL writes of jsonb has nothing that json.loads() would have to look out for.
_decode = JSONDecoder().raw_decode

_LOOK = """
SELECT pg_current_snapshot()::text,
       (SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM kafka_outbox_hold),
       set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)
"""
# Reads go by the primary key, whose order is that of sending. "shard + 0" keeps the planner off
# plans that would sort a whole backlog; positions under way are hashed in a subplan. A value's
# length is known without reading it.
_READ = """
SELECT position, shard, key_hash, event_id, topic, key, value, headers::text, is_held
FROM (
    SELECT queue.*, event.topic, event.key, event.value, event.headers,
           (event.topic, queue.key_hash) IN (SELECT topic, key_hash FROM kafka_outbox_hold)
               AS is_held,
           sum(octet_length(event.value)) OVER (
               ORDER BY queue.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS bytes_before
    FROM (
        SELECT position, shard, key_hash, event_id FROM kafka_outbox_queue
        WHERE position > %(start)s
          AND NOT blocked
          AND (available_at IS NULL OR available_at <= statement_timestamp())
          AND shard + 0 = ANY (%(shards)s::int[])
          AND position NOT IN (SELECT unnest(%(under_way)s::bigint[]))
          {open}
        ORDER BY position LIMIT %(limit)s
    ) AS queue
    JOIN kafka_outbox_event AS event ON event.id = queue.event_id
) AS row
WHERE coalesce(bytes_before, 0) < %(bytes)s
ORDER BY position
"""
_OPEN = """
          AND (SELECT topic FROM kafka_outbox_event AS event
               WHERE event.id = kafka_outbox_queue.event_id) <> ALL (%(closed)s::text[])
"""
