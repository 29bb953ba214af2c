"""What assets tell the world, and the lines that they add to their campaign's history."""

from __future__ import annotations

from uuid import UUID

from kafka_integration import Event, EventData, changed, created, deleted, handles, publishes
from mediajira.campaigns import timeline

from .models import Asset


class AssetData(EventData):
    """What every event of an asset says."""

    asset_id: UUID
    campaign_id: UUID
    name: str
    version: int
    owner_id: int
    status: str


class AssetCreated(AssetData):
    """An asset was added to a campaign."""

    url: str


class AssetUpdated(AssetData):
    """An asset has a new version, name or owner."""

    url: str


class AssetStatusChanged(AssetData):
    """An asset moved on in its review."""

    previous_status: str


class AssetDeleted(AssetData):
    """An asset is gone."""


publishes(Asset, AssetCreated, topic="asset.created.json", when=created)
publishes(
    Asset,
    AssetUpdated,
    topic="asset.updated.json",
    when=changed("name", "url", "version", "owner"),
)
publishes(Asset, AssetStatusChanged, topic="asset.status_changed.json", when=changed("status"))
publishes(Asset, AssetDeleted, topic="asset.deleted.json", when=deleted)


@handles("asset.created.json", AssetCreated)
def record_created(event: Event[AssetCreated]) -> None:
    """Write the new asset into its campaign's history."""
    timeline.record(event, f"Asset {event.data.name!r} was added.")


@handles("asset.updated.json", AssetUpdated)
def record_updated(event: Event[AssetUpdated]) -> None:
    """Write the change into the campaign's history."""
    timeline.record(
        event,
        f"Asset {event.data.name!r} was changed; it is at version {event.data.version}.",
    )


@handles("asset.status_changed.json", AssetStatusChanged)
def record_status(event: Event[AssetStatusChanged]) -> None:
    """Write the step into the campaign's history."""
    step = f"from {event.data.previous_status} to {event.data.status}"
    timeline.record(event, f"Asset {event.data.name!r} v{event.data.version} went {step}.")


@handles("asset.deleted.json", AssetDeleted)
def record_deleted(event: Event[AssetDeleted]) -> None:
    """Write the deletion into the campaign's history."""
    timeline.record(event, f"Asset {event.data.name!r} was deleted.")
