"""What names a message, and what is kept of it."""

from __future__ import annotations

import pytest
from django.db import transaction

from kafka_integration.events.envelope import Message
from kafka_integration.inbox.store import (
    Identity,
    fitting,
    identity,
    is_recorded,
    record_dead,
    record_done,
)
from kafka_integration.models import InboxRecord, InboxStatus

from .messages import GROUP, message, name_of


def done(found: Message, who: Identity | None = None) -> bool:
    with transaction.atomic():
        return record_done(who or name_of(found), found, using="default", handler="h", attempts=2)


def test_source_and_id_name_a_message() -> None:
    assert name_of(message(id="1", source="/shop")) == Identity(GROUP, "/shop", "1")


@pytest.mark.parametrize("ce", [{}, {"id": "1"}, {"source": "/shop"}, {"id": "", "source": "/s"}])
def test_without_both_its_place_names_it(ce: dict[str, str]) -> None:
    headers = [(f"ce_{name}", text.encode()) for name, text in ce.items()]
    assert name_of(message(offset=42, headers=headers)) == Identity(
        GROUP, "kafka:cluster/topic", "1/42"
    )


def test_the_place_is_asked_for_only_when_needed() -> None:
    def fail(message: Message) -> str:
        raise AssertionError("asked")

    assert identity(GROUP, message(id="1", source="s"), fail).event_id == "1"


@pytest.mark.parametrize("name", ["x" * 256, "with\x00nul"])
def test_what_the_column_cannot_hold_is_hashed_and_stays_distinct(name: str) -> None:
    assert len(fitting(name)) == 71
    assert fitting(name) != fitting(name + "y")
    assert fitting("x" * 255) == "x" * 255


@pytest.mark.django_db
def test_only_the_first_record_counts() -> None:
    first = message(id="1", source="s")
    assert done(first)
    assert not done(message(id="1", source="s", offset=99))
    record = InboxRecord.objects.get()
    assert (record.status, record.offset, record.attempts, record.handler) == ("done", 7, 2, "h")
    assert (record.key, record.value, record.headers) == (None, None, [])


@pytest.mark.django_db
def test_two_groups_each_have_their_record() -> None:
    found = message(id="1", source="s")
    assert done(found, Identity("a", "s", "1"))
    assert done(found, Identity("b", "s", "1"))


@pytest.mark.django_db
def test_a_dead_record_keeps_everything() -> None:
    headers = [("x", b"\xff\x00"), ("ü", b"text"), ("x", b"again")]
    found = message(b"\x00\xffnoise", key=b"\x80", headers=headers)
    who = name_of(found)
    assert not is_recorded(who, "default")
    error = "odd \x00 and \ud800"
    assert record_dead(who, found, using="default", handler="h" * 300, attempts=3, error=error)
    assert is_recorded(who, "default")
    record = InboxRecord.objects.get()
    assert record.message() == found
    assert record.status == InboxStatus.DEAD
    assert record.last_error == "odd � and \\ud800"
    assert not done(found)


@pytest.mark.django_db
def test_a_dead_record_replaces_none_that_is_there() -> None:
    found = message(id="1", source="s")
    assert done(found)
    who = name_of(found)
    assert not record_dead(who, found, using="default", handler="h", attempts=1, error="late")
    assert InboxRecord.objects.get().status == InboxStatus.DONE
