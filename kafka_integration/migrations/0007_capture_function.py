"""A function that stores one event, whose plans a PostgreSQL session keeps.

Whoever changes ``kafka_outbox_event``, ``kafka_outbox_queue`` or ``kafka_outbox_setup`` in a way
that concerns it gives it a new name, so that code of the release before goes on meanwhile.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations

# A transaction that sees the past locks the shard count: see outbox/insert.py.
CREATE = """
CREATE OR REPLACE FUNCTION kafka_outbox_capture(
    new_id uuid, new_topic text, new_key text, new_value bytea, new_headers jsonb,
    happened_at timestamptz, hashed bigint, due_at timestamptz, default_shards integer,
    channel text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    stored bigint;
BEGIN
    WITH event AS (
        INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
        VALUES (new_id, new_topic, new_key, new_value, new_headers, happened_at)
        RETURNING id
    )
    INSERT INTO kafka_outbox_queue
        (event_id, shard, key_hash, available_at, blocked, attempts, last_error)
    SELECT id,
           mod(hashed, coalesce(
               CASE WHEN current_setting('transaction_isolation') LIKE 'read %'
                    THEN (SELECT shard_count FROM kafka_outbox_setup)
                    ELSE (SELECT shard_count FROM kafka_outbox_setup FOR SHARE)
               END, default_shards)),
           hashed, due_at, false, 0, ''
    FROM event
    RETURNING event_id INTO stored;
    IF channel <> '' THEN
        PERFORM pg_notify(channel, '');
    END IF;
    RETURN stored;
END
$$
"""
DROP = """
DROP FUNCTION IF EXISTS kafka_outbox_capture(
    uuid, text, text, bytea, jsonb, timestamptz, bigint, timestamptz, integer, text
)
"""
_HAS_LANGUAGE = "SELECT 1 FROM pg_language WHERE lanname = 'plpgsql'"


def create(apps: Any, schema_editor: Any) -> None:
    """Create the function where the database can have it; the outbox works without it as well."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(_HAS_LANGUAGE)
        if cursor.fetchone():
            cursor.execute(CREATE)


def drop(apps: Any, schema_editor: Any) -> None:
    """Remove the function."""
    if schema_editor.connection.vendor == "postgresql":
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(DROP)


class Migration(migrations.Migration):
    dependencies = [("kafka_integration", "0006_hold_without_end")]

    operations = [migrations.RunPython(create, drop, elidable=False)]
