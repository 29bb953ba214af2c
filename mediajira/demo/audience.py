"""Reads back what really happened: the topics from their beginning, and the database.

It shares nothing with relay and consumers but the tables and topics that they wrote.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from kafka_integration.broker.backlog import Backlog
from kafka_integration.broker.consumer import EventConsumer
from kafka_integration.events.envelope import Attributes, Message
from kafka_integration.events.registry import Handler, registry
from kafka_integration.models import InboxRecord, InboxStatus, OutboxDelivery, Outcome
from mediajira.campaigns.models import CampaignPreview, TimelineEntry
from mediajira.retrospectives.models import Retrospective


@dataclass(frozen=True)
class Handled:
    """What one group made of a message: its handler, how it ended, and what can be seen of it."""

    group: str
    handler: str
    status: str
    effect: str

    @property
    def ok(self) -> bool:
        """Whether the handler ran to its end and its effect is there."""
        return self.status == InboxStatus.DONE and bool(self.effect)


@dataclass(frozen=True)
class Seen:
    """One message found in Kafka, and everything the database says of it."""

    message: Message
    subject: str
    recorded: bool
    handled: tuple[Handled, ...]

    @property
    def ok(self) -> bool:
        """Whether the outbox knows where it landed, and every handler had its effect."""
        return self.recorded and all(item.ok for item in self.handled)


def read(topics: Iterable[str], seconds: float = 30.0) -> list[Message]:
    """Return every message of ``topics``, by time.

    Raises:
        TimeoutError: the end of the topics was not reached in ``seconds``.
    """
    group = f"audience-{uuid.uuid4().hex}"
    consumer = EventConsumer(topics, group, from_beginning=True, watch_ends=True)
    found: list[Message] = []
    deadline = time.monotonic() + seconds
    try:
        backlog = Backlog(consumer, from_beginning=True)
        while not backlog.is_cleared():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the topics' end was not reached in {seconds:g} s")
            message = consumer.poll(0.2)
            if message:
                found.append(message)
                consumer.finished(message)
    finally:
        consumer.close()
    return sorted(found, key=lambda message: message.header("ce_time") or "")


def examine(message: Message) -> Seen:
    """Look up what the database says of one message."""
    handlers = [
        handler
        for handler in registry.handlers
        if handler.topic == message.topic
        and handler.contract.type_name() == message.header("ce_type")
    ]
    handled = tuple(_handled(message, handler) for handler in handlers)
    subject = message.header("ce_subject") or ""
    return Seen(message, subject, _is_recorded(message), handled)


def handled() -> int:
    """Return how many times a group has dealt with a message, well or not."""
    return InboxRecord.objects.count()


def _is_recorded(message: Message) -> bool:
    return OutboxDelivery.objects.filter(
        event__event_id=message.header("ce_id") or "",
        outcome=Outcome.SENT,
        event__topic=message.topic,
        partition=message.partition,
        offset=message.offset,
    ).exists()


def _handled(message: Message, handler: Handler) -> Handled:
    attributes = Attributes.of(message)
    record = InboxRecord.objects.filter(
        group=handler.group, source=attributes.source, event_id=attributes.id
    ).first()
    status = record.status if record else ""
    return Handled(handler.group, handler.name, status, _effect(message, handler.group))


def _effect(message: Message, group: str) -> str:
    event_id = message.header("ce_id")
    told = TimelineEntry.objects.filter(event_id=event_id).first()
    if group == "mediajira":
        return told.text if told else ""
    if told is None:
        return ""
    if group == "previews":
        preview = CampaignPreview.objects.filter(pk=told.campaign_id).first()
        return "preview refreshed" if preview else ""
    if group == "retrospectives":
        if not told.text.endswith("to completed."):
            return "nothing to look back on yet"
        opened = Retrospective.objects.filter(campaign_id=told.campaign_id).first()
        return f"retrospective {opened.pk} opened" if opened else ""
    return ""
