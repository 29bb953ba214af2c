"""What can be done with retrospectives; for views, commands and event handlers alike."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from mediajira.campaigns.models import Campaign

from .models import Retrospective


def open_retrospective(*, campaign_id: UUID) -> Retrospective | None:
    """Schedule a campaign's retrospective, owned by the campaign's owner, unless it has one.

    Returns:
        The new retrospective, or None if the campaign has one already or is gone.
    """
    with transaction.atomic():
        # The lock makes "unless it has one" hold against another caller at the same time.
        rows = Campaign.objects.select_for_update(no_key=True)
        campaign = rows.filter(pk=campaign_id).first()
        if campaign is None or campaign.retrospectives.exists():
            return None
        return Retrospective.objects.create(campaign=campaign, owner_id=campaign.owner_id)


def start_retrospective(*, retrospective_id: int) -> Retrospective:
    """Begin to look back.

    Raises:
        Retrospective.DoesNotExist: there is no such retrospective.
        IllegalTransition: it has begun already.
    """
    retrospective = Retrospective.objects.get(pk=retrospective_id)
    retrospective.start()
    return retrospective


def complete_retrospective(*, retrospective_id: int, summary: str = "") -> Retrospective:
    """Close a retrospective.

    Args:
        retrospective_id: which one.
        summary: what was learned; empty keeps what is written already.

    Raises:
        Retrospective.DoesNotExist: there is no such retrospective.
        IllegalTransition: it is completed already.
    """
    retrospective = Retrospective.objects.get(pk=retrospective_id)
    retrospective.complete(summary)
    return retrospective
