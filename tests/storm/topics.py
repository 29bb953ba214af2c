"""What stands in the topics, and how far a group is, by a plain consumer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 6
# A transaction that nobody ends is aborted by the broker after a minute.
_PATIENCE = 120.0

Place = tuple[str, int]


class UnreadableTopic(Exception):
    """Raised when a topic cannot be read up to its end."""


def make(broker: str, topics: Iterable[str]) -> None:
    """Make topics and wait until they are there."""
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics]).values():
        future.result(timeout=60)


def read(broker: str, topics: Iterable[str], *, committed_only: bool = False) -> list[Any]:
    """Return every message of the topics, from their beginnings to their present ends.

    Args:
        committed_only: leave out what belongs to no committed Kafka transaction.

    Raises:
        UnreadableTopic: an end is not reached in time: a transaction may be open there.
    """
    missing = _ends(broker, topics)
    consumer = _consumer(broker, "read_committed" if committed_only else "read_uncommitted")
    consumer.assign([TopicPartition(*place, 0) for place in missing])
    try:
        return list(_until(consumer, missing))
    finally:
        consumer.close()


def lag(broker: str, topics: Iterable[str], group: str) -> int:
    """Return how many messages of the topics the group has not committed."""
    ends = _ends(broker, topics)
    consumer = _consumer(broker, "read_uncommitted", group)
    try:
        found = consumer.committed([TopicPartition(*place) for place in ends], timeout=30)
    finally:
        consumer.close()
    # A partition without a commit has a negative offset.
    return sum(ends[one.topic, one.partition] - max(0, one.offset) for one in found)


def _consumer(broker: str, isolation: str, group: str = "") -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": group or f"storm-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )


def _ends(broker: str, topics: Iterable[str]) -> dict[Place, int]:
    """Return the end of each partition, open transactions included."""
    consumer = _consumer(broker, "read_uncommitted")
    try:
        places = [(topic, number) for topic in topics for number in range(PARTITIONS)]
        marks = {p: consumer.get_watermark_offsets(TopicPartition(*p), timeout=30) for p in places}
        return {place: high for place, (low, high) in marks.items() if low < high}
    finally:
        consumer.close()


def _until(consumer: Consumer, missing: dict[Place, int]) -> Iterator[Any]:
    """Read until every partition has said that its end is reached, and where."""
    deadline = time.monotonic() + _PATIENCE
    while missing:
        if time.monotonic() > deadline:
            raise UnreadableTopic(f"not read to these ends within {_PATIENCE:g} s: {missing}")
        for message in consumer.consume(10_000, 0.5):
            error = message.error()
            if error is None:
                yield message
            elif error.code() != KafkaError._PARTITION_EOF:
                raise UnreadableTopic(str(error))
            elif (message.offset() or 0) >= missing.get(_place(message), 0):
                missing.pop(_place(message), None)


def _place(message: Any) -> Place:
    return message.topic(), message.partition()
