"""Each of the eleven topics of campaigns, assets and retrospectives, from model to real Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from kafka_integration.models import OutboxQueue
from kafka_integration.outbox.relay import Relay
from mediajira.assets.models import Asset
from mediajira.campaigns.models import Campaign
from mediajira.retrospectives.models import Retrospective
from tests.integration.conftest import Record

Published = Callable[[str, object], dict[str, Any]]


@pytest.fixture(autouse=True)
def _topics(catalogue_topics: None, transactional_db: None) -> None:
    """All topics exist, and the database is empty."""


@pytest.fixture
def campaign() -> Campaign:
    owner = User.objects.create_user("olga")
    return Campaign.objects.create(name="Spring", owner=owner, budget=Decimal("10.50"))


@pytest.fixture
def asset(campaign: Campaign) -> Asset:
    return Asset.objects.create(
        campaign=campaign, name="Banner", url="s3://1", owner_id=campaign.owner_id
    )


@pytest.fixture
def retrospective(campaign: Campaign) -> Retrospective:
    # Another number than in other tests, which publish to the same topics.
    number = UUID(str(campaign.pk)).int % 2**62
    return Retrospective.objects.create(
        pk=number, campaign=campaign, owner_id=campaign.owner_id, summary="Start earlier."
    )


@pytest.fixture
def published(read_topic: Callable[..., list[Record]]) -> Published:
    """Relay, find the one record of a key in a topic, check its envelope, return its data."""

    def read(topic: str, key: object) -> dict[str, Any]:
        Relay().drain()
        assert not OutboxQueue.objects.exists()
        [record] = [found for found in read_topic(topic) if found.key == str(key).encode()]
        check_envelope(record)
        data: dict[str, Any] = json.loads(record.value or b"")
        return data

    return read


def check_envelope(record: Record) -> None:
    """Check the headers of CloudEvents' binary mode."""
    headers = {name: value.decode() for name, value in record.headers.items()}
    domain, action, _ = record.topic.split(".")
    words = f"{domain}_{action}".split("_")
    assert headers["ce_type"] == "".join(word.capitalize() for word in words)
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_source"] == "mediajira"
    assert headers["ce_dataversion"] == "1"
    assert headers["content-type"] == "application/json"
    assert UUID(headers["ce_id"]).version == 7
    assert datetime.fromisoformat(headers["ce_time"].replace("Z", "+00:00")).tzinfo
    assert len(headers["ce_sequence"]) == 19
    assert headers["ce_subject"].partition("/")[2] == (record.key or b"").decode()
    assert headers["ce_subject"].startswith(f"{domain}s.")


def test_campaign_created(campaign: Campaign, published: Published) -> None:
    assert published("campaign.created.json", campaign.pk) == {
        "campaign_id": str(campaign.pk),
        "name": "Spring",
        "owner_id": campaign.owner_id,
        "status": "draft",
        "description": "",
        "budget": "10.50",
    }


def test_campaign_updated(campaign: Campaign, published: Published) -> None:
    campaign.revise(name="Summer", budget=Decimal("11.00"))
    data = published("campaign.updated.json", campaign.pk)
    assert (data["name"], data["budget"]) == ("Summer", "11.00")


def test_campaign_status_changed(campaign: Campaign, published: Published) -> None:
    campaign.activate()
    data = published("campaign.status_changed.json", campaign.pk)
    assert (data["previous_status"], data["status"]) == ("draft", "active")


def test_campaign_deleted(campaign: Campaign, published: Published) -> None:
    key = campaign.pk
    campaign.delete()
    assert published("campaign.deleted.json", key)["name"] == "Spring"


def test_asset_created(asset: Asset, published: Published) -> None:
    assert published("asset.created.json", asset.pk) == {
        "asset_id": str(asset.pk),
        "campaign_id": str(asset.campaign_id),
        "name": "Banner",
        "version": 1,
        "owner_id": asset.owner_id,
        "status": "draft",
        "url": "s3://1",
    }


def test_asset_updated(asset: Asset, published: Published) -> None:
    asset.new_version("s3://2")
    data = published("asset.updated.json", asset.pk)
    assert (data["url"], data["version"]) == ("s3://2", 2)


def test_asset_status_changed(asset: Asset, published: Published) -> None:
    asset.submit()
    data = published("asset.status_changed.json", asset.pk)
    assert (data["previous_status"], data["status"]) == ("draft", "in_review")


def test_asset_deleted(asset: Asset, published: Published) -> None:
    key = asset.pk
    asset.delete()
    assert published("asset.deleted.json", key)["campaign_id"] == str(asset.campaign_id)


def test_retrospective_created(retrospective: Retrospective, published: Published) -> None:
    assert published("retrospective.created.json", retrospective.pk) == {
        "retrospective_id": retrospective.pk,
        "campaign_id": str(retrospective.campaign_id),
        "owner_id": retrospective.owner_id,
        "status": "scheduled",
    }


def test_retrospective_updated(retrospective: Retrospective, published: Published) -> None:
    retrospective.start()
    data = published("retrospective.updated.json", retrospective.pk)
    assert (data["status"], data["summary"]) == ("in_progress", "Start earlier.")


def test_retrospective_completed(retrospective: Retrospective, published: Published) -> None:
    retrospective.complete("Finish earlier.")
    data = published("retrospective.completed.json", retrospective.pk)
    assert (data["status"], data["summary"]) == ("completed", "Finish earlier.")
    assert datetime.fromisoformat(data["completed_at"].replace("Z", "+00:00"))
