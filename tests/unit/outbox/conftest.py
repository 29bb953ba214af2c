"""A queue that is filled by hand, and a Kafka that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from kafka_integration.broker.producer import Delivery
from kafka_integration.errors import BrokerError
from kafka_integration.models import OutboxQueue
from kafka_integration.outbox import sender
from kafka_integration.outbox.scan import COLUMNS, QueueRow
from kafka_integration.outbox.store import NewEvent, append

TOPIC = "sample.created.json"
ALL = range(16)


def new_event(key: str = "a", topic: str = TOPIC, **values: Any) -> NewEvent:
    """Return an event as capture makes them."""
    given: dict[str, Any] = {
        "value": b"{}",
        "headers": {"ce_id": "1"},
        "created_at": timezone.now(),
    } | values
    return NewEvent(event_id=uuid7(), topic=topic, key=key, **given)


@pytest.fixture
def queued(db: None) -> Callable[..., list[QueueRow]]:
    """Queue events with these keys, in order, and return their rows."""

    def put(*keys: str, topic: str = TOPIC, **values: Any) -> list[QueueRow]:
        last = OutboxQueue.objects.order_by("-position").first()
        append("default", [new_event(key, topic, **values) for key in keys])
        rows = OutboxQueue.objects.filter(position__gt=last.position if last else 0)
        found = rows.with_hold().order_by("position").values_list(*COLUMNS)
        return [QueueRow._make(values) for values in found]

    return put


@pytest.fixture
def stored(queued: Callable[..., list[QueueRow]]) -> Callable[..., list[OutboxQueue]]:
    """Queue events as ``queued`` does, and return them as models, with their events."""

    def put(*keys: str, topic: str = TOPIC, **values: Any) -> list[OutboxQueue]:
        positions = [row.position for row in queued(*keys, topic=topic, **values)]
        rows = OutboxQueue.objects.filter(pk__in=positions).order_by("position")
        return list(rows.select_related("event"))

    return put


class FakeKafka:
    """Stands in for every producer that is made while it is in place.

    Answers come when they are waited for, each event's by ``answer``, which tests replace. As a
    real producer that stops at the first rejection does, one that is ``swift`` rejects what
    travelled with it, and withdraws what came after.
    """

    def __init__(self) -> None:
        self.answer: Callable[[str, bytes], BrokerError | None] = lambda key, value: None
        self.written: list[tuple[str, bytes]] = []
        self.waits: list[Sequence[str]] = []
        self.options: list[dict[str, Any]] = []
        self.abandoned = 0
        self.last_error: BrokerError | None = None
        self._queue: list[tuple[str, str, bytes, Callable[[Delivery], None]]] = []

    def __call__(self, options: dict[str, Any], *, linger_ms: int) -> FakeKafka:
        assert linger_ms == 0, "a lone event would wait for company"
        self.options.append(options)
        return self

    def send(
        self, topic: str, value: bytes, key: str, headers: Any, report: Callable[[Delivery], None]
    ) -> None:
        self._queue.append((topic, key, value, report))

    def flush(self, timeout: float) -> int:
        queue, self._queue = self._queue, []
        self.waits.append([key for _, key, _, _ in queue])
        errors = [self.answer(key, value) for _, key, value, _ in queue]
        swift = "enable.gapless.guarantee" in self.options[-1]
        spoiled = next((error for error in errors if error), None) if swift else None
        for (topic, key, value, report), error in zip(queue, errors, strict=True):
            found = error or spoiled
            if not found:
                self.written.append((key, value))
            report(Delivery(topic, -1 if found else 0, len(self.written) - 1, found))
        return 0

    def abandon(self) -> None:
        self.abandoned += 1


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    """A Kafka that takes everything unless it is told otherwise."""
    found = FakeKafka()
    monkeypatch.setattr(sender, "EventProducer", found)
    return found
