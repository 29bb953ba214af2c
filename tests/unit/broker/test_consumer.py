"""What the consumer makes of errors; its work on real Kafka stands in tests/integration."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException
from pytest_django import Settings

from kafka_integration.broker import consumer as module
from kafka_integration.broker import offsets
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.broker.consumer_errors import Troubles, explain_reading
from kafka_integration.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    GroupRefused,
    TopicMissing,
    TopicRefused,
)


@pytest.fixture
def lonely(settings: Settings) -> Iterator[EventConsumer]:
    """A consumer whose broker does not answer."""
    settings.KAFKA_BROKER = "127.0.0.1:1"
    consumer = EventConsumer(["a.b.json"], "g")
    yield consumer
    consumer.close(timeout=5.0)


def test_a_close_that_hangs_is_left_behind(
    lonely: EventConsumer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release, ended = threading.Event(), threading.Event()
    real = lonely._close

    def hang() -> None:
        release.wait(10)
        real()
        ended.set()

    monkeypatch.setattr(lonely, "_close", hang)
    assert not lonely.close(timeout=0.2)
    assert "did not answer within 0.2 s" in caplog.text
    release.set()
    assert ended.wait(10)
    assert lonely.close()


def test_a_broker_that_does_not_answer_is_waited_for(
    lonely: EventConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    deadline = time.monotonic() + 20
    while "No Kafka broker answers at 127.0.0.1:1" not in caplog.text:
        assert time.monotonic() < deadline
        assert lonely.poll(0.2) is None
    assert caplog.text.count("waits for Kafka.") == 1


def test_a_question_that_is_not_answered_is_an_error(
    lonely: EventConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "_REQUEST_SECONDS", 0.3)
    with pytest.raises(BrokerUnavailable, match="KAFKA_BROKER"):
        lonely.offsets.partitions("a.b.json")


def test_a_topic_that_stays_missing_is_an_error(
    lonely: EventConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(topic: str) -> list[int]:
        raise TopicMissing([topic], "b")

    monkeypatch.setattr(lonely.offsets, "partitions", missing)
    lonely._missing["a.b.json"] = time.monotonic()
    assert lonely.poll(0) is None
    lonely._missing["a.b.json"] -= module._MISSING_GRACE
    with pytest.raises(TopicMissing, match=r"a\.b\.json"):
        lonely.poll(0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicRefused),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, GroupRefused),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, BrokerError),
        (KafkaError._AUTHENTICATION, AuthenticationFailed),
    ],
)
def test_what_does_not_pass_is_raised(code: int, kind: type[BrokerError]) -> None:
    with pytest.raises(kind):
        Troubles("g").judge(KafkaError(code), "a.b.json")


def test_a_group_that_is_not_ours_is_named() -> None:
    refused = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(GroupRefused, match=r"as group 'tests-g'\. Grant it Read on that group"):
        Troubles("tests-g").judge(refused, "")


def test_an_unknown_refusal_does_not_speak_of_producers() -> None:
    said = str(explain_reading(KafkaError(KafkaError.INCONSISTENT_GROUP_PROTOCOL), "a.b.json"))
    assert "does not let us read a.b.json" in said
    assert "INCONSISTENT_GROUP_PROTOCOL" in said


def test_what_passes_is_a_warning_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    troubles = Troubles("g")
    for _ in range(3):
        troubles.judge(KafkaError(KafkaError._MAX_POLL_EXCEEDED), "")
        troubles.judge(KafkaError(KafkaError._TRANSPORT), "")
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    troubles.raise_worst()


def test_a_refused_password_ends_the_consumer_and_is_not_hidden_by_what_follows() -> None:
    troubles = Troubles("g")
    troubles.note(KafkaError(KafkaError._AUTHENTICATION))
    troubles.note(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    with pytest.raises(AuthenticationFailed, match="KAFKA_SASL_PASSWORD"):
        troubles.raise_worst()


def test_properties_that_librdkafka_refuses_are_an_error(settings: Settings) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"no.such.property": "1"}
    with pytest.raises(ConfigurationError, match=r"no\.such\.property.*KAFKA_CLIENT_OPTIONS"):
        EventConsumer(["a.b.json"], "g")


def test_the_broker_may_assign_in_place_of_the_members(settings: Settings) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"group.protocol": "Consumer"}
    settings.KAFKA_BROKER = "127.0.0.1:1"
    EventConsumer(["a.b.json"], "g").close(timeout=5.0)
    settings.KAFKA_CLIENT_OPTIONS |= {"partition.assignment.strategy": "cooperative-sticky"}
    with pytest.raises(ConfigurationError, match=r"group\.remote\.assignor"):
        EventConsumer(["a.b.json"], "g")


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky, range"])
def test_an_eager_assignment_is_refused_with_the_cure(settings: Settings, strategy: str) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"partition.assignment.strategy": strategy}
    with pytest.raises(ConfigurationError, match="Remove it from KAFKA_CLIENT_OPTIONS"):
        EventConsumer(["a.b.json"], "g")


def test_a_coordinator_that_is_settling_is_asked_again(
    lonely: EventConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "_PAUSE_SECONDS", 0)
    answers = [KafkaException(KafkaError(code)) for code in offsets._SETTLING]

    def ask() -> str:
        if answers:
            raise answers.pop()
        return "known"

    assert lonely.offsets._ask(ask) == "known"
    monkeypatch.setattr(offsets, "_REQUEST_SECONDS", 0)
    answers.append(KafkaException(KafkaError(KafkaError.NOT_COORDINATOR)))
    with pytest.raises(BrokerError, match="Not coordinator"):
        lonely.offsets._ask(ask)
