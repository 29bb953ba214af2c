"""Handlers that take many events at once, and who of them is found guilty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from kafka_integration import Event, RecordsFailed
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Again, Back, Bury, Done, Job, Verdict
from kafka_integration.models import InboxRecord
from tests.sample.models import Effect

from .messages import Broken, handler, message
from .test_settlement import Road, jobs, outage

pytestmark = pytest.mark.django_db(transaction=True)

HANDLED = Done(Outcome.HANDLED)


class Bulk:
    """Writes all its events in one statement, and fails for some."""

    def __init__(self, *bad: int, error: Exception | None = None, names: bool = False) -> None:
        self.bad = set(bad)
        self.error = error or ValueError("no stock")
        self.names = names
        self.calls: list[list[int]] = []

    def __call__(self, events: list[Event[Any]]) -> None:
        self.calls.append([event.data.number for event in events])
        Effect.objects.bulk_create(
            Effect(lane="", number=event.data.number, event_id=event.id) for event in events
        )
        failed = [(event, self.error) for event in events if event.data.number in self.bad]
        if failed and self.names:
            raise RecordsFailed(failed)
        if failed:
            raise self.error


@pytest.fixture
def handle() -> Callable[..., tuple[list[Job], list[Verdict]]]:
    """Hand jobs of these lanes, numbered from 0, to a batch handler."""

    def run(
        bulk: Callable[[list[Event[Any]]], object], *lanes: str, **more: Any
    ) -> tuple[list[Job], list[Verdict]]:
        road = Road(handler(bulk, batch=True, **more))
        batch = jobs(road, *lanes)
        return batch, road.settler.handle_all(batch)

    return run


Handle = Callable[..., tuple[list[Job], list[Verdict]]]


def kinds(verdicts: Sequence[Verdict]) -> list[type[Verdict]]:
    return [type(verdict) for verdict in verdicts]


def effects() -> list[int]:
    return sorted(Effect.objects.values_list("number", flat=True))


def recorded() -> list[int]:
    return sorted(InboxRecord.objects.filter(status="done").values_list("offset", flat=True))


def test_all_come_in_one_call_and_one_transaction(handle: Handle) -> None:
    bulk = Bulk()
    _, verdicts = handle(bulk, *"abca")
    assert verdicts == [HANDLED] * 4
    assert bulk.calls == [[0, 1, 2, 3]]
    assert recorded() == effects() == [0, 1, 2, 3]


def test_what_was_handled_before_is_not_in_the_list(handle: Handle) -> None:
    handle(Bulk(), "a", "b")
    bulk = Bulk()
    _, verdicts = handle(bulk, *"abcd")
    assert verdicts == [Done(Outcome.DUPLICATE)] * 2 + [HANDLED] * 2
    assert bulk.calls == [[2, 3]]
    none = Bulk()
    handle(none, *"abcd")
    assert none.calls == [], "never an empty list"


def test_named_ones_are_judged_and_the_rest_is_done_at_once(handle: Handle) -> None:
    bulk = Bulk(1, 4, names=True)
    batch, verdicts = handle(bulk, *"abcdef")
    assert kinds(verdicts) == [Done, Again, Done, Done, Again, Done]
    assert bulk.calls == [[0, 1, 2, 3, 4, 5], [0, 2, 3, 5]]
    assert [job.attempt for job in batch] == [1, 2, 1, 1, 2, 1]
    assert recorded() == effects() == [0, 2, 3, 5]


def test_each_is_judged_by_its_own_exception(handle: Handle) -> None:
    def picky(events: list[Event[Any]]) -> None:
        errors = {0: KeyError("gone"), 1: ValueError("never"), 2: OSError("later")}
        failed = [(event, errors[n]) for event in events if (n := event.data.number) in errors]
        if failed:
            raise RecordsFailed(failed)

    batch, verdicts = handle(
        picky, *"abcd", ignore_on=(KeyError,), fatal_on=(ValueError,), retry_on=(OSError,)
    )
    assert kinds(verdicts) == [Done, Bury, Again, Done]
    assert isinstance(verdicts[0], Done)
    assert verdicts[0].outcome is Outcome.IGNORED
    assert batch[1].failure is not None
    assert str(batch[1].failure.error) == "never"


def test_the_poison_is_found_by_halving(handle: Handle) -> None:
    bulk = Bulk(5)
    batch, verdicts = handle(bulk, *"abcdefgh")
    assert kinds(verdicts) == [Done] * 5 + [Again] + [Done] * 2
    assert bulk.calls == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [4, 5],
        [4],
        [5],
        [6, 7],
    ]
    assert [job.attempt for job in batch] == [1] * 5 + [2, 1, 1]
    assert recorded() == effects() == [0, 1, 2, 3, 4, 6, 7]


@pytest.mark.parametrize("names", [True, False])
def test_what_is_behind_it_in_its_lane_waits(handle: Handle, names: bool) -> None:
    bulk = Bulk(1, names=names)
    _, verdicts = handle(bulk, *"abcb")
    assert kinds(verdicts) == [Done, Again, Done, Back]
    assert effects() == [0, 2]


@pytest.mark.parametrize("names", [True, False])
def test_nothing_overtakes_one_that_is_parked(
    handle: Handle, names: bool, settings: Settings
) -> None:
    settings.KAFKA_HANDLER_IN_PLACE_SECONDS = 0.0
    bulk = Bulk(1, names=names)
    road = Road(handler(bulk, batch=True))
    batch = jobs(road, *"abcb")
    verdicts = road.settler.handle_all(batch)
    assert kinds(verdicts) == [Done, Done, Done, Back]
    assert effects() == [0, 2]
    [behind] = road.settler.handle_all([batch[3]])
    assert behind == Done(Outcome.PARKED)
    assert effects() == [0, 2]


def test_alone_it_comes_in_a_list_of_one_and_its_own_error_counts(handle: Handle) -> None:
    bulk = Bulk(0, names=True)
    batch, verdicts = handle(bulk, "a", attempts=1)
    assert bulk.calls == [[0]]
    assert kinds(verdicts) == [Bury]
    assert batch[0].failure is not None
    assert isinstance(batch[0].failure.error, ValueError)


def test_names_of_other_events_convict_nobody(handle: Handle) -> None:
    other: Event[Any] = Event(None, "", "", "", 1, None, None, message(offset=99))

    def confused(events: list[Event[Any]]) -> None:
        if any(event.data.number == 2 for event in events):
            raise RecordsFailed([(other, ValueError("who?"))])

    _, verdicts = handle(confused, *"abcd")
    assert kinds(verdicts) == [Done, Done, Again, Done]


def test_in_an_outage_nobody_is_looked_for(handle: Handle) -> None:
    bulk = Bulk(3, error=outage())
    _, verdicts = handle(bulk, *"abcd")
    assert bulk.calls == [[0, 1, 2, 3], [0], [1], [2], [3]]
    assert kinds(verdicts) == [Done, Done, Done, Again]


def test_while_no_format_can_be_read_nobody_is_looked_for(handle: Handle) -> None:
    bulk = Bulk(3, error=FormatUnavailable("The registry is away."))
    handle(bulk, *"abcd")
    assert bulk.calls == [[0, 1, 2, 3], [0], [1], [2], [3]]


def test_a_hook_is_refused(handle: Handle) -> None:
    def hooking(events: list[Event[Any]]) -> None:
        transaction.on_commit(lambda: None)

    batch, verdicts = handle(hooking, "a", "b", attempts=1)
    assert kinds(verdicts) == [Bury, Bury]
    assert "on_commit" in str(batch[0].failure)


def test_events_of_another_handler_are_apart_and_keep_their_place() -> None:
    calls: list[list[str]] = []

    def all_of(events: list[Event[Any]]) -> None:
        calls.append([event.message.place() for event in events])

    def one(event: Event[Any]) -> None:
        calls.append([event.message.place()])

    road = Road(handler(all_of, batch=True), handler(one, Broken, transactional=True))
    found = [message(offset=n, type="Made") for n in (0, 1, 3, 4)]
    found.insert(2, message(b'{"why": "x"}', offset=2, type="Broken"))
    batch = [road.job(one) for one in found]
    for number, job in enumerate(batch):
        job.lane = number
    assert road.settler.handle_all(batch) == [HANDLED] * 5
    place = "thing.made.json[1]@"
    assert calls == [[f"{place}0", f"{place}1"], [f"{place}2"], [f"{place}3", f"{place}4"]]


def test_a_failure_of_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="Return if none did"):
        RecordsFailed([])


def test_the_first_failures_are_shown() -> None:
    event: Event[Any] = Event(None, "", "", "", 1, None, None, message())
    failed = RecordsFailed([(event, ValueError("no stock"))] * 7)
    assert str(failed).count("thing.made.json[1]@7: no stock") == 5
    assert str(failed).endswith("; and 2 more")
