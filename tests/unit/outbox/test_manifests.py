"""What follows from a manifest and from what Kafka says of its batch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from kafka_integration.errors import BatchUnsettled, OutboxBusy, ProgressAhead, ProgressLost
from kafka_integration.models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxLease,
    OutboxManifest,
    OutboxQueue,
    Outcome,
)
from kafka_integration.outbox.manifests import (
    Verdict,
    decide,
    manifest_of,
    next_batch,
    record_out,
    require_settled,
    rows_of,
    settlement,
)
from kafka_integration.outbox.scan import QueueRow

Queued = Callable[..., list[QueueRow]]


def manifest(batch: int, previous: int = 0, *, settled: bool = False) -> OutboxManifest:
    return OutboxManifest(shard=3, batch=batch, previous=previous, settled=settled)


@pytest.mark.parametrize(
    ("last", "progress", "verdict"),
    [
        (None, None, Verdict.NOTHING),
        (None, 7, Verdict.NOTHING),
        (manifest(1), None, Verdict.AGAIN),
        (manifest(1), 1, Verdict.OUT),
        (manifest(8, 7), 7, Verdict.AGAIN),
        (manifest(8, 7), 8, Verdict.OUT),
        (manifest(9, 7), 7, Verdict.AGAIN),
        (manifest(9, 7), 8, Verdict.AGAIN),
        (manifest(8, 7, settled=True), 8, Verdict.NOTHING),
        (manifest(8, 7, settled=True), 7, Verdict.NOTHING),
        (manifest(8, 7, settled=True), None, Verdict.NOTHING),
    ],
)
def test_kafka_says_whether_the_last_batch_is_out(
    last: OutboxManifest | None, progress: int | None, verdict: Verdict
) -> None:
    assert settlement(last, progress) is verdict


@pytest.mark.parametrize("progress", [None, 6])
def test_progress_that_went_back_is_no_answer(progress: int | None) -> None:
    with pytest.raises(ProgressLost, match="settle --shard 3 --sent") as caught:
        settlement(manifest(8, 7), progress)
    assert (caught.value.shard, caught.value.batch, caught.value.found) == (3, 8, progress)


@pytest.mark.parametrize("settled", [True, False])
def test_progress_beyond_what_the_database_knows_is_no_answer(settled: bool) -> None:
    with pytest.raises(ProgressAhead, match="KAFKA_TRANSACTIONAL_ID_PREFIX"):
        settlement(manifest(8, 7, settled=settled), 9)


@pytest.mark.parametrize(
    ("last", "progress", "number"),
    [(None, None, 1), (None, 7, 8), (manifest(9), 7, 10), (manifest(7, settled=True), 7, 8)],
)
def test_a_batch_never_has_the_number_of_another(
    last: OutboxManifest | None, progress: int | None, number: int
) -> None:
    assert next_batch(last, progress) == number


def announce(rows: list[QueueRow], batch: int = 1, shard: int = 3) -> OutboxManifest:
    found = manifest_of(shard, batch, 0, rows)
    OutboxManifest.objects.announce([found])
    return found


def test_a_manifest_takes_the_place_of_its_shards_last_one(queued: Queued) -> None:
    rows = queued("a", "b")
    announce(rows[:1])
    OutboxManifest.objects.settle([(3, 1)])
    announce(rows[1:], 2)
    [found] = OutboxManifest.objects.unsettled()
    assert (found.batch, found.positions) == (2, [rows[1].position])
    assert rows_of("default", found) == rows[1:]


def test_a_batch_is_settled_once_and_no_other_with_it(queued: Queued) -> None:
    announce(queued("a"), 2)
    announce(queued("b"), 5, shard=4)
    assert OutboxManifest.objects.settle([(3, 1), (4, 5)]) == {4}
    assert OutboxManifest.objects.settle([(3, 2), (4, 5)]) == {3}
    assert not OutboxManifest.objects.unsettled().exists()


def test_what_is_out_leaves_the_queue_and_has_a_delivery_though_discarded(queued: Queued) -> None:
    rows = queued("a", "b", "c")
    found = announce(rows[:2])
    OutboxEvent.objects.get(pk=rows[0].event_pk).discard()
    with transaction.atomic():
        assert record_out("default", found) == 2
        assert record_out("default", found) == 0
    assert [row.pk for row in OutboxQueue.objects.all()] == [rows[2].position]
    sent = OutboxDelivery.objects.filter(outcome=Outcome.SENT).order_by("event")
    assert [(item.event_id, item.partition) for item in sent] == [
        (row.event_pk, None) for row in rows[:2]
    ]


@pytest.mark.parametrize(("sent", "left"), [(True, 1), (False, 2)])
def test_an_operator_decides_where_kafka_cannot(queued: Queued, sent: bool, left: int) -> None:
    rows = queued("a", "b")
    announce(rows[:1], 8)
    assert decide("default", 3, sent=sent) == 1
    assert OutboxQueue.objects.count() == left
    assert OutboxDelivery.objects.count() == 2 - left
    assert settlement(OutboxManifest.objects.filter(shard=3).first(), None) is Verdict.NOTHING
    assert decide("default", 3, sent=sent) is None


def test_nobody_decides_while_a_relay_may_be_publishing(queued: Queued) -> None:
    announce(queued("a"))
    later = timezone.now() + timedelta(minutes=1)
    OutboxLease.objects.create(shard=3, owner="host:7:ab", expires_at=later)
    with pytest.raises(OutboxBusy, match="host:7"):
        decide("default", 3, sent=True)
    assert OutboxManifest.objects.unsettled().count() == 1


def test_a_relay_without_exactly_once_leaves_unfinished_batches_alone(queued: Queued) -> None:
    announce(queued("a"))
    require_settled("default", [1, 2])
    with pytest.raises(BatchUnsettled, match="--exactly-once --drain"):
        require_settled("default", [3])
    OutboxManifest.objects.settle([(3, 1)])
    require_settled("default", [3])


def test_settle_is_a_command(queued: Queued, capsys: Any) -> None:
    from django.core.management import CommandError, call_command

    announce(queued("a"))
    call_command("kafka_outbox", "settle", "--shard", "3", "--unsent", "--yes")
    assert "Settled the last batch of shard 3: 1 event taken as unsent." in capsys.readouterr().out
    with pytest.raises(CommandError, match="Shard 3 has no batch"):
        call_command("kafka_outbox", "settle", "--shard", "3", "--sent", "--yes")


def test_exactly_once_is_for_postgresql_only(db: None) -> None:
    from kafka_integration.errors import ConfigurationError
    from kafka_integration.outbox.relay import Relay

    with pytest.raises(ConfigurationError, match="needs PostgreSQL"):
        Relay("other", exactly_once=True)
