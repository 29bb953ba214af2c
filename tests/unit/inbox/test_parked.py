"""Dead messages that an operator sends round again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kafka_integration import Event, signals
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.parked import ParkedRecords
from kafka_integration.inbox.store import record_dead
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from .messages import GROUP, Broken, handler, ignore, message, name_of

pytestmark = pytest.mark.django_db(transaction=True)


def effect(event: Event[Any]) -> None:
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def dead(found: Message) -> InboxRecord:
    record_dead(name_of(found), found, using="default", handler="h", attempts=3, error="old")
    return InboxRecord.objects.latest("pk")


def run(*handlers: Handler) -> Outcome | None:
    return ParkedRecords(GROUP, handlers).run_one()


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


def test_each_try_is_told_with_its_record_and_outcome() -> None:
    told: list[tuple[int, Outcome]] = []

    def hear(record: InboxRecord, outcome: Outcome, **_: Any) -> None:
        told.append((record.offset, outcome))

    dead(message(offset=5)).retry()
    signals.record_retried.connect(hear)
    try:
        run(handler(effect))
        run(handler(effect))
    finally:
        signals.record_retried.disconnect(hear)
    assert told == [(5, Outcome.HANDLED)]


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
