"""Events that Kafka refuses, and topics that it does not have."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from django.db import transaction

from kafka_integration import EventData, publish
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.errors import TopicMissing
from kafka_integration.models import EventStatus, OutboxEvent, OutboxHold, OutboxQueue
from kafka_integration.outbox.relay import Relay
from tests.integration.conftest import keys_in_order

LIMIT = 1_000


class Numbered(EventData):
    """An event of any size."""

    number: int
    filling: str = ""


@pytest.fixture(autouse=True)
def _no_catalogue(settings: Any, transactional_db: None) -> None:
    settings.KAFKA_TOPICS_FILE = ""


@pytest.fixture
def narrow(make_topic: Callable[..., str]) -> str:
    """A topic that takes small batches only."""
    return make_topic(max_message_bytes=str(LIMIT))


@pytest.fixture
def unforeseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka tells nobody what a topic takes, so that only its rejections tell."""
    monkeypatch.setattr(TopicAdmin, "limits", lambda *_: None)


@pytest.fixture
def poison(narrow: str) -> OutboxEvent:
    """A thousand small events on ten keys, and among them one that is too large."""
    with transaction.atomic():
        ids = [_publish(number, narrow, number % 10, large=number == 500) for number in range(1000)]
    return OutboxEvent.objects.get(event_id=ids[500])


def _publish(number: int, topic: str, key: object, *, large: bool = False) -> UUID:
    filling = secrets.token_hex(LIMIT) if large else ""
    return publish(Numbered(number=number, filling=filling), topic=topic, key=key)


def numbers(records: Any) -> dict[str, list[int]]:
    """Return the numbers of each key in the order of the topic, first appearances only."""
    return {
        key.decode(): list(dict.fromkeys(_number(value) for value in values))
        for key, values in keys_in_order(records).items()
        if key is not None
    }


def _number(value: bytes | None) -> int:
    return Numbered.model_validate_json(value or b"").number


def expected(**others: list[int]) -> dict[str, list[int]]:
    """Return all numbers of each key, or those given."""
    return {str(key): list(range(key, 1_000, 10)) for key in range(10)} | {
        key.removeprefix("key_"): found for key, found in others.items()
    }


@pytest.mark.parametrize("known", [True, False], ids=["foreseen", "unforeseen"])
def test_a_poison_event_holds_its_key_and_no_other(
    narrow: str,
    poison: OutboxEvent,
    read_topic: Callable[..., Any],
    request: pytest.FixtureRequest,
    *,
    known: bool,
) -> None:
    if not known:
        request.getfixturevalue("unforeseen")
    Relay().drain()

    assert numbers(read_topic(narrow)) == expected(key_0=list(range(0, 500, 10)))
    hold = OutboxHold.objects.get()
    assert (hold.topic, hold.key, hold.key_hash) == (narrow, "0", poison.key_hash)
    assert "too large" in hold.reason
    queue = OutboxQueue.objects.order_by("position")
    assert queue.count() == queue.filter(blocked=True).count() == 50
    first = queue.first()
    assert first
    assert (first.event, first.attempts) == (poison, 1)
    assert "too large" in first.last_error
    assert not queue.exclude(pk=first.pk).filter(attempts__gt=0).exists()
    assert OutboxEvent.objects.in_status(EventStatus.HELD).count() == 50


@pytest.mark.usefixtures("unforeseen")
def test_what_travelled_behind_the_poison_does_not_overtake_it(
    make_topic: Callable[..., str], read_topic: Callable[..., Any], settings: Any
) -> None:
    # Small producer's batches, so that most of one relay's batch would be taken.
    settings.KAFKA_CLIENT_OPTIONS = {"batch.num.messages": "10"}
    topic = make_topic(max_message_bytes=str(10 * LIMIT))
    with transaction.atomic():
        for number in range(400):
            filling = secrets.token_hex(10 * LIMIT) if number == 100 else ""
            publish(Numbered(number=number, filling=filling), topic=topic, key=number % 10)
    Relay().drain()
    found = numbers(read_topic(topic))
    assert found.pop("0") == list(range(0, 100, 10))
    assert found == {str(key): list(range(key, 400, 10)) for key in range(1, 10)}


def test_later_events_of_the_key_wait_behind_it(
    narrow: str, poison: OutboxEvent, read_topic: Callable[..., Any]
) -> None:
    Relay().drain()
    with transaction.atomic():
        late = _publish(1_000, narrow, 0)
        _publish(1_001, narrow, 1)
    Relay().drain()
    found = numbers(read_topic(narrow))
    assert found["0"][-1] == 490
    assert found["1"][-1] == 1_001
    assert OutboxQueue.objects.get(event__event_id=late).blocked


def test_retried_once_the_topic_takes_it_all_of_it_follows_in_order(
    narrow: str, poison: OutboxEvent, read_topic: Callable[..., Any]
) -> None:
    Relay().drain()
    TopicAdmin().set_config(narrow, {"max.message.bytes": "1000000"})
    assert poison.retry()
    Relay().drain()
    assert numbers(read_topic(narrow)) == expected()
    assert not OutboxQueue.objects.exists()
    assert not OutboxHold.objects.exists()


def test_retried_too_early_it_is_held_again(
    narrow: str, poison: OutboxEvent, read_topic: Callable[..., Any]
) -> None:
    Relay().drain()
    assert poison.retry()
    Relay().drain()
    assert OutboxQueue.objects.get(event=poison).attempts == 2
    assert OutboxHold.objects.count() == 1
    assert numbers(read_topic(narrow))["0"] == list(range(0, 500, 10))


def test_discarded_it_lets_the_rest_go(
    narrow: str, poison: OutboxEvent, read_topic: Callable[..., Any]
) -> None:
    Relay().drain()
    assert poison.discard()
    Relay().drain()
    without = [number for number in range(0, 1_000, 10) if number != 500]
    assert numbers(read_topic(narrow)) == expected(key_0=without)
    assert not OutboxQueue.objects.exists()
    assert OutboxEvent.objects.in_status(EventStatus.DISCARDED).get() == poison


@pytest.mark.usefixtures("unforeseen")
def test_many_poison_events_in_one_batch_are_all_found(
    narrow: str, topic: str, read_topic: Callable[..., Any]
) -> None:
    with transaction.atomic():
        for number in range(100):
            _publish(number, narrow, number, large=number % 9 == 0)
            _publish(number, topic, number, large=number % 9 == 0)
    Relay().drain()
    good = {str(number) for number in range(100) if number % 9}
    assert set(numbers(read_topic(narrow))) == good
    assert set(numbers(read_topic(topic))) == {str(number) for number in range(100)}
    assert {hold.key for hold in OutboxHold.objects.all()} == {str(n) for n in range(0, 100, 9)}


def test_a_missing_topic_stops_its_own_events_only(
    topic: str, kafka_admin: AdminClient, read_topic: Callable[..., Any]
) -> None:
    missing = topic.replace("test.t", "test.m")
    with transaction.atomic():
        for number in range(20):
            publish(Numbered(number=number), topic=missing, key="a")
            publish(Numbered(number=number), topic=topic, key="a")
    with pytest.raises(TopicMissing, match=f"{missing}.*kafka_topics apply"):
        Relay().drain()
    assert numbers(read_topic(topic)) == {"a": list(range(20))}
    waiting = OutboxQueue.objects.filter(event__topic=missing, blocked=False, attempts=0)
    assert waiting.count() == OutboxQueue.objects.count() == 20

    kafka_admin.create_topics([NewTopic(missing, 1, 1)])[missing].result(timeout=30)
    Relay().drain()
    assert numbers(read_topic(missing)) == {"a": list(range(20))}


def test_a_running_relay_notices_that_the_topic_was_made(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Any],
    kafka_admin: AdminClient,
    eventually: Callable[..., None],
) -> None:
    missing = topic.replace("test.t", "test.m")
    send(missing, [("a", 1)])
    running = relay()
    assert "manage.py kafka_topics apply" in running.says(f"has no topic {missing}")
    kafka_admin.create_topics([NewTopic(missing, 1, 1)])[missing].result(timeout=30)
    started = time.monotonic()
    eventually(lambda: not OutboxQueue.objects.exists(), timeout=15, what="sent")
    assert time.monotonic() - started < 13


def test_the_command_names_the_missing_topic_and_fails(
    topic: str, send: Callable[..., None], manage: Callable[..., Any]
) -> None:
    missing = topic.replace("test.t", "test.m")
    send(missing, [("a", 1)])
    send(topic, [("a", 1)])
    ended = manage("kafka_relay", "--drain", env={"KAFKA_TOPICS_FILE": ""})
    assert ended.returncode == 1
    assert f"has no topic {missing}." in ended.stderr
    assert "manage.py kafka_topics apply" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Published 1 event " in ended.stdout
