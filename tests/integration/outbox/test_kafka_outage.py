"""Kafka away: saves go on, nothing is counted against an event, and all of it arrives later."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxLease, OutboxQueue
from tests.integration.outbox.conftest import SHORT_LEASE, OwnKafka, Watched, numbers_by_key
from tests.sample.models import Sample


def test_a_thousand_models_saved_meanwhile_arrive_and_no_attempt_is_counted(
    kafka_to_stop: OwnKafka,
    publishing: Callable[[str], None],
    relay: Callable[..., Watched],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    topic = kafka_to_stop.make_topic()
    publishing(topic)
    running = relay(env={"KAFKA_BROKER": kafka_to_stop.broker})
    Sample.objects.create(lane="first", number=-1)
    eventually(lambda: not OutboxQueue.objects.exists(), what="the relay works")

    kafka_to_stop.stop()
    for number in range(1_000):
        Sample(lane=f"lane-{number % 10}", number=number).save()
    line = running.says("Waiting: No Kafka broker answers")
    assert "nothing is lost" in line
    assert "Check KAFKA_BROKER" in line
    assert OutboxQueue.objects.filter(attempts=0, last_error="", blocked=False).count() == 1_000

    kafka_to_stop.start()
    eventually(lambda: not OutboxQueue.objects.exists(), what="the backlog is out")
    assert running.process.poll() is None
    assert not OutboxHold.objects.exists()
    assert OutboxDelivery.objects.filter(outcome="sent").count() == 1_001
    found = numbers_by_key(read_topic(topic, at=kafka_to_stop.broker))
    expected = {f"lane-{lane}": list(range(lane, 1_000, 10)) for lane in range(10)}
    assert found == expected | {"first": [-1]}
    assert running.end(signal.SIGTERM) == 0


def test_a_drain_gives_up_after_its_time_and_loses_nothing(
    stopped_kafka: OwnKafka, send: Callable[..., None], manage: Callable[..., Any]
) -> None:
    send("test.away.json", [("a", number) for number in range(10)])
    started = time.monotonic()
    env = SHORT_LEASE | {"KAFKA_BROKER": stopped_kafka.broker}
    ended = manage("kafka_relay", "--drain", "--timeout", "5", env=env)
    assert time.monotonic() - started < 60
    assert ended.returncode == 1
    assert f"Waiting: No Kafka broker answers at {stopped_kafka.broker}" in ended.stdout
    assert "Not finished within 5 s; what is unsent stays in the outbox." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert OutboxQueue.objects.filter(attempts=0, last_error="", blocked=False).count() == 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_relay_that_waits_for_its_first_answer(
    stopped_kafka: OwnKafka,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    number: signal.Signals,
) -> None:
    send("test.away.json", [("a", 1)])
    running = relay(env={"KAFKA_BROKER": stopped_kafka.broker})
    running.says("Waiting: No Kafka broker answers")
    assert running.end(number) == 0
    _assert_left_in_order(1)


def test_a_signal_ends_a_relay_in_mid_batch(
    kafka_to_stop: OwnKafka,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    eventually: Callable[..., None],
) -> None:
    topic = kafka_to_stop.make_topic()
    running = relay(env={"KAFKA_BROKER": kafka_to_stop.broker})
    send(topic, [("a", 1)])
    eventually(lambda: not OutboxQueue.objects.exists(), what="the relay works")
    kafka_to_stop.stop()
    send(topic, [("a", number) for number in range(2, 12)])
    time.sleep(1)
    assert running.end(signal.SIGTERM) == 0
    _assert_left_in_order(10)


def _assert_left_in_order(waiting: int) -> None:
    assert OutboxQueue.objects.filter(attempts=0, last_error="", blocked=False).count() == waiting
    assert not OutboxLease.objects.taken().exists()
