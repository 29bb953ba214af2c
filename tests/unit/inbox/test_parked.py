"""Messages that are parked, and dead ones that an operator sends round again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any, cast

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from kafka_integration import Event
from kafka_integration.broker.assignment import Taken
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox.dead_letters import DeadLetters
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Again, Bury, Done, Job, Parked
from kafka_integration.inbox.order import lane_of
from kafka_integration.inbox.parked import ParkedTries
from kafka_integration.inbox.parked_records import record_parked
from kafka_integration.inbox.parked_rows import ParkedRows
from kafka_integration.inbox.settlement import Settler
from kafka_integration.inbox.store import record_dead
from kafka_integration.inbox.waiting import Waiting
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from .messages import GROUP, TOPIC, Broken, handler, ignore, message, name_of
from .test_settlement import Letters, outage

pytestmark = pytest.mark.django_db(transaction=True)


def effect(event: Event[Any]) -> None:
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def dead(found: Message) -> InboxRecord:
    record_dead(name_of(found), found, using="default", handler="h", attempts=3, error="old")
    return InboxRecord.objects.latest("pk")


def run(*handlers: Handler) -> Outcome | None:
    """Run the next record that someone wants tried again, as a consumer does."""
    rows, waiting = ParkedRows(GROUP, handlers), Waiting()
    for record in rows.demanded(1):
        parked = Parked(using="default", pk=record.pk)
        job = Job(Taken(record.outline(), 0), ("parked", parked), lambda: "", parked=parked)
        assert ParkedTries(GROUP, handlers, rows, waiting).handle(job) == Done(Outcome.PARKED)
        [(_, outcome)] = job.ran
        return outcome
    return None


class Lane:
    """A key whose first message was parked, and what a consumer does with it."""

    def __init__(self, *handlers: Handler) -> None:
        self.letters = Letters()
        self.waiting = Waiting()
        self.settler = Settler(
            GROUP,
            handlers,
            cast(DeadLetters, self.letters),
            self.waiting,
            random=lambda: 1.0,
        )

    def comes(self, found: Message) -> Outcome:
        """Handle a message that was just read."""
        verdict = self.settler.handle(Job(Taken(found, 1), lane_of(found, "key"), lambda: "c/t"))
        assert isinstance(verdict, Done)
        return verdict.outcome

    def turn(self, found: Message | None = None) -> list[tuple[int, Outcome]]:
        """Run what is parked in the lane of a message, and is due."""
        lane = lane_of(found or message(), "key")
        parked = Parked(lane)
        job = Job(Taken(found or message(), 0), ("parked", parked), lambda: "", parked=parked)
        verdict = self.settler.handle(job)
        if isinstance(verdict, Bury):
            verdict = self.settler.bury(job)
        assert isinstance(verdict, Done)
        told = [(record.offset, outcome) for record, outcome in job.ran]
        if verdict.outcome is Outcome.DEAD:
            told.append((job.message.offset, Outcome.DEAD))
        return told


def time_passes() -> None:
    InboxRecord.objects.update(available_at=None)


class Frail:
    """A handler that remembers what it saw, and fails for some numbers."""

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad = set(bad)
        self.error = error or ValueError("no stock")
        self.seen: list[int] = []

    def __call__(self, event: Event[Any]) -> None:
        effect(event)
        self.seen.append(event.data.number)
        if event.data.number in self.bad:
            raise self.error


def numbered(*numbers: int, key: bytes = b"k") -> list[Message]:
    return [message(b'{"name": "cup", "number": %d}' % n, offset=n, key=key) for n in numbers]


@pytest.fixture
def at_once(settings: Settings) -> None:
    """Nothing waits in memory: a failure parks."""
    settings.KAFKA_HANDLER_IN_PLACE_SECONDS = 0.0


def states() -> list[tuple[int, str, int]]:
    rows = InboxRecord.objects.order_by("offset")
    return list(rows.values_list("offset", "status", "attempts"))


def effects() -> list[int]:
    return list(Effect.objects.order_by("pk").values_list("number", flat=True))


@pytest.mark.usefixtures("at_once")
class TestOrder:
    def test_later_ones_of_its_key_wait_and_other_keys_go_on(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        assert [lane.comes(one) for one in numbered(1, 2, 3)] == [Outcome.PARKED] * 3
        assert lane.comes(numbered(9, key=b"other")[0]) is Outcome.HANDLED
        assert frail.seen == [1, 9]
        assert states() == [
            (1, "parked", 1),
            (2, "parked", 0),
            (3, "parked", 0),
            (9, "done", 1),
        ]

    def test_not_due_it_stays_and_nothing_overtakes_it(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        for one in numbered(1, 2):
            lane.comes(one)
        assert lane.turn() == []
        assert frail.seen == [1]

    def test_when_it_is_mended_all_follow_in_order_and_the_key_is_free(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        for one in numbered(1, 2, 3):
            lane.comes(one)
        frail.bad.clear()
        time_passes()
        assert lane.turn() == [(number, Outcome.HANDLED) for number in (1, 2, 3)]
        assert not lane.waiting.holds(lane_of(message(), "key"))
        assert lane.comes(numbered(4)[0]) is Outcome.HANDLED
        assert effects() == [1, 2, 3, 4]
        assert states() == [(1, "done", 2), (2, "done", 1), (3, "done", 1), (4, "done", 1)]
        first = InboxRecord.objects.earliest("offset")
        assert (first.key, first.value, first.headers) == (None, None, [])
        assert (first.key_hash, first.tried_at, first.last_error) == (None, None, "")

    def test_each_failure_parks_it_again_until_the_letter_and_the_rest_goes_on(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail, attempts=3))
        for one in numbered(1, 2):
            lane.comes(one)
        time_passes()
        assert lane.turn() == [(1, Outcome.PARKED)]
        parked = InboxRecord.objects.earliest("offset")
        assert (parked.status, parked.attempts) == ("parked", 2)
        assert parked.available_at is not None
        assert "no stock" in parked.last_error
        time_passes()
        assert lane.turn() == [(1, Outcome.DEAD)]
        [(letter, failure)] = lane.letters.sent
        assert letter == numbered(1)[0]
        assert (failure.reason, failure.attempts) == ("attempts-exhausted", 3)
        assert lane.turn() == [(2, Outcome.HANDLED)]
        assert states() == [(1, "dead", 3), (2, "done", 1)]
        assert effects() == [2]

    def test_the_next_owner_finds_what_is_parked(self) -> None:
        frail = Frail(1)
        Lane(handler(frail)).comes(numbered(1)[0])
        rows = ParkedRows(GROUP, [handler(frail)])
        [found] = rows.lanes({(TOPIC, 1)})
        assert (found.lane, found.number) == (lane_of(message(), "key"), 1)
        assert found.message.offset == 1
        assert rows.lanes({(TOPIC, 2)}) == []
        assert ParkedRows("others", [handler(frail)]).lanes({(TOPIC, 1)}) == []

    def test_a_parked_message_that_comes_again_is_no_duplicate_and_holds_its_key(self) -> None:
        frail = Frail(1)
        Lane(handler(frail)).comes(numbered(1)[0])
        successor = Lane(handler(frail))  # which did not hear of it
        assert [successor.comes(one) for one in numbered(1, 2)] == [Outcome.PARKED] * 2
        assert frail.seen == [1]
        assert successor.waiting.number(lane_of(message(), "key")) == 1

    def test_nor_is_it_in_a_batch(self) -> None:
        frail = Frail(1)
        Lane(handler(frail)).comes(numbered(1)[0])
        lane = Lane(handler(frail, transactional=True))
        found = [*numbered(1, 2), *numbered(9, key=b"other")]
        batch = [Job(Taken(one, 1), lane_of(one, "key"), lambda: "c/t") for one in found]
        verdicts = lane.settler.handle_all(batch)
        assert [cast(Done, verdict).outcome for verdict in verdicts] == [
            Outcome.PARKED,
            Outcome.PARKED,
            Outcome.HANDLED,
        ]
        assert effects() == [9]

    def test_done_before_it_is_a_duplicate_though_its_key_is_parked(self) -> None:
        frail = Frail()
        lane = Lane(handler(frail))
        lane.comes(numbered(2)[0])
        frail.bad.add(1)
        lane.comes(numbered(1)[0])
        assert lane.comes(numbered(2)[0]) is Outcome.DUPLICATE
        assert lane.comes(message(offset=8, type="Unknown")) is Outcome.IGNORED
        assert effects() == [2]

    def test_bad_bytes_behind_it_become_a_letter_when_their_turn_comes(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        lane.comes(numbered(1)[0])
        assert lane.comes(message(b"{", offset=2)) is Outcome.PARKED
        frail.bad.clear()
        time_passes()
        assert lane.turn() == [(1, Outcome.HANDLED), (2, Outcome.DEAD)]
        assert lane.letters.sent[0][1].reason == "undecodable"

    def test_when_too_many_are_parked_the_next_waits_in_memory(self, settings: Settings) -> None:
        settings.KAFKA_PARKED_PER_KEY = 2
        lane = Lane(handler(Frail(1)))
        for one in numbered(1, 2):
            lane.comes(one)
        [third] = numbered(3)
        verdict = lane.settler.handle(Job(Taken(third, 1), lane_of(third, "key"), lambda: "c/t"))
        assert verdict == Again(1.0)
        assert InboxRecord.objects.count() == 2

    def test_what_is_to_be_ignored_is_done_without_effect(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail, ignore_on=(LookupError,)))
        for one in numbered(1, 2):
            lane.comes(one)
        frail.error = KeyError("gone")
        time_passes()
        assert lane.turn() == [(1, Outcome.IGNORED), (2, Outcome.HANDLED)]
        assert effects() == [2]
        assert "KeyError" in InboxRecord.objects.earliest("offset").last_error

    def test_the_time_is_counted_from_the_first_failure(self) -> None:
        lane = Lane(handler(Frail(1), attempts=99, give_up_after=60.0))
        lane.comes(numbered(1)[0])
        time_passes()
        assert lane.turn() == [(1, Outcome.PARKED)]
        time_passes()
        InboxRecord.objects.update(tried_at=timezone.now() - timedelta(seconds=70))
        assert lane.turn() == [(1, Outcome.DEAD)]
        assert lane.letters.sent[0][1].reason == "time-exhausted"

    @pytest.mark.parametrize("error", [outage(), FormatUnavailable("The registry is away.")])
    def test_an_outage_counts_no_attempt(self, error: Exception) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        lane.comes(numbered(1)[0])
        time_passes()
        frail.error = error
        parked = Parked(lane_of(message(), "key"))
        job = Job(Taken(message(), 0), "any", lambda: "", parked=parked)
        verdict = lane.settler.handle(job)
        assert isinstance(verdict, Again)
        assert verdict.everybody
        assert states() == [(1, "parked", 1)]

    def test_a_transaction_that_cannot_commit_is_a_failure(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail, attempts=2))
        lane.comes(numbered(1)[0])
        time_passes()
        frail.bad.clear()
        careless = Lane(handler(leave_broken, attempts=2))
        assert careless.turn() == [(1, Outcome.DEAD)]
        assert effects() == []

    def test_a_hook_that_fails_after_the_commit_changes_nothing(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        Lane(handler(Frail(1))).comes(numbered(1)[0])
        time_passes()
        assert Lane(handler(with_a_bad_hook)).turn() == [(1, Outcome.HANDLED)]
        assert "An on_commit hook failed" in caplog.text
        assert states() == [(1, "done", 2)]
        assert effects() == [1]

    def test_a_stop_ends_it_between_two(self) -> None:
        frail = Frail(1)
        lane = Lane(handler(frail))
        for one in numbered(1, 2, 3):
            lane.comes(one)
        frail.bad.clear()
        time_passes()
        lane.settler._parked._stopped = lambda: True
        assert lane.turn() == [(1, Outcome.HANDLED)]
        assert lane.waiting.is_due(monotonic())

    def test_with_order_by_partition_all_of_it_waits(self) -> None:
        frail = Frail(1)
        one, other = numbered(1)[0], numbered(2, key=b"other")[0]
        handlers = [handler(frail, order="partition")]
        for found in (one, other):
            record_parked(name_of(found), found, using="default", handler="h")
        rows = ParkedRows(GROUP, handlers)
        [found_lane] = rows.lanes({(TOPIC, 1)})
        assert (found_lane.lane, found_lane.number) == ((TOPIC, 1), 2)
        first = rows.first_of(other)
        assert first is not None
        assert first.offset == 1

    def test_without_order_each_is_its_own(self) -> None:
        handlers = [handler(Frail(), order="none")]
        for found in numbered(1, 2):
            record_parked(name_of(found), found, using="default", handler="h")
        rows = ParkedRows(GROUP, handlers)
        assert {lane.lane for lane in rows.lanes({(TOPIC, 1)})} == {(TOPIC, 1, 1), (TOPIC, 1, 2)}
        second = rows.first_of(numbered(2)[0])
        assert second is not None
        assert second.offset == 2


class Killed(BaseException):
    """Stands for the death of the process: nothing is recorded after it."""


class TestStarts:
    """Partitions whose last owner died."""

    @pytest.fixture
    def lane(self) -> Callable[[Frail], Lane]:
        def make(frail: Frail, **more: Any) -> Lane:
            lane = Lane(handler(frail, **more))
            lane.settler._careful.suspect({(TOPIC, 1)}, 99)
            return lane

        return make

    def test_a_start_is_written_down_and_taken_back(self, lane: Callable[..., Lane]) -> None:
        frail = Frail()
        seen: list[tuple[str, int | None]] = []

        def look(event: Event[Any]) -> None:
            row = InboxRecord.objects.values_list("status", "starts").get()
            seen.append((row[0], row[1]))

        careful = lane(frail)
        careful.settler._handlers = careful.settler._parked._handlers = [handler(look)]
        assert careful.comes(numbered(1)[0]) is Outcome.HANDLED
        assert seen == [("parked", 1)]
        record = InboxRecord.objects.get()
        assert (record.status, record.attempts, record.starts) == ("done", 1, 0)
        assert (record.key, record.value, record.key_hash) == (None, None, None)
        assert careful.comes(numbered(1)[0]) is Outcome.DUPLICATE

    def test_a_failure_is_no_death_and_parks(self, lane: Callable[..., Lane]) -> None:
        frail = Frail(1)
        careful = lane(frail)
        assert [careful.comes(one) for one in numbered(1, 2)] == [Outcome.PARKED] * 2
        rows = InboxRecord.objects.order_by("offset").values_list("attempts", "starts")
        assert list(rows) == [(1, 0), (0, 0)]
        frail.bad.clear()
        time_passes()
        assert careful.turn() == [(1, Outcome.HANDLED), (2, Outcome.HANDLED)]

    def test_bad_bytes_and_other_types_need_no_care(self, lane: Callable[..., Lane]) -> None:
        careful = lane(Frail())
        assert careful.comes(message(offset=1, type="Unknown")) is Outcome.IGNORED
        found = message(b"{", offset=2)
        job = Job(Taken(found, 1), "k", lambda: "c/t")
        assert isinstance(careful.settler.handle(job), Bury)

    def test_given_up_at_once_it_is_a_letter(self, lane: Callable[..., Lane]) -> None:
        careful = lane(Frail(1), attempts=1)
        [found] = numbered(1)
        job = Job(Taken(found, 1), lane_of(found, "key"), lambda: "c/t")
        assert isinstance(careful.settler.handle(job), Bury)
        assert careful.settler.bury(job).outcome is Outcome.DEAD  # type: ignore[union-attr]  # Done
        assert states() == [(1, "dead", 1)]
        assert careful.comes(numbered(2)[0]) is Outcome.HANDLED

    def test_after_so_many_starts_without_an_end_it_is_given_up_and_its_key_goes_on(
        self, lane: Callable[..., Lane]
    ) -> None:
        frail = Frail(1, error=cast(Exception, Killed()))
        with pytest.raises(Killed):
            lane(frail).comes(numbered(1)[0])
        for starts in (1, 2):
            assert InboxRecord.objects.get().starts == starts
            with pytest.raises(Killed):
                Lane(handler(frail)).turn()
        successor = Lane(handler(frail))
        parked = [found.starts for found in ParkedRows(GROUP, [handler(frail)]).lanes({(TOPIC, 1)})]
        assert parked == [3]
        successor.waiting.note(lane_of(message(), "key"), message(), 0.0)
        assert successor.comes(numbered(2)[0]) is Outcome.PARKED
        assert successor.turn() == [(1, Outcome.DEAD)]
        assert frail.seen == [1, 1, 1]
        [(letter, failure)] = successor.letters.sent
        assert letter == numbered(1)[0]
        assert (failure.reason, failure.attempts) == ("processes-died", 3)
        assert "3 processes ended" in InboxRecord.objects.get(offset=1).last_error
        assert successor.turn() == [(2, Outcome.HANDLED)]

    def test_a_setting_says_how_many(self, lane: Callable[..., Lane], settings: Settings) -> None:
        settings.KAFKA_HANDLER_CRASHES = 1
        frail = Frail(1, error=cast(Exception, Killed()))
        with pytest.raises(Killed):
            lane(frail).comes(numbered(1)[0])
        assert Lane(handler(frail)).turn() == [(1, Outcome.DEAD)]

    def test_what_was_tried_on_demand_is_dead_again(self) -> None:
        record = dead(message())
        assert record.retry()
        InboxRecord.objects.update(starts=3)
        assert run(handler(ignore)) is Outcome.DEAD
        record.refresh_from_db()
        assert (record.status, record.starts) == ("dead", 0)
        assert "3 processes ended" in record.last_error

    def test_outages_are_no_deaths(self, lane: Callable[..., Lane]) -> None:
        frail = Frail(1, error=outage())
        careful = lane(frail)
        [found] = numbered(1)
        job = Job(Taken(found, 1), lane_of(found, "key"), lambda: "c/t")
        assert isinstance(careful.settler.handle(job), Again)
        for _ in range(5):
            parked = Parked(lane_of(found, "key"))
            again = Job(Taken(found, 0), "any", lambda: "", parked=parked)
            assert isinstance(careful.settler.handle(again), Again)
        assert InboxRecord.objects.get().starts == 1
        frail.bad.clear()
        assert careful.turn() == [(1, Outcome.HANDLED)]

    def test_alone_it_leaves_the_rest_of_its_key_for_later(self) -> None:
        frail = Frail()
        lane = Lane(handler(frail))
        for found in numbered(1, 2):
            record_parked(name_of(found), found, using="default", handler="h")
        key = lane_of(message(), "key")
        lane.waiting.note(key, message(), 0.0)
        lane.waiting.take(monotonic(), 1)
        job = Job(Taken(message(), 0), "any", lambda: "", parked=Parked(key), alone=True)
        lane.settler.handle(job)
        assert frail.seen == [1]
        assert lane.waiting.take(monotonic(), 1)


def leave_broken(event: Event[Any]) -> None:
    effect(event)
    transaction.set_rollback(True)


def with_a_bad_hook(event: Event[Any]) -> None:
    effect(event)
    transaction.on_commit(fail)


def fail() -> None:
    raise ValueError("in the hook")


def test_a_dead_record_waits_until_someone_asks() -> None:
    dead(message())
    assert run(handler(effect)) is None
    assert not Effect.objects.exists()


def test_a_retry_has_its_effect_once() -> None:
    record = dead(message(id="1", source="s"))
    assert record.retry()
    assert run(handler(effect)) is Outcome.HANDLED
    assert run(handler(effect)) is None
    assert Effect.objects.get().event_id == "1"
    record.refresh_from_db()
    assert (record.status, record.attempts, record.last_error) == (InboxStatus.DONE, 4, "")
    assert (record.key, record.value, record.headers) == (None, None, [])


def test_a_bare_message_keeps_its_name() -> None:
    dead(message(offset=33)).retry()
    assert run(handler(effect)) is Outcome.HANDLED
    assert Effect.objects.get().event_id == "1/33"


def test_a_retry_that_fails_is_dead_again_with_the_new_reason() -> None:
    def fail(event: Event[Any]) -> None:
        effect(event)
        raise ValueError("still")

    record = dead(message(key=b"\xff"))
    record.retry()
    assert run(handler(fail)) is Outcome.DEAD
    record.refresh_from_db()
    assert (record.status, record.attempts) == (InboxStatus.DEAD, 4)
    assert re.fullmatch(r"ValueError: still \(\S*test_parked\.py:\d+\)", record.last_error)
    assert record.message() == message(key=b"\xff")
    assert not Effect.objects.exists()
    assert run(handler(fail)) is None


def test_a_message_whose_handler_is_gone_is_dead_again() -> None:
    record = dead(message(type="Made"))
    record.retry()
    assert run(handler(ignore, Broken)) is Outcome.DEAD
    record.refresh_from_db()
    assert "has no handler for this message" in record.last_error


def test_the_oldest_comes_first_and_other_groups_wait() -> None:
    for offset in (1, 2):
        dead(message(offset=offset)).retry()
    InboxRecord.objects.filter(offset=1).update(group="others")
    assert run(handler(effect)) is Outcome.HANDLED
    assert run(handler(effect)) is None
    assert Effect.objects.get().event_id == "1/2"
