"""One message's way to its end, with a broker and a database that fail on demand."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import psycopg
import pytest
from django.db import OperationalError
from django.dispatch import Signal

from kafka_integration import Event, signals
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.errors import (
    BrokerUnavailable,
    DeadLetterRefused,
    RecordLocked,
    TopicMissing,
    TopicRefused,
)
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox.dead_letters import DeadLetters, Failure, headers
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.settlement import Settler
from kafka_integration.models import InboxRecord, InboxStatus

from .messages import GROUP, handler, ignore, message, origin

pytestmark = pytest.mark.django_db


class Consumer:
    """Notes how long it rested; loses the partition, or is stopped, when told to."""

    def __init__(self) -> None:
        self.rests: list[float] = []
        self.leave_after: int | None = None
        self.stop_after: int | None = None

    def rest(self, seconds: float, interrupted: Callable[[], bool]) -> None:
        self.rests.append(seconds)

    def owns(self, message: Message) -> bool:
        return self.leave_after is None or len(self.rests) < self.leave_after

    def stopped(self) -> bool:
        return self.stop_after is not None and len(self.rests) >= self.stop_after


class Letters:
    """Takes dead letters, after having refused some."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, Failure]] = []
        self.refusals: list[Exception] = []
        self.records_when_sent: list[int] = []

    def send(self, message: Message, failure: Failure) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.records_when_sent.append(InboxRecord.objects.count())
        self.sent.append((message, failure))


class Road:
    """A settler and what surrounds it."""

    def __init__(self, *handlers: Handler, asks: Callable[[Message], str] = origin) -> None:
        self.consumer, self.letters = Consumer(), Letters()
        self.settler = Settler(
            GROUP,
            handlers,
            cast(EventConsumer, self.consumer),
            cast(DeadLetters, self.letters),
            origin=asks,
            stopped=self.consumer.stopped,
            random=lambda: 1.0,
        )

    def settle(self, found: Message) -> Outcome | None:
        return self.settler.settle(found)


class Failing:
    """A handler that raises these errors, one a call, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, event: Event[Any]) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def heard() -> Iterator[list[tuple[Signal, dict[str, Any]]]]:
    """The lifecycle signals that were sent."""
    found: list[tuple[Signal, dict[str, Any]]] = []

    def hear(signal: Signal, **said: Any) -> None:
        found.append((signal, said))

    told = (signals.message_failed, signals.message_dead)
    for signal in told:
        signal.connect(hear)
    yield found
    for signal in told:
        signal.disconnect(hear)


def outage() -> OperationalError:
    """Return what Django raises when PostgreSQL closes the connection."""
    error = OperationalError("server closed the connection unexpectedly")
    error.__cause__ = psycopg.OperationalError("server closed the connection unexpectedly")
    return error


def test_a_handler_that_fails_twice_is_called_three_times(
    heard: list[tuple[Signal, dict[str, Any]]],
) -> None:
    failing = Failing(ValueError("one"), ValueError("two"))
    road = Road(handler(failing))
    assert road.settle(message()) is Outcome.HANDLED
    assert failing.calls == 3
    assert road.consumer.rests == [0.5, 1.0]
    assert InboxRecord.objects.get().attempts == 3
    assert [(said["attempt"], said["pause"]) for _, said in heard] == [(1, 0.5), (2, 1.0)]


def test_at_the_end_of_the_policy_the_letter_goes_before_the_record(
    heard: list[tuple[Signal, dict[str, Any]]],
) -> None:
    road = Road(handler(Failing(*[ValueError(str(n)) for n in range(9)]), attempts=2))
    assert road.settle(message(b'{"name": "cup"}')) is Outcome.DEAD
    [(sent, failure)] = road.letters.sent
    assert sent == message()
    assert (failure.reason, failure.attempts, str(failure.error)) == ("attempts-exhausted", 2, "1")
    assert road.letters.records_when_sent == [0]
    record = InboxRecord.objects.get()
    assert (record.status, record.attempts) == (InboxStatus.DEAD, 2)
    assert re.fullmatch(r"ValueError: 1 \(\S*test_settlement\.py:\d+\)", record.last_error)
    assert [signal for signal, _ in heard] == [signals.message_failed, signals.message_dead]


def test_the_traceback_is_told_once_and_begins_in_the_handler(
    caplog: pytest.LogCaptureFixture,
) -> None:
    road = Road(handler(Failing(*[ValueError("no stock") for _ in range(3)]), attempts=3))
    assert road.settle(message()) is Outcome.DEAD
    first, second, last = caplog.records
    for number, record in enumerate((first, second), start=1):
        assert record.levelname == "WARNING"
        assert record.exc_info is None
        assert f"try {number} of thing.made.json[1]@7 failed, again in" in record.getMessage()
        assert "test_settlement.py:" in record.getMessage()
    assert last.levelname == "ERROR"
    assert "try 3 of thing.made.json[1]@7 failed for good: ValueError: no stock" in last.message
    shown = logging.Formatter().format(last)
    assert shown.count('  File "') == 1
    assert "in __call__" in shown
    assert b"kafka_integration" not in dict(headers(*road.letters.sent[0]))["dlq_trace"]


def test_bad_bytes_have_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "kafka_integration.inbox")
    assert Road(handler(ignore)).settle(message(b"{")) is Outcome.DEAD
    [record] = [item for item in caplog.records if "failed for good" in item.getMessage()]
    assert (record.levelname, record.exc_info) == ("DEBUG", None)


def test_bad_bytes_are_not_tried_twice() -> None:
    road = Road(handler(ignore))
    assert road.settle(message(b"{")) is Outcome.DEAD
    assert road.letters.sent[0][1].reason == "undecodable"
    assert road.consumer.rests == []


def test_a_letter_is_not_sent_twice_when_the_message_comes_again() -> None:
    road = Road(handler(ignore))
    outcomes = [road.settle(message(b"{")) for _ in range(2)]
    assert outcomes == [Outcome.DEAD, Outcome.DUPLICATE]
    assert len(road.letters.sent) == 1


def test_an_outage_of_the_database_counts_no_attempt(
    heard: list[tuple[Signal, dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    failing = Failing(*[outage() for _ in range(10)])
    road = Road(handler(failing, attempts=1))
    assert road.settle(message()) is Outcome.HANDLED
    assert InboxRecord.objects.get().attempts == 1
    assert road.consumer.rests[:3] == [0.5, 1.0, 2.0]
    assert max(road.consumer.rests) == 30.0
    assert not heard
    assert "The database is away" in caplog.text


def test_a_record_locked_by_another_consumer_is_waited_for() -> None:
    road = Road(handler(Failing(RecordLocked("things", "t[0]@1", 5.0)), attempts=1))
    assert road.settle(message()) is Outcome.HANDLED
    assert len(road.consumer.rests) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        BrokerUnavailable("kafka:9092"),
        TopicMissing(["thing.made.json.dlq"], "kafka:9092"),
        TopicRefused("thing.made.json.dlq", "kafka:9092"),
    ],
)
def test_nothing_goes_past_a_letter_that_is_not_taken(
    refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    road = Road(handler(ignore))
    road.letters.refusals = [refusal] * 4
    assert road.settle(message(b"{")) is Outcome.DEAD
    assert len(road.consumer.rests) == 4
    assert len(road.letters.sent) == 1
    assert str(refusal) in caplog.text
    assert "thing.made.json[1]@7" in caplog.text


def test_a_letter_that_is_refused_for_good_holds_nobody(
    heard: list[tuple[Signal, dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    road = Road(handler(ignore))
    road.letters.refusals = [DeadLetterRefused("thing.made.json.dlq", "too large")]
    assert road.settle(message(b"{", key=b"k")) is Outcome.DEAD
    assert road.consumer.rests == []
    record = InboxRecord.objects.get()
    assert record.status == InboxStatus.DEAD
    assert (record.message().value, record.message().key) == (b"{", b"k")
    assert record.last_error.startswith("UndecodableMessage: ")
    assert "thing.made.json.dlq refused the letter (too large)" in record.last_error
    assert "kafka_topics apply" in record.last_error
    [error] = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert "thing.made.json[1]@7" in error.getMessage()
    [(_, said)] = heard
    assert (said["letter"], said["reason"]) == (False, record.last_error)


def test_a_topic_id_that_kafka_does_not_tell_is_waited_for() -> None:
    answers: list[Any] = [BrokerUnavailable("kafka:9092"), "c/t"]

    def asks(message: Message) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    road = Road(handler(ignore), asks=asks)
    assert road.settle(message()) is Outcome.HANDLED
    assert InboxRecord.objects.get().source == "kafka:c/t"


def test_a_stop_leaves_a_message_that_waits_for_its_retry(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    failing = Failing(ValueError())
    road = Road(handler(failing))
    road.consumer.stop_after = 1
    assert road.settle(message()) is None
    assert failing.calls == 1
    assert not InboxRecord.objects.exists()
    assert "leaves thing.made.json[1]@7 unfinished" in caplog.text


def test_a_partition_that_left_takes_its_message_along() -> None:
    failing = Failing(ValueError(), ValueError())
    road = Road(handler(failing))
    road.consumer.leave_after = 1
    assert road.settle(message()) is None
    assert failing.calls == 1


def test_what_is_no_exception_ends_the_process_and_leaves_no_record() -> None:
    def leave(event: Event[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Road(handler(leave)).settle(message())
    assert not InboxRecord.objects.exists()
