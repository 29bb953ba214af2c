"""Handlers that share transactions, on real Kafka and PostgreSQL."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import Producer
from django.db import connection, transaction

from kafka_integration import Event, RecordsFailed
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from ..conftest import Record
from .conftest import Made, effect

Handle = Callable[..., None]
Consume = Callable[..., Worker]
Read = Callable[..., list[Record]]
Start = Callable[..., subprocess.Popen[str]]
Manage = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[Sequence[tuple[str, int]]], None]

SHORT = "session.timeout.ms=6000,heartbeat.interval.ms=500"


@pytest.fixture
def write(broker: str, topic: str) -> Write:
    """Write messages of these keys and numbers, in order."""

    def send(wanted: Sequence[tuple[str, int]]) -> None:
        producer = Producer({"bootstrap.servers": broker})
        for key, number in wanted:
            producer.produce(topic, json.dumps({"number": number, "lane": key}), key)
        assert producer.flush(30) == 0

    return send


def mixed(keys: int, each: int) -> list[tuple[str, int]]:
    return [(f"k{key}", number) for number in range(each) for key in range(keys)]


def lanes() -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for lane, number in Effect.objects.order_by("pk").values_list("lane", "number"):
        found[lane].append(number)
    return found


def transactions() -> int:
    """Return in how many transactions the inbox records were written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM kafka_inbox_record")
        return int(cursor.fetchone()[0])


def test_many_messages_share_a_transaction_and_each_key_keeps_its_order(
    handle: Handle, write: Write, consume: Consume
) -> None:
    handle(effect, transactional=True)
    write(mixed(keys=10, each=60))
    assert consume(workers=3).outcomes == {Outcome.HANDLED: 600}
    assert lanes() == {f"k{key}": list(range(60)) for key in range(10)}
    assert transactions() < 300
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 600}
    assert Effect.objects.count() == 600


def test_without_the_promise_each_has_its_own(
    handle: Handle, write: Write, consume: Consume
) -> None:
    handle(effect)
    write(mixed(keys=5, each=10))
    consume(workers=3)
    assert transactions() == 50


def test_a_poison_message_takes_nobody_along(
    handle: Handle, write: Write, consume: Consume, read_topic: Read, topic: str
) -> None:
    def fragile(event: Event[Made]) -> None:
        effect(event)
        if event.key == "k3" and event.data.number == 7:
            raise ValueError("no stock")

    handle(fragile, transactional=True, attempts=2)
    write(mixed(keys=10, each=20))
    assert consume(workers=2).outcomes == {Outcome.HANDLED: 199, Outcome.DEAD: 1}
    expected = {f"k{key}": list(range(20)) for key in range(10)}
    expected["k3"].remove(7)
    assert lanes() == expected
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert letter.headers["dlq_attempts"] == b"2"
    assert json.loads(letter.value or b"")["number"] == 7


def test_a_hook_in_it_is_refused_and_says_why(
    handle: Handle, write: Write, consume: Consume
) -> None:
    def hooking(event: Event[Made]) -> None:
        effect(event)
        transaction.on_commit(lambda: None)

    handle(hooking, transactional=True, attempts=1)
    write([("k", 0)])
    assert consume().outcomes == {Outcome.DEAD: 1}
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)
    assert "remove transactional=True from its @handles" in record.last_error
    assert lanes() == {}


def test_killed_in_the_midst_each_effect_is_there_once_and_in_order(
    start: Start, manage: Manage, write: Write, topic: str, eventually: Callable[..., None]
) -> None:
    write(mixed(keys=20, each=50))
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_PAUSE": "0.005",
        "SAMPLE_TRANSACTIONAL": "1",
        "KAFKA_CONSUME_WORKERS": "3",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    for goal in (100, 350, 600):
        process = start("kafka_consume", "--group", "sample", env=env)
        eventually(lambda goal=goal: Effect.objects.count() >= goal, timeout=60)
        process.kill()
        process.wait()
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert lanes() == {f"k{key}": list(range(50)) for key in range(20)}
    assert transactions() < 1000


def bulk(events: list[Event[Made]]) -> None:
    """Write all effects in one statement."""
    Effect.objects.bulk_create(
        Effect(lane=event.key or "", number=event.data.number, event_id=event.id)
        for event in events
    )


def test_a_batch_handler_gets_lists_and_each_effect_is_there_once(
    handle: Handle, write: Write, consume: Consume
) -> None:
    sizes: list[int] = []

    def counting(events: list[Event[Made]]) -> None:
        sizes.append(len(events))
        bulk(events)

    handle(counting, batch=True)
    write(mixed(keys=10, each=60))
    assert consume(workers=3).outcomes == {Outcome.HANDLED: 600}
    assert lanes() == {f"k{key}": list(range(60)) for key in range(10)}
    assert sum(sizes) == 600
    assert max(sizes) > 16
    assert transactions() == len(sizes)
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 600}
    assert Effect.objects.count() == 600


@pytest.mark.parametrize("names", [True, False])
def test_a_batch_handlers_poison_is_found_and_takes_nobody_along(
    handle: Handle,
    write: Write,
    consume: Consume,
    read_topic: Read,
    topic: str,
    names: bool,
) -> None:
    def fragile(events: list[Event[Made]]) -> None:
        bulk(events)
        bad = [event for event in events if event.data.number == 7 and event.key in ("k3", "k8")]
        if bad and names:
            raise RecordsFailed((event, ValueError("no stock")) for event in bad)
        if bad:
            raise ValueError("no stock")

    handle(fragile, batch=True, attempts=2)
    write(mixed(keys=10, each=20))
    assert consume(workers=2).outcomes == {Outcome.HANDLED: 198, Outcome.DEAD: 2}
    expected = {f"k{key}": list(range(20)) for key in range(10)}
    for key in ("k3", "k8"):
        expected[key].remove(7)
    assert lanes() == expected
    letters = read_topic(f"{topic}.dlq", expect=2)
    assert {letter.key for letter in letters} == {b"k3", b"k8"}
    for letter in letters:
        assert letter.headers["dlq_attempts"] == b"2"
        assert letter.headers["dlq_exception_message"] == b"no stock"
        assert json.loads(letter.value or b"")["number"] == 7


def test_a_batch_handler_killed_in_the_midst_has_each_effect_once_and_in_order(
    start: Start, manage: Manage, write: Write, topic: str, eventually: Callable[..., None]
) -> None:
    write(mixed(keys=20, each=50))
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_PAUSE": "0.005",
        "SAMPLE_BATCH": "1",
        "KAFKA_CONSUME_WORKERS": "3",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    for goal in (100, 350, 600):
        process = start("kafka_consume", "--group", "sample", env=env)
        eventually(lambda goal=goal: Effect.objects.count() >= goal, timeout=60)
        process.kill()
        process.wait()
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert lanes() == {f"k{key}": list(range(50)) for key in range(20)}
