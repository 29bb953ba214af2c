from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from kafka_integration.events.envelope import Event
from mediajira.assets.models import Asset
from mediajira.campaigns import events
from mediajira.campaigns.models import Campaign, CampaignPreview, TimelineEntry
from tests.unit.mediajira.conftest import NOON

Wrap = Callable[..., Event[Any]]


def test_a_status_becomes_a_line_of_history(db: None, received: Wrap) -> None:
    campaign_id = uuid4()
    data = events.CampaignStatusChanged(
        campaign_id=campaign_id,
        name="Spring",
        owner_id=1,
        status="paused",
        previous_status="active",
    )
    events.record_status(received(data))
    (entry,) = TimelineEntry.objects.of(campaign_id)
    assert entry.text == "Campaign 'Spring' went from active to paused."
    assert (entry.what, entry.event_id) == ("CampaignStatusChanged", "event-1")
    assert entry.happened_at == NOON


def test_an_event_without_a_time_happened_now(db: None, received: Wrap) -> None:
    data = events.CampaignDeleted(campaign_id=uuid4(), name="Spring", owner_id=1, status="draft")
    before = timezone.now()
    events.record_deleted(received(data, time=None))
    assert before <= TimelineEntry.objects.get().happened_at <= timezone.now()


def test_history_is_told_in_order_and_campaign_by_campaign(db: None, received: Wrap) -> None:
    one, other = uuid4(), uuid4()
    for campaign_id in (one, other, one):
        data = events.CampaignDeleted(campaign_id=campaign_id, name="A", owner_id=1, status="x")
        events.record_deleted(received(data))
    found = list(TimelineEntry.objects.of(one))
    assert len(found) == 2
    assert found[0].pk < found[1].pk


@pytest.mark.parametrize(
    "contract", [events.AssetCreatedSeen, events.AssetUpdatedSeen, events.AssetDeletedSeen]
)
def test_an_assets_event_refreshes_the_preview(
    campaign: Campaign, asset: Asset, received: Wrap, contract: type[events.AssetSeen]
) -> None:
    events.refresh_preview(received(contract(campaign_id=campaign.pk)))
    assert CampaignPreview.objects.get(pk=campaign.pk).asset_count == 1


def test_an_assets_event_may_come_after_its_campaigns_end(db: None, received: Wrap) -> None:
    events.refresh_preview(received(events.AssetDeletedSeen(campaign_id=uuid4())))
    assert not CampaignPreview.objects.exists()
