"""What each verb leaves in the outbox, on real models."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from kafka_integration.models import OutboxEvent
from mediajira.assets.models import Asset
from mediajira.assets.services import add_asset
from mediajira.campaigns.models import Campaign
from mediajira.campaigns.services import create_campaign
from mediajira.retrospectives.models import Retrospective
from mediajira.retrospectives.services import open_retrospective


def published() -> list[tuple[str, str]]:
    """Return topic and key of all events so far, in order, and forget them."""
    found = list(OutboxEvent.objects.order_by("pk").values_list("topic", "key"))
    OutboxEvent.objects.all().delete()
    return found


def last_data() -> Any:
    return json.loads(bytes(OutboxEvent.objects.latest("pk").value))


@pytest.fixture
def active(campaign: Campaign) -> Campaign:
    campaign.activate()
    published()
    return campaign


@pytest.fixture
def retrospective(campaign: Campaign) -> Retrospective:
    found = open_retrospective(campaign_id=campaign.pk)
    assert found
    published()
    return found


def test_a_new_campaign(owner: User) -> None:
    campaign = create_campaign(name="Spring", owner=owner, budget=Decimal("10.50"))
    assert last_data() == {
        "campaign_id": str(campaign.pk),
        "name": "Spring",
        "owner_id": owner.pk,
        "status": "draft",
        "description": "",
        "budget": "10.50",
    }
    assert published() == [("campaign.created.json", str(campaign.pk))]


def test_a_campaigns_step(active: Campaign) -> None:
    active.pause()
    assert last_data()["status"] == "paused"
    assert last_data()["previous_status"] == "active"
    assert published() == [("campaign.status_changed.json", str(active.pk))]


def test_a_revised_campaign(active: Campaign) -> None:
    active.revise(name="Summer")
    assert last_data()["name"] == "Summer"
    assert published() == [("campaign.updated.json", str(active.pk))]


def test_a_revision_that_changes_nothing(active: Campaign) -> None:
    active.revise(name=active.name)
    assert published() == []


def test_a_deleted_campaign_takes_its_assets_along(active: Campaign, asset: Asset) -> None:
    keys = {"asset.deleted.json": str(asset.pk), "campaign.deleted.json": str(active.pk)}
    published()
    active.delete()
    assert dict(published()) == keys


def test_a_new_asset(campaign: Campaign, owner: User) -> None:
    published()
    asset = add_asset(campaign=campaign, name="Banner", url="s3://1", owner=owner)
    assert last_data() == {
        "asset_id": str(asset.pk),
        "campaign_id": str(campaign.pk),
        "name": "Banner",
        "version": 1,
        "owner_id": owner.pk,
        "status": "draft",
        "url": "s3://1",
    }
    assert published() == [("asset.created.json", str(asset.pk))]


def test_an_assets_review(asset: Asset) -> None:
    published()
    asset.submit()
    assert (last_data()["previous_status"], last_data()["status"]) == ("draft", "in_review")
    assert published() == [("asset.status_changed.json", str(asset.pk))]


def test_a_new_version_of_a_draft(asset: Asset) -> None:
    published()
    asset.new_version("s3://2")
    assert (last_data()["version"], last_data()["url"]) == (2, "s3://2")
    assert published() == [("asset.updated.json", str(asset.pk))]


def test_a_new_version_of_an_approved_asset_is_also_a_step(asset: Asset) -> None:
    asset.submit()
    asset.approve()
    published()
    asset.new_version("s3://2")
    topics = {topic for topic, _ in published()}
    assert topics == {"asset.updated.json", "asset.status_changed.json"}


def test_a_deleted_asset(asset: Asset) -> None:
    key = str(asset.pk)
    published()
    asset.delete()
    assert published() == [("asset.deleted.json", key)]


def test_a_new_retrospective(campaign: Campaign) -> None:
    published()
    retrospective = open_retrospective(campaign_id=campaign.pk)
    assert retrospective
    assert last_data()["campaign_id"] == str(campaign.pk)
    assert published() == [("retrospective.created.json", str(retrospective.pk))]


def test_a_retrospective_that_begins(retrospective: Retrospective) -> None:
    retrospective.start()
    assert last_data()["status"] == "in_progress"
    assert published() == [("retrospective.updated.json", str(retrospective.pk))]


def test_a_completed_retrospective(retrospective: Retrospective) -> None:
    retrospective.complete("Start earlier.")
    key = str(retrospective.pk)
    assert last_data()["summary"] == "Start earlier."
    assert last_data()["completed_at"]
    assert sorted(published()) == [
        ("retrospective.completed.json", key),
        ("retrospective.updated.json", key),
    ]
