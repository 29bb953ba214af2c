"""The admin's addresses, rows to look at, and what a browser does there."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.test import Client

from kafka_integration.models import (
    EventStatus,
    InboxRecord,
    InboxStatus,
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxQueue,
    Outcome,
)

EVENTS = "/admin/kafka_integration/outboxevent/"
HOLDS = "/admin/kafka_integration/outboxhold/"
LEASES = "/admin/kafka_integration/outboxlease/"
RECORDS = "/admin/kafka_integration/inboxrecord/"
TOPIC = "campaign.created.json"


def make_event(
    status: str = EventStatus.PENDING, *, key: str = "k", topic: str = TOPIC, value: bytes = b"{}"
) -> OutboxEvent:
    event = OutboxEvent.objects.create(
        event_id=uuid4(), topic=topic, key=key, value=value, headers={"ce_type": "CampaignCreated"}
    )
    if status in EventStatus.unsent():
        OutboxQueue.objects.create(event=event, shard=0, key_hash=event.key_hash)
    if status == EventStatus.HELD:
        hold(event)
    if status == EventStatus.SENT:
        OutboxDelivery.objects.create(event=event, outcome=Outcome.SENT, partition=2, offset=41)
    if status == EventStatus.DISCARDED:
        OutboxDelivery.objects.create(event=event, outcome=Outcome.DISCARDED)
    return event


def hold(event: OutboxEvent, reason: str = "Kafka says no") -> None:
    OutboxHold.objects.get_or_create(
        topic=event.topic, key_hash=event.key_hash, key=event.key, defaults={"reason": reason}
    )
    OutboxQueue.objects.filter(event=event).update(blocked=True, attempts=1, last_error=reason)


def make_record(status: str = InboxStatus.DEAD, **fields: Any) -> InboxRecord:
    given: dict[str, Any] = {
        "group": "g",
        "source": "s",
        "event_id": str(uuid4()),
        "topic": TOPIC,
        "partition": 1,
        "offset": 7,
        "handler": "app.events.take",
        "last_error": "ValueError: no",
    }
    return InboxRecord.objects.create(status=status, **(given | fields))


def act(client: Client, url: str, action: str, rows: list[Any], **more: str) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(url, data, follow=True)


def messages(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def listed(response: Any) -> set[Any]:
    return set(response.context["cl"].result_list)
