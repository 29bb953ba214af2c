"""Topics in Kafka: which exist, what they are like, and how they are made and changed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaError, TopicCollection
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    ResourceType,
    TopicMetadata,
)

from ..conf import settings
from ..errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    TopicMissing,
)
from ..events.catalogue import Catalogue
from ..events.topics import Topic
from . import mock_cluster
from .admin_client import BoundedAdminClient
from .limits import TopicLimits, limits_of
from .plan import Action, ExistingTopic, Kind

T = TypeVar("T")

# A Kafka with auto.create.topics.enable, its default, would make each topic that we ask about.
_NO_CREATION: dict[str, object] = {"allow_auto_create_topics": False}
_ASK_AGAIN = 0.2
# What brokers older than Kafka 2.8 (KIP-516) answer, whose topics have no id.
_NO_ID = "A" * 22
_NOT_THERE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)


@dataclass(frozen=True)
class Outcome:
    """What became of an action: done, or why not."""

    action: Action
    problem: str = ""

    @property
    def done(self) -> bool:
        """Whether Kafka now is as the action wants it."""
        return not self.problem


class TopicAdmin:
    """Asks Kafka about topics, and changes them.

    Every method raises :class:`BrokerUnavailable` if Kafka does not answer in time,
    :class:`AuthenticationFailed` if it refuses our credentials and :class:`BrokerError` for any
    other refusal.

    Args:
        timeout: seconds that any one request may take.
        overrides: librdkafka properties, with ``_`` for a dot; see :func:`client_config`.
    """

    def __init__(self, timeout: float = 8.0, **overrides: object) -> None:
        self.timeout = timeout
        self._overrides = overrides
        self._client = BoundedAdminClient(timeout, **_NO_CREATION | overrides)
        self._cluster_id: str | None = None

    def cluster_id(self) -> str:
        """Return the id that the cluster was given when it was made."""
        if self._cluster_id is None:
            self._cluster_id = self._client.metadata().cluster_id or ""
        return self._cluster_id

    def is_mock(self) -> bool:
        """Tell whether this is librdkafka's mock cluster, which answers no admin request."""
        return mock_cluster.is_mock(self.cluster_id())

    def topic_ids(self, names: Iterable[str]) -> dict[str, str]:
        """Return the topics' ids, as Kafka's tools write them, by name (KIP-516).

        A topic that is deleted and made again has another id. Clusters without ids, as the mock
        cluster, give the name in place of one.

        Raises:
            TopicMissing: some of them do not exist; it names all of those.
        """
        wanted = list(dict.fromkeys(names))
        if not wanted or self.is_mock():
            return {name: name for name in wanted}
        collection = TopicCollection(wanted)
        found = self._client.ask(lambda c, **t: c.describe_topics(collection, **t))
        missing = [name for name, answer in found.items() if isinstance(answer, TopicMissing)]
        if missing:
            raise TopicMissing(missing, settings.broker)
        return {
            name: _as_kafka_writes(str(_value(answer).topic_id)) or name
            for name, answer in found.items()
        }

    def missing(self, names: Iterable[str], patience: float = 0.0) -> set[str]:
        """Return those of ``names`` that Kafka does not have; asking makes none.

        The mock cluster takes no other order to make a topic than to be asked for it, so there
        what is missing is made.

        Args:
            patience: seconds to go on asking for what is missing. A broker hears of a topic a
                moment after it was made.
        """
        deadline = time.monotonic() + patience
        missing = {name for name in names if self._lacks(name)}
        if missing and self.is_mock():
            mock_cluster.make_topics(missing, self.timeout, **self._overrides)
            return set()
        while missing and time.monotonic() < deadline:
            time.sleep(_ASK_AGAIN)
            missing = {name for name in missing if self._lacks(name)}
        return missing

    def limits(self, name: str, producer: Mapping[str, object]) -> TopicLimits | None:
        """Return what a topic takes; None where Kafka does not tell, as the mock cluster.

        Args:
            name: of the topic.
            producer: the librdkafka properties of the producer that is to write to it.
        """
        if self.is_mock():
            return None
        resource = ConfigResource(ResourceType.TOPIC, name)
        answers = self._client.ask(lambda c, **t: c.describe_configs([resource], **t))
        found = _value(answers[resource])
        return limits_of({key: entry.value for key, entry in found.items()}, producer)

    def existing(self, catalogue: Catalogue) -> dict[str, ExistingTopic]:
        """Return Kafka's topics by name; settings only of those that the catalogue holds."""
        self._refuse_mock()
        found = self._client.metadata().topics
        configs = self._configs([name for name in found if name in catalogue], catalogue)
        return {
            name: ExistingTopic(
                name, len(topic.partitions), _replicas(topic), configs.get(name, {})
            )
            for name, topic in found.items()
        }

    def apply(
        self, actions: Iterable[Action], *, allow_more_partitions: bool = False
    ) -> Iterator[Outcome]:
        """Carry out a plan, and say of each action what became of it.

        An action that is refused, by us or by Kafka, does not stop the ones after it.

        Args:
            actions: from :func:`kafka_integration.broker.plan.plan`.
            allow_more_partitions: add partitions too, although keys then move.
        """
        self._refuse_mock()
        for action in actions:
            refusal = action.refusal(allow_more_partitions=allow_more_partitions)
            yield Outcome(action, refusal) if refusal else self._apply(action)

    def create(self, topic: Topic) -> None:
        """Create a topic, and return once the cluster shows it."""
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            config=dict(topic.config),
        )
        _value(self._client.ask(lambda c, **t: c.create_topics([new], **t))[topic.name])
        self._await(topic.name)

    def add_partitions(self, topic: Topic) -> None:
        """Give a topic the number of partitions that ``topic`` says, which must be more."""
        more = NewPartitions(topic.name, topic.partitions)
        _value(self._client.ask(lambda c, **t: c.create_partitions([more], **t))[topic.name])

    def set_config(self, topic: str, values: Mapping[str, str]) -> None:
        """Set some of a topic's settings and leave all others as they are (KIP-339)."""
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, value in values.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        _value(
            self._client.ask(lambda c, **t: c.incremental_alter_configs([resource], **t))[resource]
        )

    def _apply(self, action: Action) -> Outcome:
        try:
            if action.kind is Kind.CREATE:
                self.create(action.topic)
            elif action.kind is Kind.ADD_PARTITIONS:
                self.add_partitions(action.topic)
            else:
                changed = {change.name: change.wanted for change in action.changes}
                self.set_config(action.topic.name, changed)
        except (BrokerUnavailable, AuthenticationFailed):
            raise
        except BrokerError as error:
            return Outcome(action, str(error))
        return Outcome(action)

    def _configs(self, names: list[str], catalogue: Catalogue) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.ask(lambda c, **t: c.describe_configs(resources, **t))
        return {
            resource.name: _own(_value(answer), catalogue.check(resource.name))
            for resource, answer in answers.items()
        }

    def _lacks(self, name: str) -> bool:
        error = self._client.metadata(name).topics[name].error
        if error is None or error.code() == KafkaError.LEADER_NOT_AVAILABLE:
            return False
        if error.code() in _NOT_THERE:
            return True
        raise self._client.explained(error, name)

    def _await(self, name: str) -> None:
        """Wait until the broker that we talk to knows of a topic that was just made."""
        deadline = time.monotonic() + self.timeout
        while self._lacks(name):
            if time.monotonic() > deadline:
                raise BrokerUnavailable(settings.broker, f"{name} was made but is not shown")
            time.sleep(0.05)

    def _refuse_mock(self) -> None:
        if self.is_mock():
            raise mock_cluster.refusal()


def _value(answer: T | BrokerError) -> T:
    if isinstance(answer, BrokerError):
        raise answer
    return answer


def _own(found: Mapping[str, ConfigEntry], topic: Topic) -> dict[str, str]:
    return {
        name: entry.value
        for name, entry in found.items()
        if entry.value is not None and (name in topic.config or _set_on_topic(entry))
    }


def _set_on_topic(entry: ConfigEntry) -> bool:
    # The client hands out the bare number, whatever its type hints say.
    source = ConfigSource.DYNAMIC_TOPIC_CONFIG
    return entry.source in (source, source.value)


def _replicas(topic: TopicMetadata) -> int:
    return len(topic.partitions[0].replicas) if topic.partitions else 0


def _as_kafka_writes(topic_id: str) -> str:
    """Return the id in the URL-safe alphabet of Kafka's tools, or nothing if it is none."""
    return "" if topic_id == _NO_ID else topic_id.replace("+", "-").replace("/", "_")
