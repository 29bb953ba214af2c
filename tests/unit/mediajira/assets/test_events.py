from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from kafka_integration.events.envelope import Event
from mediajira.assets import events
from mediajira.campaigns.models import TimelineEntry

COMMON = {
    "asset_id": uuid4(),
    "campaign_id": uuid4(),
    "name": "Banner",
    "version": 2,
    "owner_id": 1,
    "status": "approved",
}


def test_the_campaigns_history_tells_of_its_assets(
    db: None, received: Callable[..., Event[Any]]
) -> None:
    url = {"url": "s3://banner-2"}
    status = {"previous_status": "in_review"}
    events.record_created(received(events.AssetCreated.model_validate(COMMON | url)))
    events.record_updated(received(events.AssetUpdated.model_validate(COMMON | url)))
    events.record_status(received(events.AssetStatusChanged.model_validate(COMMON | status)))
    events.record_deleted(received(events.AssetDeleted.model_validate(COMMON)))
    history = TimelineEntry.objects.of(COMMON["campaign_id"])  # type: ignore[arg-type]  # a UUID
    assert [entry.text for entry in history] == [
        "Asset 'Banner' was added.",
        "Asset 'Banner' was changed; it is at version 2.",
        "Asset 'Banner' v2 went from in_review to approved.",
        "Asset 'Banner' was deleted.",
    ]
