from __future__ import annotations

from mediajira.assets import services
from mediajira.assets.models import Asset
from mediajira.campaigns.models import Campaign


def test_a_new_asset_is_a_first_draft(campaign: Campaign, asset: Asset) -> None:
    assert list(campaign.assets.all()) == [asset]
    assert (asset.version, asset.status) == (1, "draft")


def test_an_asset_is_reviewed(asset: Asset) -> None:
    assert services.submit_asset(asset_id=asset.pk).status == "in_review"
    assert services.review_asset(asset_id=asset.pk, approved=False).status == "rejected"
    assert services.submit_asset(asset_id=asset.pk).status == "in_review"
    assert services.review_asset(asset_id=asset.pk, approved=True).status == "approved"


def test_a_version_is_uploaded(asset: Asset) -> None:
    assert services.upload_version(asset_id=asset.pk, url="s3://banner-2").version == 2


def test_an_asset_is_deleted(asset: Asset) -> None:
    services.delete_asset(asset_id=asset.pk)
    assert not Asset.objects.exists()
