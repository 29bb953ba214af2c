"""Publishing rows that were there before."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from kafka_integration import becomes, changed, created, publishes
from kafka_integration.errors import ConfigurationError, DeclarationError
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent, OutboxQueue
from kafka_integration.outbox.backfill import backfill, publication_for
from tests.sample.events import SampleCreated, lane
from tests.sample.models import Sample

TOPIC = "sample.created.json"


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.fixture
def samples(db: None) -> list[Sample]:
    """Five rows that were saved before anything was declared."""
    rows = [Sample(lane="ab"[number % 2], number=number) for number in range(5)]
    return Sample.objects.bulk_create(rows)


def published() -> list[int]:
    queue = OutboxQueue.objects.order_by("position").select_related("event")
    return [json.loads(bytes(row.event.value))["number"] for row in queue]


def test_every_row_in_the_order_of_the_primary_key(samples: list[Sample]) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created, key=lane)
    steps = list(backfill(publication_for(Sample, TOPIC), Sample, batch_size=2))
    assert [(step.done, step.last) for step in steps] == [
        (2, samples[1].pk),
        (4, samples[3].pk),
        (5, samples[4].pk),
    ]
    assert published() == [0, 1, 2, 3, 4]
    assert [event.key for event in OutboxEvent.objects.order_by("pk")] == list("ababa")
    assert OutboxEvent.objects.values("headers__ce_type").distinct().count() == 1


def test_goes_on_after_a_primary_key(samples: list[Sample]) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    publication = publication_for(Sample, TOPIC)
    first = next(backfill(publication, Sample, batch_size=2))
    list(backfill(publication, Sample, after=first.last))
    assert published() == [0, 1, 2, 3, 4]


def test_only_rows_that_meet_the_condition(samples: list[Sample]) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=becomes(lane="a"))
    [step] = backfill(publication_for(Sample, TOPIC), Sample)
    assert (step.done, step.left) == (3, 2)
    assert published() == [0, 2, 4]


def test_a_row_that_is_made_meanwhile_is_left_to_itself(samples: list[Sample]) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    steps = backfill(publication_for(Sample, TOPIC), Sample, batch_size=2)
    next(steps)
    Sample.objects.bulk_create([Sample(lane="a", number=5)])
    list(steps)
    assert published() == [0, 1, 5, 2, 3, 4]


def test_rows_that_go_meanwhile_do_not_keep_it_going(samples: list[Sample]) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    steps = backfill(publication_for(Sample, TOPIC), Sample, batch_size=2)
    next(steps)
    Sample.objects.all().delete()
    assert list(steps) == []


@pytest.mark.django_db
def test_no_rows_no_events() -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    assert list(backfill(publication_for(Sample, TOPIC), Sample)) == []


def test_a_declaration_that_no_creation_triggers_is_refused() -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    publishes(Sample, SampleCreated, topic="sample.changed.json", when=changed("note"))
    with pytest.raises(DeclarationError, match=r"backfilled to: sample\.created\.json"):
        publication_for(Sample, "sample.changed.json")


def test_switched_off_it_publishes_nothing(samples: list[Sample], settings: Settings) -> None:
    publishes(Sample, SampleCreated, topic=TOPIC, when=created)
    settings.KAFKA_ENABLED = False
    with pytest.raises(ConfigurationError):
        list(backfill(publication_for(Sample, TOPIC), Sample))
    assert published() == []
