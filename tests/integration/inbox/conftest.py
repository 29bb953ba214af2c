"""What the inbox's integration tests share: a worker on a topic of its own, and writers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Producer
from pytest_django import Settings

from kafka_integration import Event, EventData
from kafka_integration.events.registry import Handler, Registry, registry
from kafka_integration.inbox.worker import Worker
from tests.sample.models import Effect


class Made(EventData):
    """A thing was made."""

    number: int


def effect(event: Event[Made]) -> None:
    """Leave one row a call."""
    Effect.objects.create(lane=event.key or "", number=event.data.number, event_id=event.id)


def numbers() -> list[int]:
    """Return the effects there are, in the order in which they happened."""
    return list(Effect.objects.order_by("pk").values_list("number", flat=True))


def ce(identifier: str, **more: str) -> list[tuple[str, bytes | None]]:
    """Return the headers of an event of :class:`Made` with that id."""
    said = {"ce_id": identifier, "ce_source": "/tests", "ce_type": "Made"} | more
    return [(name, text.encode()) for name, text in said.items()]


Function = Callable[[Event[Any]], object]


@pytest.fixture
def declared(settings: Settings) -> Iterator[Registry]:
    """An empty registry, and a policy without long pauses."""
    settings.KAFKA_HANDLER_BACKOFF_SECONDS = 0.05
    settings.KAFKA_GROUP_PREFIX = "tests-"
    with registry.isolated() as empty:
        yield empty


@pytest.fixture
def handle(declared: Registry, topic: str) -> Callable[..., None]:
    """Declare a handler of the topic."""

    def declare(function: Function = effect, group: str = "", **more: Any) -> None:
        declared.add_handler(Handler(topic, Made, group or topic, function, **more))

    return declare


@pytest.fixture
def consume(topic: str, transactional_db: None) -> Callable[..., Worker]:
    """Run a worker until the topic is drained; its group is named after the topic."""

    def run(group: str = "", **more: Any) -> Worker:
        worker = Worker(group or topic, drain=True, **more)
        worker.run()
        return worker

    return run


@pytest.fixture
def produce(broker: str, topic: str) -> Callable[..., None]:
    """Write records into partition 0, in order, with no code of ours."""

    def write(
        *values: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        producer = Producer({"bootstrap.servers": broker, "message.max.bytes": 2_000_000})
        for value in values:
            producer.produce(topic, value, key, partition=0, headers=list(headers))
        assert producer.flush(30) == 0

    return write
