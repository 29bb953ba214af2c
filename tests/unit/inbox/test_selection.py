"""Which letters an operator's words mean."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from kafka_integration.inbox.selection import LetterLost, LetterSelection, letter
from kafka_integration.models import InboxStatus

from .letters import dead
from .messages import message

pytestmark = pytest.mark.django_db


def chosen(**given: Any) -> set[int]:
    return {record.offset for record in LetterSelection(**given).records("default")}


def test_it_says_nothing_or_something() -> None:
    assert not LetterSelection()
    assert LetterSelection(error="x")


def test_each_word_narrows_it() -> None:
    now = timezone.now()
    first = dead(message(offset=1, key=b"a", id="e1", source="s"))
    dead(message(offset=2, key=b"\xff"), created_at=now - timedelta(days=2))
    dead(message(offset=3, key=b"0xff"), group="others", last_error="KeyError: 'NAME'")
    dead(message(offset=4), handler="app.events.make", topic="a.b.json")
    assert chosen() == {1, 2, 3, 4}
    assert chosen(numbers=(first.pk,)) == {1}
    assert chosen(event_ids=("e1",)) == {1}
    assert chosen(groups=("others",)) == {3}
    assert chosen(topics=("a.b.json",)) == {4}
    assert chosen(keys=("a",)) == {1}
    assert chosen(keys=("0xff",)) == {2, 3}
    assert chosen(keys=("0xno",)) == set()
    assert chosen(handlers=("make",)) == chosen(handlers=("app.events.make",)) == {4}
    assert chosen(handlers=("ake",)) == set()
    assert chosen(handlers=("make", "take"), groups=("others",)) == {3}
    assert chosen(error="name") == {3}
    assert chosen(since=now - timedelta(days=1)) == {1, 3, 4}
    assert chosen(until=now - timedelta(days=1)) == {2}


def test_only_the_dead_are_meant_unless_it_is_said() -> None:
    dead(message(offset=1))
    dead(message(offset=2)).retry()
    dead(message(offset=3)).discard()
    assert chosen() == {1}
    all_of_them = LetterSelection().records("default", InboxStatus.values)
    assert {record.offset for record in all_of_them} == {1, 2, 3}


def test_a_letter_by_its_number() -> None:
    record = dead(message())
    assert letter(record.pk) == record
    with pytest.raises(LetterLost, match="kafka_dead_letters list"):
        letter(record.pk + 1)
