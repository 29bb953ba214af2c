"""Campaigns that are saved one by one, each an event by the road that all events take."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection, transaction

from kafka_integration import created, publishes
from kafka_integration.events.envelope import sequence
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent, OutboxSetup
from kafka_integration.models.queue import key_hash
from kafka_integration.outbox import capture
from mediajira.campaigns.events import CampaignCreated
from mediajira.campaigns.models import Campaign

_OWNER = "benchmark"


class Commit(NamedTuple):
    """An event on its way.

    Args:
        key: of the event.
        before: just before COMMIT, on ``time.perf_counter()``.
        after: when COMMIT was answered.
    """

    key: str
    before: float
    after: float


class Record(NamedTuple):
    """What Kafka is given for an event."""

    value: bytes
    headers: list[tuple[str, bytes | str | None]]


class Campaigns:
    """Saves campaigns whose creation is published to one topic.

    Args:
        topic: where to.
    """

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._owner, _ = get_user_model().objects.get_or_create(username=_OWNER)

    @classmethod
    @contextmanager
    def publishing_to(cls, topic: str) -> Iterator[Campaigns]:
        """Publish campaigns to ``topic`` and nowhere else; remove them afterwards."""
        with registry.isolated():
            publishes(Campaign, CampaignCreated, topic=topic, when=created)
            capture.connect()
            campaigns = cls(topic)
            try:
                yield campaigns
            finally:
                rows = Campaign.objects.filter(owner=campaigns._owner)
                rows._raw_delete(connection.alias)

    def create(self, shard: int | None = None) -> Commit:
        """Create a campaign in a transaction of its own.

        Args:
            shard: that its event is to fall into, or None for any.
        """
        key = self._key(shard)
        text = "What this campaign wants to reach, in a sentence or two. " * 2
        with transaction.atomic():
            Campaign.objects.create(id=key, name="Measured", description=text, owner=self._owner)
            before = time.perf_counter()
        return Commit(str(key), before, time.perf_counter())

    def record(self, commit: Commit) -> Record:
        """Return the same bytes that the relay sends for an event that was created here."""
        event = OutboxEvent.objects.get(topic=self.topic, key=commit.key)
        headers = [*event.headers.items(), ("ce_sequence", sequence(event.pk))]
        return Record(bytes(event.value), headers)

    def _key(self, shard: int | None) -> uuid.UUID:
        every = OutboxSetup.objects.shards() if shard is not None else 1
        while True:
            key = uuid.uuid4()
            if shard is None or key_hash(self.topic, str(key)) % every == shard:
                return key
