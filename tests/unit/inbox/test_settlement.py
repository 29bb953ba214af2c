"""One message's way to its end, with a broker and a database that fail on demand."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from math import inf
from typing import Any, cast

import psycopg
import pytest
from django.db import OperationalError

from kafka_integration import Event
from kafka_integration.broker.assignment import Taken
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.errors import (
    BrokerUnavailable,
    DeadLetterRefused,
    RecordLocked,
    TopicMissing,
    TopicRefused,
)
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox import settlement
from kafka_integration.inbox.dead_letters import DeadLetters, Failure, headers
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Again, Back, Bury, Done, Job
from kafka_integration.inbox.settlement import Settler
from kafka_integration.inbox.store import record_dead
from kafka_integration.models import InboxRecord, InboxStatus

from .messages import GROUP, handler, ignore, message, origin

pytestmark = pytest.mark.django_db


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
    """A settler, driven as the worker drives it, without the waiting."""

    def __init__(self, *handlers: Handler, asks: Callable[[Message], str] = origin) -> None:
        self.letters = Letters()
        self.rests: list[float] = []
        self.agains: list[Again] = []
        self.asks = asks
        self.settler = Settler(GROUP, handlers, cast(DeadLetters, self.letters), random=lambda: 1.0)

    def job(self, found: Message) -> Job:
        return Job(Taken(found, 1), "lane", lambda: self.asks(found))

    def settle(self, found: Message) -> Outcome:
        return self.end(found).outcome

    def end(self, found: Message) -> Done:
        job = self.job(found)
        verdict = self.settler.handle(job)
        while not isinstance(verdict, Done):
            if isinstance(verdict, Bury):
                verdict = self.settler.bury(job)
                continue
            assert isinstance(verdict, Again)
            self.rests.append(verdict.pause)
            self.agains.append(verdict)
            verdict = self.settler.handle(job)
        return verdict


class Failing:
    """A handler that raises these errors, one a call, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, event: Event[Any]) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def outage() -> OperationalError:
    """Return what Django raises when PostgreSQL closes the connection."""
    error = OperationalError("server closed the connection unexpectedly")
    error.__cause__ = psycopg.OperationalError("server closed the connection unexpectedly")
    return error


def test_a_handler_that_fails_twice_is_called_three_times() -> None:
    failing = Failing(ValueError("one"), ValueError("two"))
    road = Road(handler(failing))
    assert road.settle(message()) is Outcome.HANDLED
    assert failing.calls == 3
    assert road.rests == [0.5, 1.0]
    assert InboxRecord.objects.get().attempts == 3
    assert [(again.attempt, str(again.error)) for again in road.agains] == [(1, "one"), (2, "two")]


def test_at_the_end_of_the_policy_the_letter_goes_before_the_record() -> None:
    road = Road(handler(Failing(*[ValueError(str(n)) for n in range(9)]), attempts=2))
    done = road.end(message(b'{"name": "cup"}'))
    assert (done.outcome, done.letter) == (Outcome.DEAD, True)
    [(sent, failure)] = road.letters.sent
    assert sent == message()
    assert (failure.reason, failure.attempts, str(failure.error)) == ("attempts-exhausted", 2, "1")
    assert road.letters.records_when_sent == [0]
    record = InboxRecord.objects.get()
    assert (record.status, record.attempts) == (InboxStatus.DEAD, 2)
    assert re.fullmatch(r"ValueError: 1 \(\S*test_settlement\.py:\d+\)", record.last_error)
    assert done.reason == record.last_error


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
    assert road.rests == []


def test_a_letter_is_not_sent_twice_when_the_message_comes_again() -> None:
    road = Road(handler(ignore))
    outcomes = [road.settle(message(b"{")) for _ in range(2)]
    assert outcomes == [Outcome.DEAD, Outcome.DUPLICATE]
    assert len(road.letters.sent) == 1


def test_an_outage_of_the_database_counts_no_attempt(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(*[outage() for _ in range(10)])
    road = Road(handler(failing, attempts=1))
    assert road.settle(message()) is Outcome.HANDLED
    assert InboxRecord.objects.get().attempts == 1
    assert road.rests[:3] == [0.5, 1.0, 2.0]
    assert max(road.rests) == 30.0
    assert all(again.everybody and again.error is None for again in road.agains)
    assert "The database is away" in caplog.text


def test_a_record_locked_by_another_consumer_is_waited_for() -> None:
    road = Road(handler(Failing(RecordLocked("things", "t[0]@1", 5.0)), attempts=1))
    assert road.settle(message()) is Outcome.HANDLED
    assert [again.everybody for again in road.agains] == [False]


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
    assert len(road.rests) == 4
    assert len(road.letters.sent) == 1
    assert str(refusal) in caplog.text
    assert "thing.made.json[1]@7" in caplog.text


def test_a_letter_that_is_refused_for_good_holds_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    road = Road(handler(ignore))
    road.letters.refusals = [DeadLetterRefused("thing.made.json.dlq", "too large")]
    done = road.end(message(b"{", key=b"k"))
    assert road.rests == []
    record = InboxRecord.objects.get()
    assert record.status == InboxStatus.DEAD
    assert (record.message().value, record.message().key) == (b"{", b"k")
    assert record.last_error.startswith("UndecodableMessage: ")
    assert "thing.made.json.dlq refused the letter (too large)" in record.last_error
    assert "kafka_topics apply" in record.last_error
    [error] = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert "thing.made.json[1]@7" in error.getMessage()
    assert done == Done(Outcome.DEAD, record.last_error, letter=False)


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


def test_a_record_that_the_database_did_not_take_costs_no_second_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Exception] = [outage(), outage()]

    def record(*args: Any, **more: Any) -> bool:
        if answers:
            raise answers.pop()
        return record_dead(*args, **more)

    monkeypatch.setattr(settlement, "record_dead", record)
    road = Road(handler(ignore))
    assert road.settle(message(b"{")) is Outcome.DEAD
    assert len(road.letters.sent) == 1
    assert [again.everybody for again in road.agains] == [True, True]


def test_only_what_was_given_up_is_buried() -> None:
    road = Road(handler(ignore))
    with pytest.raises(ValueError, match="was not given up"):
        road.settler.bury(road.job(message()))


def test_what_is_no_exception_ends_the_process_and_leaves_no_record() -> None:
    def leave(event: Event[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Road(handler(leave)).settle(message())
    assert not InboxRecord.objects.exists()


class Shop:
    """A handler that fails for some numbers and remembers all."""

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad = set(bad)
        self.error = error or ValueError("no stock")
        self.calls: list[int] = []

    def __call__(self, event: Event[Any]) -> None:
        self.calls.append(event.data.number)
        if event.data.number in self.bad:
            raise self.error


def jobs(road: Road, *lanes: str) -> list[Job]:
    found = []
    for number, lane in enumerate(lanes):
        value = b'{"name": "cup", "number": %d}' % number
        found.append(road.job(message(value, offset=number)))
        found[-1].lane = lane
    return found


def test_a_batch_is_one_transaction() -> None:
    shop = Shop()
    road = Road(handler(shop, transactional=True))
    assert road.settler.handle_all(jobs(road, "a", "b", "a")) == [Done(Outcome.HANDLED)] * 3
    assert shop.calls == [0, 1, 2]
    assert InboxRecord.objects.count() == 3


def test_of_a_batch_that_fails_only_the_guilty_is_tried_again_and_its_lane_waits() -> None:
    shop = Shop(1)
    road = Road(handler(shop, transactional=True))
    before = road.settler.batch_size.value
    batch = jobs(road, "a", "b", "b", "a")
    verdicts = road.settler.handle_all(batch)
    assert [type(verdict) for verdict in verdicts] == [Done, Again, Back, Done]
    assert shop.calls == [0, 1, 0, 1, 3]
    assert [job.attempt for job in batch] == [1, 2, 1, 1]
    assert road.settler.batch_size.value < before
    offsets = InboxRecord.objects.values_list("offset", flat=True)
    assert sorted(offsets) == [0, 3]


def test_a_format_that_cannot_be_read_now_counts_no_attempt_and_stops_everybody() -> None:
    failing = Failing(*[FormatUnavailable("The registry is away.") for _ in range(5)])
    road = Road(handler(failing, attempts=2))
    assert road.settle(message()) is Outcome.HANDLED
    assert road.letters.sent == []
    assert InboxRecord.objects.get().attempts == 1
    assert all(again.everybody and again.error is None for again in road.agains)


def test_in_an_outage_the_rest_of_a_batch_does_not_run() -> None:
    shop = Shop(0, error=outage())
    road = Road(handler(shop, transactional=True))
    verdicts = road.settler.handle_all(jobs(road, "a", "b", "c"))
    assert [type(verdict) for verdict in verdicts] == [Again, Back, Back]
    assert isinstance(verdicts[0], Again)
    assert verdicts[0].everybody
    assert shop.calls == [0, 0]


def test_a_stop_ends_a_batch_that_is_taken_one_by_one() -> None:
    shop = Shop(2)
    road = Road(handler(shop, transactional=True))
    road.settler._sharing._stopped = lambda: len(shop.calls) > 3
    verdicts = road.settler.handle_all(jobs(road, "a", "b", "c"))
    assert [type(verdict) for verdict in verdicts] == [Done, Back, Back]


def test_who_is_at_work_in_a_batch_is_known() -> None:
    seen: list[list[bool]] = []

    def look(event: Event[Any]) -> None:
        seen.append([job.started < inf for job in batch])

    road = Road(handler(look, transactional=True))
    batch = jobs(road, "a", "b")
    road.settler.handle_all(batch)
    assert seen == [[True, False], [False, True]]


def test_one_alone_also_tells_how_many_may_run_at_a_time() -> None:
    road = Road(handler(lambda event: time.sleep(0.05), transactional=True))
    [job] = jobs(road, "a")
    job.database = "default"
    road.settler.handle_all([job])
    assert road.settler.batch_size.at_once > 1
