"""Dead letters tried, handed on, handled here and given up: in their group, and once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, transaction

from kafka_integration import Event
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.errors import UnknownGroup
from kafka_integration.events.registry import Handler, Registry, registry
from kafka_integration.inbox.dispatch import Outcome, dispatch
from kafka_integration.inbox.redrive import (
    discard,
    redrive,
    redrive_here,
    rehearse_each,
    require_handlers,
)
from kafka_integration.inbox.rehearsal import Rehearsal, Verdict
from kafka_integration.models import InboxRecord, InboxStatus
from kafka_integration.step import Step
from tests.sample.models import Effect

from .letters import dead, effect, effects, fail
from .messages import GROUP, TOPIC, Made, handler, message, name_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def declared() -> Iterator[Registry]:
    with registry.isolated() as empty:
        yield empty


def statuses() -> list[str]:
    return list(InboxRecord.objects.order_by("pk").values_list("status", flat=True))


def test_it_goes_in_batches_and_tells_how_far_it_is() -> None:
    for offset in range(5):
        dead(message(offset=offset))
    steps = list(redrive(InboxRecord.objects.dead(), batch_size=2))
    assert [(step.done, step.left) for step in steps] == [(2, 0), (4, 0), (5, 0)]
    assert steps[-1].share == 1.0
    assert statuses() == [InboxStatus.PARKED] * 5


def test_it_may_be_stopped_after_any_batch() -> None:
    for offset in range(4):
        dead(message(offset=offset))
    next(iter(redrive(InboxRecord.objects.dead(), batch_size=3)))
    assert statuses() == [InboxStatus.PARKED] * 3 + [InboxStatus.DEAD]


def test_what_somebody_else_decided_about_meanwhile_is_left_alone() -> None:
    first, second = dead(message(offset=1)), dead(message(offset=2))
    steps = redrive(InboxRecord.objects.filter(pk__in=[first.pk, second.pk]))
    first.discard()
    assert list(steps) == [Step(1, 1, 1.0)]
    assert statuses() == [InboxStatus.DISCARDED, InboxStatus.PARKED]


def test_a_redrive_acts_in_its_group_only_and_once() -> None:
    seen: list[str] = []
    registry.handlers.append(handler(effect))
    registry.handlers.append(Handler(TOPIC, Made, "others", lambda event: seen.append(event.id)))
    record = dead(message(id="e1", source="s"))
    assert list(redrive_here(InboxRecord.objects.dead())) == [Step(1, 0, 1.0)]
    for again in (redrive, redrive_here):
        assert list(again(InboxRecord.objects.dead())) == []
    assert effects() == 1
    assert Effect.objects.get().event_id == "e1"
    assert seen == []
    # Kafka delivers it once more, under the id that it kept.
    found = record.message()
    delivered = dispatch(found, [handler(effect)], name_of(found), 1)
    assert (delivered, effects()) == (Outcome.DUPLICATE, 1)


def test_discarded_letters_are_never_handled() -> None:
    record = dead(message())
    assert [step.done for step in discard(InboxRecord.objects.dead())] == [1]
    assert list(redrive(InboxRecord.objects.all())) == [Step(0, 1, 1.0)]
    record.refresh_from_db()
    assert record.status == InboxStatus.DISCARDED


def test_a_group_without_handlers_would_wait_for_ever() -> None:
    registry.handlers.append(handler(effect))
    dead(message(offset=1))
    assert require_handlers(InboxRecord.objects.dead()) == {GROUP: 1}
    dead(message(offset=2), group="gone")
    with pytest.raises(UnknownGroup, match="'gone'"):
        require_handlers(InboxRecord.objects.dead())


class TestHere:
    def test_effect_and_record_are_one(self) -> None:
        registry.handlers.append(handler(effect))
        record = dead(message(id="e1", source="s"))
        letters = InboxRecord.objects.dead()
        assert list(redrive_here(letters)) == [Step(1, 0, 1.0)]
        assert list(redrive_here(letters)) == []
        record.refresh_from_db()
        assert (record.status, record.attempts, record.last_error) == (InboxStatus.DONE, 4, "")
        assert (record.key, record.value, record.headers) == (None, None, [])
        assert effects() == 1

    def test_what_fails_stays_dead_with_the_new_reason(self) -> None:
        registry.handlers.append(handler(fail))
        record = dead(message())
        assert list(redrive_here(InboxRecord.objects.dead())) == [Step(0, 1, 1.0)]
        record.refresh_from_db()
        assert (record.status, record.attempts) == (InboxStatus.DEAD, 4)
        assert record.last_error.startswith("ValueError: still broken")
        assert record.message() == message()
        assert effects() == 0

    def test_who_comes_second_does_nothing(self) -> None:
        record = dead(message())

        def taken(event: Event[Any]) -> None:
            raise AssertionError("somebody else had it")

        registry.handlers.append(handler(taken))
        everything = InboxRecord.objects.filter(pk=record.pk)
        record.retry()
        assert list(redrive_here(everything)) == [Step(0, 0, 1.0)]

    @pytest.mark.parametrize(
        "error", [OperationalError("database is locked"), FormatUnavailable("No registry.")]
    )
    def test_an_outage_counts_no_try(self, error: Exception) -> None:
        def lost(event: Event[Any]) -> None:
            effect(event)
            raise error

        registry.handlers.append(handler(lost))
        record = dead(message())
        with pytest.raises(type(error)):
            list(redrive_here(InboxRecord.objects.dead()))
        record.refresh_from_db()
        assert (record.status, record.attempts, effects()) == (InboxStatus.DEAD, 3, 0)

    def test_a_hook_that_fails_undoes_nothing(self) -> None:
        def hooking(event: Event[Any]) -> None:
            effect(event)
            transaction.on_commit(lambda: 1 / 0)

        registry.handlers.append(handler(hooking))
        dead(message())
        assert list(redrive_here(InboxRecord.objects.dead())) == [Step(1, 0, 1.0)]
        assert (statuses(), effects()) == ([InboxStatus.DONE], 1)


def test_a_dry_run_of_many_tries_each_by_itself() -> None:
    told: list[Rehearsal] = []

    def picky(event: Event[Any]) -> None:
        effect(event)
        assert effects() == 1
        if event.message.offset == 1:
            raise ValueError("not this one")

    registry.handlers.append(handler(picky))
    for offset in range(3):
        dead(message(offset=offset))
    steps = list(rehearse_each(InboxRecord.objects.dead(), told.append))
    assert [step.done for step in steps] == [1, 2, 3]
    verdicts = [rehearsal.verdict for rehearsal in told]
    assert verdicts == [Verdict.FINE, Verdict.FAILS, Verdict.FINE]
    assert (statuses(), effects()) == ([InboxStatus.DEAD] * 3, 0)
