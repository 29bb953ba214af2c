"""librdkafka's configuration from our settings, and its errors in our words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from ..conf import settings
from ..errors import (
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
from .client_log import demoting

T = TypeVar("T")


def is_news(record: logging.LogRecord) -> bool:
    """Tell whether a client's log line is about more than an option for another kind of client.

    ``KAFKA_CLIENT_OPTIONS`` goes to producers and consumers alike, and each ignores some of it.
    """
    return "property and will be ignored by this" not in record.getMessage()


log = demoting("kafka_integration.broker")
log.addFilter(is_news)

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_UNREACHABLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
    }
)
_REFUSED = frozenset(
    {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED, KafkaError._SSL}
)
_NO_TOPIC = frozenset(
    {
        KafkaError._UNKNOWN_TOPIC,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_REJECTED = frozenset(
    {
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
)


def client_config(**overrides: Any) -> dict[str, Any]:
    """Return the librdkafka properties that every client of ours starts from.

    Args:
        overrides: further properties, with ``_`` where librdkafka writes a dot. They win over the
            settings; ``KAFKA_CLIENT_OPTIONS`` wins over both.

    Raises:
        ConfigurationError: a security setting contradicts another.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": settings.broker,
        "client.id": settings.client_id,
        "security.protocol": settings.security_protocol,
        "logger": log,
    }
    config |= _sasl(settings.security_protocol) | _ssl(settings.security_protocol)
    config |= {name.replace("_", "."): value for name, value in overrides.items()}
    return config | dict(settings.client_options)


def make_client(kind: Callable[[dict[str, Any]], T], config: dict[str, Any]) -> T:
    """Return a new client of ``kind``.

    Raises:
        ConfigurationError: librdkafka does not take ``config``; it names the property.
    """
    try:
        return kind(config)
    except KafkaException as error:
        raise ConfigurationError(
            f"The Kafka client cannot be made: {error.args[0].str()}. Check KAFKA_CLIENT_OPTIONS, "
            "KAFKA_SASL_MECHANISM, and that the files of KAFKA_SSL_* can be read."
        ) from error


def explain(error: KafkaError, topic: str = "", group: str = "") -> BrokerError:
    """Return the exception of ours that says what ``error`` means and how to cure it.

    Args:
        error: librdkafka's error.
        topic: the topic that the request was about, if any.
        group: the id of the consumer group that asked, if any.
    """
    code = error.code()
    if code in _REFUSED:
        return AuthenticationFailed(settings.broker, error.str())
    if code in _NO_TOPIC:
        return TopicMissing([topic or error.str()], settings.broker)
    if code in _UNREACHABLE:
        return BrokerUnavailable(settings.broker, error.str())
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return TopicRefused(topic, settings.broker)
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return GroupRefused(group, settings.broker)
    if code == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
        return ProducerRefused(settings.broker)
    if code in _REJECTED and not error.fatal():
        return DeliveryFailed(topic, error.str())
    return ProducerFailed(error.str())


def _sasl(protocol: str) -> dict[str, str]:
    if protocol not in _PROTOCOLS:
        raise ConfigurationError(
            f"KAFKA_SECURITY_PROTOCOL is {protocol!r}; use one of {', '.join(_PROTOCOLS)}."
        )
    if not protocol.startswith("SASL"):
        return {}
    if not (settings.sasl_username and settings.sasl_password):
        raise ConfigurationError(
            f"KAFKA_SECURITY_PROTOCOL={protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD."
        )
    return {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password,
    }


def _ssl(protocol: str) -> dict[str, str]:
    if not protocol.endswith("SSL"):
        return {}
    found = {
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password,
    }
    return {name: value for name, value in found.items() if value}
