"""Exactly-once publishing on real Kafka: a reader of committed records sees each event once."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django.db import transaction

from kafka_integration import EventData, publish
from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxManifest, OutboxQueue
from tests.integration.outbox.conftest import Exactly, each_once
from tests.sample.models import Effect

LANES = [f"lane-{number}" for number in range(20)]


def test_each_event_is_published_once_and_recorded_with_its_place(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
) -> None:
    for start in (0, 30):
        send(topic, [(lane, start + number) for number in range(30) for lane in LANES])
        ended = manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    records = read_published(topic)
    assert each_once(records) == {lane: list(range(60)) for lane in LANES}
    assert not OutboxQueue.objects.exists()
    assert not OutboxManifest.objects.unsettled().exists()
    placed = OutboxDelivery.objects.values_list("partition", "offset")
    assert sorted(placed) == sorted((record.partition, record.offset) for record in records)


def test_our_own_readers_get_along_with_the_marks_of_transactions(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
) -> None:
    send(topic, [(lane, number) for number in range(10) for lane in LANES])
    assert manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env).returncode == 0

    assert len(read_published(topic)) == 10 * len(LANES)

    env = exactly.env | {"SAMPLE_TOPIC": topic, "KAFKA_GROUP_PREFIX": f"{topic}-"}
    read = manage("kafka_consume", "--group", "sample", "--drain", env=env)
    audited = manage("kafka_outbox", "audit", "--topic", topic, env=env)

    assert read.returncode == 0, read.stdout + read.stderr
    assert Effect.objects.count() == 10 * len(LANES)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "200 deliveries and 200 messages compared, 0 differences" in audited.stdout


def test_only_shards_with_work_cost_a_producer_and_a_batch(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
) -> None:
    send(topic, [("a", number) for number in range(5)])
    ended = manage(
        "kafka_relay", "--drain", "--timeout", "90", "--batch-size", "2", env=exactly.env
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr

    assert each_once(read_published(topic)) == {"a": [0, 1, 2, 3, 4]}
    [batches] = exactly.batches(read_published(exactly.progress_topic)).values()
    assert batches == [1, 2, 3]


class Filled(EventData):
    """An event of any size."""

    lane: str
    number: int
    filling: str = ""


def test_one_event_that_kafka_rejects_holds_its_key_and_the_others_go(
    make_topic: Callable[..., str],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    settings: Any,
) -> None:
    settings.KAFKA_TOPICS_FILE = ""
    topic = make_topic(1, max_message_bytes="3000")
    with transaction.atomic():
        for number in range(10):
            for key in ("a", "b", "c"):
                filling = secrets.token_hex(3_000) if (key, number) == ("b", 4) else ""
                event = Filled(lane=key, number=number, filling=filling)
                publish(event, topic=topic, key=key)
    OutboxQueue.objects.update(shard=0)  # all of it in one Kafka transaction
    ended = manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    numbers = list(range(10))
    assert each_once(read_published(topic)) == {"a": numbers, "b": numbers[:4], "c": numbers}
    [held] = OutboxHold.objects.all()
    assert held.key == "b"
    assert OutboxQueue.objects.count() == 6
    assert OutboxQueue.objects.order_by("position").values_list("attempts", flat=True)[0] == 1
    assert f"Held back: event {OutboxQueue.objects.order_by('position')[0].event.event_id}" in (
        ended.stdout
    )
