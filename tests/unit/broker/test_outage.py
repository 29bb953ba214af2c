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


def test_a_warning_every_thirty_seconds_and_one_line_at_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outage = Outage("g")
    for _ in range(610):
        outage.note("No broker.")
        clock.now += 0.1
    outage.end()
    outage.end()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["Group g: No broker. Waiting for it."] * 3 + ["Group g: Kafka answers again."]


def test_the_next_outage_is_told_at_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage("g")
    outage.note("Away.")
    outage.end()
    outage.note("Away.")
    assert [record.getMessage()[9:14] for record in caplog.records] == ["Away.", "Kafka", "Away."]


def test_kafka_is_asked_once_a_second_and_only_while_it_is_away(clock: Clock) -> None:
    outage = Outage("g")
    assert not outage.must_ask()
    outage.note("Away.")
    assert outage.must_ask()
    assert not outage.must_ask()
    clock.now += 1
    assert outage.must_ask()
    outage.end()
    clock.now += 1
    assert not outage.must_ask()
