"""What the tests of MediaJira's apps start from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from django.contrib.auth.models import User

from kafka_integration.events.contract import EventData
from kafka_integration.events.envelope import Event, Message
from mediajira.assets.models import Asset
from mediajira.assets.services import add_asset
from mediajira.campaigns.models import Campaign
from mediajira.campaigns.services import create_campaign

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("olga")


@pytest.fixture
def campaign(owner: User) -> Campaign:
    return create_campaign(name="Spring", owner=owner)


@pytest.fixture
def asset(campaign: Campaign, owner: User) -> Asset:
    return add_asset(campaign=campaign, name="Banner", url="s3://banner-1", owner=owner)


@pytest.fixture
def received() -> Callable[..., Event[Any]]:
    """Return a function that wraps data as a handler receives it."""

    def wrap(data: EventData, *, time: datetime | None = NOON) -> Event[Any]:
        return Event(
            data=data,
            id="event-1",
            source="mediajira",
            type=data.type_name(),
            version=data.event_version,
            time=time,
            key="key",
            message=Message("some.topic.json", 0, 0, b"key", b"{}"),
        )

    return wrap
