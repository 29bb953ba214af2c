"""``manage.py kafka_outbox`` on real Kafka and PostgreSQL."""

from __future__ import annotations

import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from django.db import connection, connections, transaction

from kafka_integration.conf import settings as ours
from kafka_integration.models import OutboxDelivery, OutboxEvent, OutboxHold, OutboxQueue
from kafka_integration.outbox.purge import purge
from kafka_integration.outbox.replay import replay
from kafka_integration.outbox.selection import Selection
from tests.integration.conftest import Record
from tests.integration.outbox.conftest import SHORT_LEASE, Watched, numbers_by_key
from tests.sample.models import Effect

pytestmark = pytest.mark.django_db(transaction=True)

Manage = Callable[..., CompletedProcess[str]]
Read = Callable[..., list[Record]]
Send = Callable[..., None]


@pytest.fixture
def outbox(manage: Manage) -> Callable[..., CompletedProcess[str]]:
    """Run ``kafka_outbox`` to its end."""

    def run(*arguments: str) -> CompletedProcess[str]:
        return manage("kafka_outbox", *arguments, env=SHORT_LEASE)

    return run


@pytest.fixture
def drain(manage: Manage) -> Callable[[], None]:
    """Relay what waits."""

    def run() -> None:
        done = manage("kafka_relay", "--drain", "--timeout", "60", env=SHORT_LEASE)
        assert done.returncode == 0, done.stderr

    return run


def test_a_replay_reaches_the_topic_again_and_takes_effect_once(
    topic: str,
    send: Send,
    outbox: Manage,
    drain: Callable[[], None],
    manage: Manage,
    read_topic: Read,
) -> None:
    send(topic, [("a", 0), ("b", 1), ("a", 2)])
    drain()
    done = outbox("replay", "--topic", topic)
    assert done.returncode == 0, done.stderr
    assert "Queued 3 events again" in done.stdout
    drain()
    records = read_topic(topic, expect=6)
    ids = [record.headers["ce_id"] for record in records]
    assert len(records) == 6
    assert len(set(ids)) == 3
    assert len({record.headers["ce_sequence"] for record in records}) == 6
    assert numbers_by_key(records) == {"a": [0, 2], "b": [1]}

    consume = ("kafka_consume", "--group", "sample", "--drain")
    took = manage(*consume, env={**SHORT_LEASE, "SAMPLE_TOPIC": topic})
    assert took.returncode == 0, took.stderr
    assert sorted(Effect.objects.values_list("number", flat=True)) == [0, 1, 2]


def test_as_new_takes_effect_again(
    topic: str, send: Send, outbox: Manage, drain: Callable[[], None], manage: Manage
) -> None:
    send(topic, [("a", 0)])
    drain()
    assert outbox("replay", "--topic", topic, "--as-new").returncode == 0
    drain()
    consume = ("kafka_consume", "--group", "sample", "--drain")
    manage(*consume, env={**SHORT_LEASE, "SAMPLE_TOPIC": topic})
    assert list(Effect.objects.values_list("number", flat=True)) == [0, 0]
    assert Effect.objects.values("event_id").distinct().count() == 2


class TestPurgeBesideEverything:
    """Writers, replays, a relay and purges at once."""

    EVENTS = 400

    @pytest.fixture
    def storm(self) -> Iterator[Callable[[Callable[[], None]], None]]:
        """Repeat something in a thread of its own until the test ends."""
        over = threading.Event()
        threads: list[threading.Thread] = []
        errors: list[Exception] = []

        def repeat(act: Callable[[], None]) -> None:
            try:
                while not over.is_set():
                    act()
            except Exception as error:  # noqa: BLE001  # the test's own thread is to be told
                errors.append(error)
            finally:
                connections.close_all()

        def start(act: Callable[[], None]) -> None:
            threads.append(threading.Thread(target=repeat, args=(act,)))
            threads[-1].start()

        yield start
        over.set()
        for thread in threads:
            thread.join(30)
        assert errors == []

    def test_nothing_unsent_is_purged(
        self,
        topic: str,
        send: Send,
        relay: Callable[..., Watched],
        storm: Callable[[Callable[[], None]], None],
        read_topic: Read,
        eventually: Callable[..., None],
    ) -> None:
        chosen = random.Random(7)
        purged, replayed = [0], [0]

        def clean() -> None:
            # All that is out is old: the purge is after everything that it may have.
            for step in purge(timedelta(0), batch_size=20):
                purged.append(step.done)
            assert not orphans(), "the queue holds rows whose event is gone"

        def send_again() -> None:
            there = OutboxEvent.objects.order_by("?").values_list("pk", flat=True).first() or 0
            for step in replay(Selection(topics=(topic,), from_id=there, to_id=there + 20)):
                replayed.append(step.done)
            time.sleep(0.01)

        started = relay()
        storm(clean)
        storm(clean)
        storm(send_again)
        for number in range(self.EVENTS // 10):
            send(topic, [(f"k{chosen.randrange(7)}", 10 * number + n) for n in range(10)])
            if number % 10 == 0:  # the relay and the purges keep up with the writer
                so_far = len(purged)
                eventually(lambda n=so_far: max(purged[n:], default=0) > 0, 30, "purged")
        eventually(lambda: len(distinct(read_topic(topic))) == self.EVENTS, 60, "all arrived")
        numbers = numbers_by_key(read_topic(topic))
        assert sorted(n for of_key in numbers.values() for n in of_key) == list(range(self.EVENTS))
        assert all(of_key == sorted(of_key) for of_key in numbers.values())
        assert max(replayed) > 0, "nothing was replayed: the storm was none"
        assert not orphans()
        assert started.process.poll() is None


def distinct(records: list[Record]) -> set[bytes]:
    return {record.headers["ce_id"] for record in records}


def orphans() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT position FROM kafka_outbox_queue q WHERE NOT EXISTS "
            "(SELECT FROM kafka_outbox_event e WHERE e.id = q.event_id)"
        )
        return [position for (position,) in cursor.fetchall()]


def test_a_purge_waits_for_no_replay_and_a_replay_finds_no_purged_event(
    topic: str, send: Send, drain: Callable[[], None]
) -> None:
    send(topic, [("a", 0), ("a", 1)])
    drain()
    first = OutboxEvent.objects.earliest("pk")
    with transaction.atomic():
        [step] = replay(Selection(event_ids=(first.event_id,)))
        assert step.done == 1
        in_thread(lambda: list(purge(timedelta(0))))
    assert list(OutboxEvent.objects.values_list("pk", flat=True)) == [first.pk]
    assert OutboxQueue.objects.get().event_id == first.pk


def in_thread(act: Callable[[], Any]) -> None:
    def run() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it waits for the open transaction"


class TestAudit:
    @pytest.fixture(autouse=True)
    def _sent(self, topic: str, send: Send, drain: Callable[[], None]) -> None:
        send(topic, [(key, number) for number, key in enumerate("abcab")])
        drain()

    def test_outbox_and_topic_are_the_same(self, topic: str, outbox: Manage) -> None:
        done = outbox("audit", "--topic", topic)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "5 deliveries and 5 messages compared, 0 differences" in done.stdout

    def test_it_names_each_planted_difference(
        self, topic: str, outbox: Manage, broker: str, send: Send, drain: Callable[[], None]
    ) -> None:
        # One of a later batch: what is older than all that is left counts as purged.
        send(topic, [("d", 5)])
        drain()
        lost, moved = OutboxDelivery.objects.select_related("event").order_by("-pk")[:2]
        vanished = OutboxEvent.objects.create(
            event_id="0190b5a0-0000-7000-8000-000000000001", topic=topic, key="z", value=b"{}"
        )
        OutboxDelivery.objects.create(event=vanished, outcome="sent", partition=0, offset=4_000)
        OutboxDelivery.objects.filter(pk=moved.pk).update(offset=5_000)
        alien = "0190b5a0-0000-7000-8000-000000000002"
        producer = Producer({"bootstrap.servers": broker})
        producer.produce(topic, b"{}", b"x", headers={"ce_id": alien, "ce_source": ours.source})
        assert producer.flush(30) == 0
        OutboxEvent.objects.filter(pk=lost.event_id).delete()
        OutboxDelivery.objects.filter(event=lost.event_id).delete()

        done = outbox("audit", "--topic", topic, "--json")
        assert done.returncode == 1
        found = {item["event_id"]: item["kind"] for item in json.loads(done.stdout)["found"]}
        assert found == {
            str(vanished.event_id): "missing",
            str(moved.event.event_id): "moved",
            str(lost.event.event_id): "unknown",
            alien: "unknown",
        }

    def test_a_topic_that_is_not_there(self, outbox: Manage) -> None:
        done = outbox("audit", "--topic", "test.absent.json")
        assert done.returncode == 1
        assert "has no topic test.absent.json" in done.stderr


class TestStats:
    @pytest.fixture
    def session(self, transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
        """A database session of its own, as a forgotten psql would be."""
        known = connection.get_connection_params()
        names = ("host", "port", "user", "password")
        found = {name: known[name] for name in names if known.get(name)}
        with psycopg.connect(dbname=known["dbname"], application_name="forgotten", **found) as own:
            yield own
            own.rollback()

    def test_it_names_the_session_that_blocks(
        self,
        topic: str,
        send: Send,
        outbox: Manage,
        session: psycopg.Connection[Any],
        eventually: Callable[..., None],
    ) -> None:
        send(topic, [("a", 0)])
        session.execute("LOCK TABLE kafka_outbox_queue IN SHARE MODE")
        session.execute("SELECT   'the culprit''s own words'")
        writer = threading.Thread(target=lambda: in_thread(lambda: send(topic, [("a", 1)])))
        writer.start()
        try:
            eventually(lambda: waiting_for_locks() == 1, 10, "the writer waits")
            done = outbox("stats", "--json")
        finally:
            session.rollback()
            writer.join(30)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        [culprit] = [s for s in found["sessions"]["open"] if s["application"] == "forgotten"]
        assert culprit["pid"] == session.info.backend_pid
        assert len(culprit["blocks"]) == 1
        assert culprit["state"] == "idle in transaction"
        assert culprit["query"] == "SELECT 'the culprit''s own words'"
        [told] = [s["what"] for s in found["stuck"] if s["kind"] == "session"]
        assert str(culprit["pid"]) in told

    def test_it_names_uncommitted_events_and_the_topic_that_is_missing(
        self, send: Send, outbox: Manage, session: psycopg.Connection[Any]
    ) -> None:
        send("test.absent.json", [("a", 0)])
        session.execute(
            "INSERT INTO kafka_outbox_queue "
            "(event_id, shard, key_hash, blocked, attempts, last_error) "
            "VALUES (1, 0, 0, false, 0, '')"
        )
        done = outbox("stats")
        assert done.returncode == 0, done.stderr
        assert "Kafka has no topic test.absent.json, and 1 event of it waits." in done.stdout
        assert "! No relay holds the lease" in done.stdout
        assert str(session.info.backend_pid) in done.stdout
        found = json.loads(outbox("stats", "--json").stdout)
        assert found["queued"]["number"] == 1
        [own] = [s for s in found["sessions"]["open"] if s["application"] == "forgotten"]
        assert own["writes"]
        assert own["seconds"] > 0
        assert own["xmin_age"] >= 0

    def test_it_sees_a_relay_and_no_reason(
        self, topic: str, send: Send, outbox: Manage, relay: Callable[..., Watched]
    ) -> None:
        started = relay()
        send(topic, [("a", 0)])
        pid = started.process.pid
        deadline = time.monotonic() + 20
        while f":{pid}" not in outbox("stats").stdout:
            assert time.monotonic() < deadline
        found = json.loads(outbox("stats", "--json").stdout)
        assert {lease["owner"].rpartition(":")[2] for lease in found["leases"]} == {str(pid)}
        assert [s["kind"] for s in found["stuck"] if s["kind"] == "no-relay"] == []


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def test_discard_and_retry_beside_a_relay(
    make_topic: Callable[..., str],
    send: Send,
    outbox: Manage,
    relay: Callable[..., Watched],
    read_topic: Read,
    eventually: Callable[..., None],
) -> None:
    topic, large = make_topic(max_message_bytes="700"), secrets.token_hex(480)
    relay()
    send(topic, [(large, 0), ("a", 1), (large, 2)])
    eventually(OutboxHold.objects.exists, 30, "the large one is held")
    assert "Released 1 held key" in outbox("retry", "--topic", topic).stdout
    eventually(OutboxHold.objects.exists, 30, "it is held again")
    done = outbox("discard", "--topic", topic, "--yes")
    assert done.returncode == 0, done.stderr
    assert "Discarded 2 events unsent" in done.stdout
    assert [record.key for record in read_topic(topic, expect=1)] == [b"a"]
    assert not OutboxQueue.objects.exists()
