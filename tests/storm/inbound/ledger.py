"""What handlers left and what the inbox recorded, by plain SQL; how far the group is, by Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import psycopg

from .checker import Effect, Named, Place, Sent

Recorded = tuple[str, bytes | None]
"""Status and kept bytes of a record."""

_EFFECTS = "SELECT id, topic, key, number, before FROM storm_deed"
_RECORDS = """
SELECT topic, partition, "offset", status, value FROM kafka_inbox_record WHERE "group" = %s
"""


def effects(database: str) -> list[Effect]:
    """Return every effect."""
    with psycopg.connect(database) as connection:
        return [Effect(*row) for row in connection.execute(_EFFECTS)]


def count(database: str) -> int:
    """Return how many effects there are by now."""
    with psycopg.connect(database, connect_timeout=10) as connection:
        [(number,)] = connection.execute("SELECT count(*) FROM storm_deed").fetchall()
    return int(number)


def recorded(database: str, group: str) -> dict[Place, Recorded]:
    """Return the group's inbox records by the place of their message."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(_RECORDS, [group])
        return {
            (topic, number, offset): (status, value)
            for topic, number, offset, *(status, value) in rows
        }


def misrecorded(records: Mapping[Place, Recorded], sent: Iterable[Sent]) -> Iterator[str]:
    """Name each event without exactly one record, in the right state and with poison's bytes."""
    places: dict[Named, list[Place]] = {}
    for one in sent:
        places.setdefault(one.event, []).append(one.wire.place)
        found = records.get(one.wire.place)
        wanted = ("dead", one.wire.value) if one.poison else ("done", None)
        if found is not None and found != wanted:
            yield f"{one.event} is recorded as {found[0]} with {found[1]!r}"
    for event, found_at in places.items():
        number = sum(place in records for place in found_at)
        if number != 1:
            yield f"{event} has {number} inbox records"
    strange = set(records) - {place for found_at in places.values() for place in found_at}
    for place in sorted(strange):
        yield f"an inbox record is about {place}, where nothing stands"
