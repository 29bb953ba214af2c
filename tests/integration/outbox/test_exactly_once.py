"""Exactly-once publishing on real Kafka: a reader of committed records sees each event once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka_integration.models import OutboxDelivery, OutboxManifest, OutboxQueue
from tests.integration.outbox.conftest import Exactly, each_once

LANES = [f"lane-{number}" for number in range(20)]


def test_each_event_is_published_once_and_recorded_with_its_place(
    topic: str,
    send: Callable[..., None],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
) -> None:
    for start in (0, 30):
        send(topic, [(lane, start + number) for number in range(30) for lane in LANES])
        ended = manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    records = read_topic(topic)
    assert each_once(records) == {lane: list(range(60)) for lane in LANES}
    assert not OutboxQueue.objects.exists()
    assert not OutboxManifest.objects.unsettled().exists()
    placed = OutboxDelivery.objects.values_list("partition", "offset")
    assert sorted(placed) == sorted((record.partition, record.offset) for record in records)
