"""The health of relay and consumer goes by their signals."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from kafka_integration import signals
from kafka_integration.observe import health
from kafka_integration.observe.health import ConsumerHealth, RelayHealth


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Clock:
    clock = Clock()
    settings.KAFKA_HEALTH_SECONDS = 30.0
    monkeypatch.setattr(health, "time", clock)
    return clock


def test_a_relay_whose_loop_stands_still_is_dead(clock: Clock) -> None:
    with RelayHealth() as relay:
        clock.now += 29
        signals.relay_turned.send(None)
        clock.now += 30
        assert relay.live().good
        clock.now += 1
        assert not relay.live().good


def test_a_relay_is_ready_once_it_leads_and_not_while_it_waits(clock: Clock) -> None:
    with RelayHealth() as relay:
        assert not relay.ready().good
        signals.relay_leading.send(None, using="default", owner="me")
        assert relay.ready().good
        signals.relay_waiting.send(None, reason="Kafka does not answer")
        assert "Kafka does not answer" in relay.ready().reason
        assert relay.live().good


def test_only_a_batch_that_went_out_ends_a_relays_waiting(clock: Clock) -> None:
    with RelayHealth() as relay:
        signals.relay_waiting.send(None, reason="Kafka does not answer")
        signals.batch_relayed.send(None, published=0, held=0, seconds=0.1)
        assert not relay.ready().good
        signals.batch_relayed.send(None, published=1, held=0, seconds=0.1)
        assert relay.ready().good


def test_a_relay_is_deaf_after_the_block(clock: Clock) -> None:
    with RelayHealth() as relay:
        pass
    signals.relay_leading.send(None, using="default", owner="me")
    assert not relay.ready().good


def test_a_consumer_is_ready_once_it_reads_and_dead_when_it_stands_still(clock: Clock) -> None:
    with ConsumerHealth() as consumer:
        signals.consumer_turned.send(None, group="g", in_flight=0, busy_seconds=0.0)
        assert not consumer.ready().good
        signals.consumer_started.send(None, group="g")
        assert consumer.ready().good
        clock.now += 31
        assert not consumer.live().good


def test_a_handler_that_hangs_makes_a_consumer_unready_and_leaves_it_alive(clock: Clock) -> None:
    with ConsumerHealth() as consumer:
        signals.consumer_started.send(None, group="g")
        signals.consumer_turned.send(None, group="g", in_flight=1, busy_seconds=31.0)
        assert "31 s" in consumer.ready().reason
        assert consumer.live().good
        signals.consumer_turned.send(None, group="g", in_flight=0, busy_seconds=0.0)
        assert consumer.ready().good
