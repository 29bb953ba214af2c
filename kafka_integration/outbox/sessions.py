"""Which database sessions hold the outbox back. PostgreSQL only; it needs no superuser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connections

_QUERY = 80
_MOST = 20

# A lock on a table of the outbox that only a writer takes means events that are not committed yet.
_SESSIONS = """
WITH waiting AS (
    SELECT unnest(pg_blocking_pids(pid)) AS blocker, pid
    FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()
), blocking AS (
    SELECT blocker, array_agg(DISTINCT pid) AS pids FROM waiting GROUP BY blocker
), writing AS (
    SELECT DISTINCT pid FROM pg_locks
    WHERE relation = 'kafka_outbox_queue'::regclass AND mode = 'RowExclusiveLock' AND granted
)
SELECT a.pid,
       coalesce(a.usename, ''),
       coalesce(a.application_name, ''),
       coalesce(a.state, 'hidden'),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), %s),
       coalesce(blocking.pids, '{}'),
       writing.pid IS NOT NULL,
       greatest(age(a.backend_xmin), age(a.backend_xid))
FROM pg_stat_activity a
LEFT JOIN blocking ON blocking.blocker = a.pid
LEFT JOIN writing ON writing.pid = a.pid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND (a.xact_start IS NOT NULL OR blocking.pids IS NOT NULL OR writing.pid IS NOT NULL)
ORDER BY a.xact_start NULLS LAST LIMIT %s
"""

_HIDDEN = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type IS NULL AND usesysid IS NOT NULL
"""

_HORIZON = """
SELECT 'session ' || pid, age(backend_xmin) FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 'replication slot ' || slot_name || CASE WHEN active THEN '' ELSE ' (inactive)' END,
       greatest(age(xmin), age(catalog_xmin))
FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
UNION ALL
SELECT 'prepared transaction ' || gid, age(transaction) FROM pg_prepared_xacts
ORDER BY 2 DESC LIMIT %s
"""


@dataclass(frozen=True)
class Session:
    """A database session with an open transaction.

    Args:
        pid: the server process, for ``pg_terminate_backend``.
        user: its role.
        application: its ``application_name``.
        state: as in ``pg_stat_activity``; ``hidden`` if we may not see it.
        seconds: age of its transaction; None if hidden.
        query: the beginning of its present or last statement.
        blocks: the processes that wait for its locks.
        writes: whether it has written to the queue and not committed.
        xmin_age: how many transactions ago the oldest one is whose dead rows it keeps; or None.
    """

    pid: int
    user: str
    application: str
    state: str
    seconds: float | None
    query: str
    blocks: list[int]
    writes: bool
    xmin_age: int | None


@dataclass(frozen=True)
class Holder:
    """What keeps dead rows from being removed, and since how many transactions."""

    name: str
    age: int


@dataclass(frozen=True)
class Sessions:
    """What the database's own views say.

    Args:
        open: sessions with an open transaction, the oldest first.
        horizon: what keeps dead rows, the oldest first.
        hidden: how many further sessions belong to roles that we may not look at.
    """

    open: tuple[Session, ...]
    horizon: tuple[Holder, ...]
    hidden: int


def sessions(using: str) -> Sessions | None:
    """Return the sessions of the database ``using``; None where it is no PostgreSQL."""
    if connections[using].vendor != "postgresql":
        return None
    opened = tuple(Session(*row) for row in _rows(using, _SESSIONS, _QUERY, _MOST))
    horizon = tuple(Holder(*row) for row in _rows(using, _HORIZON, _MOST))
    [(hidden,)] = _rows(using, _HIDDEN)
    return Sessions(opened, horizon, hidden)


def _rows(using: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall())
