"""Kafka away under a running consumer: what its log says meanwhile and afterwards."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from devops.native.folder import Folder
from devops.native.services import Services
from tests.integration.outbox.conftest import Watched
from tests.sample.models import Effect

AWAY_SECONDS = 15
HEADERS: list[tuple[str, str | bytes | None]] = [("ce_type", b"SampleCreated")]


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Services]:
    """A broker that this test may stop."""
    services = Services(Folder(tmp_path))
    try:
        services.up(["kafka"])
        yield services
    finally:
        services.down()


def address(services: Services) -> str:
    return next(where for name, _, where in services.status() if name == "kafka").split()[0]


def make_topic(broker: str) -> str:
    topic = f"test.t{uuid.uuid4().hex[:12]}.json"
    wanted = [NewTopic(topic, 1, 1), NewTopic(f"{topic}.dlq", 1, 1)]
    admin = AdminClient({"bootstrap.servers": broker})
    for future in admin.create_topics(wanted).values():
        future.result(timeout=30)
    return topic


def put(broker: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker})
    for value in values:
        producer.produce(topic, value, headers=HEADERS)
    assert producer.flush(30) == 0


def test_an_outage_is_two_lines_also_with_an_idle_dead_letter_producer(
    own_kafka: Services,
    start: Callable[..., subprocess.Popen[str]],
    eventually: Callable[..., None],
) -> None:
    broker = address(own_kafka)
    topic = make_topic(broker)
    put(broker, topic, b"{", b'{"lane": "l", "number": 1}')
    env = {"SAMPLE_TOPIC": topic, "KAFKA_BROKER": broker}
    consumer = Watched(start("kafka_consume", "--group", "sample", env=env))
    eventually(lambda: Effect.objects.count() == 1, what="the consumer works")

    own_kafka.stop("kafka")
    time.sleep(AWAY_SECONDS)
    own_kafka.start("kafka")
    put(broker, topic, b'{"lane": "l", "number": 2}')
    eventually(lambda: Effect.objects.count() == 2, timeout=60, what="it goes on")
    consumer.says("Kafka answers again", timeout=60)
    code = consumer.end(signal.SIGTERM, timeout=30)
    said = "".join(consumer.lines)

    assert code == 0, said
    warnings = [line for line in said.splitlines() if "No Kafka broker answers" in line]
    assert len(warnings) == 1, said
    assert "WARNING" in warnings[0]
    assert said.count("Group sample: Kafka answers again.") == 1, said
    assert "FAIL [" not in said
    assert len(said.splitlines()) < 20, said
