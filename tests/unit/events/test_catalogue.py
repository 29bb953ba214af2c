"""The catalogue: our own file, and the rules that any such file is held to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as django_settings
from pytest_django import Settings

from kafka_integration.conf import Settings as OurSettings
from kafka_integration.errors import CatalogueError, UnknownTopic
from kafka_integration.events.catalogue import Catalogue, catalogue, check_catalogued

OURS = Path(django_settings.BASE_DIR) / "devops" / "kafka" / "topics.yaml"
PROGRESS = "outbox.relay_progress.json"
DAY_MS = 86_400_000

# domain: {action: (partitions, days)}, as agreed with those who read the topics.
AGREED: dict[str, dict[str, tuple[int, int]]] = {
    "campaign": {
        "created": (3, 7), "updated": (3, 7), "deleted": (3, 30), "status_changed": (3, 7),
    },
    "asset": {
        "created": (3, 7), "updated": (3, 7), "deleted": (3, 30), "status_changed": (3, 7),
    },
    "task": {
        "created": (3, 7), "updated": (3, 7), "status_changed": (3, 7), "deleted": (3, 30),
    },
    "retrospective": {"created": (2, 7), "updated": (2, 7), "completed": (2, 30)},
    "budget_approval": {
        "request_created": (3, 30), "request_approved": (3, 30), "request_rejected": (3, 30),
    },
    "reports": {
        "report_created": (2, 30), "report_updated": (2, 30), "report_published": (2, 60),
    },
    "metric_upload": {"uploaded": (3, 7), "processed": (3, 7)},
    "optimization": {"experiment_created": (2, 7), "experiment_completed": (2, 30)},
    "core": {
        "project_created": (3, 30), "project_updated": (3, 30), "project_deleted": (3, 30),
        "organization_created": (2, 30), "organization_updated": (2, 30),
    },
    "teams": {
        "team_created": (2, 30), "team_updated": (2, 30),
        "member_added": (2, 30), "member_removed": (2, 30),
    },
    "authentication": {
        "user_created": (3, 30), "user_updated": (3, 30), "user_logged_in": (3, 7),
    },
    "access_control": {
        "permission_granted": (2, 30), "permission_revoked": (2, 30), "role_assigned": (2, 30),
    },
    "workflows": {"workflow_triggered": (2, 7), "workflow_completed": (2, 7)},
}  # fmt: skip


def write(path: Path, *topics: Any, **sections: Any) -> Path:
    """Write a catalogue with an environment ``development`` unless told otherwise."""
    content = {"environments": {"development": {}}} | sections | {"topics": list(topics)}
    file = path / "topics.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def topic(name: str = "a.b.json", **values: Any) -> dict[str, Any]:
    """Return a valid entry with some values changed, or left out where None."""
    entry = {"name": name, "description": "x", "partitions": 1, "retention_days": 1} | values
    return {key: value for key, value in entry.items() if value is not None}


def dead_letters(name: str, served: str, **values: Any) -> dict[str, Any]:
    return topic(name, dead_letter_of=served, partitions=None, **values)


def problems(path: Path, environment: str = "development") -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load(path, environment)
    return list(caught.value.problems)


def test_our_file_holds_the_42_agreed_topics() -> None:
    found = Catalogue.load(OURS, "development")
    agreed = {
        f"{domain}.{action}.json": (partitions, str(days * DAY_MS))
        for domain, actions in AGREED.items()
        for action, (partitions, days) in actions.items()
    }
    assert len(agreed) == 42
    assert {
        topic.name: (topic.partitions, topic.config["retention.ms"])
        for topic in found.event_topics()
        if topic.name != PROGRESS
    } == agreed
    assert all(topic.description.endswith(".") for topic in found)


@pytest.mark.parametrize(
    ("environment", "replicas", "in_sync"), [("development", 1, "1"), ("production", 3, "2")]
)
def test_our_file_in_each_environment(environment: str, replicas: int, in_sync: str) -> None:
    for topic in Catalogue.load(OURS, environment):
        assert topic.replication_factor == replicas
        if topic.name == PROGRESS:
            continue
        common = {name: value for name, value in topic.config.items() if name != "retention.ms"}
        common.pop("max.message.bytes", None)
        assert common == {
            "cleanup.policy": "delete",
            "compression.type": "snappy",
            "retention.bytes": "-1",
            "min.insync.replicas": in_sync,
        }


def test_our_file_has_the_topic_of_exactly_once_relays() -> None:
    progress = Catalogue.load(OURS, "production").check(PROGRESS)
    assert OurSettings.progress_topic.default == PROGRESS
    assert progress.config["cleanup.policy"] == "compact"
    assert progress.config["min.insync.replicas"] == "2"
    assert progress.partitions == 1


def test_our_file_has_dead_letters_for_the_three_domains_with_handlers() -> None:
    found = Catalogue.load(OURS, "development")
    served = {t.name for t in found if t.domain in ("campaign", "asset", "retrospective")}
    letters = found.dead_letters()
    assert set(letters) == {name for name in served if not name.endswith(".dlq")}
    assert len(letters) == 11
    for name, letter in letters.items():
        assert letter.name == f"{name}.dlq"
        assert letter.partitions == found.check(name).partitions
        assert letter.config["retention.ms"] == str(30 * DAY_MS)
        assert letter.config["max.message.bytes"] == "2097152"


def test_later_layers_win(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        topic(retention_days=0.5, config={"cleanup.policy": "compact", "preallocate": True}),
        dead_letters("a.b.json.dlq", "a.b.json", retention_days=None),
        topic("a.c.json", partitions=4, retention_days=None, replication_factor=2),
        defaults={"retention_days": 3, "config": {"cleanup.policy": "delete", "segment.ms": 1}},
        environments={"production": {"replication_factor": 3, "config": {"segment.ms": 2}}},
        dead_letters={"retention_days": 9, "config": {"segment.ms": 3}},
    )
    first, letters, other = Catalogue.load(file, "production")
    assert first.replication_factor == 3
    assert first.config == {
        "cleanup.policy": "compact",
        "segment.ms": "2",
        "retention.ms": str(DAY_MS // 2),
        "preallocate": "true",
    }
    assert letters.config["segment.ms"] == "3"
    assert letters.config["retention.ms"] == str(9 * DAY_MS)
    assert (other.partitions, other.replication_factor) == (4, 2)
    assert other.config["retention.ms"] == str(3 * DAY_MS)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (topic("A.b.json"), "'A.b.json' is not a topic name: the part 'A'"),
        (topic("a.b.xml"), "'a.b.xml' is not a topic name: the format 'xml'"),
        (topic(partitions=0), "Topic a.b.json: partitions must be 1 or more."),
        (topic(partitions="3"), "Topic a.b.json: partitions must be a whole number"),
        (topic(partitions=True), "Topic a.b.json: partitions must be a whole number"),
        (topic(partitions=None), "Topic a.b.json: partitions is missing; add it."),
        (topic(replication_factor=-1), "Topic a.b.json: replication_factor must be 1 or more."),
        (topic(retention_days=0), "Topic a.b.json: retention_days must be more than 0."),
        (topic(retention_days=float("inf")), "retention_days must be a finite number."),
        (topic(retention_days=None), "Topic a.b.json: retention_days is missing"),
        (
            topic(config={"retention.ms": 1}),
            "its content gives retention_days and config retention.ms",
        ),
        (topic(description=None), "Topic a.b.json: description is missing; add it."),
        (topic(description=""), "Topic a.b.json: description is empty"),
        (topic(partition=1), "Topic a.b.json: partition is not a key that the catalogue knows"),
        (topic(domain="b"), "Topic a.b.json: its domain is given as 'b' and its name says 'a'"),
        (topic(config={"retention.mss": 1}), "config retention.mss is not a topic setting"),
        (topic(config={"segment.ms": [1]}), "config segment.ms must be text, a number, true"),
        (topic(config={"min.insync.replicas": 2}), "min.insync.replicas is 2 and replication_f"),
        (topic("a.b.json.dlq"), "Topic a.b.json.dlq: its name is that of a dead-letter topic"),
        (dead_letters("a.x.json.dlq", "a.x.json"), "dead letters of a.x.json, which is no event"),
        ("a.b.json", "Topic number 2: its content must be a mapping"),
        ({"description": "x"}, "Topic number 2: name is missing; add it."),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, entry: Any, problem: str) -> None:
    found = problems(write(tmp_path, topic("z.z.json"), entry))
    assert any(problem in line for line in found), found


def test_dead_letters_are_named_after_their_topic(tmp_path: Path) -> None:
    file = write(tmp_path, topic(), dead_letters("a.b.dead.json", "a.b.json"))
    assert problems(file) == [
        "Topic a.b.dead.json: the dead letters of a.b.json go to a.b.json.dlq; rename it."
    ]


def test_dead_letters_have_no_dead_letters(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        topic(),
        dead_letters("a.b.json.dlq", "a.b.json"),
        dead_letters("a.b.json.dlq.dlq", "a.b.json.dlq"),
    )
    [problem] = problems(file)
    assert problem.startswith("Topic a.b.json.dlq.dlq: it takes the dead letters of a.b.json.dlq")


@pytest.mark.parametrize(
    ("served", "letters", "sections", "size"),
    [
        ({}, {}, {}, 1_048_588 + 1024 * 1024),
        ({"max.message.bytes": 5_000_000}, {}, {}, 5_000_000 + 1024 * 1024),
        ({"max.message.bytes": 2**31 - 9}, {}, {}, 2**31 - 1),
        ({}, {"max.message.bytes": 1_048_588 + 64 * 1024}, {}, 1_048_588 + 64 * 1024),
        ({}, {}, {"dead_letters": {"config": {"max.message.bytes": 9_000_000}}}, 9_000_000),
        ({}, {}, {"defaults": {"config": {"max.message.bytes": 3_000_000}}}, 4_048_576),
    ],
)
def test_dead_letters_have_room_for_the_reason(
    tmp_path: Path, served: Any, letters: Any, sections: Any, size: int
) -> None:
    file = write(
        tmp_path,
        topic(config=served),
        dead_letters("a.b.json.dlq", "a.b.json", config=letters),
        **sections,
    )
    found = Catalogue.load(file, "development")
    assert found.check("a.b.json.dlq").config["max.message.bytes"] == str(size)
    said = served or sections.get("defaults", {}).get("config", {})
    assert found.check("a.b.json").config.get("max.message.bytes", "") == str(
        said.get("max.message.bytes", "")
    )


@pytest.mark.parametrize(
    ("served", "letters", "problem"),
    [
        ({}, {"max.message.bytes": 1_048_588}, "raise it to 1114124 or more, or leave it out."),
        (
            {"max.message.bytes": 4_000_000},
            {"max.message.bytes": 2_097_152},
            "max.message.bytes is 2097152, and a.b.json takes messages of 4000000 bytes",
        ),
        ({}, {"max.message.bytes": "2 MiB"}, "is '2 MiB'; write a whole number of bytes."),
        ({"max.message.bytes": "-1"}, {}, "is '-1'; write a whole number of bytes."),
    ],
)
def test_dead_letters_without_room_are_a_problem(
    tmp_path: Path, served: Any, letters: Any, problem: str
) -> None:
    file = write(
        tmp_path,
        topic(config=served),
        dead_letters("a.b.json.dlq", "a.b.json", config=letters),
    )
    [found] = problems(file)
    assert problem in found


def test_a_topic_stands_there_once(tmp_path: Path) -> None:
    file = write(tmp_path, topic(), topic("a.c.json"), topic())
    assert problems(file) == ["Topic a.b.json is listed 2 times; keep one entry."]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    file = write(
        tmp_path, topic(partitions=0, foo=1), topic("bad"), dead_letters("x.dlq", "a.b.json")
    )
    found = problems(file, "staging")
    assert len(found) == 5
    assert found[0].startswith("Environment 'staging' is not in the file, which has development.")
    with pytest.raises(CatalogueError) as caught:
        Catalogue.load(file, "staging")
    assert str(file) in str(caught.value)
    assert all(problem in str(caught.value) for problem in found)


def test_a_file_without_environments_says_the_same_in_all_of_them(tmp_path: Path) -> None:
    file = write(tmp_path, topic(), environments={})
    assert [t.name for t in Catalogue.load(file, "anywhere")] == ["a.b.json"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "It is not valid YAML"),
        ("topics: []\ntopics: []", "the key 'topics' is given twice"),
        ("- a", "The file: its content must be a mapping"),
        ("", "The file: its content must be a mapping"),
        ("topics: {}", "The file: topics must be a list"),
        ("environments: {}", "The file: topics is missing"),
        ("topics: []\ntopic: []", "The file: topic is not a key"),
        ("topics: []\ndefaults: {partitions: 3}", "The file: defaults partitions is not a key"),
        ("topics: []\ndefaults: {config: {x: 1}}", "config x is not a topic setting"),
    ],
)
def test_a_file_of_the_wrong_shape(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(text)
    found = problems(file)
    assert any(problem in line for line in found), found


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "It is not valid YAML" in problems(file)[0]


def test_yaml_anchors_may_be_merged(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(
        "environments: {development: {}}\n"
        "topics:\n"
        "  - &first {name: a.b.json, description: x, partitions: 2, retention_days: 1}\n"
        "  - {<<: *first, name: a.c.json}\n"
    )
    assert [t.partitions for t in Catalogue.load(file, "development")] == [2, 2]


def test_the_file_of_the_settings_is_read_again_when_it_changes(
    tmp_path: Path, settings: Settings
) -> None:
    file = write(tmp_path, topic())
    settings.KAFKA_TOPICS_FILE = str(file)
    first = catalogue()
    assert first is not None
    assert catalogue() is first
    write(tmp_path, topic(), topic("a.c.json"))
    os.utime(file, ns=(1, 1))
    second = catalogue()
    assert second is not None
    assert [t.name for t in second] == ["a.b.json", "a.c.json"]


def test_the_environment_is_that_of_the_settings(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = str(OURS)
    settings.KAFKA_TOPICS_ENVIRONMENT = "production"
    found = catalogue()
    assert found is not None
    assert found.check("asset.created.json").replication_factor == 3


def test_a_missing_file_names_the_setting(tmp_path: Path, settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = str(tmp_path / "none.yaml")
    with pytest.raises(CatalogueError, match=r"\(KAFKA_TOPICS_FILE\) cannot be read") as caught:
        catalogue()
    assert caught.value.path == settings.KAFKA_TOPICS_FILE


def test_checking_a_topic(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = str(OURS)
    check_catalogued("asset.created.json")
    with pytest.raises(UnknownTopic, match="kafka_topics apply") as caught:
        check_catalogued("asset.painted.json")
    assert caught.value.topic == "asset.painted.json"
    assert caught.value.catalogue == str(OURS)


def test_without_a_catalogue_every_topic_passes(settings: Settings) -> None:
    settings.KAFKA_TOPICS_FILE = ""
    assert catalogue() is None
    check_catalogued("asset.painted.json")


def test_a_catalogue_reads_like_a_collection() -> None:
    found = Catalogue.load(OURS, "development")
    assert "asset.created.json" in found
    assert "asset.painted.json" not in found
    assert found.get("asset.painted.json") is None
    assert found.get("asset.created.json") == found.check("asset.created.json")
    assert len(found) == 54
