"""librdkafka's configuration from our settings, and its errors in our words."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer
from pytest_django import Settings

from kafka_integration.broker.config import client_config, explain, make_client
from kafka_integration.broker.producer import GAPLESS, EventProducer
from kafka_integration.errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    DeliveryFailed,
    GroupRefused,
    ProducerFailed,
    ProducerRefused,
    TopicMissing,
    TopicRefused,
)

SECRET = "s3cret-of-the-tests"


@pytest.fixture(autouse=True)
def _settings(settings: Settings) -> None:
    settings.KAFKA_BROKER = "127.0.0.1:1"
    settings.KAFKA_SECURITY_PROTOCOL = "PLAINTEXT"
    settings.KAFKA_CLIENT_OPTIONS = {}


def test_a_plain_client_has_no_secret_and_no_certificate(settings: Settings) -> None:
    settings.KAFKA_SASL_PASSWORD = SECRET
    settings.KAFKA_SSL_CA_LOCATION = "ca.pem"
    found = client_config()
    assert found["bootstrap.servers"] == "127.0.0.1:1"
    assert not [name for name in found if name.startswith(("sasl", "ssl"))]


def test_overrides_win_over_settings_and_client_options_over_both(settings: Settings) -> None:
    settings.KAFKA_CLIENT_ID = "settings"
    assert client_config(client_id="override")["client.id"] == "override"
    settings.KAFKA_CLIENT_OPTIONS = {"client.id": "option", "linger.ms": "7"}
    found = client_config(client_id="override")
    assert (found["client.id"], found["linger.ms"]) == ("option", "7")


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_needs_user_and_password(settings: Settings, protocol: str) -> None:
    settings.KAFKA_SECURITY_PROTOCOL = protocol
    with pytest.raises(ConfigurationError, match="needs KAFKA_SASL_USERNAME"):
        client_config()
    settings.KAFKA_SASL_USERNAME = "ann"
    with pytest.raises(ConfigurationError, match="KAFKA_SASL_PASSWORD"):
        client_config()
    settings.KAFKA_SASL_PASSWORD = SECRET
    found = client_config()
    assert found["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (found["sasl.username"], found["sasl.password"]) == ("ann", SECRET)


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_certificates_are_handed_on_where_given(settings: Settings, protocol: str) -> None:
    settings.KAFKA_SECURITY_PROTOCOL = protocol
    settings.KAFKA_SASL_USERNAME, settings.KAFKA_SASL_PASSWORD = "ann", SECRET
    settings.KAFKA_SSL_CA_LOCATION = "ca.pem"
    found = client_config()
    assert found["ssl.ca.location"] == "ca.pem"
    assert "ssl.key.location" not in found


def test_an_unknown_protocol_is_named_with_the_known(settings: Settings) -> None:
    settings.KAFKA_SECURITY_PROTOCOL = "TLS"
    with pytest.raises(ConfigurationError, match="'TLS'; use one of PLAINTEXT, SSL"):
        client_config()


def test_what_the_client_does_not_take_is_a_configuration_error(settings: Settings) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"no.such.option": "1"}
    with pytest.raises(ConfigurationError, match=r'"no\.such\.option".*KAFKA_CLIENT_OPTIONS'):
        make_client(Producer, client_config())
    with pytest.raises(ConfigurationError, match=r"no\.such\.option"):
        EventProducer()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._ALL_BROKERS_DOWN, BrokerUnavailable),
        (KafkaError._TRANSPORT, BrokerUnavailable),
        (KafkaError._MSG_TIMED_OUT, BrokerUnavailable),
        (KafkaError._AUTHENTICATION, AuthenticationFailed),
        (KafkaError.SASL_AUTHENTICATION_FAILED, AuthenticationFailed),
        (KafkaError._UNKNOWN_TOPIC, TopicMissing),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicMissing),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicRefused),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, GroupRefused),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, ProducerRefused),
        (KafkaError.MSG_SIZE_TOO_LARGE, DeliveryFailed),
        (KafkaError.INVALID_RECORD, DeliveryFailed),
        (KafkaError._PURGE_QUEUE, ProducerFailed),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, ProducerFailed),
        (KafkaError.UNKNOWN_PRODUCER_ID, ProducerFailed),
        (KafkaError._FATAL, ProducerFailed),
        (KafkaError._GAPLESS_GUARANTEE, ProducerFailed),
    ],
)
def test_each_error_has_its_class(code: int, kind: type[BrokerError]) -> None:
    assert type(explain(KafkaError(code), "a.b.json")) is kind


def test_only_a_rejection_blames_the_event() -> None:
    # A class that is not known must never hold an event: it would take a person to let it go.
    rejected = {
        code
        for code in range(-200, 130)
        if isinstance(explain(KafkaError(code), "a.b.json"), DeliveryFailed)
    }
    assert rejected == {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._INVALID_ARG,
    }


def test_what_is_required_wins_over_the_client_options(settings: Settings) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"client.id": "option"}
    with pytest.raises(ConfigurationError, match=r"max\.in\.flight"):
        EventProducer({"max.in.flight": 0})
    settings.KAFKA_CLIENT_OPTIONS = {"max.in.flight": "0"}
    EventProducer(GAPLESS)


@pytest.mark.parametrize("options", [{}, GAPLESS])
def test_a_producer_can_be_made_without_a_broker(options: dict[str, Any]) -> None:
    producer = EventProducer(options)
    reports: list[Any] = []
    producer.send("a.b.json", b"x", "key", [], reports.append)
    assert producer.flush(0.1) == 1
    producer.abandon()
    [report] = reports
    assert isinstance(report.error, ProducerFailed)
    assert (report.partition, report.offset) == (-1, -1)


@pytest.mark.parametrize("options", [{}, GAPLESS])
def test_options_for_consumers_are_no_news_to_a_producer(
    options: dict[str, Any], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.KAFKA_CLIENT_OPTIONS = {"session.timeout.ms": "6000"}
    caplog.set_level(logging.DEBUG, logger="kafka_integration.broker")
    producer = EventProducer(options)
    deadline = time.monotonic() + 10
    while "Connection refused" not in caplog.text:
        assert time.monotonic() < deadline
        producer.poll(0.1)
    assert "session.timeout.ms" not in caplog.text


def test_what_the_client_itself_refuses_is_reported(settings: Settings) -> None:
    settings.KAFKA_MAX_MESSAGE_BYTES = 1_000
    reports: list[Any] = []
    EventProducer().send("a.b.json", b"x" * 100_000, "key", [], reports.append)
    [report] = reports
    assert isinstance(report.error, DeliveryFailed)


def test_a_message_that_is_not_acknowledged_in_time_is_withdrawn() -> None:
    producer = EventProducer()
    with pytest.raises(BrokerUnavailable):
        producer.send_and_wait("a.b.json", b"x", "key", [], timeout=0.2)
    assert producer.flush(0) == 0
