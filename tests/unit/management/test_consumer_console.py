"""What a consumer prints, driven by its signals alone."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management.base import OutputWrapper

from kafka_integration import signals
from kafka_integration.events.envelope import Message
from kafka_integration.events.registry import registry
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.worker import Worker
from kafka_integration.management import consumer_console as module
from kafka_integration.management.consumer_console import ConsumerConsole
from kafka_integration.models import InboxRecord
from tests.unit.inbox.messages import GROUP, TOPIC, handler, ignore, message

UUID = b"57b40c9e-8f5e-4f3e-9d3c-0a1b2c3d4e5f"


class Clock:
    """A clock that a test moves on."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def worker() -> Iterator[Worker]:
    with registry.isolated() as empty:
        empty.add_handler(handler(ignore))
        yield Worker(GROUP)


def told(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def handled(found: Message, outcome: Outcome = Outcome.HANDLED) -> None:
    signals.message_handled.send(sender=None, group=GROUP, message=found, outcome=outcome)


def test_one_line_a_message(worker: Worker) -> None:
    out = io.StringIO()
    with ConsumerConsole(OutputWrapper(out), worker, each=True):
        handled(message(key=UUID, type="Made"))
        handled(message(key=b"k"), Outcome.DUPLICATE)
        handled(message(key=None, type="Else"), Outcome.IGNORED)
        handled(message(), Outcome.DEAD)
    assert told(out) == [
        f"✓ {TOPIC}[1]@7 Made key 57b4… ignore",
        f"= duplicate {TOPIC}[1]@7 (no type) key k ignore",
        f"- ignored {TOPIC}[1]@7 Else no key",
    ]


def test_a_message_cannot_steer_the_terminal(worker: Worker) -> None:
    out = io.StringIO()
    with ConsumerConsole(OutputWrapper(out), worker, each=True):
        handled(message(key=b"\x1b[2J\n", type="Made\x07"))
    assert told(out) == [f"✓ {TOPIC}[1]@7 Made? key ?[2J?"]


def test_a_terminal_without_unicode_gets_plain_marks(worker: Worker) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with ConsumerConsole(OutputWrapper(out), worker, each=True):
        handled(message(key=UUID, type="Made"))
    assert raw.getvalue().decode() == f"+ {TOPIC}[1]@7 Made key 57b4~ ignore\n"


def test_a_summary_every_five_seconds_if_anything_happened(worker: Worker, clock: Clock) -> None:
    out = io.StringIO()

    def turn(seconds: float) -> None:
        clock.now += seconds
        signals.consumer_turned.send(sender=None, group=GROUP)

    with ConsumerConsole(OutputWrapper(out), worker, each=False):
        for outcome in (Outcome.HANDLED, Outcome.HANDLED, Outcome.DUPLICATE, Outcome.DEAD):
            handled(message(), outcome)
        turn(1)
        assert told(out) == []
        turn(4)
        assert told(out) == ["Handled 4 messages (1 duplicate, 0 ignored, 1 dead)."]
        turn(60)
        handled(message())
        turn(0.2)
    assert told(out)[1:] == ["Handled 1 message (0 duplicate, 0 ignored, 0 dead)."]


def test_the_handlers_and_the_end_are_told_once_it_has_started(worker: Worker) -> None:
    out = io.StringIO()
    with ConsumerConsole(OutputWrapper(out), worker, each=False):
        assert told(out) == []
        signals.consumer_started.send(sender=None, group=GROUP)
        worker.outcomes[Outcome.HANDLED] += 1
    assert told(out)[:2] == [
        f"Group {GROUP} reads {TOPIC}.",
        f"  {TOPIC}  Made v1  ->  tests.unit.inbox.messages.ignore",
    ]
    end = "Consumer ended. 1 message: 1 handled, 0 duplicate, 0 ignored, 0 dead."
    assert told(out)[2:] == [end]


def test_a_start_that_failed_has_no_end(worker: Worker) -> None:
    out = io.StringIO()
    with ConsumerConsole(OutputWrapper(out), worker, each=False):
        pass
    assert told(out) == []


@pytest.mark.parametrize(
    ("outcome", "said"),
    [(Outcome.HANDLED, "handled"), (Outcome.DEAD, "dead again: ValueError: no")],
)
def test_each_record_tried_on_demand_is_told(worker: Worker, outcome: Outcome, said: str) -> None:
    out = io.StringIO()
    record = InboxRecord(topic=TOPIC, partition=1, offset=7, last_error="ValueError: no")
    with ConsumerConsole(OutputWrapper(out), worker, each=False):
        signals.record_retried.send(sender=None, group=GROUP, record=record, outcome=outcome)
    assert told(out) == [f"Tried again on demand: {TOPIC}[1]@7 {said}"]
