"""Fills the outbox with many events at once, as bytes like those of a real save."""

from __future__ import annotations

from django.db import connection

_FILL = """
WITH numbers AS (SELECT n FROM generate_series(1, %(count)s) AS n),
event AS (
    INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
    SELECT gen_random_uuid(), %(topic)s, 'key-' || (n %% %(keys)s),
           convert_to(rpad('{"number": ' || n || ', "text": "', 298, md5(n::text)) || '"}', 'UTF8'),
           jsonb_build_object(
               'ce_specversion', '1.0', 'ce_id', gen_random_uuid()::text,
               'ce_source', 'benchmark', 'ce_type', 'Benchmarked',
               'ce_time', '2026-01-01T00:00:00Z', 'ce_dataversion', '1',
               'ce_subject', 'benchmark/' || n, 'content-type', 'application/json'
           ),
           now()
    FROM numbers ORDER BY n RETURNING id, key
)
INSERT INTO kafka_outbox_queue (event_id, shard, key_hash, blocked, attempts, last_error)
SELECT id, hashtext(key) & 15, abs(hashtext(key)::bigint), false, 0, '' FROM event ORDER BY id
"""


def empty() -> None:
    """Remove everything that is in the outbox."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE kafka_outbox_event, kafka_outbox_queue, kafka_outbox_delivery, "
            "kafka_outbox_hold, kafka_outbox_lease"
        )


def fill(topic: str, count: int, keys: int = 1_000) -> None:
    """Insert ``count`` events of 300 bytes for ``topic``, spread over ``keys`` keys."""
    with connection.cursor() as cursor:
        for start in range(0, count, 100_000):
            cursor.execute(
                _FILL, {"count": min(100_000, count - start), "topic": topic, "keys": keys}
            )
        cursor.execute("ANALYZE kafka_outbox_event, kafka_outbox_queue")
