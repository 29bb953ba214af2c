"""The relay's decisions, with a Kafka that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError
from django.utils import timezone

from kafka_integration.broker.limits import TopicLimits
from kafka_integration.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    DeliveryFailed,
    OutboxBusy,
    ProducerFailed,
    TopicMissing,
    TopicRefused,
)
from kafka_integration.models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxLease,
    OutboxQueue,
    OutboxRelay,
    OutboxSetup,
)
from kafka_integration.outbox import gate, pipeline, reader, watch
from kafka_integration.outbox.batch import record
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.relay import Relay
from kafka_integration.outbox.scan import QueueRow, read
from kafka_integration.signals import batch_relayed, event_held, relay_idle, relay_waiting
from tests.unit.outbox.conftest import TOPIC, FakeKafka

Queued = Callable[..., list[QueueRow]]
OTHER = "other.created.json"


class FakeAdmin:
    """Knows every topic but those in ``errors``."""

    def __init__(self) -> None:
        self.errors: dict[str, BrokerError] = {}
        self.asked: list[str] = []
        self.cluster = "first-cluster"
        self.topics: dict[str, TopicLimits] = {}

    def __call__(self, timeout: float) -> FakeAdmin:
        return self

    def cluster_id(self) -> str:
        return self.cluster

    def limits(self, topic: str, producer: object) -> TopicLimits | None:
        return self.topics.get(topic)

    def missing(self, topics: Iterable[str]) -> set[str]:
        found = set()
        for topic in topics:
            self.asked.append(topic)
            error = self.errors.get(topic)
            if isinstance(error, TopicMissing):
                found.add(topic)
            elif error:
                raise error
        return found


@pytest.fixture(autouse=True)
def admin(monkeypatch: pytest.MonkeyPatch, settings: Any, db: None) -> FakeAdmin:
    found = FakeAdmin()
    settings.KAFKA_BROKER = "broker"
    monkeypatch.setattr(gate, "TopicAdmin", found)
    monkeypatch.setattr(watch, "_OUTAGE_PAUSE", 0.01)
    return found


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What relays said while they waited."""
    found: list[str] = []

    def listen(reason: str, **_: Any) -> None:
        found.append(reason)

    relay_waiting.connect(listen)
    yield found
    relay_waiting.disconnect(listen)


def test_a_drain_sends_everything_and_frees_the_leases(kafka: FakeKafka, queued: Queued) -> None:
    rows = queued("a", "b", "a", "c", "d")
    relay = Relay(batch_size=2)
    relay.drain()
    assert [key for key, _ in kafka.written] == ["a", "b", "a", "c", "d"]
    assert not OutboxQueue.objects.exists()
    assert OutboxDelivery.objects.count() == relay.published == len(rows)
    assert OutboxLease.objects.filter(owner="", expires_at=None).count() == 16


def test_what_cannot_fit_is_held_and_kafka_is_not_asked(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    admin.topics = {TOPIC: TopicLimits(1_000, best_ratio=2)}
    queued("a", "b")
    [large] = queued("a", value=b"x" * 2_000)
    queued("a", "b")
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a", "b", "b"]
    hold = OutboxHold.objects.get()
    assert (hold.key, "max.message.bytes is 1,000" in hold.reason) == ("a", True)
    assert OutboxQueue.objects.get(pk=large.position).attempts == 1
    assert OutboxQueue.objects.filter(blocked=True).count() == 2
    assert len(kafka.options) == 1, "the producer that it began with"


def test_what_kafka_may_reject_goes_apart_and_spoils_nothing(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    admin.topics = {TOPIC: TopicLimits(1_000, best_ratio=100)}
    kafka.answer = lambda key, value: DeliveryFailed(TOPIC, "large") if key == "b" else None
    queued("a", "c")
    queued("a", "b", value=b"x" * 2_000)
    queued("c", "b")
    Relay().drain()
    assert kafka.waits[:2] == [["a", "c", "c"], ["a", "b"]]
    assert OutboxHold.objects.get().key == "b"
    assert OutboxQueue.objects.filter(blocked=True).count() == 2
    careful = [options.get("batch.num.messages") for options in kafka.options]
    assert careful == [None, 1], "the swift producer goes on"


def test_once_sends_one_batch(kafka: FakeKafka, queued: Queued) -> None:
    queued("a", "b", "c")
    assert Relay(batch_size=2).once() == 2
    assert OutboxQueue.objects.get().event.key == "c"
    assert Relay().once() == 1
    assert Relay().once() == 0


def test_what_is_due_later_does_not_keep_a_drain(kafka: FakeKafka, queued: Queued) -> None:
    queued("a", available_at=timezone.now() + timedelta(hours=1))
    Relay().drain()
    assert OutboxQueue.objects.count() == 1


def test_each_batch_is_told(kafka: FakeKafka, queued: Queued) -> None:
    queued("a", "b", "c")
    told: list[tuple[int, int]] = []

    def listen(published: int, held: int, seconds: float, **_: Any) -> None:
        told.append((published, held))
        assert seconds >= 0

    batch_relayed.connect(listen)
    try:
        Relay(batch_size=2).drain()
    finally:
        batch_relayed.disconnect(listen)
    assert told == [(2, 0), (1, 0)]


def test_a_rejected_event_is_held_and_told(kafka: FakeKafka, queued: Queued) -> None:
    rows = queued("a", "b", "a")
    kafka.answer = lambda key, value: DeliveryFailed(TOPIC, "large") if key == "a" else None
    told: list[dict[str, Any]] = []

    def listen(sender: object, signal: object, **facts: Any) -> None:
        told.append(facts)

    event_held.connect(listen)
    try:
        Relay().drain()
    finally:
        event_held.disconnect(listen)
    assert [key for key, _ in kafka.written] == ["b"]
    assert OutboxHold.objects.get().key == "a"
    assert OutboxQueue.objects.filter(blocked=True).count() == 2
    [facts] = told
    assert facts["event_id"] == OutboxEvent.objects.get(pk=rows[0].event_pk).event_id
    assert "large" in facts["reason"]


def test_a_topic_is_asked_for_once(kafka: FakeKafka, queued: Queued, admin: FakeAdmin) -> None:
    queued("a", "b", "c")
    Relay(batch_size=1).drain()
    assert admin.asked == [TOPIC]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (TopicMissing([TOPIC], "broker"), TopicMissing),
        (TopicRefused(TOPIC, "broker"), TopicRefused),
        (BrokerError("Kafka forbids this: describe."), BrokerError),
    ],
)
def test_a_topic_that_cannot_be_used_stops_no_other(
    kafka: FakeKafka,
    queued: Queued,
    admin: FakeAdmin,
    said: list[str],
    error: BrokerError,
    raised: type[BrokerError],
) -> None:
    admin.errors[TOPIC] = error
    queued("a", "b")
    queued("c", topic=OTHER)
    with pytest.raises(raised, match=str(error).partition(". ")[0]):
        Relay().drain()
    assert [key for key, _ in kafka.written] == ["c"]
    assert OutboxQueue.objects.filter(attempts=0, blocked=False).count() == 2
    assert said == [f"{error} Its events wait."]


def test_a_topic_that_vanishes_later_is_closed_by_its_answer(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    queued("a")
    kafka.answer = lambda key, value: TopicMissing([TOPIC], "broker")
    with pytest.raises(TopicMissing):
        Relay().drain()
    assert OutboxQueue.objects.get().attempts == 0


def test_a_closed_topic_is_looked_at_again_after_a_while(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "_PAUSE", 0.0)
    queued("a")
    admin.errors[TOPIC] = TopicMissing([TOPIC], "broker")
    relay = Relay()

    def make_it(**_: Any) -> None:
        admin.errors.clear()

    def stop(**_: Any) -> None:
        relay.stop()

    relay_waiting.connect(make_it)
    batch_relayed.connect(stop)
    try:
        relay.run()
    finally:
        relay_waiting.disconnect(make_it)
        batch_relayed.disconnect(stop)
    assert [key for key, _ in kafka.written] == ["a"]


def test_an_outage_is_waited_out(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin, said: list[str]
) -> None:
    queued("a")
    outages = iter([BrokerUnavailable("broker"), BrokerUnavailable("broker")])

    def missing(topics: Iterable[str]) -> set[str]:
        for error in outages:
            raise error
        return set()

    admin.missing = missing  # type: ignore[method-assign]  # for this test
    Relay().drain()
    assert len(said) == 2
    assert "No Kafka broker answers at broker" in said[0]
    assert not OutboxQueue.objects.exists()


@pytest.mark.parametrize(("lease", "answer", "pause"), [(15.0, 2.5, 1.0), (3.0, 0.5, 0.5)])
def test_what_is_away_is_waited_for_less_than_a_lease_lasts(
    monkeypatch: pytest.MonkeyPatch, lease: float, answer: float, pause: float
) -> None:
    asked: list[float] = []

    def connect(seconds: float) -> FakeAdmin:
        asked.append(seconds)
        return FakeAdmin()

    monkeypatch.setattr(gate, "TopicAdmin", connect)
    monkeypatch.setattr(watch, "_OUTAGE_PAUSE", 1.0)
    relay = Relay(lease_seconds=lease)
    monkeypatch.setattr(relay._watch.stopping, "wait", asked.append)
    relay._gate.lets_through(TOPIC)
    relay._watch.wait("Kafka is away")
    assert asked == [answer, pause]


def test_a_failed_producer_is_made_anew(kafka: FakeKafka, queued: Queued, said: list[str]) -> None:
    queued("a", "b")
    failures = iter([ProducerFailed("fenced"), ProducerFailed("fenced")])
    kafka.answer = lambda key, value: next(failures, None)
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a", "b"]
    assert not OutboxHold.objects.exists()
    assert len(kafka.options) == 2


def test_a_wrong_password_ends_the_relay_and_frees_the_leases(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    queued("a")
    admin.errors[TOPIC] = AuthenticationFailed("broker")
    with pytest.raises(AuthenticationFailed):
        Relay().run()
    assert not OutboxLease.objects.exclude(owner="").exists()


def test_a_database_outage_is_waited_out(
    kafka: FakeKafka, queued: Queued, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    failures = iter([OperationalError("database is locked")])

    def fail_once(*arguments: Any) -> Any:
        for error in failures:
            raise error
        return read(*arguments)

    monkeypatch.setattr(reader, "read", fail_once)
    Relay().drain()
    assert said == ["the database does not answer: database is locked"]
    assert not OutboxQueue.objects.exists()


def test_what_was_sent_is_recorded_when_the_database_is_back(
    kafka: FakeKafka, queued: Queued, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    failures = iter([OperationalError("database is locked")])

    def fail_once(*arguments: Any) -> None:
        for error in failures:
            raise error
        record(*arguments)

    monkeypatch.setattr(pipeline, "record", fail_once)
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a"], "not sent twice"
    assert OutboxDelivery.objects.count() == 1


def test_a_second_relay_waits_and_names_the_first(
    kafka: FakeKafka, queued: Queued, said: list[str]
) -> None:
    queued("a")
    first = Leases("default", 30)
    first.acquire()
    relay = Relay()

    def release(**_: Any) -> None:
        first.release()

    relay_waiting.connect(release)
    try:
        relay.drain()
    finally:
        relay_waiting.disconnect(release)
    assert f"other relays, {first.owner.rpartition(':')[0]} among them, hold every" in said[0]
    assert not OutboxQueue.objects.exists()


def test_a_relay_that_lost_its_leases_while_it_looked_hands_nothing_over(
    kafka: FakeKafka, queued: Queued, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    relay = Relay()
    lost = iter([True])

    def due() -> bool:
        return next(lost, False)

    def lose(*arguments: Any) -> Any:
        OutboxLease.objects.update(owner="other:1:x", expires_at=timezone.now() + timedelta(days=1))
        monkeypatch.setattr(relay.leases, "due", due)
        relay.stop()
        return read(*arguments)

    monkeypatch.setattr(reader, "read", lose)
    relay.run()
    assert kafka.written == []
    assert any("leases have run out" in line for line in said)
    assert OutboxLease.objects.filter(owner="other:1:x").count() == 16


def test_surplus_is_handed_over_between_batches(kafka: FakeKafka, queued: Queued) -> None:
    rows = queued(*"abcdefgh")
    relay, other = Relay(batch_size=2), Leases("default", 30)
    kept: list[int] = []

    def join(key: str, value: bytes) -> BrokerError | None:
        if not other.owner:
            other.acquire()
            relay.leases._in_doubt = True  # let it renew before the next batch
        elif len(kafka.waits) > 1 and not kept:
            kept.extend(relay.leases.shards)
            relay.stop()
        return None

    kafka.answer = join
    relay.run()
    assert kept == list(range(8))
    shards = {row.key: row.shard for row in rows}
    assert [key for key, _ in kafka.written[:2]] == ["a", "b"], "its first batch is finished"
    assert {shards[key] for key, _ in kafka.written[2:]} <= set(kept)
    assert set(OutboxRelay.objects.values_list("owner", flat=True)) == {other.owner}


def test_a_shard_that_another_relay_holds_is_left_to_it(kafka: FakeKafka, queued: Queued) -> None:
    rows = queued(*"abcdefgh")
    theirs = rows[0].shard
    OutboxLease.objects.ensure(16)
    OutboxLease.objects.filter(shard=theirs).update(
        owner="other:1:x", epoch=1, expires_at=timezone.now() + timedelta(days=1)
    )
    relay = Relay()

    def bound(key: str, value: bytes) -> BrokerError | None:
        if len(kafka.written) > 3 * len(rows):
            relay.stop()  # it sends the same again and again
        return None

    def stop(**_: Any) -> None:
        relay.stop()

    kafka.answer = bound
    relay_idle.connect(stop)
    try:
        relay.run()
    finally:
        relay_idle.disconnect(stop)
    assert [key for key, _ in kafka.written] == [row.key for row in rows if row.shard != theirs]
    assert set(OutboxQueue.objects.values_list("shard", flat=True)) == {theirs}


@pytest.mark.parametrize("tampered", [{"owner": "other:1:x"}, {"epoch": 7}], ids=["owner", "epoch"])
def test_a_shard_that_was_tampered_with_is_neither_recorded_nor_sent_again(
    kafka: FakeKafka, queued: Queued, said: list[str], tampered: dict[str, Any]
) -> None:
    rows = queued(*"abcdefgh")
    stolen = rows[0].shard
    others = sum(row.shard != stolen for row in rows)
    relay = Relay()

    def tamper(key: str, value: bytes) -> BrokerError | None:
        OutboxLease.objects.filter(shard=stolen).update(
            **tampered, expires_at=timezone.now() + timedelta(days=1)
        )
        if len(kafka.written) > 3 * len(rows):
            relay.stop()  # it sends the same again and again
        return None

    def stop(reason: str = "run out", **_: Any) -> None:
        if "run out" in reason:
            relay.stop()

    kafka.answer = tamper
    relay_waiting.connect(stop)
    relay_idle.connect(stop)
    try:
        relay.run()
    finally:
        relay_waiting.disconnect(stop)
        relay_idle.disconnect(stop)
    assert len(kafka.written) == len(rows), "nothing is sent once more"
    assert OutboxDelivery.objects.count() == others
    assert set(OutboxQueue.objects.values_list("shard", flat=True)) == {stolen}


def test_a_relay_that_lost_its_leases_while_it_sent_records_nothing(
    kafka: FakeKafka, queued: Queued
) -> None:
    queued("a")
    queued("b", topic=OTHER)
    relay = Relay()

    def lose(key: str, value: bytes) -> BrokerError | None:
        OutboxLease.objects.update(owner="other:1:x", expires_at=timezone.now() + timedelta(days=1))
        relay.stop()
        return None

    kafka.answer = lose
    relay.run()
    assert len(kafka.written) == 2
    assert OutboxQueue.objects.count() == 2
    assert not OutboxDelivery.objects.exists()
    assert OutboxLease.objects.filter(owner="other:1:x").count() == 16


def test_a_stopped_relay_does_nothing(kafka: FakeKafka, queued: Queued) -> None:
    queued("a")
    relay = Relay()
    relay.stop()
    relay.run()
    relay.drain()
    assert kafka.written == []


def test_switched_off_it_refuses_to_start(settings: Any) -> None:
    settings.KAFKA_ENABLED = False
    with pytest.raises(ConfigurationError, match="KAFKA_ENABLED is false"):
        Relay()
    with pytest.raises(CommandError, match="KAFKA_ENABLED is false"):
        call_command("kafka_relay", "--drain")


def test_the_command_counts_what_it_sent(
    kafka: FakeKafka, queued: Queued, capsys: pytest.CaptureFixture[str]
) -> None:
    queued("a", "b")
    call_command("kafka_relay", "--drain")
    assert "Published 2 events" in capsys.readouterr().out


def test_the_command_fails_when_its_time_is_over(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    queued("a")
    admin.errors[TOPIC] = BrokerUnavailable("broker")
    with pytest.raises(CommandError, match=r"Not finished within 0\.2 s"):
        call_command("kafka_relay", "--drain", "--timeout", "0.2")
    call_command("kafka_relay", "--timeout", "0.2")
    assert OutboxQueue.objects.get().attempts == 0


def test_an_error_that_waiting_does_not_cure_ends_the_relay(
    kafka: FakeKafka, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ProgrammingError("syntax error")

    queued("a")
    monkeypatch.setattr(reader, "read", fail)
    with pytest.raises(ProgrammingError):
        Relay().drain()


@pytest.mark.django_db(transaction=True)
def test_missing_tables_are_named_with_the_cure(
    kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutboxQueue._meta, "db_table", "no_such_table")
    with pytest.raises(ConfigurationError, match=r"Run 'manage\.py migrate --database default'"):
        Relay().drain()


def test_while_only_closed_topics_wait_the_relay_looks_seldom(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued("a")
    admin.errors[TOPIC] = TopicMissing([TOPIC], "broker")
    relay = Relay(idle_seconds=0.01)
    pauses: list[float] = []

    def note(seconds: float) -> bool:
        pauses.append(seconds)
        if len(pauses) > 20:
            relay.stop()
        return False

    monkeypatch.setattr(relay._heard, "wait", note)
    relay.run()
    assert pauses[-1] == 1.0


def test_a_drain_beside_a_living_relay_gives_up_and_names_it(
    kafka: FakeKafka, queued: Queued
) -> None:
    queued("a")
    first = Leases("default", 60)
    assert first.acquire()
    with pytest.raises(OutboxBusy, match="Stop it first") as caught:
        Relay(lease_seconds=0.1).drain()
    assert caught.value.holder == first.owner.rpartition(":")[0]
    assert OutboxQueue.objects.count() == 1
    with pytest.raises(OutboxBusy, match="nor handed one over"):
        Relay(lease_seconds=0.1).once()
    assert OutboxRelay.objects.get().owner == first.owner


def test_a_drain_ends_when_another_relay_has_sent_what_it_holds(
    kafka: FakeKafka, queued: Queued
) -> None:
    queued("a")
    first = Leases("default", 60)
    assert first.acquire()

    def send(**_: Any) -> None:
        OutboxQueue.objects.all().delete()

    relay_waiting.connect(send)
    try:
        Relay(lease_seconds=5).drain()
    finally:
        relay_waiting.disconnect(send)
    assert kafka.written == []


def test_another_cluster_is_refused_before_anything_is_sent(
    kafka: FakeKafka, queued: Queued, admin: FakeAdmin
) -> None:
    queued("a")
    Relay().drain()
    queued("b")
    admin.cluster = "second-cluster"
    with pytest.raises(CommandError, match=r"cluster first-cluster.*cluster second-cluster"):
        call_command("kafka_relay", "--drain")
    assert [key for key, _ in kafka.written] == ["a"]
    assert not OutboxLease.objects.exclude(owner="").exists()
    call_command("kafka_relay", "--drain", "--adopt-cluster")
    assert [key for key, _ in kafka.written] == ["a", "b"]


def test_a_cluster_is_adopted_although_nothing_waits(kafka: FakeKafka, admin: FakeAdmin) -> None:
    call_command("kafka_relay", "--drain", "--adopt-cluster")
    assert OutboxSetup.objects.cluster_id() == "first-cluster"


def test_the_command_says_who_leads_what_it_did_and_when_there_was_nothing(
    kafka: FakeKafka, queued: Queued
) -> None:
    out = StringIO()
    call_command("kafka_relay", "--drain", stdout=out)
    assert "Nothing could be sent, so Kafka was not asked." in out.getvalue()
    queued("a")
    out = StringIO()
    call_command("kafka_relay", "--drain", stdout=out)
    assert "sends the outbox of database 'default' to broker." in out.getvalue()
    assert "Published 1 event in" in out.getvalue()
    assert "Kafka was not asked" not in out.getvalue()


def test_what_is_in_no_shard_is_found_and_sent(kafka: FakeKafka, queued: Queued) -> None:
    queued("a", "b")
    OutboxQueue.objects.update(shard=99)
    Relay().drain()
    assert [key for key, _ in kafka.written] == ["a", "b"]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_nothing_is_refused(size: int) -> None:
    with pytest.raises(ConfigurationError, match="Give --batch-size a number above zero"):
        Relay(batch_size=size)


@pytest.mark.parametrize("seconds", [0, -5.0])
def test_a_lease_that_is_over_at_once_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="Give KAFKA_RELAY_LEASE_SECONDS a number"):
        Relay(lease_seconds=seconds)
