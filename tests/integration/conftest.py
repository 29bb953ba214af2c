"""Real Kafka, PostgreSQL and Redis for integration tests, and processes that use them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from django.db import connections

ROOT = Path(__file__).resolve().parents[2]
# What a broker says of a partition that was made a moment ago.
NO_LEADER_YET = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
NEEDED = ("KAFKA_BROKER", "DATABASE_URL", "CELERY_BROKER_URL")


@pytest.fixture(scope="session", autouse=True)
def real_services() -> None:
    """Fail, never skip, where a service is missing."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.fail(
            f"{', '.join(missing)} not set. Integration tests need real services: run 'make test', "
            "or 'python3 -m devops.native run -- .venv/bin/pytest …'.",
            pytrace=False,
        )
    if not os.environ["DATABASE_URL"].startswith("postgres"):
        pytest.fail("DATABASE_URL must name a PostgreSQL: run 'make test'.", pytrace=False)


_AT_WORK = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend' AND state <> 'idle'
"""


@dataclass(frozen=True)
class Record:
    """One record as an independent reader saw it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


@pytest.fixture(scope="session")
def broker() -> str:
    """The bootstrap server."""
    return os.environ["KAFKA_BROKER"]


@pytest.fixture(scope="session")
def kafka_admin(broker: str) -> AdminClient:
    """An admin client of the tests' own."""
    return AdminClient({"bootstrap.servers": broker})


@pytest.fixture(scope="session")
def make_topic(kafka_admin: AdminClient) -> Callable[..., str]:
    """Make a new event topic with its dead-letter topic; returns its name."""

    def make(partitions: int = 3, format: str = "json", **config: str) -> str:
        topic = f"test.t{uuid.uuid4().hex[:12]}.{format}"
        named = {name.replace("_", "."): value for name, value in config.items()}
        wanted = [
            NewTopic(topic, partitions, 1, config=named),
            NewTopic(f"{topic}.dlq", partitions, 1, config={"max.message.bytes": "2097152"}),
        ]
        for future in kafka_admin.create_topics(wanted).values():
            future.result(timeout=30)
        _wait_until_shown(kafka_admin, [topic, f"{topic}.dlq"])
        return topic

    return make


def _wait_until_shown(admin: AdminClient, topics: Sequence[str]) -> None:
    """Wait until the broker that clients ask knows of topics that were made a moment ago."""
    deadline = time.monotonic() + 15
    for topic in topics:
        while not _is_shown(admin.list_topics(topic, timeout=10).topics[topic]):
            assert time.monotonic() < deadline, f"{topic} was made but is not shown"
            time.sleep(0.05)


def _is_shown(found: Any) -> bool:
    return found.error is None and all(part.leader >= 0 for part in found.partitions.values())


@pytest.fixture
def topic(make_topic: Callable[..., str]) -> str:
    """A topic that no other test uses, with three partitions and a dead-letter topic."""
    return make_topic()


@pytest.fixture(scope="session")
def catalogue_topics(broker: str) -> None:
    """Every topic of the catalogue exists."""
    command = [sys.executable, "manage.py", "kafka_topics", "apply"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="session")
def read_topic(broker: str) -> Callable[..., list[Record]]:
    """Read a topic from its beginning to its present end, with no code of ours."""

    def read(
        topic: str, *, expect: int = 0, timeout: float = 30.0, at: str = broker
    ) -> list[Record]:
        deadline = time.monotonic() + timeout
        records = _read_to_end(at, topic)
        while len(records) < expect and time.monotonic() < deadline:
            time.sleep(0.2)
            records = _read_to_end(at, topic)
        return records

    return read


def _read_to_end(broker: str, topic: str) -> list[Record]:
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            # The last offsets of a partition may be marks of transactions, which nobody is given.
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {number: _ends(consumer, topic, number) for number in partitions}
        return _read_between(consumer, topic, ends)
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str, number: int) -> tuple[int, int]:
    deadline = time.monotonic() + 10
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        except KafkaException as error:
            if error.args[0].code() not in NO_LEADER_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return low, high


def _read_between(consumer: Consumer, topic: str, ends: dict[int, tuple[int, int]]) -> list[Record]:
    """Read every partition from its low to its high end, all of them at once."""
    missing = {number for number, (low, high) in ends.items() if low < high}
    consumer.assign([TopicPartition(topic, number, ends[number][0]) for number in missing])
    found: list[Record] = []
    while missing:
        message = consumer.poll(10)
        assert message is not None, f"{topic} gave nothing, and its ends are {ends}"
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        error = message.error()
        assert error is None or error.code() == KafkaError._PARTITION_EOF, error
        if error is None and offset < ends[partition][1]:
            found.append(_record(message))
        if offset >= ends[partition][1] - (error is None):
            missing.discard(partition)
    return sorted(found, key=lambda item: (item.partition, item.offset))


def _record(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        dict(message.headers() or []),
    )


@pytest.fixture
def environment(transactional_db: None) -> dict[str, str]:
    """The environment of a process that works on the test's own database."""
    settings = connections["default"].settings_dict
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    return os.environ | {
        "DATABASE_URL": f"{base}/{settings['NAME']}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
    }


@pytest.fixture
def start(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``manage.py`` with arguments in a process of its own; all are ended afterwards."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    if started:
        _wait_for_sessions_of_the_dead()


def _wait_for_sessions_of_the_dead(seconds: float = 30.0) -> None:
    """Let PostgreSQL finish what killed processes had asked for.

    A statement of theirs that takes its locks while the tables are emptied is a deadlock.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connections["default"].cursor() as cursor:
            cursor.execute(_AT_WORK)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.05)


@pytest.fixture
def manage(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``manage.py`` to its end."""

    def run(
        *arguments: str, env: dict[str, str] | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment | (env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Wait until a question is answered with yes."""

    def wait(question: Callable[[], object], timeout: float = 30.0, what: str = "") -> None:
        deadline = time.monotonic() + timeout
        while not question():
            assert time.monotonic() < deadline, f"not within {timeout:g} s: {what or question}"
            time.sleep(0.05)

    return wait


def keys_in_order(records: Sequence[Record]) -> dict[bytes | None, list[bytes | None]]:
    """Return the values of each key in the order of their partition."""
    found: dict[bytes | None, list[bytes | None]] = {}
    for record in sorted(records, key=lambda item: (item.partition, item.offset)):
        found.setdefault(record.key, []).append(record.value)
    return found
