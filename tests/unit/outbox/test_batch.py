"""One round: what is read, and how Kafka's answers are recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kafka_integration.errors import (
    BrokerError,
    BrokerUnavailable,
    DeliveryFailed,
    ProducerFailed,
    TopicMissing,
    TopicRefused,
)
from kafka_integration.models import OutboxDelivery, OutboxEvent, OutboxHold, OutboxQueue
from kafka_integration.outbox import scan as module
from kafka_integration.outbox.batch import Batch, Sent, record
from kafka_integration.outbox.scan import QueueRow, pending, read
from tests.unit.outbox.conftest import ALL, TOPIC

Queued = Callable[..., list[QueueRow]]
TOO_LARGE = DeliveryFailed(TOPIC, "too large")


def hold(row: QueueRow) -> OutboxHold:
    return OutboxHold.objects.create(
        topic=row.topic, key_hash=row.key_hash, key=row.key, reason="test"
    )


def keys(rows: list[QueueRow]) -> list[str]:
    return [row.key for row in rows]


def test_rows_come_in_order_and_no_more_than_asked_for(queued: Queued) -> None:
    queued("a", "b", "a", "c")
    assert keys(read("default", ALL, 3, [])) == ["a", "b", "a"]


def test_only_our_shards_are_read(queued: Queued) -> None:
    rows = queued("a", "b", "c", "d", "e", "f")
    mine = {rows[0].shard}
    expected = [row.key for row in rows if row.shard in mine]
    assert keys(read("default", list(mine), 9, [])) == expected
    assert 0 < len(expected) < 6
    assert pending("default", list(mine), [])


def test_closed_topics_are_left_alone(queued: Queued) -> None:
    queued("a")
    queued("b", topic="other.created.json")
    assert keys(read("default", ALL, 9, [TOPIC])) == ["b"]
    assert pending("default", ALL, [TOPIC])
    assert not pending("default", ALL, [TOPIC, "other.created.json"])


def test_what_is_not_due_yet_waits(queued: Queued) -> None:
    queued("later", available_at=timezone.now() + timedelta(hours=1))
    queued("now", available_at=timezone.now() - timedelta(hours=1))
    assert keys(read("default", ALL, 9, [])) == ["now"]
    assert pending("default", ALL, [])


def test_rows_of_a_held_key_are_put_out_of_sight(queued: Queued) -> None:
    first, _, _ = queued("a", "b", "a")
    hold(first)
    assert keys(read("default", ALL, 9, [])) == ["b"]
    assert OutboxQueue.objects.filter(blocked=True, event__key="a").count() == 2
    assert not OutboxQueue.objects.filter(blocked=True, event__key="b").exists()


def test_where_many_are_met_those_that_follow_are_blocked_unread(queued: Queued) -> None:
    first, *_ = queued(*["a"] * 130)
    queued("b", "a")
    queued("a", topic="other.created.json")
    hold(first)
    assert keys(read("default", ALL, 100, [])) == []
    waiting = OutboxQueue.objects.filter(blocked=False).values_list("event__key", "event__topic")
    assert list(waiting) == [("b", TOPIC), ("a", "other.created.json")]


def test_where_few_are_met_nothing_is_looked_for(queued: Queued) -> None:
    first, *_ = queued("a", "a", "b", "a")
    hold(first)
    assert keys(read("default", ALL, 3, [])) == ["b"]
    assert OutboxQueue.objects.filter(blocked=True).count() == 2


def test_a_hold_is_for_one_topic(queued: Queued) -> None:
    [first] = queued("a")
    queued("a", topic="other.created.json")
    hold(first)
    [row] = read("default", ALL, 9, [])
    assert row.topic == "other.created.json"


def test_a_hold_released_after_the_read_blocks_nothing_and_lets_nothing_overtake(
    queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = queued("a", "a")
    OutboxQueue.objects.filter(pk=first.position).block()
    held = hold(first)
    block = module.put_out_of_sight

    def release_first(*arguments: Any) -> None:
        OutboxHold.objects.filter(pk=held.pk).release()
        block(*arguments)

    monkeypatch.setattr(module, "put_out_of_sight", release_first)
    assert read("default", ALL, 9, []) == [], "the second must not go without the first"
    monkeypatch.undo()
    assert [row.position for row in read("default", ALL, 9, [])] == [
        row.pk for row in OutboxQueue.objects.order_by("position")
    ]


def test_a_batch_has_a_bound_in_bytes_but_takes_one_at_least(
    queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a", "b", "c", value=b"x" * 100)
    monkeypatch.setattr(module, "BATCH_BYTES", 200)
    with CaptureQueriesContext(connection) as queries:
        read("default", ALL, 9, [])
    assert '"value"' not in queries[0]["sql"].replace('LENGTH("kafka_outbox_event"."value")', "")
    assert keys(read("default", ALL, 9, [])) == ["a", "b"]
    monkeypatch.setattr(module, "BATCH_BYTES", 10)
    assert keys(read("default", ALL, 9, [])) == ["a"]


def test_headers_carry_the_place_in_order(queued: Queued) -> None:
    [row] = queued("a", headers={"ce_id": "ü"})
    assert row.wire_headers() == [
        ("ce_id", "ü"),
        ("ce_sequence", f"{row.position:019d}"),
    ]


def answered(rows: list[QueueRow], **errors: BrokerError) -> Batch:
    """Return a batch whose rows were taken, but for the keys named."""
    found = Batch(rows)
    for number, row in enumerate(rows):
        if error := errors.get(row.key):
            found.failed.append((row, error))
        else:
            found.sent.append(Sent(row, 2, number))
    return found


def test_what_was_acknowledged_leaves_the_queue_and_says_where_it_is(queued: Queued) -> None:
    rows = queued("a", "b")
    with transaction.atomic():
        record("default", answered(rows), ALL)
    assert not OutboxQueue.objects.exists()
    found = OutboxDelivery.objects.order_by("offset").values_list(
        "event__pk", "partition", "offset"
    )
    assert list(found) == [(row.event_pk, 2, number) for number, row in enumerate(rows)]


def test_rows_of_other_shards_are_left_to_their_owner(queued: Queued) -> None:
    rows = queued("a", "b")
    assert rows[0].shard != rows[1].shard
    with transaction.atomic():
        record("default", answered(rows, a=TOO_LARGE), [])
        assert OutboxQueue.objects.filter(attempts=0, blocked=False).count() == 2
        record("default", answered(rows), [rows[1].shard])
    assert OutboxQueue.objects.get().pk == rows[0].position
    assert not OutboxHold.objects.exists()


def test_a_rejected_event_holds_its_key(queued: Queued) -> None:
    rows = queued("a", "b", "a")
    with transaction.atomic():
        record("default", answered(rows[:2], a=TOO_LARGE), ALL)
    first, second = OutboxQueue.objects.order_by("position")
    assert (first.attempts, first.blocked, first.last_error) == (1, True, str(TOO_LARGE))
    assert (second.attempts, second.blocked, second.last_error) == (0, False, "")
    assert read("default", ALL, 9, []) == [], "what waits behind is blocked when it is met"
    second.refresh_from_db()
    assert second.blocked
    held = OutboxHold.objects.get()
    assert (held.key, held.reason) == ("a", str(TOO_LARGE))


def test_an_event_discarded_on_its_way_holds_nothing_when_it_is_rejected(queued: Queued) -> None:
    rows = queued("a", "a")
    assert OutboxEvent.objects.get(pk=rows[0].event_pk).discard()
    with transaction.atomic():
        record("default", answered(rows[:1], a=TOO_LARGE), ALL)
    assert not OutboxHold.objects.exists()
    assert keys(read("default", ALL, 9, [])) == ["a"]


def test_many_rejected_keys_cost_no_look_through_the_whole_queue(
    queued: Queued,
) -> None:
    rows = queued(*"abcdefgh")
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        record("default", answered(rows, **dict.fromkeys("abcdefgh", TOO_LARGE)), ALL)
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert all('"position"' in sql.partition("WHERE")[2] for sql in updates)
    assert OutboxHold.objects.count() == 8


@pytest.mark.parametrize(
    "error",
    [
        BrokerUnavailable("broker"),
        TopicMissing([TOPIC], "broker"),
        TopicRefused(TOPIC, "broker"),
        ProducerFailed("fenced"),
    ],
)
def test_no_other_failure_is_counted_against_an_event(queued: Queued, error: BrokerError) -> None:
    rows = queued("a")
    with transaction.atomic():
        record("default", answered(rows, a=error), ALL)
    assert OutboxQueue.objects.get(attempts=0, blocked=False, last_error="").event.key == "a"
    assert not OutboxHold.objects.exists()


def test_failures_are_told_apart(queued: Queued) -> None:
    rows = queued("a", "b", "c", "d")
    missing, away = TopicMissing([TOPIC], "broker"), ProducerFailed("fenced")
    found = answered(rows, a=TOO_LARGE, b=missing, c=away)
    assert found.rejected() == [(rows[0], TOO_LARGE)]
    assert found.closed_topics() == {TOPIC: missing}
    assert found.other_failure() is away
    assert found.unsent() == rows[:3]
    assert answered(rows).other_failure() is None


def test_a_row_is_withheld_behind_a_rejection_or_in_a_closed_topic(queued: Queued) -> None:
    first, second, third = queued("a", "a", "b")
    found = answered([first], a=TOO_LARGE)
    assert found.withholds(second)
    assert not found.withholds(third)
    assert not answered([first]).withholds(second)
    closed = answered([first], a=TopicMissing([TOPIC], "broker"))
    assert closed.withholds(third)
