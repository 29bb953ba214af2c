"""What retrospectives tell the world, and the campaign's step that opens one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from kafka_integration import Event, EventData, becomes, changed, created, handles, publishes
from mediajira.campaigns import timeline

from . import services
from .models import Retrospective, RetrospectiveStatus


class RetrospectiveData(EventData):
    """What every event of a retrospective says."""

    retrospective_id: int
    campaign_id: UUID
    owner_id: int
    status: str


class RetrospectiveCreated(RetrospectiveData):
    """A retrospective was scheduled."""


class RetrospectiveUpdated(RetrospectiveData):
    """A retrospective began, or has another summary or owner."""

    summary: str


class RetrospectiveCompleted(RetrospectiveData):
    """A retrospective is closed, with what was learned."""

    summary: str
    completed_at: datetime


publishes(Retrospective, RetrospectiveCreated, topic="retrospective.created.json", when=created)
# The catalogue has no topic for a retrospective's status, so each step is an update as well.
publishes(
    Retrospective,
    RetrospectiveUpdated,
    topic="retrospective.updated.json",
    when=changed("summary", "owner", "status"),
)
publishes(
    Retrospective,
    RetrospectiveCompleted,
    topic="retrospective.completed.json",
    when=becomes(status=RetrospectiveStatus.COMPLETED),
)


@handles("retrospective.created.json", RetrospectiveCreated)
def record_created(event: Event[RetrospectiveCreated]) -> None:
    """Write the new retrospective into its campaign's history."""
    timeline.record(event, f"Retrospective {event.data.retrospective_id} was scheduled.")


@handles("retrospective.updated.json", RetrospectiveUpdated)
def record_updated(event: Event[RetrospectiveUpdated]) -> None:
    """Write the change into the campaign's history."""
    data = event.data
    timeline.record(
        event, f"Retrospective {data.retrospective_id} was changed; it is {data.status}."
    )


@handles("retrospective.completed.json", RetrospectiveCompleted)
def record_completed(event: Event[RetrospectiveCompleted]) -> None:
    """Write what was learned into the campaign's history."""
    learned = event.data.summary or "nothing was written down"
    timeline.record(event, f"Retrospective {event.data.retrospective_id} was completed: {learned}")


class CampaignMoved(EventData):
    """The campaigns app's CampaignStatusChanged, as far as it is needed here."""

    event_type = "CampaignStatusChanged"

    campaign_id: UUID
    status: str


@handles("campaign.status_changed.json", CampaignMoved, group="retrospectives")
def look_back(event: Event[CampaignMoved]) -> None:
    """Open a retrospective when a campaign is completed."""
    if event.data.status == "completed":
        services.open_retrospective(campaign_id=event.data.campaign_id)
