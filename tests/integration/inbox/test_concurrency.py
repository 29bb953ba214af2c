"""Several handlers at a time, on real Kafka and PostgreSQL."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pytest_django import Settings

from kafka_integration import Event
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord
from tests.sample.models import Effect

from .conftest import Made, effect

Handle = Callable[..., None]
Consume = Callable[..., Worker]
Start = Callable[..., subprocess.Popen[str]]
Manage = Callable[..., subprocess.CompletedProcess[str]]
Eventually = Callable[..., None]

SECONDS = 30.0
SHORT = "session.timeout.ms=6000,heartbeat.interval.ms=500"


@pytest.fixture
def write(broker: str, topic: str) -> Callable[[Sequence[tuple[str, int]]], None]:
    """Write messages of these keys and numbers, in order, where their keys belong."""

    def send(wanted: Sequence[tuple[str, int]]) -> None:
        producer = Producer({"bootstrap.servers": broker})
        for key, number in wanted:
            value = json.dumps({"number": number, "lane": key})
            producer.produce(topic, value, key)
        assert producer.flush(SECONDS) == 0

    return send


def mixed(keys: int, each: int) -> list[tuple[str, int]]:
    return [(f"k{key}", number) for number in range(each) for key in range(keys)]


def lanes() -> dict[str, list[int]]:
    """Return the numbers of each key, in the order in which their effects happened."""
    found: dict[str, list[int]] = defaultdict(list)
    for lane, number in Effect.objects.order_by("pk").values_list("lane", "number"):
        found[lane].append(number)
    return found


def committed(broker: str, group: str, topic: str, partition: int) -> int:
    reader = Consumer({"bootstrap.servers": broker, "group.id": group})
    try:
        return int(reader.committed([TopicPartition(topic, partition)], timeout=10)[0].offset)
    finally:
        reader.close()


def test_each_key_keeps_its_order_and_keys_run_together(
    handle: Handle, write: Callable[..., None], consume: Consume
) -> None:
    running: set[str] = set()
    together: list[int] = []

    def slow(event: Event[Made]) -> None:
        key = event.key or ""
        assert key not in running, "two of one key at a time"
        running.add(key)
        together.append(len(running))
        time.sleep(random.random() * 0.02)
        effect(event)
        running.discard(key)

    handle(slow, attempts=1)
    write(mixed(keys=12, each=15))
    assert consume(workers=8).outcomes == {Outcome.HANDLED: 180}
    assert lanes() == {f"k{key}": list(range(15)) for key in range(12)}
    assert max(together) > 1


def test_by_partition_all_of_it_is_in_order(
    handle: Handle, write: Callable[..., None], consume: Consume
) -> None:
    order: dict[int, list[int]] = defaultdict(list)

    def note(event: Event[Made]) -> None:
        time.sleep(random.random() * 0.01)
        order[event.message.partition].append(event.message.offset)

    handle(note, order="partition")
    write(mixed(keys=12, each=5))
    consume(workers=8)
    assert all(offsets == list(range(len(offsets))) for offsets in order.values())
    assert sum(map(len, order.values())) == 60


def test_without_an_order_one_key_runs_together(
    handle: Handle, write: Callable[..., None], consume: Consume
) -> None:
    meeting = threading.Barrier(4)
    handle(lambda event: meeting.wait(SECONDS) and None, order="none", attempts=1)
    write([("k", number) for number in range(4)])
    assert consume(workers=4).outcomes == {Outcome.HANDLED: 4}


def test_a_slow_key_holds_no_other_and_no_commit_goes_past_it(
    handle: Handle,
    write: Callable[..., None],
    topic: str,
    broker: str,
    transactional_db: None,
    eventually: Eventually,
) -> None:
    release = threading.Event()
    where: list[tuple[int, int]] = []

    def slow(event: Event[Made]) -> None:
        if event.key == "slow" and event.data.number == 0:
            where.append((event.message.partition, event.message.offset))
            assert release.wait(SECONDS)
        effect(event)

    handle(slow)
    write([*mixed(keys=5, each=2), ("slow", 0), ("slow", 1), *mixed(keys=9, each=20)])
    worker = Worker(topic, workers=2)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        eventually(lambda: worker.outcomes.total() == 190)
        time.sleep(2)  # more than a commit takes to come due
        [(partition, offset)] = where
        assert committed(broker, f"tests-{topic}", topic, partition) in (offset, -1001)
        assert "slow" not in lanes()
    finally:
        release.set()
        eventually(lambda: worker.outcomes.total() == 192)
        worker.stop()
        thread.join(SECONDS)
    assert lanes()["slow"] == [0, 1]
    assert committed(broker, f"tests-{topic}", topic, partition) > offset + 1


def test_a_retry_holds_only_its_key(
    handle: Handle, write: Callable[..., None], consume: Consume, settings: Settings
) -> None:
    settings.KAFKA_HANDLER_BACKOFF_SECONDS = 1_000.0
    settings.KAFKA_HANDLER_BACKOFF_MAX_SECONDS = 3.0
    calls: list[str] = []

    def fragile(event: Event[Made]) -> None:
        calls.append(event.key or "")
        if event.key == "bad" and calls.count("bad") == 1:
            raise ConnectionError("not yet")
        effect(event)

    handle(fragile)
    write([("bad", 0), ("bad", 1), *mixed(keys=4, each=5)])
    worker = consume(workers=1)
    assert worker.outcomes == {Outcome.HANDLED: 22}
    assert lanes()["bad"] == [0, 1]
    assert InboxRecord.objects.get(attempts=2).handler.endswith("fragile")
    assert calls.index("bad") < len(calls) - 3


def test_killed_in_the_midst_each_effect_is_there_once_and_in_order(
    start: Start, manage: Manage, write: Callable[..., None], topic: str, eventually: Eventually
) -> None:
    write(mixed(keys=20, each=20))
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_PAUSE": "0.02",
        "KAFKA_CONSUME_WORKERS": "6",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    for goal in (60, 140, 220):
        process = start("kafka_consume", "--group", "sample", env=env)
        eventually(lambda goal=goal: Effect.objects.count() >= goal, timeout=60)
        process.kill()
        process.wait()
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert lanes() == {f"k{key}": list(range(20)) for key in range(20)}


def test_members_that_come_and_go_repeat_no_effect(
    start: Start, manage: Manage, write: Callable[..., None], topic: str, eventually: Eventually
) -> None:
    write(mixed(keys=20, each=40))
    env = {"SAMPLE_TOPIC": topic, "SAMPLE_PAUSE": "0.03", "KAFKA_CONSUME_WORKERS": "3"}
    command = ("kafka_consume", "--group", "sample")
    first = start(*command, env=env)
    eventually(lambda: Effect.objects.count() > 50, timeout=60)
    second = start(*command, env=env)
    eventually(lambda: Effect.objects.count() > 300, timeout=60)
    first.send_signal(signal.SIGTERM)
    said = [first.communicate(timeout=60)[0]]
    eventually(lambda: Effect.objects.count() > 500, timeout=60)
    second.send_signal(signal.SIGTERM)
    said.append(second.communicate(timeout=60)[0])
    said.append(manage(*command, "--drain", env=env).stdout)
    assert (first.returncode, second.returncode) == (0, 0), said
    ends = [re.search(r"(\d+) handled", text.split("ended.")[1]) for text in said]
    counts = [int(end[1]) for end in ends if end]
    # What was finished behind an open message comes again, as a duplicate that nobody handles.
    assert sum(counts) == 800, said
    assert min(counts[:2]) > 0, said
    assert lanes() == {f"k{key}": list(range(40)) for key in range(20)}


def test_a_frozen_member_that_wakes_commits_nothing_that_it_lost(
    start: Start,
    manage: Manage,
    write: Callable[..., None],
    topic: str,
    broker: str,
    eventually: Eventually,
) -> None:
    write(mixed(keys=10, each=30))
    env = {
        "SAMPLE_TOPIC": topic,
        "SAMPLE_PAUSE": "0.05",
        "KAFKA_CONSUME_WORKERS": "2",
        "KAFKA_CLIENT_OPTIONS": SHORT,
    }
    command = ("kafka_consume", "--group", "sample")
    frozen = start(*command, env=env)
    eventually(lambda: Effect.objects.count() > 20, timeout=60)
    frozen.send_signal(signal.SIGSTOP)
    other = start(*command, env=env | {"SAMPLE_PAUSE": "0"})
    # Its two transactions are open, so two keys wait for it.
    eventually(lambda: Effect.objects.count() > 200, timeout=90)
    before = [committed(broker, "sample", topic, number) for number in range(3)]
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: Effect.objects.count() == 300, timeout=90)
    for process in (frozen, other):
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=60)[0] for process in (frozen, other)]
    assert (frozen.returncode, other.returncode) == (0, 0), said
    after = [committed(broker, "sample", topic, number) for number in range(3)]
    assert all(late >= early for early, late in zip(before, after, strict=True)), said
    assert lanes() == {f"k{key}": list(range(30)) for key in range(10)}
    rest = manage(*command, "--drain", env=env)
    assert "0 handled" in rest.stdout


def test_a_hanging_handler_holds_its_key_and_a_stop_ends_in_time(
    start: Start, manage: Manage, write: Callable[..., None], topic: str, eventually: Eventually
) -> None:
    write([("stuck", 0), ("stuck", 1), *mixed(keys=4, each=10)])
    env = {"SAMPLE_TOPIC": topic, "KAFKA_CLIENT_OPTIONS": SHORT}
    limits = {
        "SAMPLE_HANG": "stuck",
        "KAFKA_CONSUME_DRAIN_SECONDS": "1",
        "KAFKA_HANDLER_STALL_SECONDS": "1",
    }
    process = start("kafka_consume", "--group", "sample", env=env | limits)
    eventually(lambda: Effect.objects.count() == 40, timeout=60)
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert re.search(r"the handler of \S+@\d+, key stuck, has been at work for", said), said
    assert re.search(
        r"Group sample ended while handlers were still at test\.\S+@\d+, after 1 s", said
    )
    done = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert done.returncode == 0, done.stderr
    assert lanes()["stuck"] == [0, 1]
    assert Effect.objects.count() == 42


def test_a_second_signal_ends_it_at_once(
    start: Start, manage: Manage, write: Callable[..., None], topic: str, eventually: Eventually
) -> None:
    write([("stuck", 0), *mixed(keys=4, each=10)])
    env = {"SAMPLE_TOPIC": topic, "KAFKA_CLIENT_OPTIONS": SHORT}
    process = start("kafka_consume", "--group", "sample", env=env | {"SAMPLE_HANG": "stuck"})
    eventually(lambda: Effect.objects.count() == 40, timeout=60)
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    assert process.returncode == -signal.SIGTERM
    manage("kafka_consume", "--group", "sample", "--drain", env=env)
    assert Effect.objects.count() == 41
