"""What a relay writes where no terminal is."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management.base import OutputWrapper

from kafka_integration.management import progress
from kafka_integration.management.progress import RelayProgress
from kafka_integration.signals import batch_relayed, relay_idle


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        """Return its time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that progress is reported by."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def out(clock: Clock) -> Iterator[io.StringIO]:
    """What a relay's progress is written to."""
    out = io.StringIO()
    with RelayProgress(OutputWrapper(out)):
        yield out


def publish_one() -> None:
    batch_relayed.send(object, published=1, held=0, seconds=0.1)
    relay_idle.send(object)


def test_the_first_event_is_told_at_once(out: io.StringIO) -> None:
    publish_one()

    assert out.getvalue() == "Published 1 event in 0.0 s\n"


def test_lone_events_do_not_fill_the_log(out: io.StringIO, clock: Clock) -> None:
    for _ in range(100):
        clock.now += 0.1
        publish_one()

    assert out.getvalue().splitlines() == [
        "Published 1 event in 0.1 s",
        "Published 52 events in 5.2 s",
    ]


def test_the_end_tells_everything(clock: Clock) -> None:
    out = io.StringIO()
    with RelayProgress(OutputWrapper(out)):
        publish_one()
        publish_one()

    assert out.getvalue().splitlines()[-1] == "Published 2 events in 0.0 s. Relay ended."
