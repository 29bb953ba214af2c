"""The writers' acts: what they commit is what their tables say, number by number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from kafka_integration.models import OutboxEvent
from tests.storm.events import TOPICS
from tests.storm.models import Card, Grave, Note, Word
from tests.storm.outbound import acts
from tests.storm.outbound.acts import ACTS
from tests.storm.outbound.writer import Writer

pytestmark = pytest.mark.django_db(transaction=True)

Units = dict[tuple[str, str], list[int]]


@pytest.fixture(autouse=True)
def settings_without_catalogue(settings: Any) -> None:
    settings.KAFKA_TOPICS_FILE = ""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.storm.outbound.acts.time.sleep", lambda seconds: None)


def captured() -> Units:
    found: Units = {}
    for event in OutboxEvent.objects.order_by("pk"):
        data = json.loads(bytes(event.value))
        assert data["key"] == event.key
        assert not data["doomed"]
        found.setdefault((event.topic, event.key), []).append(data["number"])
    return found


def in_tables() -> Units:
    def numbered() -> Iterator[tuple[str, str, int]]:
        graves = Grave.objects.exclude(card__in=Card.objects.values("pk"))
        for key, last in [*Card.objects.values_list("pk", "number"), *graves.values_list()]:
            yield from (("card", key, number) for number in range(1, last + 1))
        for model, table in ((Note, "note"), (Word, "word")):
            for row in model.objects.order_by("pk"):
                yield table, row.key, row.number

    found: Units = {}
    for table, key, number in numbered():
        found.setdefault((TOPICS[table], key), []).append(number)
    return found


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_an_act_is_told_as_its_tables_say(act: Callable[[Writer], int]) -> None:
    writer = Writer("writer-0", 20, Random(5))
    acts.prepare(writer)
    acts.create_cards(writer)
    before = OutboxEvent.objects.count()
    meant = sum(act(writer) for _ in range(4))
    assert OutboxEvent.objects.count() - before == meant
    assert captured() == in_tables()
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in captured().values())


def test_an_act_that_rolls_back_leaves_no_number_behind() -> None:
    writer = Writer("writer-0", 20, Random(5))
    acts.prepare(writer)
    before = captured()
    acts.roll_back(writer)
    assert captured() == before
    acts.save_notes(writer)
    assert {row.number for row in Note.objects.all()} == {1}
