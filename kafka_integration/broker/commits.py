"""When a consumer's finished offsets are committed."""

from __future__ import annotations

import logging
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

log = logging.getLogger(__name__)


class Commits:
    """Stores finished offsets in the client and commits them now and then.

    What was not committed stays stored, so each commit carries all that failed before it.

    Args:
        group_id: whose offsets they are, for the log.
        interval: seconds between two commits while we go on.
    """

    def __init__(self, group_id: str, interval: float) -> None:
        self._group_id = group_id
        self._interval = interval
        self._dirty = False
        self._committed_at = time.monotonic()

    def store(self, consumer: Consumer, topic: str, partition: int, following: int) -> None:
        """Note that the group may go on at offset ``following``."""
        consumer.store_offsets(offsets=[TopicPartition(topic, partition, following)])
        self._dirty = True

    def commit_if_due(self, consumer: Consumer) -> None:
        """Send what is stored if the interval has passed; the answer comes to :meth:`answered`."""
        if not self._dirty or time.monotonic() - self._committed_at < self._interval:
            return
        self._dirty = False
        self._committed_at = time.monotonic()
        try:
            consumer.commit(asynchronous=True)
        except KafkaException as error:
            self.answered(error.args[0], [])

    def commit_now(self, consumer: Consumer) -> None:
        """Send what is stored and wait for the answer."""
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            self.answered(error.args[0], [])

    def answered(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Take Kafka's answer to a commit; librdkafka's ``on_commit``."""
        if error is None or error.code() == KafkaError._NO_OFFSET:
            return
        self._dirty = True
        log.warning(
            "Group %s: offsets were not committed: %s. It is tried again; until then the messages "
            "finished last would be delivered again.",
            self._group_id,
            error.str(),
        )
