"""What campaigns tell the world, and what they make of what they hear.

The history of a campaign is written by every app from its own events; the preview is refreshed
from the assets' events, through contracts that hold only what is needed here.
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from kafka_integration import (
    Event,
    EventData,
    accepts,
    changed,
    created,
    deleted,
    handles,
    publishes,
)

from . import services, timeline
from .models import Campaign


class CampaignData(EventData):
    """What every event of a campaign says."""

    campaign_id: UUID
    name: str
    owner_id: int
    status: str


class CampaignCreated(CampaignData):
    """A campaign came to be."""

    description: str
    budget: Decimal


class CampaignUpdated(CampaignData):
    """A campaign's name, description, budget or owner changed."""

    description: str
    budget: Decimal


class CampaignStatusChanged(CampaignData):
    """A campaign moved on."""

    previous_status: str


class CampaignDeleted(CampaignData):
    """A campaign is gone, with its assets and retrospectives."""


publishes(Campaign, CampaignCreated, topic="campaign.created.json", when=created)
publishes(
    Campaign,
    CampaignUpdated,
    topic="campaign.updated.json",
    when=changed("name", "description", "budget", "owner"),
)
publishes(
    Campaign, CampaignStatusChanged, topic="campaign.status_changed.json", when=changed("status")
)
publishes(Campaign, CampaignDeleted, topic="campaign.deleted.json", when=deleted)


@handles("campaign.created.json", CampaignCreated)
def record_created(event: Event[CampaignCreated]) -> None:
    """Begin the campaign's history."""
    timeline.record(event, f"Campaign {event.data.name!r} was created.")


@handles("campaign.updated.json", CampaignUpdated)
def record_updated(event: Event[CampaignUpdated]) -> None:
    """Write the change into the campaign's history."""
    timeline.record(event, f"Campaign {event.data.name!r} was revised.")


@handles("campaign.status_changed.json", CampaignStatusChanged)
def record_status(event: Event[CampaignStatusChanged]) -> None:
    """Write the step into the campaign's history."""
    step = f"from {event.data.previous_status} to {event.data.status}"
    timeline.record(event, f"Campaign {event.data.name!r} went {step}.")


@handles("campaign.deleted.json", CampaignDeleted)
def record_deleted(event: Event[CampaignDeleted]) -> None:
    """Close the campaign's history."""
    timeline.record(event, f"Campaign {event.data.name!r} was deleted.")


class CampaignAnnounced(EventData):
    """What a frontend says of a campaign. No fact of ours, so that no handler here takes it."""

    campaign_id: str
    name: str


accepts("campaign.created.json", CampaignAnnounced)


class AssetSeen(EventData):
    """What a preview needs to know of an asset's event: whose preview."""

    campaign_id: UUID


class AssetCreatedSeen(AssetSeen):
    """The assets app's AssetCreated, as it is read here."""

    event_type = "AssetCreated"


class AssetUpdatedSeen(AssetSeen):
    """The assets app's AssetUpdated, as it is read here."""

    event_type = "AssetUpdated"


class AssetDeletedSeen(AssetSeen):
    """The assets app's AssetDeleted, as it is read here."""

    event_type = "AssetDeleted"


@handles("asset.created.json", AssetCreatedSeen, group="previews")
@handles("asset.updated.json", AssetUpdatedSeen, group="previews")
@handles("asset.deleted.json", AssetDeletedSeen, group="previews")
def refresh_preview(event: Event[AssetSeen]) -> None:
    """Count the campaign's assets anew."""
    services.refresh_preview(campaign_id=event.data.campaign_id)
