"""The progress topic: which batch of each shard was committed last, told by Kafka itself.

A relay writes a record there in the same Kafka transaction as a batch's events, so that it is
seen if, and only if, they are.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import (
    ConfigResource,
    ListOffsetsResultInfo,
    OffsetSpec,
    ResourceType,
)

from ..conf import settings
from ..errors import (
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    ProducerFailed,
    TopicMissing,
)
from .admin_client import BoundedAdminClient
from .config import explain
from .reading import connect

log = logging.getLogger(__name__)

_POLL = 0.2
_LONGEST_TRANSACTION = 45.0  # transaction.timeout.ms, and Kafka's look every ten seconds
_TIMEOUT = 8.0
_SETTLING = frozenset(
    {KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._TRANSPORT}
)
# Kafka lost it with ZooKeeper, in 4.0.
_OF_KAFKA_3 = "zookeeper.connect"


def record_of(batch: int) -> bytes:
    """Return the value of a progress record."""
    return json.dumps({"batch": batch}).encode()


def batch_of(value: bytes) -> int:
    """Return the batch that a progress record is about.

    Raises:
        BrokerError: it is no progress record.
    """
    found = re.fullmatch(rb'\{"batch": (\d+)\}', value)
    if found is None:
        raise BrokerError(
            f"Topic {settings.progress_topic} holds a record that no relay of ours wrote: "
            f"{value[:60]!r}. It must be ours alone: set KAFKA_PROGRESS_TOPIC to another while no "
            "batch is under way."
        )
    return int(found[1])


class ProgressTopic:
    """Reads the progress topic, and checks that it and Kafka are fit for it."""

    def __init__(self) -> None:
        self.name = settings.progress_topic
        self._admin = BoundedAdminClient(_TIMEOUT, allow_auto_create_topics=False)

    def check(self) -> None:
        """Make sure that the topic is there and compacted, and Kafka new enough.

        What our user may not ask about is taken to be right.

        Raises:
            TopicMissing: the topic is not there.
            ConfigurationError: it is not compacted, or Kafka is older than 4.0.
            BrokerUnavailable: Kafka does not answer.
        """
        partitions = self._partitions()
        policy = self._settings_of(ResourceType.TOPIC, self.name).get("cleanup.policy", "compact")
        if policy != "compact":
            raise ConfigurationError(
                f"Topic {self.name} has cleanup.policy={policy}, so that Kafka would forget "
                "how far exactly-once relays are. Cure: 'manage.py kafka_topics apply'."
            )
        leader = str(partitions[0].leader) if partitions else "0"
        if _OF_KAFKA_3 in self._settings_of(ResourceType.BROKER, leader):
            raise ConfigurationError(
                f"Kafka at {settings.broker} is older than 4.0, in which a late message can fall "
                "into a later transaction (KIP-890), so that exactly-once cannot be promised. "
                "Upgrade it, or set KAFKA_RELAY_EXACTLY_ONCE to false."
            )

    def read(self, proceed: Callable[[], bool]) -> dict[str, int] | None:
        """Return the last committed batch by key; None once ``proceed`` says no.

        It reads up to where the topic ends now, and not only up to where its committed records
        end for sure: those of one shard may stand behind another's open transaction. So it waits
        for the transactions that are open now, at most until Kafka aborts them.

        Raises:
            TopicMissing: the topic is not there.
            BrokerError: Kafka refuses to let us read it.
        """
        ends = self._ends()
        consumer = connect(
            {},
            {"isolation.level": "read_committed", "enable.partition.eof": True},
            group_id="kafka-outbox-progress",  # librdkafka wants one; it joins no group
        )
        with closing(consumer):
            return _read_up_to(consumer, ends, _Patience(proceed).goes_on)

    def _ends(self) -> dict[int, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client leaves it so
        asked = {TopicPartition(self.name, number): latest for number in self._partitions()}
        answers: dict[Any, ListOffsetsResultInfo | BrokerError] = self._admin.ask(
            lambda c, **t: c.list_offsets(
                asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, **t
            )
        )
        return {place.partition: _value(answer).offset for place, answer in answers.items()}

    def _partitions(self) -> dict[int, Any]:
        found = self._admin.metadata(self.name).topics[self.name]
        if found.error is not None and found.error.code() not in _SETTLING:
            if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing([self.name], settings.broker)
            raise self._admin.explained(found.error, self.name)
        return dict(found.partitions)

    def _settings_of(self, kind: ResourceType, name: str) -> dict[str, str | None]:
        resource = ConfigResource(kind, name)
        answer = self._admin.ask(lambda c, **t: c.describe_configs([resource], **t))[resource]
        if isinstance(answer, BrokerError):
            return {}
        return {name: entry.value for name, entry in answer.items()}


class _Patience:
    """Goes on waiting, and says once what it may be waiting for when it takes too long.

    Args:
        proceed: whether to go on at all.
    """

    def __init__(self, proceed: Callable[[], bool]) -> None:
        self._proceed = proceed
        self._told_at = time.monotonic() + _LONGEST_TRANSACTION

    def goes_on(self) -> bool:
        """Tell whether to go on waiting."""
        if time.monotonic() > self._told_at:
            self._told_at = math.inf
            log.warning(
                "Topic %s has not been read to its end within %g s, and until it is, nothing can "
                "be published exactly once. A Kafka transaction seems to stay open for longer than "
                "it may. 'kafka-transactions.sh find-hanging' names it, and 'abort' ends it.",
                settings.progress_topic,
                _LONGEST_TRANSACTION,
            )
        return self._proceed()


def _read_up_to(
    consumer: Consumer, ends: dict[int, int], proceed: Callable[[], bool]
) -> dict[str, int] | None:
    topic = settings.progress_topic
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
    missing = {number for number, end in ends.items() if end}
    found: dict[str, int] = {}
    for message in _polled(consumer, lambda: bool(missing) and proceed()):
        if message.error() is not None:
            at_end = _is_end(message, topic)
            if at_end and _offset(message) >= ends.get(_partition(message), 0):
                missing.discard(_partition(message))
        else:
            key, batch = _progress(message)
            found[key] = max(batch, found.get(key, 0))
            # No end is met where other relays write all the time.
            if _offset(message) + 1 >= ends[_partition(message)]:
                missing.discard(_partition(message))
    return None if missing else found


def _polled(consumer: Consumer, proceed: Callable[[], bool]) -> Iterator[KafkaMessage]:
    while proceed():
        message = consumer.poll(_POLL)
        if message is not None:
            yield message


def _is_end(message: KafkaMessage, topic: str) -> bool:
    """Tell whether it marks a partition's end; raise what is worse than a moment's trouble."""
    error: Any = message.error()
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    found = explain(error, topic)
    if error.code() in _SETTLING or error.retriable() or isinstance(found, BrokerUnavailable):
        return False
    raise found


def _progress(message: KafkaMessage) -> tuple[str, int]:
    raw: Any = message
    return (raw.key() or b"").decode("utf-8", "replace"), batch_of(raw.value() or b"")


def _partition(message: KafkaMessage) -> int:
    raw: Any = message
    return int(raw.partition())


def _offset(message: KafkaMessage) -> int:
    raw: Any = message
    return int(raw.offset())


def _value(answer: ListOffsetsResultInfo | BrokerError) -> ListOffsetsResultInfo:
    if isinstance(answer, ProducerFailed):
        # So far only "no leaders found" by the client itself, while Kafka starts.
        raise BrokerUnavailable(settings.broker, answer.reason)
    if isinstance(answer, BrokerError):
        raise answer
    return answer
