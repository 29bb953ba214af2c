"""Two relays in one process that meet at the worst moments, and the progress topic's end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka import Producer
from django.utils import timezone

from kafka_integration.broker.progress import ProgressTopic, record_of
from kafka_integration.broker.transactional import TransactionalProducer
from kafka_integration.models import OutboxLease, OutboxManifest, OutboxQueue, OutboxRelay
from kafka_integration.outbox.cluster import ClusterGuard
from kafka_integration.outbox.gate import TopicGate
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.relay import Relay
from kafka_integration.outbox.takeover import Takeover
from kafka_integration.outbox.tenure import Tenure
from kafka_integration.outbox.transactions import Transactions
from kafka_integration.outbox.watch import Watch
from tests.integration.outbox.conftest import Exactly, each_once


@pytest.fixture
def configured(exactly: Exactly, settings: Any, transactional_db: None) -> Exactly:
    """The settings of exactly-once in this process."""
    settings.KAFKA_PROGRESS_TOPIC = exactly.progress_topic
    settings.KAFKA_TRANSACTIONAL_ID_PREFIX = exactly.env["KAFKA_TRANSACTIONAL_ID_PREFIX"]
    settings.KAFKA_TOPICS_FILE = ""
    return exactly


class Undoubting(Watch):
    """Never looks at its leases."""

    def holds(self) -> bool:
        return True


@pytest.fixture
def engine(configured: Exactly) -> Iterator[Callable[[], Transactions]]:
    """Take all leases, and make an engine that never doubts them."""
    made = []

    def make() -> Transactions:
        leases = Leases("default", 600)
        assert leases.acquire()
        gate = TopicGate(lambda reason: None)
        found = Transactions(
            Undoubting("default", leases, Relay), gate, ClusterGuard("default"), 100
        )
        made.append(found)
        return found

    yield make
    for found in made:
        found.discard()
        found.close()


def let_leases_run_out() -> None:
    past = timezone.now() - timedelta(seconds=1)
    OutboxLease.objects.update(expires_at=past)
    OutboxRelay.objects.update(expires_at=past)  # else half of the shards are kept free for it


def rounds(engine: Transactions, until: Callable[[], object], seconds: float = 60) -> None:
    # By time: while it pauses after a failure, a round takes none.
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"not within {seconds:g} s"
        engine.advance()
        time.sleep(0.01)


@pytest.fixture
def gates() -> Iterator[Callable[[], threading.Event]]:
    """Make events that threads wait for; all are set at the end, so that none waits for ever."""
    made: list[threading.Event] = []

    def make() -> threading.Event:
        made.append(threading.Event())
        return made[-1]

    yield make
    for gate in made:
        gate.set()


def test_the_last_to_initialise_publishes_nothing_if_it_is_not_in_the_right(
    topic: str,
    send: Callable[..., None],
    engine: Callable[[], Transactions],
    read_published: Callable[..., Any],
    gates: Callable[[], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asleep, awake, commits, settled = gates(), gates(), gates(), gates()
    initialise, publish, settle = (
        TransactionalProducer.initialise,
        Tenure.publish,
        Takeover._settle,
    )

    def wait_first(producer: Any, proceed: Any) -> bool:
        if not asleep.is_set():
            asleep.set()
            awake.wait(60)
        return initialise(producer, proceed)

    def wait_before_publishing(tenure: Tenure, attempt: Any) -> Any:
        commits.wait(60)
        return publish(tenure, attempt)

    def note_settled(takeover: Takeover, *arguments: Any) -> int:
        settled.set()
        return settle(takeover, *arguments)

    monkeypatch.setattr(TransactionalProducer, "initialise", wait_first)
    send(topic, [("a", number) for number in range(10)])
    paused = engine()
    paused.advance()
    assert asleep.wait(10)
    let_leases_run_out()
    successor = engine()
    monkeypatch.setattr(Tenure, "publish", wait_before_publishing)
    rounds(successor, OutboxManifest.objects.unsettled().exists)
    monkeypatch.setattr(Tenure, "publish", publish)
    monkeypatch.setattr(Takeover, "_settle", note_settled)
    awake.set()

    rounds(paused, settled.is_set)
    for _ in range(30):
        assert paused.advance() == 0
        time.sleep(0.05)

    assert read_published(topic) == []
    commits.set()
    rounds(successor, lambda: not OutboxQueue.objects.exists())
    assert each_once(read_published(topic)) == {"a": list(range(10))}


def test_a_rightful_owner_that_is_fenced_initialises_again_and_sends_the_same_batch(
    topic: str,
    send: Callable[..., None],
    engine: Callable[[], Transactions],
    configured: Exactly,
    read_published: Callable[..., Any],
) -> None:
    send(topic, [("a", number) for number in range(10)])
    running = engine()
    rounds(running, lambda: not OutboxQueue.objects.exists())
    [manifest] = OutboxManifest.objects.all()
    prefix = configured.env["KAFKA_TRANSACTIONAL_ID_PREFIX"]
    other = TransactionalProducer(f"{prefix}.default.{manifest.shard}")
    assert other.initialise(lambda: True)
    send(topic, [("a", number) for number in range(10, 20)])

    rounds(running, lambda: not OutboxQueue.objects.exists())

    assert each_once(read_published(topic)) == {"a": list(range(20))}
    [batches] = configured.batches(read_published(configured.progress_topic)).values()
    assert batches == [1, 2]


def test_progress_is_read_to_its_end_though_another_transaction_is_open(
    broker: str, configured: Exactly, settings: Any
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"isolation.level": "read_uncommitted"}

    def producer(name: str) -> Producer:
        made = Producer(
            {"bootstrap.servers": broker, "transactional.id": f"{configured.progress_topic}{name}"}
        )
        made.init_transactions(30)
        made.begin_transaction()
        made.produce(configured.progress_topic, record_of(7), name)
        made.flush(30)
        return made

    open_one, committed = producer("open"), producer("committed")
    committed.commit_transaction(30)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(ProgressTopic().read, lambda: True)
        done = threading.Event()
        reading.add_done_callback(lambda _: done.set())
        assert not done.wait(3)
        open_one.abort_transaction(30)
        assert reading.result(60) == {"committed": 7}


def test_a_topic_that_is_not_compacted_is_refused(
    topic: str, configured: Exactly, settings: Any
) -> None:
    from kafka_integration.errors import ConfigurationError

    ProgressTopic().check()
    settings.KAFKA_PROGRESS_TOPIC = topic
    with pytest.raises(ConfigurationError, match=r"cleanup\.policy=delete"):
        ProgressTopic().check()
