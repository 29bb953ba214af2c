from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from mediajira.assets.models import Asset, AssetStatus
from mediajira.campaigns.models import Campaign
from mediajira.errors import IllegalTransition

VERBS = {
    "submit": AssetStatus.IN_REVIEW,
    "approve": AssetStatus.APPROVED,
    "reject": AssetStatus.REJECTED,
}
LEGAL = {
    ("draft", "submit"),
    ("rejected", "submit"),
    ("in_review", "approve"),
    ("in_review", "reject"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", AssetStatus.values)
def test_each_verb_from_each_status(
    campaign: Campaign, owner: User, status: str, verb: str
) -> None:
    asset = Asset.objects.create(
        campaign=campaign, name="Banner", url="s3://1", owner=owner, status=status
    )
    if (status, verb) in LEGAL:
        getattr(asset, verb)()
        expected = VERBS[verb].value
    else:
        with pytest.raises(IllegalTransition):
            getattr(asset, verb)()
        expected = status
    asset.refresh_from_db()
    assert asset.status == expected


def test_every_status_has_its_place_on_the_map() -> None:
    assert set(Asset.transitions) == set(AssetStatus)


def test_a_new_version_is_a_draft_again(asset: Asset) -> None:
    asset.submit()
    asset.approve()
    asset.new_version("s3://banner-2")
    row = Asset.objects.get(pk=asset.pk)
    assert (row.version, row.url, row.status) == (2, "s3://banner-2", "draft")


def test_versions_are_counted_by_the_row(asset: Asset) -> None:
    old = Asset.objects.get(pk=asset.pk)
    asset.new_version("s3://banner-2")
    old.new_version("s3://banner-3")
    assert Asset.objects.get(pk=asset.pk).version == 3
