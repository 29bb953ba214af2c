from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from kafka_integration.events.envelope import Event
from mediajira.campaigns.models import Campaign, TimelineEntry
from mediajira.retrospectives import events
from mediajira.retrospectives.models import Retrospective
from tests.unit.mediajira.conftest import NOON

Wrap = Callable[..., Event[Any]]


def test_a_completed_campaign_is_looked_back_at(campaign: Campaign, received: Wrap) -> None:
    data = events.CampaignMoved(campaign_id=campaign.pk, status="completed")
    events.look_back(received(data))
    assert Retrospective.objects.get().campaign == campaign


@pytest.mark.parametrize("status", ["active", "paused", "archived"])
def test_other_steps_are_not(campaign: Campaign, received: Wrap, status: str) -> None:
    events.look_back(received(events.CampaignMoved(campaign_id=campaign.pk, status=status)))
    assert not Retrospective.objects.exists()


def test_the_campaigns_history_tells_of_its_retrospective(db: None, received: Wrap) -> None:
    campaign_id = uuid4()
    common = {"retrospective_id": 7, "campaign_id": campaign_id, "owner_id": 1}
    begun = common | {"status": "in_progress", "summary": ""}
    done = common | {"status": "completed", "summary": "Start earlier.", "completed_at": NOON}
    created = events.RetrospectiveCreated.model_validate(common | {"status": "scheduled"})
    events.record_created(received(created))
    events.record_updated(received(events.RetrospectiveUpdated.model_validate(begun)))
    events.record_completed(received(events.RetrospectiveCompleted.model_validate(done)))
    assert [entry.text for entry in TimelineEntry.objects.of(campaign_id)] == [
        "Retrospective 7 was scheduled.",
        "Retrospective 7 was changed; it is in_progress.",
        "Retrospective 7 was completed: Start earlier.",
    ]
