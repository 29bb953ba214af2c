"""Exactly-once publishing while relays, Kafka and leases are taken away in its midst."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from django.db import transaction
from django.utils import timezone

from kafka_integration.models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxLease,
    OutboxManifest,
    OutboxQueue,
    Outcome,
)
from tests.integration.outbox.conftest import Exactly, OwnKafka, Watched, each_once

LANES = [f"lane-{number}" for number in range(40)]
EACH = 100


def everything(each: int = EACH) -> list[tuple[str, int]]:
    return [(lane, number) for number in range(each) for lane in LANES]


@contextmanager
def nothing_recorded() -> Iterator[None]:
    """Let relays commit in Kafka, and keep them from recording it in the database."""
    with transaction.atomic():
        list(OutboxQueue.objects.select_for_update().order_by("position"))
        yield


def test_killed_at_any_moment_each_event_is_there_once(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, everything())
    chance = random.Random(6)
    deaths = 0
    while OutboxQueue.objects.count() > len(LANES) and deaths < 12:
        before = OutboxQueue.objects.count()
        running = relay("--batch-size", "8", env=exactly.env)
        eventually(lambda at=before: OutboxQueue.objects.count() < at, 60, what="a part is out")
        time.sleep(chance.random() * 0.4)
        running.end(signal.SIGKILL)
        deaths += 1
    assert deaths > 2, "the relay must be killed before it is done"

    ended = manage("kafka_relay", "--drain", "--timeout", "120", env=exactly.env, timeout=180)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert each_once(read_published(topic)) == {lane: list(range(EACH)) for lane in LANES}
    assert OutboxDelivery.objects.count() == len(LANES) * EACH
    assert OutboxDelivery.objects.values("event").distinct().count() == len(LANES) * EACH
    for batches in exactly.batches(read_published(exactly.progress_topic)).values():
        assert batches == sorted(set(batches))


def test_killed_after_kafkas_commit_it_is_recorded_and_not_sent_again(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    read_topic: Callable[..., Any],
) -> None:
    send(topic, [("a", number) for number in range(50)])
    with nothing_recorded():
        running = relay(env=exactly.env)
        assert len(read_topic(topic, expect=50, timeout=60)) == 50
        running.end(signal.SIGKILL)
    assert OutboxQueue.objects.count() == 50
    # Given up while it is not known that it is out: it is out all the same, and says so.
    discarded = OutboxEvent.objects.order_by("pk")[7]
    assert discarded.discard()
    send(topic, [("a", number) for number in range(50, 60)])

    ended = manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert each_once(read_published(topic)) == {"a": list(range(60))}
    assert not OutboxQueue.objects.exists()
    outcomes = OutboxDelivery.objects.filter(event=discarded).order_by("pk")
    assert list(outcomes.values_list("outcome", flat=True)) == [Outcome.DISCARDED, Outcome.SENT]
    assert (
        OutboxDelivery.objects.filter(
            partition=None, outcome=Outcome.SENT, event__topic=topic
        ).count()
        == 50
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_before_kafkas_commit_the_same_batch_is_sent_again(
    number: signal.Signals,
    own_exactly: Exactly,
    kafka_to_stop: OwnKafka,
    own_topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    running = relay(env=own_exactly.env)
    send(own_topic, [("a", 0)])
    eventually(lambda: not OutboxQueue.objects.exists(), 60, what="the first is out")
    kafka_to_stop.stop()
    send(own_topic, [("a", number) for number in range(1, 20)])
    eventually(lambda: OutboxManifest.objects.unsettled().exists(), 60, what="announced")
    # With Kafka away too, whoever is asked to end does so soon.
    assert running.end(number, timeout=30) == (0 if number == signal.SIGTERM else -number)
    [manifest] = OutboxManifest.objects.unsettled()
    assert len(manifest.positions) == 19
    send(own_topic, [("a", number) for number in range(20, 30)])
    kafka_to_stop.start()

    ended = manage("kafka_relay", "--drain", "--timeout", "120", env=own_exactly.env, timeout=180)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    at = kafka_to_stop.broker
    assert each_once(read_published(own_topic, at=at)) == {"a": list(range(30))}
    [batches] = own_exactly.batches(read_published(own_exactly.progress_topic, at=at)).values()
    assert batches == [manifest.batch - 1, manifest.batch, manifest.batch + 1]


def test_kafka_restarted_in_the_midst_each_event_is_there_once(
    own_exactly: Exactly,
    kafka_to_stop: OwnKafka,
    own_topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(own_topic, everything())
    running = relay("--batch-size", "8", env=own_exactly.env)
    for left in (0.8, 0.4):
        few = int(len(LANES) * EACH * left)
        eventually(lambda few=few: OutboxQueue.objects.count() < few, 90, what="a part is out")
        kafka_to_stop.stop()
        time.sleep(1)
        kafka_to_stop.start()
    eventually(lambda: not OutboxQueue.objects.exists(), 120, what="all is out")
    assert running.end(signal.SIGTERM, timeout=30) == 0

    records = read_published(own_topic, at=kafka_to_stop.broker)
    assert each_once(records) == {lane: list(range(EACH)) for lane in LANES}
    assert not OutboxQueue.objects.filter(attempts__gt=0).exists()


def test_a_relay_that_was_paused_publishes_nothing_twice(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    relay: Callable[..., Watched],
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, everything())
    running = relay("--batch-size", "4", env=exactly.env)
    eventually(lambda: OutboxQueue.objects.count() < 3_900, 60, what="a part is out")
    running.process.send_signal(signal.SIGSTOP)
    try:
        successor = relay("--batch-size", "4", env=exactly.env)
        left = OutboxQueue.objects.count()
        eventually(lambda: OutboxQueue.objects.count() < left, 90, what="taken over")
    finally:
        running.process.send_signal(signal.SIGCONT)
    running.says("our leases have run out")
    eventually(lambda: not OutboxQueue.objects.exists(), 120, what="all is out")

    assert each_once(read_published(topic)) == {lane: list(range(EACH)) for lane in LANES}
    assert successor.process.poll() is None
    assert running.process.poll() is None


def test_a_relay_whose_leases_are_taken_away_publishes_nothing_twice(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, everything())
    relay("--batch-size", "8", env=exactly.env)
    relay("--batch-size", "8", env=exactly.env)
    for _ in range(5):
        before = OutboxQueue.objects.count()
        eventually(lambda at=before: OutboxQueue.objects.count() < at, 90, what="a part is out")
        OutboxLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    eventually(lambda: not OutboxQueue.objects.exists(), 120, what="all is out")

    assert each_once(read_published(topic)) == {lane: list(range(EACH)) for lane in LANES}


def test_without_its_progress_it_stops_and_says_how_to_go_on(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    read_topic: Callable[..., Any],
    kafka_admin: AdminClient,
    make_topic: Callable[..., str],
) -> None:
    send(topic, [("a", 0)])
    assert manage("kafka_relay", "--drain", env=exactly.env).returncode == 0
    send(topic, [("a", 1), ("a", 2)])
    with nothing_recorded():
        running = relay(env=exactly.env)
        assert len(read_topic(topic, expect=3, timeout=60)) == 3
        running.end(signal.SIGKILL)
    [manifest] = OutboxManifest.objects.unsettled()
    elsewhere = exactly.env | {"KAFKA_PROGRESS_TOPIC": make_topic(1, cleanup_policy="compact")}

    ended = manage("kafka_relay", "--drain", "--timeout", "60", env=elsewhere)

    assert ended.returncode == 1
    settle = f"kafka_outbox settle --shard {manifest.shard} --sent"
    assert f"Batch 2 of shard {manifest.shard} was being published" in ended.stderr
    assert settle in ended.stderr
    assert len(read_published(topic)) == 3
    plain = manage("kafka_relay", "--drain", env=exactly.env | {"KAFKA_RELAY_EXACTLY_ONCE": ""})
    assert "--exactly-once --drain" in plain.stderr
    assert plain.returncode == 1

    assert manage(*settle.split(), "--yes").returncode == 0
    send(topic, [("a", 3)])
    assert manage("kafka_relay", "--drain", "--timeout", "60", env=elsewhere).returncode == 0
    assert each_once(read_published(topic)) == {"a": [0, 1, 2, 3]}


def test_without_a_progress_topic_it_names_the_command_that_makes_it(
    topic: str, send: Callable[..., None], exactly: Exactly, manage: Callable[..., Any]
) -> None:
    send(topic, [("a", 0)])
    env = exactly.env | {"KAFKA_PROGRESS_TOPIC": "outbox.nowhere.json"}
    ended = manage("kafka_relay", "--drain", "--timeout", "60", env=env)
    assert ended.returncode == 1
    assert "outbox.nowhere.json" in ended.stderr
    assert "kafka_topics apply" in ended.stderr
    assert OutboxQueue.objects.count() == 1
