"""The seed's plain clients on real Kafka."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pytest_django import Settings

from kafka_integration import KafkaConsumerClient, KafkaProducerClient
from kafka_integration.errors import (
    BrokerUnavailable,
    DeliveryFailed,
    TopicMissing,
    TopicNameError,
)

from .conftest import Record

Mapping = dict[str, Any]
Read = Callable[..., list[Record]]


@pytest.fixture
def sender() -> Iterator[KafkaProducerClient]:
    """A producer client for the length of a test."""
    with KafkaProducerClient() as client:
        yield client


@pytest.fixture
def produce(broker: str, topic: str) -> Callable[..., None]:
    """Write one record into partition 0, with no code of ours."""

    def write(value: bytes | None, key: bytes | None = None, headers: Any = ()) -> None:
        producer = Producer({"bootstrap.servers": broker})
        producer.produce(topic, value, key, partition=0, headers=list(headers))
        assert producer.flush(30) == 0

    return write


def committed(broker: str, topic: str, group: str) -> int:
    reader = Consumer({"bootstrap.servers": broker, "group.id": group})
    try:
        return int(reader.committed([TopicPartition(topic, 0)], timeout=10)[0].offset)
    finally:
        reader.close()


def receive(
    topic: str, answer: Callable[[Mapping, int], object], until: int, **more: Any
) -> list[Mapping]:
    """Run a client until its handler was called ``until`` times; return what it was given."""
    given: list[Mapping] = []

    def take(message: Mapping) -> object:
        given.append(message)
        if len(given) == until:
            client.stop()
        return answer(message, len(given))

    client = KafkaConsumerClient([topic], topic, take, backoff=0.01, **more)
    emergency = threading.Timer(60, client.stop)
    emergency.start()
    try:
        client.start()
    finally:
        emergency.cancel()
    assert len(given) == until
    return given


def accept(message: Mapping, call: int) -> bool:
    return True


def test_the_seeds_snippets_with_only_the_import_changed(
    catalogue_topics: None, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    settings.KAFKA_GROUP_PREFIX = f"tests-{uuid.uuid4().hex}-"
    names: dict[str, Any] = {}
    exec(_SEED_PRODUCER, names)
    start = "consumer.start()\n"
    exec(_SEED_CONSUMER.removesuffix(start), names)
    stop = threading.Thread(target=_stop_when_said, args=(names["consumer"], capsys))
    stop.start()
    exec(start, names)
    stop.join()
    assert "Received: {'campaign_id': '123', 'name': 'Test Campaign'}" in _SAID


_SAID: list[str] = []

_SEED_PRODUCER = """
from kafka_integration import KafkaProducerClient
from kafka_integration import KafkaConsumerClient

# Producer example
with KafkaProducerClient() as producer:
    producer.send_message(
        topic='campaign.created.json',
        value={'campaign_id': '123', 'name': 'Test Campaign'},
        key='123',
        headers={'source': 'api', 'version': '1.0'}
    )
"""

_SEED_CONSUMER = """
# Consumer example
def handle_message(message):
    print(f"Received: {message['value']}")
    return True  # Success

consumer = KafkaConsumerClient(
    topics=['campaign.created.json'],
    group_id='campaign-processor',
    message_handler=handle_message
)
consumer.start()
"""


def _stop_when_said(client: KafkaConsumerClient, capsys: pytest.CaptureFixture[str]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        _SAID.extend(capsys.readouterr().out.splitlines())
        if any("Test Campaign" in line for line in _SAID):
            break
        time.sleep(0.1)
    client.stop()


def test_a_sent_message_is_where_the_answer_says(
    sender: KafkaProducerClient, topic: str, read_topic: Read
) -> None:
    value = {
        "id": uuid.UUID(int=7),
        "at": datetime(2024, 5, 6, tzinfo=timezone.utc),
        "cost": Decimal("1.10"),
        "name": "Tür",
    }
    answer = sender.send_message(topic, value, key="k", headers={"source": "api", "v": 2})
    [record] = read_topic(topic)
    assert (answer.topic, answer.partition, answer.offset, answer.error) == (
        topic,
        record.partition,
        record.offset,
        None,
    )
    assert json.loads(record.value or b"") == {
        "id": "00000000-0000-0000-0000-000000000007",
        "at": "2024-05-06T00:00:00Z",
        "cost": "1.10",
        "name": "Tür",
    }
    assert record.key == b"k"
    assert record.headers == {"source": b"api", "v": b"2"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("text, as it is", b"text, as it is"),
        (b"\xff\x00", b"\xff\x00"),
        ([1], b"[1]"),
        (None, None),
    ],
)
def test_what_becomes_of_values(
    sender: KafkaProducerClient, topic: str, read_topic: Read, value: Any, sent: bytes | None
) -> None:
    sender.send_message(topic, value)
    assert [record.value for record in read_topic(topic)] == [sent]


@pytest.mark.parametrize("topic_name", ["campaign", "Campaign.created.json", "a.b.xml"])
def test_a_bad_topic_name(sender: KafkaProducerClient, topic_name: str) -> None:
    with pytest.raises(TopicNameError, match=r"domain\.action\.format"):
        sender.send_message(topic_name, {})


def test_a_topic_that_does_not_exist(sender: KafkaProducerClient) -> None:
    started = time.monotonic()
    with pytest.raises(TopicMissing, match="kafka_topics apply"):
        sender.send_message("never.made.json", {})
    assert time.monotonic() - started < 5
    client = KafkaConsumerClient(["never.made.json"], "g", print)
    with pytest.raises(TopicMissing, match="kafka_topics apply"):
        client.start()


def test_a_message_that_kafka_does_not_take(sender: KafkaProducerClient, topic: str) -> None:
    with pytest.raises(DeliveryFailed, match=topic):
        sender.send_message(topic, b"x" * 3_000_000)
    assert sender.send_message(topic, b"x").offset >= 0


def test_a_broker_that_is_not_there(settings: Settings) -> None:
    settings.KAFKA_BROKER = "127.0.0.1:1"
    with KafkaProducerClient() as client, pytest.raises(BrokerUnavailable, match="KAFKA_BROKER"):
        client.send_message("a.b.json", {})
    with pytest.raises(BrokerUnavailable, match="KAFKA_BROKER"):
        KafkaConsumerClient(["a.b.json"], "g", print).start()


def test_a_received_message_is_a_mapping(produce: Callable[..., None], topic: str) -> None:
    headers = [("a", b"1"), ("b", b"\xff"), ("n", None), ("a", b"2")]
    produce(b'{"x": [1, null]}', b"k", headers)
    [message] = receive(topic, accept, until=1)
    assert time.time() * 1000 - message.pop("timestamp") < 60_000
    assert message == {
        "topic": topic,
        "partition": 0,
        "offset": 0,
        "key": "k",
        "value": {"x": [1, None]},
        "headers": {"a": "2", "b": "\\xff", "n": ""},
    }


def test_a_value_that_is_no_json_is_handed_over_as_bytes(
    produce: Callable[..., None], topic: str
) -> None:
    for value in (b'{"broken', b"\xff", None, b'{"fine": 1}'):
        produce(value, b"\x80")
    messages = receive(topic, accept, until=4)
    assert [m["value"] for m in messages] == [b'{"broken', b"\xff", None, {"fine": 1}]
    assert messages[0]["key"] == b"\x80"


def test_true_commits(produce: Callable[..., None], topic: str, broker: str) -> None:
    produce(b"1")
    produce(b"2")
    receive(topic, accept, until=2)
    assert committed(broker, topic, topic) == 2


@pytest.mark.parametrize("answer", [False, None, 1, "yes"])
def test_any_other_answer_does_not_commit(
    produce: Callable[..., None], topic: str, broker: str, answer: object
) -> None:
    produce(b"1")
    receive(topic, lambda message, call: answer, until=1)
    assert committed(broker, topic, topic) < 0


def test_after_false_the_same_message_comes_again_and_the_order_is_kept(
    produce: Callable[..., None], topic: str, broker: str
) -> None:
    for value in (b"1", b"2", b"3"):
        produce(value)
    messages = receive(topic, lambda message, call: call not in (2, 3), until=5)
    assert [m["value"] for m in messages] == [1, 2, 2, 2, 3]
    assert committed(broker, topic, topic) == 3


def test_an_exception_is_logged_and_the_same_message_comes_again(
    produce: Callable[..., None], topic: str, broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    produce(b"1")
    produce(b"2")

    def fail_first(message: Mapping, call: int) -> bool:
        if call == 1:
            raise ValueError("the handler has a bug")
        return True

    messages = receive(topic, fail_first, until=3)
    assert [m["value"] for m in messages] == [1, 1, 2]
    assert committed(broker, topic, topic) == 2
    [logged] = [r for r in caplog.records if r.exc_info and r.levelno == logging.ERROR]
    assert "the handler has a bug" in caplog.text
    assert logged.getMessage().startswith(f"The message handler failed for {topic}[0]@0")


def test_what_was_not_committed_comes_again_to_the_next_client(
    produce: Callable[..., None], topic: str
) -> None:
    for value in (b"1", b"2"):
        produce(value)
    receive(topic, lambda message, call: call == 1, until=2)
    [again] = receive(topic, accept, until=1)
    assert again["value"] == 2


def test_sigterm_ends_it_and_the_old_handler_is_back(
    produce: Callable[..., None], topic: str, broker: str
) -> None:
    produce(b"1")

    def terminate(message: Mapping) -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return True

    before = signal.getsignal(signal.SIGTERM)
    KafkaConsumerClient([topic], topic, terminate).start()
    assert signal.getsignal(signal.SIGTERM) is before
    assert committed(broker, topic, topic) == 1


def test_in_another_thread_it_takes_no_signals(produce: Callable[..., None], topic: str) -> None:
    produce(b"1")
    seen: list[object] = []

    def look(message: Mapping) -> bool:
        seen.append(signal.getsignal(signal.SIGTERM))
        client.stop()
        return True

    client = KafkaConsumerClient([topic], topic, look)
    thread = threading.Thread(target=client.start)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert seen == [signal.getsignal(signal.SIGTERM)]
