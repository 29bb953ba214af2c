"""``manage.py kafka_topics`` and its admin client against real Kafka."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType
from django.core.management import CommandError, call_command
from pytest_django import Settings

from devops.native.folder import Folder
from devops.native.kafka import Kafka
from devops.native.state import Record, State
from kafka_integration.broker.admin import TopicAdmin
from kafka_integration.errors import (
    AuthenticationFailed,
    BrokerUnavailable,
    TopicMissing,
)
from kafka_integration.events.catalogue import Catalogue

Write = Callable[..., str]


@pytest.fixture
def name() -> str:
    """A topic of this test alone."""
    return f"test.t{uuid.uuid4().hex[:12]}.json"


@pytest.fixture
def write(tmp_path: Path, settings: Settings, name: str) -> Write:
    """Write the catalogue of the settings: one topic, with its dead letters."""
    file = tmp_path / "topics.yaml"
    settings.KAFKA_TOPICS_FILE = str(file)

    def write(partitions: int = 2, replication_factor: int = 1, **config: Any) -> str:
        entry = {
            "name": name,
            "description": "A topic of a test.",
            "partitions": partitions,
            "replication_factor": replication_factor,
            "retention_days": 7,
            "config": {key.replace("_", "."): value for key, value in config.items()},
        }
        letters = {"name": f"{name}.dlq", "dead_letter_of": name, "description": "Dead letters."}
        content = {
            "environments": {"development": {}},
            "dead_letters": {"retention_days": 30},
            "topics": [entry, letters],
        }
        file.write_text(yaml.safe_dump(content))
        return name

    return write


def run(*arguments: str) -> str:
    """Return what the command printed."""
    out = io.StringIO()
    call_command("kafka_topics", *arguments, stdout=out)
    return out.getvalue()


def fail(*arguments: str) -> tuple[str, CommandError]:
    """Return what the command printed and the error that it ended with."""
    out = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("kafka_topics", *arguments, stdout=out)
    return out.getvalue(), caught.value


def config_of(admin: AdminClient, topic: str) -> dict[str, str | None]:
    """Return the settings of a topic as a client with no code of ours sees them."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    [future] = admin.describe_configs([resource]).values()
    return {key: entry.value for key, entry in future.result(timeout=20).items()}


def partitions_of(admin: AdminClient, topic: str) -> int:
    return len(admin.list_topics(topic, timeout=20).topics[topic].partitions)


def test_apply_creates_what_the_catalogue_says_and_then_nothing(
    write: Write, kafka_admin: AdminClient
) -> None:
    name = write(cleanup_policy="delete", compression_type="snappy", retention_bytes=-1)
    shown, error = fail("plan")
    assert f"+ create {name}: partitions = 2" in shown
    assert error.returncode == 2
    assert "2 differences" in str(error)
    assert type(error).__name__ == "Drift"  # Django prints it; a difference is no "CommandError"

    done = run("apply")
    assert f"done: create {name}" in done
    assert done.endswith("Made 2 of 2 changes.\n")

    assert partitions_of(kafka_admin, name) == partitions_of(kafka_admin, f"{name}.dlq") == 2
    config = config_of(kafka_admin, name)
    assert config["retention.ms"] == str(7 * 86_400_000)
    assert config["compression.type"] == "snappy"
    assert config["retention.bytes"] == "-1"
    assert config_of(kafka_admin, f"{name}.dlq")["retention.ms"] == str(30 * 86_400_000)
    assert "Nothing to do" in run("plan")
    assert run("apply").strip() == "Nothing to do: 2 topics in step."


def test_apply_mends_our_settings_and_leaves_others(
    write: Write, kafka_admin: AdminClient, name: str
) -> None:
    foreign = {"segment.ms": "3600000", "retention.ms": "1000"}
    new = [NewTopic(name, 2, 1, config=foreign), NewTopic(f"{name}.dlq", 2, 1)]
    for future in kafka_admin.create_topics(new).values():
        future.result(timeout=20)
    write()

    shown, error = fail("plan")
    assert f"~ set config {name}: retention.ms: 1000 (1 s) -> 604800000 (7 d)" in shown
    assert error.returncode == 2
    run("apply")

    config = config_of(kafka_admin, name)
    assert (config["retention.ms"], config["segment.ms"]) == ("604800000", "3600000")
    run("plan")


def test_more_partitions_need_the_flag(write: Write, kafka_admin: AdminClient) -> None:
    write(partitions=2)
    run("apply")
    name = write(partitions=3)
    # The dead letters have as many partitions as their topic.
    shown, error = fail("apply")
    assert shown.count("--allow-more-partitions") == 2
    assert error.returncode == 1
    assert partitions_of(kafka_admin, name) == 2

    run("apply", "--allow-more-partitions")
    assert partitions_of(kafka_admin, name) == 3
    run("plan")


def test_what_is_refused_does_not_stop_the_rest(write: Write, kafka_admin: AdminClient) -> None:
    write(partitions=2)
    run("apply")
    name = write(partitions=1, replication_factor=2, segment_ms=3600000)
    shown, error = fail("apply", "--allow-more-partitions")
    assert f"not done: fewer partitions {name} (partitions: 2 -> 1)" in shown
    assert f"not done: other replication factor {name} (replication factor: 1 -> 2)" in shown
    assert f"done: set config {name} (segment.ms: 604800000 (7 d) -> 3600000 (1 h))" in shown
    assert error.returncode == 1
    assert "3 of 4 changes not made" in str(error)
    assert partitions_of(kafka_admin, name) == 2
    assert config_of(kafka_admin, name)["segment.ms"] == "3600000"


def test_what_kafka_refuses_is_told_and_the_rest_is_done(
    write: Write, kafka_admin: AdminClient
) -> None:
    name = write(replication_factor=9)
    shown, error = fail("apply")
    assert f"not done: create {name}" in shown
    assert "replication factor of 9" in shown
    assert f"done: create {name}.dlq" in shown
    assert error.returncode == 1


def test_plan_as_json(write: Write, make_topic: Callable[..., str]) -> None:
    stranger = make_topic()
    name = write()
    shown, error = fail("plan", "--json")
    document = json.loads(shown)
    assert error.returncode == 2
    assert document["in_step"] is False
    assert [(a["action"], a["topic"]) for a in document["actions"]] == [
        ("create", name),
        ("create", f"{name}.dlq"),
    ]
    assert document["actions"][0]["changes"][0] == {
        "name": "partitions",
        "found": None,
        "wanted": "2",
    }
    assert stranger in document["unmanaged"]
    run("apply")
    assert json.loads(run("plan", "--json"))["in_step"] is True


def test_list_and_describe_show_both_sides(write: Write) -> None:
    name = write()
    [line] = [line for line in run("list").splitlines() if line.startswith(f"{name} ")]
    assert line.split() == [name, "2", "1", "7", "d", "missing"]
    assert "Kafka does not have it" in run("describe", name)
    run("apply")
    [line] = [line for line in run("list").splitlines() if line.startswith(f"{name} ")]
    assert line.split() == [name, "2", "1", "7", "d", "in", "step"]
    write(partitions=4)
    assert "partitions: 2 -> 4" in run("list")
    described = run("describe", name)
    [line] = [line for line in described.splitlines() if line.startswith("  partitions")]
    assert line.split() == ["partitions", "4", "2"]
    assert f"{name}.dlq" not in described
    assert f"{name}.dlq" in run("describe")


def test_describe_names_a_topic_that_is_not_there(write: Write) -> None:
    write()
    _, error = fail("describe", "test.unknown.json")
    assert "'test.unknown.json' is not in the catalogue" in str(error)


def test_validate_needs_no_kafka(write: Write, settings: Settings) -> None:
    settings.KAFKA_BROKER = "localhost:1"
    write()
    assert "1 event topic and 1 dead-letter topic" in run("validate")
    write(partitions=0)
    _, error = fail("validate")
    assert "partitions must be 1 or more" in str(error)
    settings.KAFKA_TOPICS_FILE = ""
    _, error = fail("validate")
    assert "KAFKA_TOPICS_FILE is not set" in str(error)


def test_a_wrong_sub_command_is_an_error_in_process_too() -> None:
    _, error = fail("delete")
    assert "invalid choice" in str(error)


def test_a_broker_that_is_not_there(write: Write, settings: Settings) -> None:
    settings.KAFKA_BROKER = "localhost:1"
    write()
    _, error = fail("plan")
    assert "No Kafka broker answers at localhost:1" in str(error)
    assert error.returncode == 1


def test_our_own_catalogue_is_taken_by_kafka(catalogue_topics: None, settings: Settings) -> None:
    found = Catalogue.load(settings.KAFKA_TOPICS_FILE, "development")
    assert len(found) == 54
    assert TopicAdmin().missing([topic.name for topic in found]) == set()
    run("plan")


def test_missing_topics_are_found_and_not_made(topic: str, name: str) -> None:
    admin = TopicAdmin()
    assert admin.missing([topic, name]) == {name}
    assert admin.missing([topic, name]) == {name}


def test_a_topic_that_is_made_again_has_another_id(
    topic: str, name: str, kafka_admin: AdminClient, eventually: Callable[..., None]
) -> None:
    admin = TopicAdmin()
    [first] = admin.topic_ids([topic]).values()
    assert len(first) == 22
    assert admin.topic_ids([topic, topic]) == {topic: first}
    kafka_admin.delete_topics([topic])[topic].result(timeout=20)
    eventually(lambda: admin.missing([topic]))
    kafka_admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=20)
    eventually(lambda: not admin.missing([topic]))
    assert admin.topic_ids([topic])[topic] != first
    with pytest.raises(TopicMissing) as caught:
        admin.topic_ids([topic, name])
    assert caught.value.topics == (name,)


def test_the_cluster_id_is_that_of_kafka(kafka_admin: AdminClient) -> None:
    told = kafka_admin.describe_cluster().result(timeout=20).cluster_id
    assert TopicAdmin().cluster_id() == told
    assert not TopicAdmin().is_mock()


class GuardedKafka(Kafka):
    """A broker of its own that asks for a user name and a password."""

    name = "kafka-guarded"

    def _write_properties(self, record: Record) -> str:
        path = Path(super()._write_properties(record))
        text = path.read_text().replace("INTERNAL:PLAINTEXT", "INTERNAL:SASL_PLAINTEXT")
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = 'username="ann" password="right" user_ann="right" user_bob="bobs"'
        text += (
            "sasl.enabled.mechanisms=PLAIN\n"
            "sasl.mechanism.inter.broker.protocol=PLAIN\n"
            f"listener.name.internal.plain.sasl.jaas.config={login} {users};\n"
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
            "super.users=User:ann;User:ANONYMOUS\n"
        )
        path.write_text(text)
        return str(path)

    def ready(self, record: Record) -> bool:
        login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
        user = {"sasl_username": "ann", "sasl_password": "right"}
        address = f"127.0.0.1:{record.port}"
        admin = TopicAdmin(timeout=1, bootstrap_servers=address, **login, **user)
        try:
            return admin.cluster_id() == record.token
        except BrokerUnavailable:
            return False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that asks for a password."""
    folder = Folder(tmp_path_factory.mktemp("guarded"))
    folder.log(GuardedKafka.name).parent.mkdir()
    kafka = GuardedKafka(folder, State(folder.state))
    try:
        kafka.start()
        yield f"127.0.0.1:{kafka.record.port}"
    finally:
        kafka.forget()


@pytest.fixture
def as_user(guarded: str, settings: Settings) -> Callable[[str, str], TopicAdmin]:
    """Make an admin client with a user name and a password."""

    def admin(user: str, password: str) -> TopicAdmin:
        settings.KAFKA_BROKER = guarded
        settings.KAFKA_SECURITY_PROTOCOL = "SASL_PLAINTEXT"
        settings.KAFKA_SASL_MECHANISM = "PLAIN"
        settings.KAFKA_SASL_USERNAME = user
        settings.KAFKA_SASL_PASSWORD = password
        return TopicAdmin()

    return admin


def test_the_right_password_is_let_in(as_user: Callable[[str, str], TopicAdmin]) -> None:
    assert as_user("ann", "right").missing(["a.b.json"]) == {"a.b.json"}


def test_a_wrong_password_is_told_at_once(as_user: Callable[[str, str], TopicAdmin]) -> None:
    admin = as_user("ann", "wrong-secret")
    questions: list[Callable[[], object]] = [
        admin.cluster_id,
        lambda: admin.missing(["a.b.json"]),
        lambda: admin.topic_ids(["a.b.json"]),
    ]
    for question in questions:
        with pytest.raises(AuthenticationFailed, match="Check KAFKA_SECURITY_PROTOCOL") as caught:
            question()
        assert "wrong-secret" not in str(caught.value)


def test_a_wrong_password_ends_the_command(
    as_user: Callable[[str, str], TopicAdmin], write: Write
) -> None:
    as_user("ann", "wrong-secret")
    write()
    shown, error = fail("apply")
    assert "refused our credentials" in str(error)
    assert "wrong-secret" not in shown + str(error)


def test_a_missing_right_is_told_with_the_user(
    as_user: Callable[[str, str], TopicAdmin], write: Write
) -> None:
    as_user("bob", "bobs")
    write()
    shown, error = fail("apply")
    assert "2 of 2 changes not made" in str(error)
    assert shown.count("Give bob the ACLs") == 2
    assert "Nothing to do" not in shown
