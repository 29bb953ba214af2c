"""What a topic takes is known before an event is handed over, and is what Kafka says."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from kafka_integration import EventData, publish
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.broker.limits import lone_batch
from kafka_integration.broker.producer import EventProducer, producer_config
from kafka_integration.errors import DeliveryFailed
from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxQueue
from kafka_integration.outbox import sender
from kafka_integration.outbox.relay import Relay
from tests.integration.conftest import keys_in_order
from tests.integration.outbox.conftest import Exactly

LIMIT = 1_000


class Filled(EventData):
    """An event of any size."""

    number: int
    filling: str = ""


@pytest.fixture(autouse=True)
def _no_catalogue(settings: Any, transactional_db: None) -> None:
    settings.KAFKA_TOPICS_FILE = ""


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every producer that relays of this process make."""
    made: list[dict[str, Any]] = []

    def make(options: dict[str, Any], **others: Any) -> EventProducer:
        made.append(options)
        return EventProducer(options, **others)

    monkeypatch.setattr(sender, "EventProducer", make)
    return made


def is_taken(topic: str, value: bytes, headers: list[tuple[str, str]]) -> bool:
    """Tell whether Kafka takes a message."""
    producer = EventProducer()
    try:
        producer.send_and_wait(topic, value, "key", headers)
    except DeliveryFailed:
        return False
    finally:
        producer.close()
    return True


@pytest.mark.parametrize("stored", ["producer", "uncompressed", "lz4"])
@pytest.mark.parametrize("codec", ["none", "snappy", "lz4", "gzip"])
def test_what_we_are_sure_of_is_what_kafka_does(
    make_topic: Callable[..., str], settings: Any, codec: str, stored: str
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"compression.type": codec, "message.max.bytes": "5000000"}
    topic = make_topic(1, max_message_bytes=str(LIMIT), compression_type=stored)
    limits = TopicAdmin().limits(topic, producer_config())
    assert limits is not None
    headers = [("ce_id", "x" * 36), ("ce_type", "ß")]
    head = lone_batch("key", bytes(900), headers) - 900
    [most] = [size for size in range(800, 1_000) if size + head == LIMIT]
    assert limits.surely_takes(lone_batch("key", bytes(most), headers))
    assert is_taken(topic, secrets.token_bytes(most), headers)
    # Nothing compresses better than zeros; one byte more than that and nothing can fit.
    fewest = next(
        size
        for size in range(most, 3_000_000)
        if limits.surely_refuses(lone_batch("key", bytes(size), headers))
    )
    assert not is_taken(topic, bytes(fewest), headers)
    if limits.best_ratio == 1:
        assert fewest == most + 1


def test_an_event_that_cannot_fit_is_held_and_all_others_go_swiftly(
    make_topic: Callable[..., str],
    settings: Any,
    producers: list[dict[str, Any]],
    read_topic: Callable[..., Any],
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"compression.type": "none"}
    topic = make_topic(max_message_bytes=str(20 * LIMIT))
    with transaction.atomic():
        for number in range(600):
            filling = "x" * 20 * LIMIT if number == 300 else ""
            publish(Filled(number=number, filling=filling), topic=topic, key=number % 10)

    Relay().drain()

    found = keys_in_order(read_topic(topic))
    sizes = {(key or b"").decode(): len(values) for key, values in found.items()}
    assert sizes == {"0": 30} | {str(key): 60 for key in range(1, 10)}
    hold = OutboxHold.objects.get()
    assert (hold.topic, hold.key) == (topic, "0")
    assert "max.message.bytes is 20,000" in hold.reason
    assert OutboxQueue.objects.count() == OutboxQueue.objects.filter(blocked=True).count() == 30
    [swift] = producers
    assert swift["batch.size"] == 20 * LIMIT


def test_small_events_of_a_narrow_topic_are_not_rejected_for_their_number(
    make_topic: Callable[..., str], producers: list[dict[str, Any]]
) -> None:
    topic = make_topic(max_message_bytes=str(LIMIT))
    with transaction.atomic():
        for number in range(500):
            publish(Filled(number=number, filling=secrets.token_hex(50)), topic=topic, key="a")
    Relay().drain()
    assert OutboxDelivery.objects.count() == 500
    assert not any("batch.num.messages" in options for options in producers)


def test_what_compresses_well_enough_is_sent(
    make_topic: Callable[..., str], producers: list[dict[str, Any]]
) -> None:
    topic = make_topic(max_message_bytes=str(LIMIT))
    with transaction.atomic():
        publish(Filled(number=1, filling="x" * 3 * LIMIT), topic=topic, key="a")
        publish(Filled(number=2, filling=secrets.token_hex(3 * LIMIT)), topic=topic, key="b")
        publish(Filled(number=3), topic=topic, key="c")
    Relay().drain()
    assert OutboxHold.objects.get().key == "b"
    assert OutboxDelivery.objects.count() == 2
    careful = [options.get("batch.num.messages") for options in producers]
    assert careful[-1] == 1, "what may be rejected goes apart"
    assert careful.count(1) == 1


def test_exactly_once_it_is_held_and_no_transaction_is_lost_on_it(
    make_topic: Callable[..., str],
    exactly: Exactly,
    manage: Callable[..., Any],
    read_published: Callable[..., Any],
    read_topic: Callable[..., Any],
) -> None:
    topic = make_topic(1, max_message_bytes=str(20 * LIMIT))
    with transaction.atomic():
        for number in range(50):
            filling = "x" * 20 * LIMIT if number == 25 else ""
            publish(Filled(number=number, filling=filling), topic=topic, key="a")
    env = exactly.env | {"KAFKA_CLIENT_OPTIONS": "compression.type=none"}
    ended = manage("kafka_relay", "--drain", "--timeout", "90", env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    records = read_published(topic)
    assert [Filled.model_validate_json(record.value).number for record in records] == [*range(25)]
    assert OutboxHold.objects.get().key == "a"
    assert OutboxQueue.objects.filter(blocked=True).count() == 25
    # One transaction: its marks and the events are all that the topic holds.
    assert list(exactly.batches(read_topic(exactly.progress_topic)).values()) == [[1]]
