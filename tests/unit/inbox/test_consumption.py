"""The consumer's thread, with a consumer that is stood in for and real handler threads."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import pytest
from pytest_django import Settings

from kafka_integration import signals
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.broker.assignment import Assignment, Taken
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.broker.offsets import Place
from kafka_integration.errors import BrokerUnavailable
from kafka_integration.events.envelope import Message
from kafka_integration.inbox import throttle
from kafka_integration.inbox.consumption import Consumption, drain_seconds
from kafka_integration.inbox.dead_letters import DeadLetters
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Again, Done, Job, Verdict
from kafka_integration.inbox.origin import Origins
from kafka_integration.inbox.parked_turns import ParkedTurns
from kafka_integration.inbox.pool import Pool

from .messages import GROUP, TOPIC, handler, ignore, message

SECONDS = 20.0
PLACE = (TOPIC, 1)


class Consumer:
    """Hands out messages of one partition, and notes what is finished."""

    def __init__(self, *messages: Message) -> None:
        self.messages = deque(messages)
        self.assignment = Assignment()
        self.assignment.add([PLACE])
        self.following = 0
        self.taken = 0
        self.released = 0
        self.most_open = 0
        self.pauses = 0
        self.paused = False
        self.before_poll: Callable[[], None] = lambda: None

    def poll(self, timeout: float) -> Message | None:
        self.before_poll()
        if self.messages and not self.paused:
            return self.messages.popleft()
        time.sleep(timeout / 10)
        return None

    def take(self, found: Message) -> Taken:
        self.taken += 1
        self.most_open = max(self.most_open, self.taken - self.released)
        return self.assignment.take(found)

    def release(self, taken: Taken) -> None:
        self.released += 1
        self.following = self.assignment.finish(taken) or self.following

    def pause(self) -> None:
        self.pauses += not self.paused
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class Letters:
    """Nothing is buried here."""

    def poll(self) -> None: ...

    close = poll


class Nothing:
    """No parked records."""

    idle = True
    loading = False

    def turn(self) -> None: ...

    def gone(self, places: set[Place]) -> None: ...

    give_up = gone

    def passed(self, place: Place, outcome: Outcome) -> None: ...


class Group:
    """A consumption and what surrounds it."""

    def __init__(self, consumer: Consumer, handle: Callable[[Job], Verdict], **more: Any) -> None:
        def all_of(jobs: Sequence[Job]) -> list[Verdict]:
            return [handle(one) for one in jobs]

        self.consumer = consumer
        self.stopping = threading.Event()
        self.outcomes: Counter[Outcome] = Counter()
        self.pool = Pool(
            all_of,
            lambda _: Done(Outcome.DEAD),
            cast(DeadLetters, Letters()),
            lambda _: 0.0,
            stopped=self.stopping.is_set,
            workers=more.pop("workers", 4),
        )
        self.pool.start()
        self.consumption = Consumption(
            GROUP,
            [handler(ignore)],
            self.pool,
            Origins(cast(TopicAdmin, None)),
            cast(ParkedTurns, Nothing()),
            outcomes=self.outcomes,
            stopped=self.stopping.is_set,
            max_messages=more.pop("max_messages", None),
            sender=Group,
        )

    def run(self, until: Callable[[], bool]) -> None:
        """Run until a question is answered with yes."""
        deadline = time.monotonic() + SECONDS

        def watch() -> None:
            assert time.monotonic() < deadline
            if until():
                self.stopping.set()

        self.consumer.before_poll = watch
        self.consumption.run(cast(EventConsumer, self.consumer), None)


@pytest.fixture
def group() -> Iterator[Callable[..., Group]]:
    made: list[Group] = []

    def make(consumer: Consumer, handle: Callable[[Job], Verdict], **more: Any) -> Group:
        made.append(Group(consumer, handle, **more))
        return made[-1]

    yield make
    for one in made:
        one.pool.end(SECONDS)


def handled(job: Job) -> Verdict:
    return Done(Outcome.HANDLED)


def messages(count: int, keys: int = 7) -> list[Message]:
    return [message(offset=n, key=b"%d" % (n % keys)) for n in range(count)]


def test_every_message_that_is_read_is_handled(group: Callable[..., Group]) -> None:
    one = group(Consumer(*messages(450)), handled)
    one.run(lambda: one.outcomes.total() == 450)
    assert one.consumer.following == 450


def test_no_more_is_in_memory_than_is_allowed(
    group: Callable[..., Group], settings: Settings
) -> None:
    settings.KAFKA_CONSUME_IN_FLIGHT = 5
    one = group(Consumer(*messages(100)), handled)
    one.run(lambda: one.outcomes.total() == 100)
    assert one.consumer.most_open == 5


def test_large_messages_count_by_their_bytes(
    group: Callable[..., Group], settings: Settings
) -> None:
    settings.KAFKA_CONSUME_IN_FLIGHT_BYTES = 25_000
    large = [message(b"x" * 10_000, offset=n, key=b"%d" % n) for n in range(30)]
    one = group(Consumer(*large), handled)
    one.run(lambda: one.outcomes.total() == 30)
    assert one.consumer.most_open <= 3


def test_while_nothing_ends_it_pauses_and_polls_on(
    group: Callable[..., Group], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "_PATIENCE", 0.0)
    settings.KAFKA_CONSUME_IN_FLIGHT = 4
    polls_in_pause: list[int] = []
    release = threading.Event()

    def handle(job: Job) -> Verdict:
        assert release.wait(SECONDS)
        return Done(Outcome.HANDLED)

    one = group(Consumer(*messages(20)), handle)

    def done() -> bool:
        if one.consumer.paused:
            polls_in_pause.append(1)
        if len(polls_in_pause) > 3:
            release.set()
        return one.outcomes.total() == 20

    one.run(done)
    assert len(polls_in_pause) > 3
    assert one.consumer.pauses >= 1
    assert one.consumer.following == 20


def test_it_reads_no_more_than_it_may_handle(group: Callable[..., Group]) -> None:
    one = group(Consumer(*messages(50)), handled, max_messages=7)
    one.run(lambda: False)
    assert one.outcomes == {Outcome.HANDLED: 7}
    assert one.consumer.taken == 7


def test_what_is_finished_behind_an_open_message_is_not_committed(
    group: Callable[..., Group],
) -> None:
    release = threading.Event()

    def handle(job: Job) -> Verdict:
        if job.message.offset == 3:
            assert release.wait(SECONDS)
        return Done(Outcome.HANDLED)

    one = group(Consumer(*messages(10, keys=10)), handle)
    one.run(lambda: one.outcomes.total() == 9)
    assert one.consumer.following == 3
    release.set()
    assert one.consumption.drain(SECONDS) == []
    assert one.consumer.following == 10


def test_a_partition_that_leaves_waits_for_what_runs_and_forgets_the_rest(
    group: Callable[..., Group],
) -> None:
    begun = threading.Event()

    def handle(job: Job) -> Verdict:
        begun.set()
        time.sleep(0.3)
        return Done(Outcome.HANDLED)

    one = group(Consumer(*messages(5, keys=1)), handle)
    one.run(begun.is_set)
    one.consumption.leaving({PLACE})
    assert one.consumer.following == 1
    assert one.pool.in_flight() == (0, 0)


def test_a_partition_that_leaves_does_not_wait_for_ever(
    group: Callable[..., Group], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KAFKA_CONSUME_DRAIN_SECONDS = 0.2
    begun, release = threading.Event(), threading.Event()

    def handle(job: Job) -> Verdict:
        begun.set()
        assert release.wait(SECONDS)
        return Done(Outcome.HANDLED)

    one = group(Consumer(*messages(1)), handle)
    one.run(begun.is_set)
    one.consumption.leaving({PLACE})
    one.consumer.assignment.remove([PLACE])
    assert "a handler is still at thing.made.json[1]@0" in caplog.text
    release.set()
    one.consumption.drain(SECONDS)
    assert one.consumer.following == 0


def test_a_lost_partition_is_forgotten_at_once(group: Callable[..., Group]) -> None:
    begun, release = threading.Event(), threading.Event()

    def handle(job: Job) -> Verdict:
        begun.set()
        assert release.wait(SECONDS)
        return Done(Outcome.HANDLED)

    one = group(Consumer(*messages(5, keys=1)), handle)
    one.run(begun.is_set)
    one.consumer.assignment.remove([PLACE])
    one.consumption.lost({PLACE})
    assert one.pool.in_flight()[0] == len(one.pool.running()) == 1
    release.set()
    one.consumption.drain(SECONDS)
    assert one.consumer.following == 0


def test_a_stalled_handler_is_named(
    group: Callable[..., Group], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KAFKA_HANDLER_STALL_SECONDS = 0.1
    release = threading.Event()

    def handle(job: Job) -> Verdict:
        if job.message.key == b"stuck":
            assert release.wait(SECONDS)
        return Done(Outcome.HANDLED)

    one = group(Consumer(message(key=b"stuck", offset=0), message(key=b"b", offset=1)), handle)
    one.run(lambda: "at work for" in caplog.text)
    release.set()
    assert "the handler of thing.made.json[1]@0, key stuck" in caplog.text
    assert "key b" not in caplog.text


def test_listeners_hear_everything_in_the_consumers_thread(group: Callable[..., Group]) -> None:
    heard: list[tuple[str, str]] = []

    def hear(signal: Any, message: Message, **_: Any) -> None:
        names = {signals.message_failed: "failed", signals.message_handled: "handled"}
        heard.append((names[signal], threading.current_thread().name))

    def handle(job: Job) -> Verdict:
        job.attempt += 1
        return Again(0.0, ValueError(), 1) if job.attempt == 2 else Done(Outcome.HANDLED)

    one = group(Consumer(*messages(1)), handle)
    told = (signals.message_failed, signals.message_handled)
    for signal in told:
        signal.connect(hear)
    try:
        one.run(lambda: one.outcomes.total() == 1)
    finally:
        for signal in told:
            signal.disconnect(hear)
    here = threading.current_thread().name
    assert heard == [("failed", here), ("handled", here)]


def test_what_the_consumer_raises_is_raised(group: Callable[..., Group]) -> None:
    one = group(Consumer(), handled)

    def fail() -> bool:
        raise BrokerUnavailable("kafka:9092")

    with pytest.raises(BrokerUnavailable):
        one.run(fail)


def test_a_drain_is_shorter_than_kafkas_patience(settings: Settings) -> None:
    assert drain_seconds() == 20.0
    settings.KAFKA_CLIENT_OPTIONS = {"max.poll.interval.ms": "6000"}
    assert drain_seconds() == 3.0
