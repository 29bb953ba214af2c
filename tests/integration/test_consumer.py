"""The consumer on real Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pytest_django import Settings

from kafka_integration.broker.backlog import Backlog
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.events.envelope import Message

Make = Callable[..., EventConsumer]


@pytest.fixture
def produce(broker: str, topic: str) -> Callable[..., None]:
    """Write values into partition 0."""

    def write(*values: bytes | None, **more: object) -> None:
        producer = Producer({"bootstrap.servers": broker})
        for value in values:
            producer.produce(topic, value, partition=0, **more)  # type: ignore[arg-type]  # passed on
        assert producer.flush(10) == 0

    return write


@pytest.fixture
def make(topic: str, settings: Settings) -> Iterator[Make]:
    """Make consumers of the topic; they are closed afterwards."""
    settings.KAFKA_GROUP_PREFIX = "tests-"
    made: list[EventConsumer] = []

    def build(group: str = "g", **more: object) -> EventConsumer:
        made.append(EventConsumer([topic], f"{group}-{topic}", **more))  # type: ignore[arg-type]  # passed on
        return made[-1]

    yield build
    for consumer in made:
        consumer.close()


def take(consumer: EventConsumer, count: int, timeout: float = 20.0) -> list[Message]:
    found: list[Message] = []
    deadline = time.monotonic() + timeout
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} messages came"
        message = consumer.poll(0.1)
        if message is not None:
            found.append(message)
    return found


def committed(broker: str, topic: str) -> int:
    reader = Consumer({"bootstrap.servers": broker, "group.id": f"tests-g-{topic}"})
    try:
        return int(reader.committed([TopicPartition(topic, 0)], timeout=10)[0].offset)
    finally:
        reader.close()


def test_a_message_comes_with_all_that_it_has(
    make: Make, produce: Callable[..., None], topic: str
) -> None:
    headers = [("a", b"\xff\x00"), ("none", None), ("a", b"again")]
    produce(b"\x00\xff", key=b"\x80", headers=headers, timestamp=1_700_000_000_123)
    [message] = take(make(), 1)
    assert message == Message(topic, 0, 0, b"\x80", b"\x00\xff", headers, 1_700_000_000_123)  # type: ignore[arg-type]  # a null header


def test_a_bare_message(make: Make, produce: Callable[..., None]) -> None:
    produce(None)
    [message] = take(make(), 1)
    assert (message.key, message.value, message.headers) == (None, None, [])


def test_only_what_is_finished_is_committed(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1", b"2", b"3")
    consumer = make()
    for message in take(consumer, 3)[:2]:
        consumer.finished(message)
    assert consumer.close()
    assert committed(broker, topic) == 2
    assert [message.value for message in take(make(), 1)] == [b"3"]


def test_offsets_are_committed_while_it_goes_on(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1")
    consumer = make(commit_interval=0.1)
    consumer.finished(take(consumer, 1)[0])
    deadline = time.monotonic() + 10
    while committed(broker, topic) != 1:
        assert time.monotonic() < deadline
        assert consumer.poll(0.1) is None


def test_nothing_finished_commits_nothing(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1")
    consumer = make()
    take(consumer, 1)
    consumer.close()
    assert committed(broker, topic) < 0


def test_from_the_beginning(make: Make, produce: Callable[..., None]) -> None:
    produce(b"1", b"2")
    consumer = make()
    for message in take(consumer, 2):
        consumer.finished(message)
    consumer.close()
    assert [m.value for m in take(make(from_beginning=True), 2)] == [b"1", b"2"]


def test_rest_keeps_polling_loses_nothing_and_ends_when_told(
    make: Make, produce: Callable[..., None]
) -> None:
    produce(*[b"%d" % n for n in range(50)])
    consumer = make(max_poll_interval_ms=6000, session_timeout_ms=6000)
    first = take(consumer, 1)[0]
    consumer.rest(7.0, lambda: False)
    assert consumer.owns(first)
    started = time.monotonic()
    consumer.rest(60.0, lambda: time.monotonic() - started > 0.3)
    assert time.monotonic() - started < 5
    assert [m.offset for m in take(consumer, 49)] == list(range(1, 50))


def test_a_partition_that_was_taken_away_is_committed_first_and_then_not_ours(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1", b"2")
    consumer = make()
    first, second = take(consumer, 2)
    consumer.finished(first)
    consumer._membership.revoked(consumer._consumer, [TopicPartition(topic, 0)])
    assert committed(broker, topic) == 1
    assert not consumer.owns(second)
    consumer.finished(second)
    consumer.close()
    assert committed(broker, topic) == 1


def test_after_a_loss_nothing_is_committed(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1")
    consumer = make(commit_interval=60.0)
    first = take(consumer, 1)[0]
    consumer._membership.lost(consumer._consumer, [TopicPartition(topic, 0)])
    assert not consumer.owns(first)
    consumer.finished(first)
    consumer.close()
    assert committed(broker, topic) < 0


def test_members_share_the_work_as_the_broker_assigns_it(
    make: Make, produce: Callable[..., None], broker: str, topic: str, settings: Settings
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"group.protocol": "consumer"}
    produce(b"1", b"2")
    one = make()
    first = take(one, 2)[0]
    one.finished(first)
    two = make()
    deadline = time.monotonic() + 30
    while not two.assigned or len(one.assigned) + len(two.assigned) != 3:
        assert time.monotonic() < deadline
        one.poll(0.1)
        two.poll(0.1)
    assert not one.assigned & two.assigned
    two.close()
    one.close()
    assert committed(broker, topic) == 1
    assert [message.value for message in take(make(), 1)] == [b"2"]


def test_a_backlog_ends_where_the_topic_ended(make: Make, produce: Callable[..., None]) -> None:
    produce(b"1", b"2")
    consumer = make(watch_ends=True)
    backlog = Backlog(consumer)
    assert not backlog.is_cleared()
    produce(b"3")
    first, second = take(consumer, 2)
    consumer.finished(first)
    assert not backlog.is_cleared()
    consumer.finished(second)
    assert backlog.is_cleared()


def test_a_backlog_of_nothing_is_cleared_before_the_group_is_joined(
    make: Make, produce: Callable[..., None]
) -> None:
    produce(b"1")
    consumer = make()
    consumer.finished(take(consumer, 1)[0])
    consumer.close()
    idle = make(watch_ends=True)
    assert Backlog(idle).is_cleared()
    assert not Backlog(idle, from_beginning=True).is_cleared()
    assert not idle.assigned


def test_a_backlog_that_another_member_clears(make: Make, produce: Callable[..., None]) -> None:
    produce(b"1")
    other = make()
    [message] = take(other, 1)
    idle = make(watch_ends=True)
    backlog = Backlog(idle)
    assert not backlog.is_cleared()
    other.finished(message)
    other.close()
    deadline = time.monotonic() + 10
    while not backlog.is_cleared():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not idle.assigned


class Listener:
    """Finishes a message when it hears that its partition leaves."""

    arrived: set[tuple[str, int]]

    def __init__(self) -> None:
        self.on_leaving: Callable[[], None] = lambda: None
        self.heard: list[tuple[str, set[tuple[str, int]]]] = []
        self.arrived = set()

    def arriving(self, places: set[tuple[str, int]]) -> None:
        self.arrived |= places

    def leaving(self, places: set[tuple[str, int]]) -> None:
        self.heard.append(("leaving", places))
        self.on_leaving()

    def lost(self, places: set[tuple[str, int]]) -> None:
        self.heard.append(("lost", places))


def test_several_at_a_time_are_committed_up_to_the_first_that_is_open(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1", b"2", b"3")
    consumer = make()
    taken = [consumer.take(message) for message in take(consumer, 3)]
    consumer.release(taken[0])
    consumer.release(taken[2])
    consumer.close()
    assert committed(broker, topic) == 1


def test_what_ends_while_a_partition_leaves_is_committed_and_what_ends_later_is_not(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1", b"2")
    listener = Listener()
    consumer = make(listener=listener)
    first, second = [consumer.take(message) for message in take(consumer, 2)]
    listener.on_leaving = lambda: consumer.release(first)
    consumer._membership.revoked(consumer._consumer, [TopicPartition(topic, 0)])
    assert listener.heard == [("leaving", {(topic, 0)})]
    assert committed(broker, topic) == 1
    consumer.release(second)
    consumer.close()
    assert committed(broker, topic) == 1


def test_of_a_lost_partition_the_listener_hears_and_nothing_is_committed(
    make: Make, produce: Callable[..., None], broker: str, topic: str
) -> None:
    produce(b"1")
    listener = Listener()
    consumer = make(listener=listener, commit_interval=60.0)
    [first] = [consumer.take(message) for message in take(consumer, 1)]
    consumer._membership.lost(consumer._consumer, [TopicPartition(topic, 0)])
    consumer.release(first)
    consumer.close()
    assert listener.heard == [("lost", {(topic, 0)})]
    assert committed(broker, topic) < 0


def test_while_paused_nothing_comes_and_nothing_is_skipped(
    make: Make, produce: Callable[..., None]
) -> None:
    produce(b"1", b"2", b"3")
    consumer = make()
    [first] = take(consumer, 1)
    consumer.pause()
    assert [consumer.poll(0.1) for _ in range(10)] == [None] * 10
    consumer.resume()
    assert [message.offset for message in take(consumer, 2)] == [1, 2]
    assert consumer.owns(first)
