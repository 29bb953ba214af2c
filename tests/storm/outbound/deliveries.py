"""What the outbox says it sent, against what stands in the topics; by plain SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg

from .checker import Record

Delivery = tuple[str, str, int | None, int | None]
"""The event's id, and topic, partition and offset of where it is said to stand."""

_SENT = """
SELECT event.event_id::text, event.topic, delivery.partition, delivery."offset"
FROM kafka_outbox_delivery AS delivery JOIN kafka_outbox_event AS event
    ON event.id = delivery.event_id
WHERE delivery.outcome = 'sent' ORDER BY delivery.id
"""


def sent(database: str) -> list[Delivery]:
    """Return every delivery that was recorded."""
    with psycopg.connect(database) as connection:
        return connection.execute(_SENT).fetchall()


def misrecorded(deliveries: Iterable[Delivery], records: Iterable[Record]) -> Iterator[str]:
    """Name each delivery that cannot be true.

    Only the holder of a lease may record, and takes the event out of the queue with it. So an event
    that is recorded twice was recorded by one that had lost its lease.
    """
    places = {(one.topic, one.partition, one.offset): one.id for one in records}
    known: set[str] = set()
    for event, topic, partition, offset in deliveries:
        if event in known:
            yield f"event {event} of {topic} is recorded as sent twice: somebody had no lease"
        known.add(event)
        if partition is None or offset is None:
            continue
        found = places.get((topic, partition, offset))
        if found != event:
            place = f"{topic}[{partition}]@{offset}"
            yield f"event {event} is recorded at {place}, where {found or 'nothing'} stands"
