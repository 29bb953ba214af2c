"""Where topics begin and end, and how far a group has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from .consumer_errors import Troubles, explain_reading

T = TypeVar("T")

Place = tuple[str, int]
"""A topic and the number of one of its partitions."""

_REQUEST_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
# A new Kafka says so until its topic of offsets is made, and any while a broker comes or goes.
_SETTLING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError._WAIT_COORD,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)


class GroupOffsets:
    """Asks Kafka on a consumer's behalf. Call it from the consumer's thread.

    Every method raises :class:`BrokerError` if Kafka refuses or does not answer in ten seconds.

    Args:
        consumer: librdkafka's.
        topics: what it reads.
        troubles: the consumer's errors.
    """

    def __init__(self, consumer: Consumer, topics: Sequence[str], troubles: Troubles) -> None:
        self._consumer = consumer
        self._topics = tuple(topics)
        self._troubles = troubles

    def watermarks(self) -> dict[Place, tuple[int, int]]:
        """Return the first and the next offset of each partition of our topics."""
        places = [(topic, number) for topic in self._topics for number in self.partitions(topic)]
        return {place: self._watermarks(place) for place in places}

    def committed(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the group's committed offsets; a partition without one is left out."""
        wanted = [TopicPartition(*place) for place in places]
        found = self._ask(lambda: self._consumer.committed(wanted, timeout=_REQUEST_SECONDS))
        return {(item.topic, item.partition): item.offset for item in found if item.offset >= 0}

    def partitions(self, topic: str) -> list[int]:
        """Return the numbers of a topic's partitions.

        Raises:
            TopicMissing: there is no such topic.
        """
        found = self._ask(lambda: self._consumer.list_topics(topic, timeout=_REQUEST_SECONDS))
        described = found.topics[topic]
        if described.error is not None:
            raise explain_reading(described.error, topic)
        return sorted(described.partitions)

    def _watermarks(self, place: Place) -> tuple[int, int]:
        where = TopicPartition(*place)
        return self._ask(lambda: self._consumer.get_watermark_offsets(where, _REQUEST_SECONDS))

    def _ask(self, request: Callable[[], T]) -> T:
        deadline = time.monotonic() + _REQUEST_SECONDS
        while True:
            try:
                return request()
            except KafkaException as error:
                if error.args[0].code() not in _SETTLING or time.monotonic() > deadline:
                    self._troubles.raise_worst()
                    raise explain_reading(error.args[0], ", ".join(self._topics)) from error
            time.sleep(_PAUSE_SECONDS)
