"""What we say when Kafka knows our user but does not give it the rights that the work needs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)
from pytest_django import Settings

from devops.native.folder import Folder
from devops.native.state import State
from kafka_integration.broker import offsets
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.broker.producer import GAPLESS, EventProducer
from kafka_integration.errors import GroupRefused, ProducerRefused, TopicRefused
from kafka_integration.outbox.gate import TopicGate

from .test_kafka_topics import GuardedKafka

TOPIC = "rights.tried.json"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker where bob may read one topic, as no group, and write nothing."""
    folder = Folder(tmp_path_factory.mktemp("guarded"))
    folder.create()
    kafka = GuardedKafka(folder, State(folder.state))
    try:
        kafka.start()
        address = f"127.0.0.1:{kafka.record.port}"
        _prepare(address)
        yield address
    finally:
        kafka.forget()


def _prepare(address: str) -> None:
    admin = AdminClient(
        {
            "bootstrap.servers": address,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "ann",
            "sasl.password": "right",
        }
    )
    admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(30)
    binding = AclBinding(
        ResourceType.TOPIC,
        TOPIC,
        ResourcePatternType.LITERAL,
        "User:bob",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    admin.create_acls([binding])[binding].result(30)


@pytest.fixture(autouse=True)
def _bob(guarded: str, settings: Settings) -> None:
    settings.KAFKA_BROKER = guarded
    settings.KAFKA_SECURITY_PROTOCOL = "SASL_PLAINTEXT"
    settings.KAFKA_SASL_MECHANISM = "PLAIN"
    settings.KAFKA_SASL_USERNAME, settings.KAFKA_SASL_PASSWORD = "bob", "bobs"
    settings.KAFKA_GROUP_PREFIX = "tests-"


@pytest.fixture
def consumer() -> Iterator[EventConsumer]:
    found = EventConsumer([TOPIC], "g")
    yield found
    found.close()


@pytest.mark.parametrize("options", [{}, GAPLESS])
def test_who_may_not_write_is_told_the_right(options: dict[str, Any]) -> None:
    producer = EventProducer(options)
    for _ in range(2):
        # He lacks two rights, and Kafka tells the one that it is asked about first.
        with pytest.raises((ProducerRefused, TopicRefused), match="Grant it"):
            producer.send_and_wait(TOPIC, b"1", "key", [], timeout=20)
    reports: list[Any] = []
    for number in range(3):
        producer.send(TOPIC, b"1", str(number), [], reports.append)
    assert producer.flush(20) == 0
    assert len(reports) == 3
    assert {type(report.error) for report in reports} <= {ProducerRefused, TopicRefused}
    producer.close()


def test_several_messages_under_way_are_all_reported() -> None:
    producer = EventProducer()
    reports: list[Any] = []
    for number in range(5):
        producer.send(TOPIC, b"1", str(number), [], reports.append)
    assert producer.flush(20) == 0
    assert len(reports) == 5
    assert {type(report.error) for report in reports} <= {ProducerRefused, TopicRefused}


def test_who_may_not_join_the_group_is_told_which(consumer: EventConsumer) -> None:
    deadline = time.monotonic() + 20
    with pytest.raises(GroupRefused, match=r"'tests-g'.*Read on that group"):
        while time.monotonic() < deadline:
            consumer.poll(0.2)


def test_who_may_not_ask_for_the_groups_offsets_is_told_which(
    consumer: EventConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "_REQUEST_SECONDS", 2.0)
    with pytest.raises(GroupRefused, match="'tests-g'"):
        consumer.offsets.committed([(TOPIC, 0)])


def test_who_may_not_see_a_topics_settings_can_write_to_it_all_the_same() -> None:
    said: list[str] = []
    gate = TopicGate(said.append)
    assert gate.lets_through(TOPIC)
    assert gate.limits(TOPIC) is None
    assert said == []
