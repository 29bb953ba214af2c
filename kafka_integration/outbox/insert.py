"""The statements that store events on PostgreSQL: one for both tables, whatever their number.

For a thousand events the text of the statement costs as much as storing them. So what many events
have in common is sent once, and texts travel as one text with separators: an array's elements
would have to be escaped one by one, and bytes be written in twice as many hexadecimal digits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connections

from ..conf import settings
from ..models.setup import CHANNEL, DEFAULT_SHARDS
from . import function
from .new_event import NewEvent

# A transaction that sees the past may not know of a change of the count: to lock the row makes it
# fail, in PostgreSQL's usual way, and it has to be tried again. All others see the present, since
# they lock the queue first, which a change of the count waits for.
_SHARDS = """
coalesce(CASE WHEN current_setting('transaction_isolation') LIKE 'read %%'
              THEN (SELECT shard_count FROM kafka_outbox_setup)
              ELSE (SELECT shard_count FROM kafka_outbox_setup FOR SHARE)
         END, %s)
"""
_ONE = """
WITH event AS (
    INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
    VALUES (%s, %s, %s, {value}, %s, %s)
    RETURNING id
)
INSERT INTO kafka_outbox_queue
    (event_id, shard, key_hash, available_at, blocked, attempts, last_error)
SELECT id, mod(%s::bigint, {shards}),
       %s::bigint, %s::timestamptz, false, 0, ''
FROM event
"""

# The events take their ids in the order in which they come. Joined by anything else, PostgreSQL
# expects one event, and compares each with each.
_MANY = """
WITH kind AS MATERIALIZED (
    SELECT number, topic, headers::jsonb AS headers, is_whole, created_at, available_at
    FROM unnest({topics}, {headers}, %s::bool[], %s::timestamptz[], %s::timestamptz[])
         WITH ORDINALITY AS kind (topic, headers, is_whole, created_at, available_at, number)
), input AS MATERIALIZED (
    SELECT * FROM unnest(%s::bigint[], %s::uuid[], {keys}, {values}, {subjects})
         WITH ORDINALITY AS input (number, event_id, key, value, subject, place)
), event AS (
    INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
    SELECT event_id, topic, key, {value},
           CASE WHEN is_whole THEN headers
                WHEN subject = '' THEN headers || jsonb_build_object('ce_id', event_id::text)
                ELSE headers || jsonb_build_object('ce_id', event_id::text, 'ce_subject', subject)
           END,
           created_at
    FROM input JOIN kind USING (number) ORDER BY place
    RETURNING id
)
INSERT INTO kafka_outbox_queue
    (event_id, shard, key_hash, available_at, blocked, attempts, last_error)
SELECT event_id, mod(key_hash, {shards}),
       key_hash, available_at, false, 0, ''
FROM unnest((SELECT array_agg(id ORDER BY id) FROM event), %s::bigint[], %s::bigint[])
     WITH ORDINALITY AS queued (event_id, number, key_hash, place)
     JOIN kind USING (number) ORDER BY place
"""

# PostgreSQL tells once a transaction, however often it is said.
_NOTIFY = f"RETURNING pg_notify('{CHANNEL}', '')"

# The value comes as text where it is text, which JSON is, else as hexadecimal digits.
_AS_TEXT = "convert_to({}, 'UTF8')"
_AS_HEX = "decode({}, 'hex')"
_CALLS = {
    as_value: function.CALL.format(value=as_value.format("%s")) for as_value in (_AS_TEXT, _AS_HEX)
}

_SEPARATOR = "\x1e"  # the character that is made for it
_SPLIT = "string_to_array(%s::text, chr(30))"
_ARRAY = "%s::text[]"


def append_in_one_statement(using: str, events: Sequence[NewEvent]) -> None:
    """Store events that were checked, at least one, in the order given.

    Args:
        using: alias of a PostgreSQL database with an open transaction.
        events: what is stored.
    """
    sql, params = _one(using, events[0]) if len(events) == 1 else _many(using, events)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)


def _one(using: str, event: NewEvent) -> tuple[str, list[Any]]:
    if function.is_usable(using):
        call, params = function_call(using, event)
        return f"SELECT {call}", params
    [value], as_value = _values(using, [event])
    hashed = event.key_hash
    headers = json.dumps(event.all_headers())
    row = [str(event.event_id), event.topic, event.key, value, headers, event.created_at]
    queued = [hashed, DEFAULT_SHARDS, hashed, event.available_at]
    sql = _ONE.format(value=as_value.format("%s"), shards=_SHARDS)
    return _telling(sql), [*row, *queued]


def _telling(sql: str) -> str:
    """Let relays that listen know of it at the commit, where that is wanted."""
    return sql + _NOTIFY if settings.outbox_notify else sql


def function_call(using: str, event: NewEvent) -> tuple[str, list[Any]]:
    """Return the call of the server's function that stores an event, as SQL with parameters.

    Args:
        using: alias of a database where :func:`.function.is_usable`.
        event: one that was checked.
    """
    [value], as_value = _values(using, [event])
    return _CALLS[as_value], [
        str(event.event_id),
        event.topic,
        event.key,
        value,
        json.dumps(event.all_headers()),
        event.created_at,
        event.key_hash,
        event.available_at,
        CHANNEL if settings.outbox_notify else "",
    ]


def _many(using: str, events: Sequence[NewEvent]) -> tuple[str, list[Any]]:
    kinds: dict[tuple[Any, ...], tuple[int, NewEvent]] = {}
    numbers = [kinds.setdefault(_kind(event), (len(kinds) + 1, event))[0] for event in events]
    firsts = [event for _, event in kinds.values()]
    values, as_value = _values(using, events)
    texts = {
        "topics": [event.topic for event in firsts],
        "headers": [json.dumps(dict(event.headers)) for event in firsts],
        "keys": [event.key for event in events],
        "values": values,
        "subjects": [event.subject or "" for event in events],
    }
    written = {name: _texts(found) for name, found in texts.items()}
    sql = _MANY.format(
        **{name: expression for name, (expression, _) in written.items()},
        value=as_value.format("value"),
        shards=_SHARDS,
    )
    params = {name: text for name, (_, text) in written.items()}
    kind_of_each = _array(map(str, numbers))
    return _telling(sql), [
        params["topics"],
        params["headers"],
        _array("t" if event.subject is None else "f" for event in firsts),
        _array(_time_or_null(event.created_at) for event in firsts),
        _array(_time_or_null(event.available_at) for event in firsts),
        kind_of_each,
        _array(event.event_id.hex for event in events),
        params["keys"],
        params["values"],
        params["subjects"],
        DEFAULT_SHARDS,
        kind_of_each,
        _array(str(event.key_hash) for event in events),
    ]


def _kind(event: NewEvent) -> tuple[Any, ...]:
    """Return what events must share so that it is sent once for all of them."""
    is_whole = event.subject is None
    return event.topic, id(event.headers), is_whole, event.created_at, event.available_at


def _values(using: str, events: Sequence[NewEvent]) -> tuple[list[str], str]:
    """Return the values as texts, and the expression that makes bytes of one."""
    if _keeps_every_text(using):
        try:
            texts = [event.value.decode() for event in events]
        except UnicodeDecodeError:
            pass  # hexadecimal digits then
        else:
            if not any("\x00" in text for text in texts):
                return texts, _AS_TEXT
    return [event.value.hex() for event in events], _AS_HEX


def _keeps_every_text(using: str) -> bool:
    # The driver knows it from the start of the connection.
    status: str = connections[using].connection.info.parameter_status("server_encoding")
    return status == "UTF8"


def _texts(texts: Sequence[str]) -> tuple[str, str]:
    """Return an expression for an array of texts, and its parameter."""
    joined = _SEPARATOR.join(texts)
    if joined and joined.count(_SEPARATOR) == len(texts) - 1:
        return _SPLIT, joined
    return _ARRAY, _array(map(_quoted, texts))


def _array(elements: Iterable[str]) -> str:
    # Drivers adapt lists element by element: for a thousand events that costs more than storing
    # them.
    return "{" + ",".join(elements) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _time_or_null(time: datetime | None) -> str:
    return "NULL" if time is None else f'"{time.isoformat()}"'
