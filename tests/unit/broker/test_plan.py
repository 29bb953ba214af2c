"""What must be done so that Kafka is as the catalogue says."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kafka_integration.broker.plan import (
    Action,
    Change,
    ExistingTopic,
    Kind,
    plan,
    readable,
    unmanaged,
)
from kafka_integration.events.catalogue import Catalogue
from kafka_integration.events.topics import Topic

CONFIG = {"retention.ms": "1000", "cleanup.policy": "delete"}
TOPIC = Topic("a.b.json", 3, 2, CONFIG)


def catalogue(*topics: Topic) -> Catalogue:
    return Catalogue("topics.yaml", "development", {topic.name: topic for topic in topics})


def existing(
    partitions: int = 3, replication_factor: int = 2, config: Mapping[str, str] = CONFIG
) -> dict[str, ExistingTopic]:
    found = ExistingTopic(TOPIC.name, partitions, replication_factor, config)
    return {TOPIC.name: found}


def test_in_step_there_is_nothing_to_do() -> None:
    assert plan(catalogue(TOPIC), existing()) == []


def test_a_missing_topic_is_created_with_everything() -> None:
    [action] = plan(catalogue(TOPIC), {})
    assert action.kind is Kind.CREATE
    assert action.topic == TOPIC
    assert {change.name: change.wanted for change in action.changes} == {
        "partitions": "3",
        "replication factor": "2",
        **CONFIG,
    }
    assert not action.refusal(allow_more_partitions=False)


def test_more_partitions_need_the_flag() -> None:
    [action] = plan(catalogue(TOPIC), existing(partitions=1))
    assert action == Action(Kind.ADD_PARTITIONS, TOPIC, (Change("partitions", "1", "3"),))
    assert "--allow-more-partitions" in action.refusal(allow_more_partitions=False)
    assert not action.refusal(allow_more_partitions=True)


@pytest.mark.parametrize("allowed", [True, False])
def test_fewer_partitions_are_refused(allowed: bool) -> None:
    [action] = plan(catalogue(TOPIC), existing(partitions=4))
    assert action == Action(Kind.FEWER_PARTITIONS, TOPIC, (Change("partitions", "4", "3"),))
    assert "Correct the catalogue" in action.refusal(allow_more_partitions=allowed)


@pytest.mark.parametrize("factor", [1, 3])
def test_another_replication_factor_is_refused(factor: int) -> None:
    [action] = plan(catalogue(TOPIC), existing(replication_factor=factor))
    assert action.kind is Kind.OTHER_REPLICATION
    assert action.changes == (Change("replication factor", str(factor), "2"),)
    assert "kafka-reassign-partitions" in action.refusal(allow_more_partitions=True)


def test_only_settings_that_the_catalogue_gives_are_compared() -> None:
    found = {"retention.ms": "5", "cleanup.policy": "delete", "segment.ms": "77"}
    [action] = plan(catalogue(TOPIC), existing(config=found))
    assert action == Action(Kind.SET_CONFIG, TOPIC, (Change("retention.ms", "5", "1000"),))
    assert not action.refusal(allow_more_partitions=False)


def test_a_refused_difference_does_not_hide_another() -> None:
    actions = plan(catalogue(TOPIC), existing(partitions=9, replication_factor=1, config={}))
    assert [action.kind for action in actions] == [
        Kind.FEWER_PARTITIONS,
        Kind.OTHER_REPLICATION,
        Kind.SET_CONFIG,
    ]


def test_actions_come_in_the_catalogues_order() -> None:
    names = ["z.z.json", "a.a.json", "m.m.json"]
    actions = plan(catalogue(*(Topic(name, 1, 1) for name in names)), {})
    assert [action.topic.name for action in actions] == names


def test_unmanaged_topics_are_listed_and_left_alone() -> None:
    found = existing() | {
        name: ExistingTopic(name, 1, 1) for name in ("z", "other", "__consumer_offsets")
    }
    assert unmanaged(catalogue(TOPIC), found) == ["other", "z"]
    assert plan(catalogue(TOPIC), found) == []


def test_an_action_as_text_and_as_plain_values() -> None:
    action = Action(Kind.SET_CONFIG, TOPIC, (Change("x", "1", "2"), Change("y", None, "3")))
    assert str(action) == "set config a.b.json"
    assert [str(change) for change in action.changes] == ["x: 1 -> 2", "y = 3"]
    assert action.as_json() == {
        "action": "set config",
        "topic": "a.b.json",
        "changes": [
            {"name": "x", "found": "1", "wanted": "2"},
            {"name": "y", "found": None, "wanted": "3"},
        ],
    }


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("retention.ms", "604800000", "604800000 (7 d)"),
        ("segment.ms", "5400000", "5400000 (90 min)"),
        ("segment.ms", "1500", "1500"),
        ("retention.ms", "-1", "-1"),
        ("max.message.bytes", "1000", "1000"),
        ("retention.ms", "-", "-"),
    ],
)
def test_milliseconds_are_told_in_a_readable_unit_too(name: str, value: str, shown: str) -> None:
    assert readable(name, value) == shown
    assert str(Change(name, None, value)) == f"{name} = {shown}"
