"""Which Kafka and which topic are fit for exactly-once publishing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kafka_integration.broker import progress
from kafka_integration.broker.progress import ProgressTopic, _read_up_to, record_of
from kafka_integration.errors import (
    BrokerUnavailable,
    ConfigurationError,
    ProducerFailed,
    TopicRefused,
)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """What a topic and a broker say of their settings; nothing is what a refusal gives."""
    found: dict[str, dict[str, str]] = {"topic": {"cleanup.policy": "compact"}, "broker": {}}

    def settings_of(self: ProgressTopic, kind: Any, name: str) -> dict[str, str]:
        return found[kind.name.lower()]

    monkeypatch.setattr(ProgressTopic, "_settings_of", settings_of)
    monkeypatch.setattr(ProgressTopic, "_partitions", lambda self: {0: SimpleNamespace(leader=1)})
    return found


def test_kafka_3_is_refused(answers: dict[str, dict[str, str]]) -> None:
    ProgressTopic().check()
    answers["broker"] = {"zookeeper.connect": "", "log.dirs": "/data"}
    with pytest.raises(ConfigurationError, match=r"older than 4\.0.*KIP-890"):
        ProgressTopic().check()


def test_a_topic_that_forgets_is_refused(answers: dict[str, dict[str, str]]) -> None:
    answers["topic"] = {"cleanup.policy": "compact,delete"}
    with pytest.raises(ConfigurationError, match="kafka_topics apply"):
        ProgressTopic().check()


def test_what_we_may_not_look_at_is_taken_to_be_right(answers: dict[str, dict[str, str]]) -> None:
    answers["topic"] = {}
    ProgressTopic().check()


class _NeverAtItsEnd:
    """A consumer of a topic that others write to faster than it reads."""

    def __init__(self) -> None:
        self.offset = -1

    def assign(self, partitions: object) -> None:
        """Take whatever is given."""

    def poll(self, timeout: float) -> Any:
        """Give the next message; never a mark of the end."""
        self.offset += 1
        return SimpleNamespace(
            error=lambda: None,
            key=lambda: b"shard",
            value=lambda at=self.offset: record_of(at),
            partition=lambda: 0,
            offset=lambda at=self.offset: at,
        )


def test_a_topic_that_others_write_to_all_the_time_is_read_up_to_where_it_ended() -> None:
    consumer: Any = _NeverAtItsEnd()
    found = _read_up_to(consumer, {0: 5}, lambda: consumer.offset < 100)
    assert found is not None
    assert found["shard"] >= 4
    assert consumer.offset < 10


def test_who_waits_for_too_long_is_told_once_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    monkeypatch.setattr("kafka_integration.broker.progress.time.monotonic", lambda: now)
    patience = progress._Patience(lambda: True)
    assert patience.goes_on()
    assert caplog.messages == []

    now += 46
    assert patience.goes_on()
    assert patience.goes_on()

    [said] = caplog.messages
    assert "find-hanging" in said


def test_patience_ends_when_the_relay_must_not_go_on() -> None:
    assert not progress._Patience(lambda: False).goes_on()


def test_what_only_the_client_could_not_find_out_is_worth_waiting_for() -> None:
    found = progress._value(_ends_are(SimpleNamespace(offset=7)))
    assert found.offset == 7
    with pytest.raises(BrokerUnavailable, match="No leaders found"):
        progress._value(_ends_are(ProducerFailed("No leaders found")))
    with pytest.raises(TopicRefused):
        progress._value(_ends_are(TopicRefused("progress", "broker")))


def _ends_are(answer: object) -> Any:
    return answer
