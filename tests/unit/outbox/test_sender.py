"""How a batch is sent when Kafka takes it, and when it rejects a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kafka_integration.broker.producer import EventProducer
from kafka_integration.errors import BrokerError, DeliveryFailed, ProducerFailed, TopicMissing
from kafka_integration.outbox.batch import Batch
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.sender import CarefulSender, Sender
from tests.unit.outbox.conftest import TOPIC, FakeKafka

Queued = Callable[..., list[QueueRow]]


def wait(producer: EventProducer) -> bool:
    producer.flush(1)
    return True


def rejecting(*keys: str) -> Callable[[str, bytes], BrokerError | None]:
    """Reject the events of these keys."""
    return lambda key, value: DeliveryFailed(TOPIC, "too large") if key in keys else None


def test_a_good_batch_goes_out_in_one_piece(kafka: FakeKafka, queued: Queued) -> None:
    batch = Batch(queued("a", "b", "a"))
    assert Sender(wait).send(batch)
    assert kafka.waits == [["a", "b", "a"]]
    assert [sent.row for sent in batch.sent] == batch.rows
    assert batch.failed == []


def test_one_producer_serves_many_batches(kafka: FakeKafka, queued: Queued) -> None:
    sender = Sender(wait)
    sender.send(Batch(queued("a")))
    sender.send(Batch(queued("b")))
    assert len(kafka.options) == 1


def test_a_batch_spoiled_by_one_event_loses_only_that_one(kafka: FakeKafka, queued: Queued) -> None:
    kafka.answer = rejecting("b")
    batch = Batch(queued("a", "b", "a", "b", "c"))
    assert Sender(wait).send(batch)
    assert [key for key, _ in kafka.written] == ["a", "c", "a"]
    [(row, _)] = batch.failed
    assert row == batch.rows[1]
    assert kafka.waits[1:] == [["a", "b", "c"], ["a"]], "one of a key at a time"


def test_it_is_careful_for_a_while_and_then_swift_again(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr("kafka_integration.outbox.sender.time.monotonic", lambda: now)
    kafka.answer = rejecting("b")
    sender = Sender(wait)
    sender.send(Batch(queued("a", "b")))
    sender.send(Batch(queued("a", "a")))
    assert kafka.waits[-2:] == [["a"], ["a"]]
    assert len(kafka.options) == 2
    now += 11
    sender.send(Batch(queued("a", "a")))
    assert kafka.waits[-1] == ["a", "a"]
    assert len(kafka.options) == 3


def test_a_failed_producer_is_replaced_and_nothing_is_tried_again(
    kafka: FakeKafka, queued: Queued
) -> None:
    kafka.answer = lambda key, value: ProducerFailed("fenced")
    batch = Batch(queued("a", "b"))
    sender = Sender(wait)
    assert sender.send(batch)
    assert len(batch.failed) == 2
    assert (len(kafka.waits), kafka.abandoned) == (1, 1)
    sender.send(Batch(queued("c")))
    assert len(kafka.options) == 2


def test_a_missing_topic_is_no_reason_for_care(kafka: FakeKafka, queued: Queued) -> None:
    kafka.answer = lambda key, value: TopicMissing([TOPIC], "broker")
    batch = Batch(queued("a", "b"))
    assert Sender(wait).send(batch)
    assert len(kafka.waits) == 1
    assert set(batch.closed_topics()) == {TOPIC}


def test_without_leases_nothing_more_is_handed_over(kafka: FakeKafka, queued: Queued) -> None:
    kafka.answer = rejecting("b")
    answers: Iterator[bool] = iter([True, False])

    def lose(producer: EventProducer) -> bool:
        producer.flush(1)
        return next(answers)

    assert not Sender(lose).send(Batch(queued("a", "a", "b", "a")))
    assert kafka.waits == [["a", "a", "b", "a"], ["a", "b"]]
    assert kafka.abandoned == 2


def test_batches_are_narrowed_for_the_topic_that_takes_least(
    kafka: FakeKafka, queued: Queued
) -> None:
    sender = Sender(wait)
    sender.send(Batch(queued("a")))
    assert not sender.is_too_wide(1_048_588)
    assert sender.is_too_wide(5_000)
    sender.narrow(5_000)
    sender.narrow(6_000)
    sender.send(Batch(queued("a")))
    sender.send(Batch(queued("a")))
    assert [options.get("batch.size") for options in kafka.options] == [None, 5_000]


def test_the_careful_one_sends_one_of_a_key_at_a_time(kafka: FakeKafka, queued: Queued) -> None:
    batch = Batch(queued("a", "a", "b"))
    assert CarefulSender(wait).send(batch)
    assert kafka.waits == [["a", "b"], ["a"]]
    assert kafka.options[0]["batch.num.messages"] == 1


def test_what_is_refused_beforehand_is_not_sent_nor_what_follows_it(
    kafka: FakeKafka, queued: Queued
) -> None:
    rows = queued("a", "b", "b", "a")
    batch = Batch(rows, failed=[(rows[1], DeliveryFailed(TOPIC, "too large"))])
    assert CarefulSender(wait).send(batch)
    assert [key for key, _ in kafka.written] == ["a", "a"]
    assert [row for row, _ in batch.rejected()] == [rows[1]]


_EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12)


@given(events=_EVENTS)
@hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_is_rejected_order_holds_and_each_key_goes_up_to_its_poison(
    kafka: FakeKafka, events: list[tuple[str, bool]]
) -> None:
    kafka.written.clear()
    kafka.answer = lambda key, value: DeliveryFailed(TOPIC, "x") if value == b"!" else None
    rows = [
        QueueRow(
            position=number,
            shard=0,
            key_hash=ord(key),
            event_pk=number,
            topic=TOPIC,
            key=key,
            value=b"!" if bad else b"%d" % number,
            headers={},
            is_held=False,
        )
        for number, (key, bad) in enumerate(events)
    ]
    batch = Batch(rows)
    assert Sender(wait).send(batch)
    for key in "abc":
        own = [row for row in rows if row.key == key]
        poison = [row for row in own if row.value == b"!"][:1]
        good = own[: own.index(poison[0])] if poison else own
        assert [value for found, value in kafka.written if found == key] == [
            row.value for row in good
        ]
        assert [row for row, _ in batch.failed if row.key == key] == poison
