"""Where topics begin and end, and how far a group has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from ..errors import BrokerError
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
        hear: takes the errors that the consumer has not told yet, and raises what does not pass.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        troubles: Troubles,
        hear: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._topics = tuple(topics)
        self._troubles = troubles
        self._hear = hear

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
            raise explain_reading(described.error, topic, self._troubles.group_id)
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
                    raise self._explained(error.args[0]) from error
            time.sleep(_PAUSE_SECONDS)

    def _explained(self, error: KafkaError) -> BrokerError:
        # A request for a group that is not ours to read times out, and only the consumer is told.
        self._hear()
        self._troubles.raise_worst()
        return explain_reading(error, ", ".join(self._topics), self._troubles.group_id)
