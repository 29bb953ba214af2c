"""What can be done with assets; for views, commands and event handlers alike."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from mediajira.campaigns.models import Campaign

from .models import Asset


def add_asset(*, campaign: Campaign, name: str, url: str, owner: AbstractBaseUser) -> Asset:
    """Add the first version of an asset to a campaign.

    Args:
        campaign: where it belongs, for good.
        name: what people call it.
        url: where the file lies: a URL or a storage path.
        owner: who answers for it.
    """
    return Asset.objects.create(campaign=campaign, name=name, url=url, owner_id=owner.pk)


def upload_version(*, asset_id: UUID, url: str) -> Asset:
    """Replace an asset's file by a new version, which is a draft again.

    Raises:
        Asset.DoesNotExist: there is no such asset.
    """
    asset = Asset.objects.get(pk=asset_id)
    asset.new_version(url)
    return asset


def submit_asset(*, asset_id: UUID) -> Asset:
    """Ask for a review of an asset.

    Raises:
        Asset.DoesNotExist: there is no such asset.
        IllegalTransition: it is in review or approved already.
    """
    asset = Asset.objects.get(pk=asset_id)
    asset.submit()
    return asset


def review_asset(*, asset_id: UUID, approved: bool) -> Asset:
    """Approve or reject an asset that is in review.

    Raises:
        Asset.DoesNotExist: there is no such asset.
        IllegalTransition: it is not in review.
    """
    asset = Asset.objects.get(pk=asset_id)
    if approved:
        asset.approve()
    else:
        asset.reject()
    return asset


def delete_asset(*, asset_id: UUID) -> None:
    """Delete an asset with all its versions.

    Raises:
        Asset.DoesNotExist: there is no such asset.
    """
    Asset.objects.get(pk=asset_id).delete()
