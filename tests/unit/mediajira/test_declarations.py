"""Every catalogue topic of our three domains is published and has a visible effect."""

from __future__ import annotations

import pytest

from kafka_integration.conf import settings
from kafka_integration.events.registry import Handler, Publication, registry

TOPICS = (
    "campaign.created.json",
    "campaign.updated.json",
    "campaign.deleted.json",
    "campaign.status_changed.json",
    "asset.created.json",
    "asset.updated.json",
    "asset.deleted.json",
    "asset.status_changed.json",
    "retrospective.created.json",
    "retrospective.updated.json",
    "retrospective.completed.json",
)


def publications() -> list[Publication]:
    return [item for item in registry.publications if item.model.__module__.startswith("mediajira")]


def handlers(group: str) -> list[Handler]:
    found = registry.handlers_of(group)
    return [item for item in found if item.function.__module__.startswith("mediajira")]


def test_exactly_these_topics_are_published_each_by_one_declaration() -> None:
    assert sorted(item.topic for item in publications()) == sorted(TOPICS)


def test_the_default_group_handles_every_topic() -> None:
    assert sorted(item.topic for item in handlers(settings.default_group)) == sorted(TOPICS)


def test_previews_follow_the_assets() -> None:
    assert sorted(item.topic for item in handlers("previews")) == [
        "asset.created.json",
        "asset.deleted.json",
        "asset.updated.json",
    ]


def test_retrospectives_follow_the_campaigns_status() -> None:
    assert [item.topic for item in handlers("retrospectives")] == ["campaign.status_changed.json"]


@pytest.mark.parametrize("topic", TOPICS)
def test_whoever_reads_a_topic_reads_what_is_published_there(topic: str) -> None:
    (published,) = [item.contract for item in publications() if item.topic == topic]
    for handler in registry.handlers:
        if handler.topic == topic:
            assert handler.contract.type_name() == published.type_name()
            assert handler.contract.event_version == published.event_version
            assert set(handler.contract.model_fields) <= set(published.model_fields)
