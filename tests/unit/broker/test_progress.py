"""Which Kafka and which topic are fit for exactly-once publishing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kafka_integration.broker.progress import ProgressTopic
from kafka_integration.errors import ConfigurationError


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
