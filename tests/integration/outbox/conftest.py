"""Relays in processes of their own, events to relay, and a Kafka that may be stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from django.db import transaction

from devops.native.folder import Folder
from devops.native.services import Services
from kafka_integration import created, publish, publishes
from kafka_integration.events.registry import registry
from kafka_integration.outbox import capture
from tests.integration.conftest import Record
from tests.sample.events import SampleCreated, lane
from tests.sample.models import Sample

SHORT_LEASE = {"KAFKA_RELAY_LEASE_SECONDS": "2", "KAFKA_TOPICS_FILE": ""}


@dataclass
class Watched:
    """A process whose lines are collected as they come."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def says(self, text: str, timeout: float = 30.0) -> str:
        """Wait for a line that holds ``text``, and return it."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for line in list(self.lines):
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"{text!r} was not said within {timeout:g} s, but {self.lines}")

    def end(self, number: int, timeout: float = 30.0) -> int:
        """Send a signal and return the exit code; fail, with its stacks, if it takes longer."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(timeout)
            self._reader.join(timeout)
            raise AssertionError(f"not ended after {timeout:g} s: {self.lines}") from None
        self._reader.join(timeout)
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))


@dataclass(frozen=True)
class OwnKafka:
    """A broker that no other test uses."""

    services: Services
    broker: str

    def make_topic(self, partitions: int = 3, config: dict[str, str] | None = None) -> str:
        """Make a topic."""
        topic = f"test.t{uuid.uuid4().hex[:12]}.json"
        admin = AdminClient({"bootstrap.servers": self.broker})
        admin.create_topics([NewTopic(topic, partitions, 1, config=config or {})])[topic].result(
            timeout=30
        )
        return topic

    def stop(self) -> None:
        """Stop the broker; its data and its port stay."""
        self.services.stop("kafka")

    def start(self) -> None:
        """Start it again and wait until it answers."""
        self.services.start("kafka")


@pytest.fixture(scope="session")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    """A broker that a test may stop, apart from the one that all others use."""
    services = Services(Folder(tmp_path_factory.mktemp("own-kafka")))
    try:
        services.up(["kafka"])
        [(_, _, where)] = [line for line in services.status() if line[0] == "kafka"]
        yield OwnKafka(services, where.split()[0])
    finally:
        services.down()


@pytest.fixture
def kafka_to_stop(own_kafka: OwnKafka) -> OwnKafka:
    """The broker, running."""
    own_kafka.start()
    return own_kafka


@pytest.fixture
def stopped_kafka(own_kafka: OwnKafka) -> OwnKafka:
    """The broker, stopped."""
    own_kafka.stop()
    return own_kafka


@pytest.fixture
def relay(start: Callable[..., Any]) -> Callable[..., Watched]:
    """Start a relay whose leases are short."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> Watched:
        return Watched(start("kafka_relay", *arguments, env=SHORT_LEASE | (env or {})))

    return run


@pytest.fixture
def send(settings: Any) -> Callable[..., None]:
    """Publish events in one transaction: the pairs of key and number, in order."""
    settings.KAFKA_TOPICS_FILE = ""

    def put(topic: str, events: Iterable[tuple[str, int]]) -> None:
        with transaction.atomic():
            for key, number in events:
                publish(SampleCreated(lane=key, number=number), topic=topic, key=key)

    return put


@pytest.fixture
def publishing() -> Iterator[Callable[[str], None]]:
    """Let the model Sample publish to a topic, and to no other."""
    with registry.isolated():

        def to(topic: str) -> None:
            publishes(Sample, SampleCreated, topic=topic, when=created, key=lane)
            capture.connect()

        yield to


def numbers_by_key(records: Sequence[Record]) -> dict[str, list[int]]:
    """Return each key's numbers in the order of the topic, first appearances only.

    Each record is checked on the way: its place in order is above those of the key's others.
    """
    found: dict[str, list[int]] = {}
    last: dict[str, bytes] = {}
    for record in sorted(records, key=lambda item: (item.partition, item.offset)):
        assert record.key is not None
        assert record.value is not None
        key = record.key.decode()
        number = SampleCreated.model_validate_json(record.value).number
        if number not in found.setdefault(key, []):
            assert record.headers["ce_sequence"] > last.get(key, b""), f"{key} went backwards"
            last[key] = record.headers["ce_sequence"]
            found[key].append(number)
    return found


@dataclass(frozen=True)
class Exactly:
    """What exactly-once relays of one test share, and no others."""

    env: dict[str, str]
    progress_topic: str

    def batches(self, records: Sequence[Record]) -> dict[str, list[int]]:
        """Return the batches that the progress topic has of each shard, in their order."""
        found: dict[str, list[int]] = {}
        for record in records:
            assert record.key is not None
            assert record.value is not None
            shard = record.key.decode().rpartition(".")[2]
            found.setdefault(shard, []).append(json.loads(record.value)["batch"])
        return found


def _exactly(topic: str, **more: str) -> Exactly:
    return Exactly(
        SHORT_LEASE
        | {
            "KAFKA_RELAY_EXACTLY_ONCE": "true",
            "KAFKA_PROGRESS_TOPIC": topic,
            "KAFKA_TRANSACTIONAL_ID_PREFIX": f"test-{uuid.uuid4().hex[:12]}",
        }
        | more,
        topic,
    )


@pytest.fixture
def exactly(make_topic: Callable[..., str]) -> Exactly:
    """A progress topic and transactional ids of the test's own."""
    return _exactly(make_topic(1, cleanup_policy="compact"))


@pytest.fixture
def own_topic(kafka_to_stop: OwnKafka) -> str:
    """A topic in the broker that may be stopped."""
    return kafka_to_stop.make_topic()


@pytest.fixture
def own_exactly(kafka_to_stop: OwnKafka) -> Exactly:
    """What relays share that publish to the broker that may be stopped."""
    topic = kafka_to_stop.make_topic(1, {"cleanup.policy": "compact"})
    return _exactly(topic, KAFKA_BROKER=kafka_to_stop.broker)


@pytest.fixture
def read_published(
    broker: str, read_topic: Callable[..., list[Record]]
) -> Callable[..., list[Record]]:
    """Read a topic once Kafka has ended every transaction in it, which it does after the commit."""

    def read(topic: str, *, at: str = broker, timeout: float = 60.0) -> list[Record]:
        deadline = time.monotonic() + timeout
        while ends(at, topic, committed=True) != ends(at, topic, committed=False):
            assert time.monotonic() < deadline, f"a transaction in {topic} stays open"
            time.sleep(0.1)
        return read_topic(topic, at=at)

    return read


def ends(broker: str, topic: str, *, committed: bool) -> dict[int, int]:
    """Return where each partition ends, for readers of committed or of all records."""
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    admin = AdminClient({"bootstrap.servers": broker})
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client leaves it so
    partitions = admin.list_topics(topic, timeout=10).topics[topic].partitions
    asked = {TopicPartition(topic, number): latest for number in partitions}
    answers = admin.list_offsets(asked, isolation_level=level)
    return {place.partition: answer.result(30).offset for place, answer in answers.items()}


def each_once(records: Sequence[Record]) -> dict[str, list[int]]:
    """Return each key's numbers in the order of the topic, and fail if any event is there twice."""
    ids = [record.headers["ce_id"] for record in records]
    assert len(set(ids)) == len(ids), f"{len(ids) - len(set(ids))} repeats"
    return numbers_by_key(records)
