"""Messages that are parked, on real Kafka and PostgreSQL, while consumers are killed and come."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import Producer
from django.db import connection
from pytest_django import Settings

from kafka_integration import Event
from kafka_integration.events.registry import Registry
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
KEYS = [f"k{number}" for number in range(6)]


@pytest.fixture
def write(broker: str, topic: str) -> Write:
    """Write messages of these keys and numbers, in order, wherever their keys belong."""

    def send(wanted: Sequence[tuple[str, int]]) -> None:
        producer = Producer({"bootstrap.servers": broker})
        for key, number in wanted:
            headers = {"ce_id": f"{key}/{number}", "ce_source": "/tests"}
            value = json.dumps({"number": number, "lane": key})
            producer.produce(topic, value, key, headers=list(headers.items()))
        assert producer.flush(30) == 0

    return send


def mixed(first: int, end: int) -> list[tuple[str, int]]:
    return [(key, number) for number in range(first, end) for key in KEYS]


def lanes() -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for lane, number in Effect.objects.order_by("pk").values_list("lane", "number"):
        found[lane].append(number)
    return found


def parked() -> int:
    return InboxRecord.objects.filter(status=InboxStatus.PARKED).count()


class Frail:
    """Fails for one event until it is mended."""

    def __init__(self, key: str, number: int) -> None:
        self.bad: tuple[str, int] | None = (key, number)

    def __call__(self, event: Event[Made]) -> None:
        effect(event)
        if (event.key, event.data.number) == self.bad:
            raise ValueError("no stock")


@pytest.fixture
def patient(settings: Settings, declared: Registry) -> None:
    """What fails is parked at once, for an hour."""
    settings.KAFKA_HANDLER_IN_PLACE_SECONDS = 0.0
    settings.KAFKA_HANDLER_BACKOFF_SECONDS = 7200.0
    settings.KAFKA_HANDLER_BACKOFF_MAX_SECONDS = 7200.0


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("transactional", [False, True])
def test_a_key_waits_for_its_parked_message_and_the_others_go_on(
    handle: Handle,
    write: Write,
    consume: Consume,
    read_topic: Read,
    topic: str,
    transactional: bool,
) -> None:
    frail = Frail("k3", 5)
    handle(frail, transactional=transactional, attempts=5)
    write(mixed(0, 10))
    assert consume(workers=3).outcomes == {Outcome.HANDLED: 55, Outcome.PARKED: 5}
    assert lanes() == {key: list(range(5 if key == "k3" else 10)) for key in KEYS}
    write(mixed(10, 20))
    assert consume(workers=3).outcomes == {Outcome.HANDLED: 50, Outcome.PARKED: 10}
    # Read anew, it is parked as before.
    again = consume(workers=3, from_beginning=True)
    assert again.outcomes == {Outcome.DUPLICATE: 105, Outcome.PARKED: 15}
    frail.bad = None
    InboxRecord.objects.update(available_at=None)
    write(mixed(20, 21))
    last = consume(workers=3)
    assert last.outcomes[Outcome.HANDLED] + last.retried[Outcome.HANDLED] == 21
    assert lanes() == {key: list(range(21)) for key in KEYS}
    assert parked() == 0
    assert read_topic(f"{topic}.dlq") == []


@pytest.mark.usefixtures("patient")
def test_at_the_end_of_the_policy_it_is_a_letter_and_its_key_goes_on(
    handle: Handle, write: Write, consume: Consume, read_topic: Read, topic: str
) -> None:
    handle(Frail("k3", 5), attempts=2)
    write(mixed(0, 10))
    consume()
    InboxRecord.objects.update(available_at=None)
    write([("k0", 10)])
    worker = consume()
    assert worker.retried == {Outcome.HANDLED: 4, Outcome.DEAD: 1}
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert json.loads(letter.value or b"") == {"number": 5, "lane": "k3"}
    assert letter.key == b"k3"
    assert letter.headers["dlq_attempts"] == b"2"
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)
    assert (record.attempts, record.key_hash) == (2, None)
    assert lanes()["k3"] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_nothing_is_asked_for_a_message_while_nothing_is_parked(
    handle: Handle, write: Write, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def note(execute: Callable[..., object], sql: str, *others: object) -> object:
        asked.append(sql)
        return execute(sql, *others)

    def watched(event: Event[Made]) -> None:
        effect(event)
        if event.data.number == 0:
            connection.execute_wrappers.append(note)

    handle(watched)
    write([("k0", number) for number in range(50)])
    assert consume(workers=1).outcomes == {Outcome.HANDLED: 50}
    assert len([sql for sql in asked if sql.startswith("INSERT INTO")]) >= 98
    looks = [sql for sql in asked if "status" in sql and sql.startswith("SELECT")]
    assert len(looks) < 25, "once a second, not once a message"


@pytest.mark.parametrize("transactional", ["", "1"])
def test_killed_and_rebalanced_each_key_keeps_its_order(
    start: Start,
    manage: Manage,
    write: Write,
    topic: str,
    eventually: Callable[..., None],
    transactional: str,
) -> None:
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_TRANSACTIONAL": transactional,
        "SAMPLE_PAUSE": "0.002",
        "KAFKA_HANDLER_ATTEMPTS": "1000000",
        "KAFKA_HANDLER_IN_PLACE_SECONDS": "0",
        "KAFKA_HANDLER_BACKOFF_SECONDS": "0.2",
        "KAFKA_HANDLER_BACKOFF_MAX_SECONDS": "0.2",
        "KAFKA_CONSUME_WORKERS": "3",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    consume = ("kafka_consume", "--group", "sample")
    failing = env | {"SAMPLE_FAIL": "k3/5"}
    write(mixed(0, 20))
    first = start(*consume, env=failing)
    eventually(lambda: parked() >= 10, timeout=90, what="some wait behind it")
    first.kill()
    first.wait()
    write(mixed(20, 40))
    pair = [start(*consume, env=failing) for _ in range(2)]
    eventually(lambda: parked() == 35, timeout=120, what="all of that key is parked")
    eventually(lambda: Effect.objects.count() == 5 * 40 + 5, timeout=90, what="others are done")
    pair[0].kill()
    pair[0].wait()
    write(mixed(40, 60))
    eventually(lambda: parked() == 55, timeout=120, what="the other one has taken over")
    pair[1].terminate()
    assert pair[1].wait(60) == 0
    write(mixed(60, 70))
    done = manage(*consume, "--drain", env=env)
    assert done.returncode == 0, done.stderr
    eventually(lambda: parked() == 0, timeout=1)
    assert lanes() == {key: list(range(70)) for key in KEYS}


def test_an_event_that_kills_is_given_up_after_so_many_starts_and_all_others_go(
    start: Start,
    write: Write,
    read_topic: Read,
    topic: str,
    eventually: Callable[..., None],
) -> None:
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_KILL": "k3/5",
        "SAMPLE_PAUSE": "0.01",
        "KAFKA_CONSUME_WORKERS": "3",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    write(mixed(0, 20))
    codes: list[int] = []
    while not codes or (codes[-1] == -signal.SIGKILL and len(codes) < 8):
        process = start("kafka_consume", "--group", "sample", "--drain", env=env)
        codes.append(process.wait(120))
    # Of the first death nobody knew beforehand; three starts were written down.
    assert codes == [-signal.SIGKILL] * 4 + [0]
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert json.loads(letter.value or b"") == {"number": 5, "lane": "k3"}
    assert letter.headers["dlq_reason"] == b"processes-died"
    expected = {key: list(range(20)) for key in KEYS}
    expected["k3"].remove(5)
    assert lanes() == expected
    dead = InboxRecord.objects.exclude(status=InboxStatus.DONE).get()
    assert dead.status == InboxStatus.DEAD
    assert "3 processes ended" in dead.last_error


def test_kills_from_outside_give_nothing_up(
    start: Start,
    manage: Manage,
    write: Write,
    read_topic: Read,
    topic: str,
    eventually: Callable[..., None],
) -> None:
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_PAUSE": "0.02",
        "KAFKA_CONSUME_WORKERS": "3",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    write(mixed(0, 60))
    for goal in (20, 60, 100, 140, 180):
        process = start("kafka_consume", "--group", "sample", env=env)
        eventually(lambda goal=goal: Effect.objects.count() >= goal, timeout=90)
        process.kill()
        process.wait()
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert lanes() == {key: list(range(60)) for key in KEYS}
    assert read_topic(f"{topic}.dlq") == []
    assert not InboxRecord.objects.exclude(status=InboxStatus.DONE).exists()
