"""From Kafka to an effect in PostgreSQL, in this process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from django.db import IntegrityError, OperationalError, connection, transaction
from pytest_django import Settings

from kafka_integration import Event
from kafka_integration.errors import BrokerUnavailable, TopicMissing, UnknownGroup
from kafka_integration.events.registry import Handler, Registry
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.worker import Worker
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from ..conftest import Record
from .conftest import Made, ce, effect, numbers

Produce = Callable[..., None]
Handle = Callable[..., None]
Consume = Callable[..., Worker]
Read = Callable[..., list[Record]]


def committed(broker: str, topic: str) -> int:
    reader = Consumer({"bootstrap.servers": broker, "group.id": f"tests-{topic}"})
    try:
        return int(reader.committed([TopicPartition(topic, 0)], timeout=10)[0].offset)
    finally:
        reader.close()


_HOLD = """
INSERT INTO kafka_inbox_record ("group", source, event_id, status, topic, partition, "offset",
    handler, attempts, last_error, headers, created_at, updated_at)
VALUES (%s, '/tests', '1', 'done', 't', 0, 0, '', 1, '', '[]', now(), now())
"""


def _dsn() -> str:
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    return f"{base}/{connection.settings_dict['NAME']}"


def _end_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _make_again(admin: AdminClient, topic: str) -> None:
    # Kafka deletes a topic some time after it said yes.
    deadline = time.monotonic() + 30
    while True:
        try:
            admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(30)
            return
        except KafkaException:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_effects_come_in_order_and_offsets_after_them(
    handle: Handle, produce: Produce, consume: Consume, broker: str, topic: str
) -> None:
    handle()
    produce(*[b'{"number": %d}' % n for n in range(100)])
    worker = consume()
    assert numbers() == list(range(100))
    assert worker.outcomes == {Outcome.HANDLED: 100}
    assert committed(broker, topic) == 100
    assert InboxRecord.objects.filter(status=InboxStatus.DONE).count() == 100
    assert consume().outcomes.total() == 0


def test_it_works_where_the_broker_assigns(
    handle: Handle, produce: Produce, consume: Consume, settings: Settings
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"group.protocol": "consumer"}
    handle()
    produce(b'{"number": 1}', b'{"number": 2}')
    assert consume().outcomes == {Outcome.HANDLED: 2}
    produce(b'{"number": 3}')
    assert consume().outcomes == {Outcome.HANDLED: 1}
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 3}
    assert numbers() == [1, 2, 3]


def test_a_drain_of_nothing_ends(handle: Handle, consume: Consume) -> None:
    handle()
    assert consume().outcomes.total() == 0


def test_two_events_of_one_id_have_one_effect(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    handle()
    for number in (1, 2):
        produce(b'{"number": %d}' % number, headers=ce("same"))
    produce(b'{"number": 3}', headers=ce("other"))
    assert consume().outcomes == {Outcome.HANDLED: 2, Outcome.DUPLICATE: 1}
    assert numbers() == [1, 3]


def test_reading_anew_has_no_new_effect(handle: Handle, produce: Produce, consume: Consume) -> None:
    handle()
    produce(b'{"number": 1}', headers=ce("1"))
    produce(b'{"number": 2}')
    consume()
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 2}
    assert numbers() == [1, 2]


def test_two_groups_each_have_their_effect(
    handle: Handle, produce: Produce, consume: Consume, topic: str
) -> None:
    one, two = f"one-{topic}", f"two-{topic}"
    handle(group=one)
    handle(group=two)
    produce(b'{"number": 1}', headers=ce("1"))
    consume(one)
    assert numbers() == [1]
    consume(two)
    assert numbers() == [1, 1]


def test_a_handler_that_fails_twice_has_one_effect(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    calls: list[int] = []

    def fragile(event: Event[Made]) -> None:
        effect(event)
        calls.append(event.data.number)
        if calls.count(1) < 3:
            raise ConnectionError("not yet")

    handle(fragile)
    produce(b'{"number": 1}', b'{"number": 2}')
    assert consume().outcomes == {Outcome.HANDLED: 2}
    assert calls == [1, 1, 1, 2]
    assert numbers() == [1, 2]
    assert InboxRecord.objects.get(offset=0).attempts == 3


def test_a_dead_message_is_handled_after_repair_and_retry(
    handle: Handle, produce: Produce, consume: Consume, read_topic: Read, topic: str
) -> None:
    broken = [True]

    def breakable(event: Event[Made]) -> None:
        effect(event)
        if broken[0] and event.data.number == 1:
            raise ValueError("the service has a bug")

    handle(breakable)
    produce(b'{"number": 1}', key=b"k", headers=ce("1"))
    produce(b'{"number": 2}', headers=ce("2"))
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 1}
    [letter] = read_topic(f"{topic}.dlq", expect=1)
    assert letter.headers["dlq_reason"] == b"attempts-exhausted"
    assert letter.headers["dlq_attempts"] == b"3"
    assert b"the service has a bug" in letter.headers["dlq_trace"]
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)

    assert record.retry()
    assert consume().retried == {Outcome.DEAD: 1}
    record.refresh_from_db()
    assert record.status == InboxStatus.DEAD

    broken[0] = False
    assert record.retry()
    assert consume().retried == {Outcome.HANDLED: 1}
    record.refresh_from_db()
    assert record.status == InboxStatus.DONE
    assert numbers() == [2, 1]
    assert consume().retried.total() == 0
    assert consume(from_beginning=True).outcomes == {Outcome.DUPLICATE: 2}
    assert numbers() == [2, 1]
    assert len(read_topic(f"{topic}.dlq")) == 1


def error_in_sql(event: Event[Made]) -> None:
    effect(event)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
    except Exception:  # noqa: BLE001  # what a careless handler does
        return


def error_in_orm(event: Event[Made]) -> None:
    effect(event)
    try:
        Effect(pk=Effect.objects.latest("pk").pk).save(force_insert=True)
    except IntegrityError:
        return


def connection_closed(event: Event[Made]) -> None:
    effect(event)
    connection.close()


def used_after_closing(event: Event[Made]) -> None:
    connection.close()
    effect(event)


@pytest.mark.parametrize(
    "careless", [error_in_sql, error_in_orm, connection_closed, used_after_closing]
)
def test_a_transaction_that_cannot_commit_is_never_taken_for_done(
    careless: Callable[[Event[Made]], None], handle: Handle, produce: Produce, consume: Consume
) -> None:
    handle(careless, attempts=2)
    produce(b'{"number": 1}')
    assert consume().outcomes == {Outcome.DEAD: 1}
    assert numbers() == []
    record = InboxRecord.objects.get()
    assert careless.__name__ in record.last_error
    assert record.retry()
    assert consume().retried == {Outcome.DEAD: 1}
    record.refresh_from_db()
    assert (record.status, record.attempts) == (InboxStatus.DEAD, 3)


def test_a_closed_cursor_is_a_mistake_and_no_outage(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    calls: list[int] = []

    def mistaken(event: Event[Made]) -> None:
        calls.append(event.data.number)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if event.data.number == 1 and len(calls) < 5:
            cursor.fetchone()
        effect(event)

    handle(mistaken, attempts=2)
    produce(b'{"number": 1}', b'{"number": 2}')
    assert consume().outcomes == {Outcome.DEAD: 1, Outcome.HANDLED: 1}
    assert calls == [1, 1, 2]
    record = InboxRecord.objects.get(status=InboxStatus.DEAD)
    assert "the cursor is closed" in record.last_error
    assert record.retry()
    assert consume().retried == {Outcome.DEAD: 1}


def test_an_old_outage_is_not_taken_for_a_new_one(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    calls: list[int] = []

    def unlucky(event: Event[Made]) -> None:
        calls.append(1)
        if len(calls) == 1:
            _end_session()
        transaction.set_rollback(True)
        effect(event)

    handle(unlucky, attempts=2)
    produce(b'{"number": 1}')
    assert consume().outcomes == {Outcome.DEAD: 1}
    assert len(calls) == 3


def test_an_outage_that_a_handler_swallows_counts_no_attempt(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    calls: list[int] = []

    def swallowing(event: Event[Made]) -> None:
        calls.append(1)
        if len(calls) > 1:
            effect(event)
            return
        try:
            with transaction.atomic():
                _end_session()
        except OperationalError:
            return

    handle(swallowing, attempts=1)
    produce(b'{"number": 1}')
    assert consume().outcomes == {Outcome.HANDLED: 1}
    assert numbers() == [1]


def test_a_database_session_that_is_killed_counts_no_attempt(
    handle: Handle, produce: Produce, consume: Consume
) -> None:
    killed: list[int] = []

    def unlucky(event: Event[Made]) -> None:
        effect(event)
        if len(killed) < 2:
            killed.append(1)
            _end_session()

    handle(unlucky, attempts=1)
    produce(b'{"number": 1}')
    assert consume().outcomes == {Outcome.HANDLED: 1}
    assert numbers() == [1]
    assert InboxRecord.objects.get().attempts == 1


def test_a_record_that_another_session_holds_is_waited_for(
    handle: Handle,
    produce: Produce,
    consume: Consume,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("kafka_integration.inbox.store.LOCK_SECONDS", 0.3)
    seen: list[str] = []

    def look(event: Event[Made]) -> None:
        effect(event)
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            seen.append(cursor.fetchone()[0])

    handle(look, attempts=1)
    produce(b'{"number": 1}', headers=ce("1"))
    with psycopg.connect(_dsn()) as paused:
        paused.execute(_HOLD, [topic])
        release = threading.Timer(4, paused.rollback)
        release.start()
        assert consume().outcomes == {Outcome.HANDLED: 1}
        release.join()
    assert "counts no attempt" in caplog.text
    assert numbers() == [1]
    assert seen == ["0"]


def test_a_topic_made_anew_has_new_messages(
    handle: Handle, produce: Produce, consume: Consume, kafka_admin: AdminClient, topic: str
) -> None:
    handle()
    produce(b'{"number": 1}')
    consume()
    kafka_admin.delete_topics([topic])[topic].result(30)
    _make_again(kafka_admin, topic)
    produce(b'{"number": 2}')
    assert consume(from_beginning=True).outcomes == {Outcome.HANDLED: 1}
    assert numbers() == [1, 2]


def test_a_stop_finishes_the_message_at_hand(
    handle: Handle, produce: Produce, topic: str, transactional_db: None, broker: str
) -> None:
    workers: list[Worker] = []

    def stopping(event: Event[Made]) -> None:
        effect(event)
        workers[0].stop()

    handle(stopping)
    produce(b'{"number": 1}', b'{"number": 2}')
    workers.append(Worker(topic))
    workers[0].run()
    assert numbers() == [1]
    assert committed(broker, topic) == 1


def test_a_stop_ends_a_long_pause_and_leaves_its_message(
    handle: Handle,
    produce: Produce,
    consume: Consume,
    topic: str,
    transactional_db: None,
    broker: str,
    settings: Settings,
) -> None:
    settings.KAFKA_HANDLER_IN_PLACE_SECONDS = 10_000.0
    settings.KAFKA_HANDLER_BACKOFF_SECONDS = 10_000.0
    settings.KAFKA_HANDLER_BACKOFF_MAX_SECONDS = 10_000.0
    fails = [True]

    def failing(event: Event[Made]) -> None:
        effect(event)
        if fails[0]:
            threading.Timer(0.3, worker.stop).start()
            raise ValueError

    handle(failing)
    produce(b'{"number": 1}')
    worker = Worker(topic)
    worker.run()
    assert numbers() == []
    assert committed(broker, topic) < 0
    fails[0] = False
    consume()
    assert numbers() == [1]


def test_at_most_so_many_messages(handle: Handle, produce: Produce, consume: Consume) -> None:
    handle()
    produce(*[b'{"number": %d}' % n for n in range(5)])
    assert consume(max_messages=2).outcomes.total() == 2
    assert numbers() == [0, 1]
    consume()
    assert numbers() == [0, 1, 2, 3, 4]


def test_an_unknown_group_names_the_known_ones(handle: Handle) -> None:
    handle(group="previews")
    with pytest.raises(UnknownGroup, match=r"'preview'.*Known groups: previews"):
        Worker("preview")


def test_a_topic_without_dead_letters_is_an_error_at_the_start(
    declared: Registry, kafka_admin: AdminClient, transactional_db: None, topic: str
) -> None:
    bare = topic.replace("test.", "bare.")
    kafka_admin.create_topics([NewTopic(bare, 1, 1)])[bare].result(30)
    declared.add_handler(Handler(bare, Made, "g", effect))
    declared.add_handler(Handler("never.made.json", Made, "g", effect))
    with pytest.raises(TopicMissing, match="kafka_topics apply") as caught:
        Worker("g").run()
    assert caught.value.topics == (f"{bare}.dlq", "never.made.json", "never.made.json.dlq")


def test_a_missing_broker_is_an_error_at_the_start(handle: Handle, settings: Settings) -> None:
    handle(group="g")
    settings.KAFKA_BROKER = "127.0.0.1:1"
    with pytest.raises(BrokerUnavailable, match="KAFKA_BROKER"):
        Worker("g").run()
