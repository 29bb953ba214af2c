"""The sample's declarations; the topic comes from the environment, one a test.

``SAMPLE_PAUSE`` makes the handler slow, so that a test can kill its process in mid-batch, and
``SAMPLE_HANG`` names a lane whose handler never ends. ``SAMPLE_FAIL`` and ``SAMPLE_KILL`` name an
event, as ``lane/number``, whose handler fails, or kills its process. With
``SAMPLE_TRANSACTIONAL`` many messages share a transaction, and with ``SAMPLE_BATCH`` a call.
"""

from __future__ import annotations

import os
import signal
import time

from kafka_integration import Event, EventData, created, handles, publishes

from .models import Effect, Sample

TOPIC = os.environ.get("SAMPLE_TOPIC", "sample.created.json")
PAUSE = float(os.environ.get("SAMPLE_PAUSE", "0"))
HANG = os.environ.get("SAMPLE_HANG", "")
FAIL = os.environ.get("SAMPLE_FAIL", "")
KILL = os.environ.get("SAMPLE_KILL", "")
BATCH = bool(os.environ.get("SAMPLE_BATCH"))
TRANSACTIONAL = bool(os.environ.get("SAMPLE_TRANSACTIONAL"))


class SampleCreated(EventData):
    """A sample was saved."""

    lane: str
    number: int


def lane(sample: Sample) -> str:
    """Return the key of a sample's events."""
    return sample.lane


publishes(Sample, SampleCreated, topic=TOPIC, when=created, key=lane)


def take_effect(event: Event[SampleCreated]) -> None:
    """Write one row for each call."""
    time.sleep(3600 if event.data.lane == HANG else PAUSE)
    name = f"{event.data.lane}/{event.data.number}"
    if name == KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if name == FAIL:
        raise ValueError(f"{name} fails")
    Effect.objects.create(lane=event.data.lane, number=event.data.number, event_id=event.id)


def take_effects(events: list[Event[SampleCreated]]) -> None:
    """Write one row for each event."""
    for event in events:
        take_effect(event)


handles(TOPIC, SampleCreated, group="sample", transactional=TRANSACTIONAL, batch=BATCH)(
    take_effects if BATCH else take_effect
)
