"""What a relay says when its security settings do not fit the broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devops.native.folder import Folder
from devops.native.state import State
from kafka_integration.models import OutboxQueue
from tests.integration.test_kafka_topics import GuardedKafka

SECRET = "wrong-secret"
LOGIN = {
    "KAFKA_TOPICS_FILE": "",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "ann",
    "KAFKA_SASL_PASSWORD": SECRET,
}


@pytest.fixture(scope="module")
def guarded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that asks for a password."""
    folder = Folder(tmp_path_factory.mktemp("guarded"))
    folder.create()
    kafka = GuardedKafka(folder, State(folder.state))
    try:
        kafka.start()
        yield f"127.0.0.1:{kafka.record.port}"
    finally:
        kafka.forget()


@pytest.fixture
def drain(
    topic: str, send: Callable[..., None], manage: Callable[..., Any]
) -> Callable[[dict[str, str]], str]:
    """Drain an outbox of one event with other settings; it must fail, and returns what it said."""

    def run(env: dict[str, str]) -> str:
        send(topic, [("a", 1)])
        ended = manage("kafka_relay", "--drain", "--timeout", "30", env=env)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        assert SECRET not in ended.stdout + ended.stderr
        assert OutboxQueue.objects.get().attempts == 0
        return str(ended.stderr)

    return run


def test_a_wrong_password_ends_the_relay(
    guarded_broker: str, drain: Callable[[dict[str, str]], str]
) -> None:
    said = drain(LOGIN | {"KAFKA_BROKER": guarded_broker})
    assert f"Kafka at {guarded_broker} refused our credentials" in said
    assert "Check KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_USERNAME" in said


def test_the_right_password_is_taken(
    guarded_broker: str, topic: str, send: Callable[..., None], manage: Callable[..., Any]
) -> None:
    send(topic, [("a", 1)])
    env = LOGIN | {"KAFKA_BROKER": guarded_broker, "KAFKA_SASL_PASSWORD": "right"}
    ended = manage("kafka_relay", "--drain", env=env)
    # The user is let in and is told that this broker has no such topic.
    assert f"Kafka at {guarded_broker} has no topic {topic}" in ended.stderr


def test_a_password_for_a_broker_that_wants_none(drain: Callable[[dict[str, str]], str]) -> None:
    assert "Check KAFKA_SECURITY_PROTOCOL" in drain(LOGIN)


def test_a_protocol_that_needs_a_user_without_one(drain: Callable[[dict[str, str]], str]) -> None:
    said = drain({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"})
    assert "SASL_SSL needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD" in said


def test_a_file_of_certificates_that_is_not_there(drain: Callable[[dict[str, str]], str]) -> None:
    env = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA_LOCATION": "/nowhere/ca.pem"}
    assert "ssl.ca.location" in drain(env)


def test_an_option_that_the_client_does_not_know(drain: Callable[[dict[str, str]], str]) -> None:
    said = drain({"KAFKA_CLIENT_OPTIONS": "no.such.option=1"})
    assert "no.such.option" in said
    assert "KAFKA_CLIENT_OPTIONS" in said


def test_switched_off_no_relay_starts(drain: Callable[[dict[str, str]], str]) -> None:
    assert "KAFKA_ENABLED is false" in drain({"KAFKA_ENABLED": "false"})
