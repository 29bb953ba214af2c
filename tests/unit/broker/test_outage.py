"""How often a person hears that Kafka is away."""

from __future__ import annotations

import pytest

from kafka_integration.broker import outage as module
from kafka_integration.broker.outage import Outage


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


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_warning_every_thirty_seconds_and_one_line_at_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("g")
    for _ in range(610):
        outage.suspect("No broker.")
        outage.unanswered()
        clock.now += 0.1
    outage.answered()
    outage.answered()
    assert said(caplog) == [
        *["Group g waits for Kafka. No broker."] * 3,
        "Group g: Kafka answers again.",
    ]


def test_the_next_outage_is_told_at_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("g")
    for _ in range(2):
        outage.suspect("Away.")
        outage.unanswered()
        outage.answered()
    assert said(caplog).count("Group g waits for Kafka. Away.") == 2


def test_a_late_word_of_an_outage_that_is_over_is_not_told(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("g")
    outage.suspect("Away.")
    assert outage.must_ask()
    outage.answered()
    assert said(caplog) == []


def test_kafka_is_asked_once_a_second_and_only_while_it_seems_away(clock: Clock) -> None:
    outage = Outage("g")
    assert not outage.must_ask()
    outage.suspect("Away.")
    assert outage.must_ask()
    assert not outage.must_ask()
    outage.unanswered()
    clock.now += 1
    assert outage.must_ask()
    outage.answered()
    clock.now += 1
    assert not outage.must_ask()
