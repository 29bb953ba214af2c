"""A dry run tells how it would go, and leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from pytest_django import Settings

from kafka_integration import Event, publish
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.events.registry import Registry, registry
from kafka_integration.inbox.rehearsal import Rehearsal, Verdict, rehearse
from kafka_integration.models import InboxRecord, InboxStatus, OutboxEvent
from tests.sample.models import Effect, Label

from .letters import dead, effect, effects, fail
from .messages import Broken, Made, handler, ignore, message

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

Function = Callable[[Event[Any]], None]


@pytest.fixture(autouse=True)
def declared() -> Iterator[Registry]:
    with registry.isolated() as empty:
        yield empty


def tried(function: Function, record: InboxRecord | None = None, **more: Any) -> Rehearsal:
    registry.handlers.append(handler(function, **more))
    return rehearse(record or dead(message()))


def row(record: InboxRecord) -> dict[str, Any]:
    return dict(InboxRecord.objects.filter(pk=record.pk).values().get())


def test_what_would_work_is_fine_and_leaves_no_effect() -> None:
    calls: list[str] = []

    def take(event: Event[Any]) -> None:
        effect(event)
        calls.append(event.id)

    record = dead(message(id="e1", source="s"))
    before = row(record)
    found = tried(take, record)
    assert (found.verdict, found.error, found.trace) == (Verdict.FINE, "", "")
    assert found.handler.endswith(".take")
    assert calls == ["e1"]
    assert effects() == 0
    assert row(record) == before


def test_what_still_fails_says_why_and_where() -> None:
    record = dead(message())
    before = row(record)
    found = tried(fail, record)
    assert found.verdict is Verdict.FAILS
    assert found.error.startswith("ValueError: still broken (")
    assert "letters.py" in found.trace
    assert found.trace.endswith("ValueError: still broken\n")
    assert effects() == 0
    assert row(record) == before


def test_hooks_are_counted_and_do_not_run() -> None:
    ran: list[int] = []

    def hooking(event: Event[Any]) -> None:
        transaction.on_commit(lambda: ran.append(1))
        transaction.on_commit(lambda: ran.append(2), using="other")

    found = tried(hooking)
    assert (found.verdict, found.hooks, ran) == (Verdict.FINE, 2, [])


def test_effects_on_other_databases_and_events_are_undone_too(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = ""

    def wide(event: Event[Any]) -> None:
        Effect.objects.using("other").create(lane="", number=1, event_id="")
        publish(Made(name="cup"), topic="thing.made.json", key="k")

    assert tried(wide).verdict is Verdict.FINE
    assert not Effect.objects.using("other").exists()
    assert not OutboxEvent.objects.exists()


def test_what_only_the_commit_would_refuse_is_refused() -> None:
    def dangling(event: Event[Any]) -> None:
        Label.objects.create(code="a", shelf_id=999_999)

    found = tried(dangling)
    assert found.verdict is Verdict.FAILS
    assert "IntegrityError" in found.error
    assert not Label.objects.exists()


def careless(event: Event[Any]) -> None:
    transaction.set_rollback(True)


def leaving(event: Event[Any]) -> None:
    sys.exit(3)


@pytest.mark.parametrize("function", [careless, leaving])
def test_misuse_fails_and_harms_nothing(function: Function) -> None:
    assert tried(function).verdict is Verdict.FAILS
    assert rehearse(dead(message(offset=8))).verdict is Verdict.FAILS
    assert not connection.in_atomic_block
    assert InboxRecord.objects.dead().count() == 2


@pytest.mark.parametrize(
    "error", [OperationalError("database is locked"), FormatUnavailable("The registry is away.")]
)
def test_an_outage_in_the_way_is_no_answer(error: Exception) -> None:
    def late(event: Event[Any]) -> None:
        raise error

    assert tried(late).verdict is Verdict.UNDECIDED


def test_a_letter_without_a_handler_fails() -> None:
    record = dead(message(type="Made"))
    assert "No handler belongs to group" in rehearse(record).error
    found = tried(ignore, record, contract=Broken)
    assert "has no handler for this message" in found.error
    assert (found.verdict, found.handler, found.trace) == (Verdict.FAILS, "", "")


def test_a_letter_that_cannot_be_read_fails_without_a_trace() -> None:
    found = tried(effect, dead(message(b"{")))
    assert (found.verdict, found.trace) == (Verdict.FAILS, "")
    assert found.error.startswith("UndecodableMessage")


def test_only_what_is_kept_can_be_tried() -> None:
    record = dead(message())
    assert record.discard()
    assert tried(effect, record).verdict is Verdict.FINE
    InboxRecord.objects.update(status=InboxStatus.DONE)
    record.refresh_from_db()
    assert rehearse(record).verdict is Verdict.UNDECIDED
