"""A Kafka that makes each topic that is asked for, as it does by default, makes none for us."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from pytest_django import Settings

from devops.native.folder import Folder
from devops.native.kafka import Kafka
from devops.native.state import Record, State
from kafka_integration import Event, EventData, KafkaConsumerClient, KafkaProducerClient
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.broker.producer import EventProducer
from kafka_integration.errors import TopicMissing
from kafka_integration.events.registry import Handler, registry
from kafka_integration.inbox.worker import Worker
from kafka_integration.outbox.gate import TopicGate


class GenerousKafka(Kafka):
    """A broker of its own that makes topics."""

    name = "kafka-generous"

    def _write_properties(self, record: Record) -> str:
        path = Path(super()._write_properties(record))
        text = path.read_text()
        refused, allowed = "auto.create.topics.enable=false", "auto.create.topics.enable=true"
        assert refused in text
        path.write_text(text.replace(refused, allowed))
        return str(path)


class Made(EventData):
    """A thing was made."""


def ignore(event: Event[Any]) -> None:
    """Do nothing."""


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the broker."""
    folder = Folder(tmp_path_factory.mktemp("generous"))
    folder.create()
    kafka = GenerousKafka(folder, State(folder.state))
    try:
        kafka.start()
        yield f"127.0.0.1:{kafka.record.port}"
    finally:
        kafka.forget()


@pytest.fixture
def topics(generous: str, settings: Settings) -> Callable[[], set[str]]:
    """Every topic that the broker has, as a client with no code of ours sees them."""
    settings.KAFKA_BROKER = generous
    admin = AdminClient({"bootstrap.servers": generous})
    return lambda: set(admin.list_topics(timeout=20).topics)


@pytest.fixture
def name() -> str:
    """A topic that nobody made."""
    return f"test.t{uuid.uuid4().hex[:12]}.json"


def look_for_it(name: str) -> None:
    assert TopicAdmin().missing([name], patience=1.0) == {name}


def ask_for_its_id(name: str) -> None:
    with pytest.raises(TopicMissing):
        TopicAdmin().topic_ids([name])


def relay_to_it(name: str) -> None:
    said: list[str] = []
    assert not TopicGate(said.append).lets_through(name)
    assert "kafka_topics apply" in said[0]


def consume_it(name: str) -> None:
    with registry.isolated() as declared:
        declared.add_handler(Handler(name, Made, "g", ignore))
        with pytest.raises(TopicMissing) as caught:
            Worker("g").run()
    assert caught.value.topics == (name, f"{name}.dlq")


def read_it(name: str) -> None:
    consumer = EventConsumer([name], "g")
    with pytest.raises(TopicMissing):
        consumer.offsets.partitions(name)
    for _ in range(10):
        consumer.poll(0.1)
    consumer.close()


def send_to_it(name: str) -> None:
    with KafkaProducerClient() as producer, pytest.raises(TopicMissing):
        producer.send_message(name, {"a": 1})


def receive_from_it(name: str) -> None:
    with pytest.raises(TopicMissing):
        KafkaConsumerClient([name], "g", bool).start()


def send_to_it_unasked(name: str) -> None:
    producer = EventProducer(topic_metadata_propagation_max_ms=500)
    with pytest.raises(TopicMissing):
        producer.send_and_wait(name, b"1", "key", [], timeout=20)
    producer.close()


@pytest.mark.parametrize(
    "use",
    [
        look_for_it,
        ask_for_its_id,
        relay_to_it,
        consume_it,
        read_it,
        send_to_it,
        receive_from_it,
        send_to_it_unasked,
    ],
)
def test_a_topic_that_is_used_is_not_made(
    use: Callable[[str], None], topics: Callable[[], set[str]], name: str
) -> None:
    use(name)
    time.sleep(1.0)  # Kafka answers first and makes the topic afterwards.
    assert not {name, f"{name}.dlq"} & topics()


def test_this_broker_does_make_topics(
    generous: str, topics: Callable[[], set[str]], name: str, eventually: Callable[..., None]
) -> None:
    AdminClient({"bootstrap.servers": generous}).list_topics(name, timeout=20)
    eventually(lambda: name in topics())
