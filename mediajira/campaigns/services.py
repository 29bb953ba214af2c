"""What can be done with campaigns; for views, commands and event handlers alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from .models import Campaign, CampaignPreview


def create_campaign(
    *,
    name: str,
    owner: AbstractBaseUser,
    description: str = "",
    budget: Decimal = Decimal("0.00"),
) -> Campaign:
    """Create a draft.

    Args:
        name: what people call it.
        owner: who answers for it.
        description: what it is for.
        budget: what it may cost, in the organisation's currency.
    """
    return Campaign.objects.create(
        name=name, owner_id=owner.pk, description=description, budget=budget
    )


def revise_campaign(
    *,
    campaign_id: UUID,
    name: str | None = None,
    description: str | None = None,
    budget: Decimal | None = None,
) -> Campaign:
    """Change what a campaign is about; None leaves a value as it is.

    Raises:
        Campaign.DoesNotExist: there is no such campaign.
    """
    asked = {"name": name, "description": description, "budget": budget}
    values: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    campaign = Campaign.objects.get(pk=campaign_id)
    if values:
        campaign.revise(**values)
    return campaign


def activate_campaign(*, campaign_id: UUID) -> Campaign:
    """Start a campaign, or go on with it after a pause.

    Raises:
        Campaign.DoesNotExist: there is no such campaign.
        IllegalTransition: it is neither a draft nor paused.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    campaign.activate()
    return campaign


def complete_campaign(*, campaign_id: UUID) -> Campaign:
    """Bring a campaign to its end; a retrospective is opened when the event arrives.

    Raises:
        Campaign.DoesNotExist: there is no such campaign.
        IllegalTransition: it never ran, or has ended already.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    campaign.complete()
    return campaign


def delete_campaign(*, campaign_id: UUID) -> None:
    """Delete a campaign with its assets and retrospectives; its history stays.

    Raises:
        Campaign.DoesNotExist: there is no such campaign.
    """
    Campaign.objects.get(pk=campaign_id).delete()


def refresh_preview(*, campaign_id: UUID) -> CampaignPreview | None:
    """Count a campaign's assets anew.

    It looks at what is there now and not at what an event says, so it may run late, twice or out
    of order.

    Returns:
        The preview, or None if the campaign is gone, and its preview with it.
    """
    with transaction.atomic():
        # One refresh a campaign at a time: the older of two counts must not be stored last.
        locked = Campaign.objects.select_for_update(no_key=True).filter(pk=campaign_id).first()
        if locked is None:
            CampaignPreview.objects.filter(pk=campaign_id).delete()
            return None
        latest = locked.assets.order_by("-created_at").first()
        preview, _ = CampaignPreview.objects.update_or_create(
            campaign_id=campaign_id,
            defaults={
                "asset_count": locked.assets.count(),
                "latest_asset": latest.name if latest else "",
            },
        )
    return preview
