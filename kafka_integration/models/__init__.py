"""The tables: outbox, inbox, gateway."""

from __future__ import annotations

from .delivery import OutboxDelivery, Outcome
from .inbox import InboxRecord, InboxStatus
from .inbox_owner import InboxOwner
from .lease import OutboxLease, OutboxRelay
from .manifest import OutboxManifest
from .outbox import EventStatus, OutboxEvent
from .queue import OutboxHold, OutboxQueue
from .receipt import GatewayReceipt
from .setup import OutboxSetup

__all__ = [
    "EventStatus",
    "GatewayReceipt",
    "InboxOwner",
    "InboxRecord",
    "InboxStatus",
    "OutboxDelivery",
    "OutboxEvent",
    "OutboxHold",
    "OutboxLease",
    "OutboxManifest",
    "OutboxQueue",
    "OutboxRelay",
    "OutboxSetup",
    "Outcome",
]
