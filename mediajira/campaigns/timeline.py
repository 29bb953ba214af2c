"""The history of campaigns: every app's event handlers write their lines here."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from kafka_integration import Event

from .models import TimelineEntry


def record(event: Event[Any], text: str) -> TimelineEntry:
    """Write one line into the history of the campaign that the event's data names.

    The campaign need not exist any more.

    Args:
        event: any event whose data has a ``campaign_id``.
        text: a sentence for people.
    """
    return TimelineEntry.objects.create(
        campaign_id=event.data.campaign_id,
        what=event.type,
        text=text,
        event_id=event.id,
        happened_at=event.time or timezone.now(),
    )
