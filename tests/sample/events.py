"""The sample's declarations; the topic comes from the environment, one a test.

``SAMPLE_PAUSE`` makes the handler slow, so that a test can kill its process in mid-batch.
"""

from __future__ import annotations

import os
import time

from kafka_integration import Event, EventData, created, handles, publishes

from .models import Effect, Sample

TOPIC = os.environ.get("SAMPLE_TOPIC", "sample.created.json")
PAUSE = float(os.environ.get("SAMPLE_PAUSE", "0"))


class SampleCreated(EventData):
    """A sample was saved."""

    lane: str
    number: int


def lane(sample: Sample) -> str:
    """Return the key of a sample's events."""
    return sample.lane


publishes(Sample, SampleCreated, topic=TOPIC, when=created, key=lane)


@handles(TOPIC, SampleCreated, group="sample")
def take_effect(event: Event[SampleCreated]) -> None:
    """Write one row for each call."""
    time.sleep(PAUSE)
    Effect.objects.create(lane=event.data.lane, number=event.data.number, event_id=event.id)
