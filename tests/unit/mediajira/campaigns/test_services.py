from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from mediajira.assets.models import Asset
from mediajira.assets.services import add_asset
from mediajira.campaigns import services
from mediajira.campaigns.models import Campaign, CampaignPreview


def test_a_new_campaign_is_a_draft(owner: User) -> None:
    made = services.create_campaign(name="Spring", owner=owner, budget=Decimal("12.50"))
    row = Campaign.objects.get(pk=made.pk)
    assert (row.name, row.owner, row.status) == ("Spring", owner, "draft")
    assert row.budget == Decimal("12.50")


def test_a_revision_leaves_alone_what_it_is_not_told(campaign: Campaign) -> None:
    services.revise_campaign(campaign_id=campaign.pk, description="Sells more.")
    row = Campaign.objects.get(pk=campaign.pk)
    assert (row.name, row.description) == ("Spring", "Sells more.")


def test_a_campaign_runs_and_ends(campaign: Campaign) -> None:
    assert services.activate_campaign(campaign_id=campaign.pk).status == "active"
    assert services.complete_campaign(campaign_id=campaign.pk).status == "completed"


def test_an_unknown_campaign_is_an_error(db: None) -> None:
    with pytest.raises(Campaign.DoesNotExist):
        services.activate_campaign(campaign_id=uuid4())


def test_a_preview_counts_what_is_there(campaign: Campaign, asset: Asset, owner: User) -> None:
    add_asset(campaign=campaign, name="Film", url="s3://film", owner=owner)
    services.refresh_preview(campaign_id=campaign.pk)
    preview = CampaignPreview.objects.get(pk=campaign.pk)
    assert (preview.asset_count, preview.latest_asset) == (2, "Film")


def test_a_preview_follows_a_deletion(campaign: Campaign, asset: Asset) -> None:
    services.refresh_preview(campaign_id=campaign.pk)
    asset.delete()
    services.refresh_preview(campaign_id=campaign.pk)
    preview = CampaignPreview.objects.get(pk=campaign.pk)
    assert (preview.asset_count, preview.latest_asset) == (0, "")


def test_other_campaigns_assets_do_not_count(campaign: Campaign, asset: Asset, owner: User) -> None:
    other = services.create_campaign(name="Autumn", owner=owner)
    preview = services.refresh_preview(campaign_id=other.pk)
    assert preview
    assert preview.asset_count == 0


def test_a_preview_goes_with_its_campaign(campaign: Campaign, asset: Asset) -> None:
    campaign_id = campaign.pk
    services.refresh_preview(campaign_id=campaign_id)
    services.delete_campaign(campaign_id=campaign_id)
    assert services.refresh_preview(campaign_id=campaign_id) is None
    assert not CampaignPreview.objects.exists()
