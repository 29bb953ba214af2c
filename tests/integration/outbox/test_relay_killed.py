"""A relay that dies by SIGKILL in mid-batch, again and again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import Max

from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxQueue
from tests.integration.outbox.conftest import SHORT_LEASE, Watched, numbers_by_key

LANES = [f"lane-{number}" for number in range(40)]
EACH = 100
DEATHS = 4
PART = 800  # events that may be recorded before the next death


def test_every_event_arrives_in_order_however_often_the_relay_is_killed(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, [(lane, number) for number in range(EACH) for lane in LANES])
    positions = list(OutboxQueue.objects.order_by("position").values_list("position", flat=True))
    for death in range(DEATHS):
        with transaction.atomic():
            # The relay sends these, and cannot record them: it is never done before it dies.
            kept = OutboxQueue.objects.filter(position__gt=positions[(death + 1) * PART - 1])
            list(kept.select_for_update().values_list("position"))
            before = OutboxQueue.objects.count()
            running = relay("--batch-size", "300")
            eventually(lambda at=before: OutboxQueue.objects.count() < at, what="a part is out")
            assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert OutboxQueue.objects.exists(), "the relay must be killed before it is done"

    ended = manage("kafka_relay", "--drain", "--timeout", "60", env=SHORT_LEASE)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    records = read_topic(topic)
    assert numbers_by_key(records) == {lane: list(range(EACH)) for lane in LANES}
    assert len({record.headers["ce_id"] for record in records}) == len(LANES) * EACH
    assert not OutboxQueue.objects.exists()
    assert not OutboxHold.objects.exists()
    assert OutboxDelivery.objects.values("event").distinct().count() == len(LANES) * EACH
    last = OutboxDelivery.objects.filter(event__topic=topic).aggregate(at=Max("offset"))["at"]
    assert last <= max(record.offset for record in records)


def test_what_was_sent_and_not_recorded_is_sent_again_and_only_that(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
    environment: dict[str, str],
) -> None:
    send(topic, [("a", number) for number in range(50)])
    with transaction.atomic():
        # Whoever locks the leases keeps the relay from recording what Kafka has acknowledged.
        list(OutboxQueue.objects.select_for_update().order_by("position"))
        running = relay()
        assert len(read_topic(topic, expect=50)) == 50
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert OutboxQueue.objects.count() == 50

    assert manage("kafka_relay", "--drain", "--timeout", "60", env=SHORT_LEASE).returncode == 0

    records = read_topic(topic)
    assert len(records) == 100
    assert numbers_by_key(records) == {"a": list(range(50))}
    assert len({record.headers["ce_id"] for record in records}) == 50
