"""Tells whoever listens what became of events."""

from __future__ import annotations

import logging

from ..models import OutboxEvent
from ..signals import event_held
from .scan import QueueRow

log = logging.getLogger(__name__)


def tell_held(sender: type, using: str, row: QueueRow, reason: str) -> None:
    """Say that an event is held back.

    Args:
        sender: the class that sends the signal.
        using: alias of the outbox's database.
        row: where it stands in the queue.
        reason: why.
    """
    event = OutboxEvent.objects.using(using).only("event_id").get(pk=row.event_pk)
    log.error("Event %s is held back: %s", event.event_id, reason)
    event_held.send(
        sender,
        event_id=event.event_id,
        topic=row.topic,
        key_hash=row.key_hash,
        reason=reason,
    )
