"""Which shards are suspected of holding an event that kills, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kafka_integration.errors import BrokerError, ProducerFailed
from kafka_integration.models import OutboxHold, OutboxLease, OutboxQueue, OutboxRelay
from kafka_integration.models.queue import HANDED_OVER, HANDED_OVER_TOGETHER
from kafka_integration.outbox import gate, watch
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.relay import Relay
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.suspicion import Suspicion
from tests.unit.outbox.conftest import FakeKafka

Queued = Callable[..., list[QueueRow]]


class Death(BaseException):
    """Stands for the end of a process: nothing catches it, and nothing is given back."""


class AnyTopic:
    """Knows every topic, and of none what it takes."""

    def __init__(self, timeout: float) -> None:
        pass

    def missing(self, topics: Iterable[str]) -> set[str]:
        return set()

    def limits(self, topic: str, producer: object) -> None:
        return None

    def cluster_id(self) -> str:
        return "cluster"


@pytest.fixture(autouse=True)
def _kafka_knows_every_topic(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> None:
    settings.KAFKA_BROKER = "broker"
    monkeypatch.setattr(gate, "TopicAdmin", AnyTopic)
    monkeypatch.setattr(watch, "_OUTAGE_PAUSE", 0.01)


@pytest.fixture
def deadly(kafka: FakeKafka) -> FakeKafka:
    """A Kafka client that dies of one event."""

    def answer(key: str, value: bytes) -> BrokerError | None:
        if value == b"deadly":
            raise Death
        return None

    kafka.answer = answer
    return kafka


def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a relay that dies, and let its leases run out."""
    with monkeypatch.context() as patched:
        patched.setattr(Relay, "_end", lambda relay: None)
        with pytest.raises(Death):
            Relay().drain()
    run_out()


def run_out() -> None:
    past = timezone.now() - timedelta(seconds=1)
    OutboxLease.objects.exclude(owner="").update(expires_at=past)
    OutboxRelay.objects.update(expires_at=past)


def die(kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a relay that is killed from outside, at once."""
    with monkeypatch.context() as patched:
        patched.setattr(kafka, "flush", lambda timeout: (_ for _ in ()).throw(Death))
        crash(patched)
    kafka._queue.clear()


def test_an_event_that_kills_is_held_and_all_others_go(
    deadly: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a", "b")
    [deadly_row] = queued("a", value=b"deadly")
    queued("a", "b", "c")
    for _ in range(6):
        crash(monkeypatch)
        deadly._queue.clear()
    Relay().drain()
    assert sorted(key for key, _ in deadly.written) == ["a", "b", "b", "c"]
    hold = OutboxHold.objects.get()
    assert (hold.key, "3 relays died" in hold.reason) == ("a", True)
    row = OutboxQueue.objects.get(pk=deadly_row.position)
    assert (row.attempts, row.last_error) == (3, hold.reason)
    assert OutboxQueue.objects.filter(blocked=True).count() == 2
    assert not OutboxLease.objects.filter(crashes__gt=0).exists()


def test_how_many_relays_may_die_is_a_setting(
    deadly: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.KAFKA_RELAY_CRASHES = 1
    queued("a", value=b"deadly")
    for _ in range(3):
        crash(monkeypatch)
        deadly._queue.clear()
    Relay().drain()
    assert OutboxHold.objects.get().key == "a"


def test_relays_that_are_killed_from_outside_hold_nothing(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a", "b", "a")
    for _ in range(2):
        die(kafka, monkeypatch)
    assert not OutboxQueue.objects.filter(attempts__gt=0).exists()
    die(kafka, monkeypatch)
    [marked] = OutboxQueue.objects.filter(last_error=HANDED_OVER)
    assert marked.attempts == 1, "the one event that was on its way"
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a", "b", "a"]
    assert not OutboxHold.objects.exists()


def test_those_that_a_relay_died_of_together_go_one_by_one_and_are_not_counted(
    deadly: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a", "b")
    queued("c", value=b"deadly")
    queued("d", "e")
    suspect_all()
    crash(monkeypatch)
    deadly._queue.clear()
    marks = OutboxQueue.objects.order_by("position").values_list("attempts", "last_error")
    assert list(marks) == [(0, HANDED_OVER_TOGETHER)] * 2 + [(0, "")] * 2
    crash(monkeypatch)
    deadly._queue.clear()
    assert list(marks.all()) == [(1, HANDED_OVER), (0, ""), (0, "")]
    deadly.answer = lambda key, value: None
    deadly.waits.clear()
    Relay().drain()
    assert [turn for turn in deadly.waits if turn] == [["c"], ["d", "e"]]


def test_one_recorded_batch_ends_the_count(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = queued("a")
    die(kafka, monkeypatch)
    leases = Leases("default", 60)
    assert leases.acquire()
    assert leases.crashes() == dict.fromkeys(range(16), 1)
    leases.release()
    Relay().drain()
    assert OutboxLease.objects.get(shard=row.shard).crashes == 0
    assert OutboxLease.objects.filter(crashes=1).count() == 15


def test_a_clean_end_counts_nothing(kafka: FakeKafka, queued: Queued) -> None:
    for _ in range(3):
        Relay().drain()
    assert not OutboxLease.objects.filter(crashes__gt=0).exists()


def test_a_relay_that_lost_its_leases_and_lives_does_not_count_itself() -> None:
    leases = Leases("default", 60)
    for _ in range(3):
        assert leases.acquire()
        run_out()
        leases.lose()
    assert leases.acquire()
    assert leases.crashes() == {}


def test_leases_of_the_version_before_count_from_nothing() -> None:
    leases = Leases("default", 60)
    assert leases.acquire()
    OutboxLease.objects.update(crashes=None)
    run_out()
    other = Leases("default", 60)
    assert other.acquire()
    assert other.crashes() == dict.fromkeys(range(16), 1)


def test_an_answer_that_is_no_delivery_takes_the_mark_back(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    suspect_all()
    errors = iter([ProducerFailed("fenced")])
    kafka.answer = lambda key, value: next(errors, None)
    Relay().once()
    found = OutboxQueue.objects.first()
    assert found is None or (found.attempts, found.last_error) == (0, "")
    Relay().drain()
    assert not OutboxQueue.objects.exists()


def test_a_database_that_fails_in_its_midst_is_no_death(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    suspect_all()
    read, failures = Suspicion._read, iter([True] * 4)

    def fail(suspicion: Suspicion, rows: Sequence[QueueRow]) -> list[QueueRow]:
        if next(failures, False):
            raise OperationalError("database is locked")
        return read(suspicion, rows)

    monkeypatch.setattr(Suspicion, "_read", fail)
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a"]
    assert not OutboxHold.objects.exists()


def test_what_takes_long_was_survived(kafka: FakeKafka, queued: Queued) -> None:
    queued("a")
    suspect_all()
    seen: list[tuple[int, str]] = []

    def answer(timeout: float) -> int:
        seen.extend(OutboxQueue.objects.values_list("attempts", "last_error"))
        if len(seen) < 2:
            return 1
        return FakeKafka.flush(kafka, timeout)

    kafka.flush = answer  # type: ignore[method-assign]  # Kafka is slow once
    Relay().drain()
    assert seen == [(1, HANDED_OVER), (0, "")]
    assert [key for key, _ in kafka.written] == ["a"]


def test_without_a_dead_owner_nothing_is_asked_or_written(kafka: FakeKafka, queued: Queued) -> None:
    queued("a", "b")
    with CaptureQueriesContext(connection) as queries:
        Relay().drain()
    statements = [query["sql"] for query in queries if "crashes" in query["sql"]]
    assert not [text for text in statements if HANDED_OVER in text]
    # When shards are taken: once to count, once to look at the count; nothing with each batch.
    taken = [text for text in statements if text.startswith("UPDATE")]
    looked = [text for text in statements if '"crashes" > 0' in text]
    assert (len(taken), len(looked)) == (1, 1)


def test_after_as_many_rows_as_a_relay_can_have_under_way_all_is_well(
    kafka: FakeKafka, queued: Queued
) -> None:
    queued(*"abcdefghij")
    suspect_all()
    Relay(batch_size=2).drain()
    assert [turn for turn in kafka.waits if turn] == [*map(list, ("a", "bc", "defg", "h", "ij"))]
    assert not OutboxLease.objects.filter(crashes__gt=0).exists()


def suspect_all() -> None:
    OutboxLease.objects.ensure(16)
    OutboxLease.objects.update(crashes=2)
