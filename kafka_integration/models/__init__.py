"""The tables: outbox, inbox."""

from __future__ import annotations

from .delivery import OutboxDelivery, Outcome
from .inbox import InboxRecord, InboxStatus
from .lease import OutboxLease, OutboxSetup
from .manifest import OutboxManifest
from .outbox import EventStatus, OutboxEvent
from .queue import OutboxHold, OutboxQueue

__all__ = [
    "EventStatus",
    "InboxRecord",
    "InboxStatus",
    "OutboxDelivery",
    "OutboxEvent",
    "OutboxHold",
    "OutboxLease",
    "OutboxManifest",
    "OutboxQueue",
    "OutboxSetup",
    "Outcome",
]
