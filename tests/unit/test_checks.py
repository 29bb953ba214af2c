"""The system checks on topics, models and settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from kafka_integration import Event, EventData, created, handles, publishes
from kafka_integration.events.registry import registry
from tests.sample.models import Label, Membership


class GroupCreated(EventData):
    """A contract of these tests."""

    name: str


@pytest.fixture(autouse=True)
def _empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.fixture
def topics(tmp_path: Path, settings: Settings) -> Path:
    """A catalogue with ``a.b.json`` that has dead letters, and ``a.c.json`` that has none."""
    file = tmp_path / "topics.yaml"
    common = {"description": "x", "retention_days": 1, "partitions": 1}
    entries = [
        {"name": "a.b.json", **common},
        {"name": "a.b.json.dlq", "dead_letter_of": "a.b.json", **common},
        {"name": "a.c.json", **common},
    ]
    file.write_text(yaml.safe_dump({"environments": {"development": {}}, "topics": entries}))
    settings.KAFKA_TOPICS_FILE = str(file)
    return file


def publish_to(topic: str) -> None:
    publishes(Group, GroupCreated, topic=topic, when=created)


def handle(topic: str) -> None:
    @handles(topic, GroupCreated)
    def greet(event: Event[GroupCreated]) -> None:
        """Handle nothing."""


def found() -> list[CheckMessage]:
    return list(run_checks(tags=["kafka"]))


def test_nothing_to_say_when_all_is_there(topics: Path) -> None:
    publish_to("a.b.json")
    publish_to("a.c.json")
    handle("a.b.json")
    assert found() == []


def test_a_published_topic_must_be_in_the_catalogue(topics: Path) -> None:
    publish_to("a.x.json")
    [message] = found()
    assert message.id == "kafka.E001"
    assert "a.x.json is not in the catalogue. Published by auth.Group." in message.msg
    assert str(topics) in (message.hint or "")


def test_a_handled_topic_needs_itself_and_its_dead_letters(topics: Path) -> None:
    handle("a.x.json")
    assert [message.id for message in found()] == ["kafka.E001", "kafka.E002"]
    assert all("Handled by" in message.msg and "greet" in message.msg for message in found())


def test_a_handled_topic_needs_dead_letters_and_a_published_one_does_not(topics: Path) -> None:
    publish_to("a.c.json")
    handle("a.c.json")
    [message] = found()
    assert message.id == "kafka.E002"
    assert "a.c.json.dlq" in message.msg
    assert "dead_letter_of: a.c.json" in (message.hint or "")


def test_each_problem_of_the_catalogue_is_a_message(topics: Path) -> None:
    topics.write_text("environments: {development: {}}\ntopics: [{name: bad}, 3]\n")
    messages = found()
    assert {message.id for message in messages} == {"kafka.E003"}
    assert len(messages) == 2
    assert all("kafka_topics validate" in (message.hint or "") for message in messages)


def test_a_catalogue_that_is_not_there(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = "nowhere.yaml"
    [message] = found()
    assert message.id == "kafka.E003"
    path = Path("nowhere.yaml").absolute()
    assert message.msg == (
        f"The topic catalogue {path} (KAFKA_TOPICS_FILE) cannot be read: No such file or directory."
    )
    assert "KAFKA_TOPICS_FILE" in (message.hint or "")
    assert "validate" not in (message.hint or "")


def test_a_setting_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_HANDLER_ATTEMPTS", "x")
    monkeypatch.setenv("KAFKA_CLIENT_OPTIONS", "foo")
    messages = found()
    assert [message.id for message in messages] == ["kafka.E010"] * 2
    assert messages[0].msg == "KAFKA_CLIENT_OPTIONS: 'foo' is not name=value."
    assert "KAFKA_HANDLER_ATTEMPTS in the environment cannot be read as int" in messages[1].msg


def test_a_value_of_the_wrong_type_is_not_shown(settings: Settings) -> None:
    settings.KAFKA_SASL_PASSWORD = 4711
    [message] = found()
    assert message.id == "kafka.E010"
    assert "KAFKA_SASL_PASSWORD in Django's settings is of type int, and str" in message.msg
    assert "4711" not in message.msg


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SSLX"])
def test_security_that_does_not_go_together(settings: Settings, protocol: str) -> None:
    settings.KAFKA_SECURITY_PROTOCOL = protocol
    [message] = found()
    assert message.id == "kafka.E011"
    assert f"KAFKA_SECURITY_PROTOCOL{'=' if protocol == 'SASL_SSL' else ' is '}" in message.msg
    settings.KAFKA_ENABLED = False
    assert found() == []


@pytest.mark.parametrize(("vendor", "told"), [("sqlite", ["kafka.W003"]), ("postgresql", [])])
def test_notices_that_no_database_can_give(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, vendor: str, told: list[str]
) -> None:
    settings.KAFKA_OUTBOX_NOTIFY = True
    databases = {"default": SimpleNamespace(vendor=vendor)}
    monkeypatch.setattr("kafka_integration.checks.connections", databases)
    assert [message.id for message in found()] == told


def test_no_catalogue_is_a_warning_once_topics_are_used(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = ""
    assert found() == []
    publish_to("a.b.json")
    [message] = found()
    assert message.id == "kafka.W001"
    assert not message.is_serious()


class Joined(EventData):
    """A contract of a table between two others."""

    label_id: str
    group_id: int


def test_the_table_of_a_many_to_many_field_cannot_publish(topics: Path) -> None:
    publishes(Label.groups.through, Joined, topic="a.b.json", when=created)
    publishes(Label.groups.through, Joined, topic="a.c.json", when=created)
    [message] = found()
    assert message.id == "kafka.E004"
    assert "sample.Label_groups" in message.msg
    assert "through=" in (message.hint or "")


def test_a_through_model_of_ones_own_can_publish(topics: Path) -> None:
    publishes(Membership, Joined, topic="a.b.json", when=created)
    assert found() == []


def test_a_handled_topic_may_not_outlive_the_inboxs_memory(
    topics: Path, settings: Settings
) -> None:
    handle("a.b.json")
    settings.KAFKA_INBOX_RETENTION_DAYS = 1.5
    assert found() == []
    settings.KAFKA_INBOX_RETENTION_DAYS = 1
    [message] = found()
    assert message.id == "kafka.W002"
    assert "for 1 days" in message.msg
    assert "KAFKA_INBOX_RETENTION_DAYS" in (message.hint or "")


def test_a_topic_that_keeps_messages_for_ever_outlives_every_memory(topics: Path) -> None:
    document = yaml.safe_load(topics.read_text())
    del document["topics"][0]["retention_days"]
    document["topics"][0]["config"] = {"cleanup.policy": "compact"}
    topics.write_text(yaml.safe_dump(document))
    handle("a.b.json")
    [message] = found()
    assert message.id == "kafka.W002"
    assert "for ever" in message.msg


@pytest.mark.parametrize(
    ("topic", "url", "word"),
    [
        ("a.b.avro", "", "Set KAFKA_SCHEMA_REGISTRY_URL"),
        ("a.b.protobuf", "mock://", "GroupCreated has no Protobuf message"),
        ("a.b.avro", "mock://", ""),
        ("a.b.json", "", ""),
    ],
)
def test_a_format_that_cannot_be_used_is_told_at_the_start(
    settings: Settings, topic: str, url: str, word: str
) -> None:
    settings.KAFKA_SCHEMA_REGISTRY_URL = url
    settings.KAFKA_TOPICS_FILE = ""
    publish_to(topic)
    handle(topic)
    problems = [message.msg for message in found() if message.id == "kafka.E005"]
    assert len(problems) == bool(word)
    assert word in "".join(problems)
