"""Two transactions under one key, with rows that have nothing to do with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from django.db import connection

from kafka_integration import created, publish, publishes
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxQueue
from kafka_integration.outbox import capture
from tests.integration.outbox.sessions import Session
from tests.sample.events import SampleCreated, lane
from tests.sample.models import Sample

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = "test.key_order.json"


@pytest.fixture(autouse=True)
def _declared(settings: Any) -> Iterator[None]:
    settings.KAFKA_TOPICS_FILE = ""
    with registry.isolated():
        publishes(Sample, SampleCreated, topic=TOPIC, when=created, key=lane)
        capture.connect()
        yield


def by_save(number: int) -> None:
    Sample.objects.create(lane="shared", number=number)


def in_bulk(number: int) -> None:
    Sample.objects.bulk_create([Sample(lane="shared", number=number)])


def by_hand(number: int) -> None:
    publish(SampleCreated(lane="shared", number=number), topic=TOPIC, key="shared")


@pytest.mark.parametrize("write", [by_save, in_bulk, by_hand])
def test_the_second_takes_its_position_after_the_commit_of_the_first(
    write: Callable[[int], None],
) -> None:
    first, second = Session(), Session()
    try:
        first.do(write, 1)
        writing = second.begin_to(write, 2)
        wait_until_it_waits(writing)
        first.do(write, 3)
        first.commit()
        writing.result(30)
        second.commit()
    finally:
        first.close()
        second.close()
    values = OutboxQueue.objects.order_by("position").values_list("event__value", flat=True)
    numbers = [SampleCreated.model_validate_json(bytes(value)).number for value in values]
    assert numbers == [1, 3, 2]


def wait_until_it_waits(writing: Future[Any]) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while True:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone() == (1,):
                return
            cursor.execute("SELECT pg_sleep(0.01)")
        assert not writing.done(), "it did not wait for the first"
