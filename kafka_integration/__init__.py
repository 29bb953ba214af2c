"""Kafka for Django: a transactional outbox out, an idempotent inbox in.

The public names are loaded on first use, since importing this package must touch no model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .broker.clients import KafkaConsumerClient, KafkaProducerClient
    from .events.conditions import Change, becomes, changed, created, deleted, satisfies, updated
    from .events.contract import EventData
    from .events.envelope import Event
    from .events.failures import RecordsFailed
    from .events.registry import handles, publishes
    from .gateway.acceptance import accepts
    from .outbox.capture import publish

__version__ = "0.1.0"

_HOMES = {
    "KafkaConsumerClient": "broker.clients",
    "KafkaProducerClient": "broker.clients",
    "Change": "events.conditions",
    "becomes": "events.conditions",
    "changed": "events.conditions",
    "created": "events.conditions",
    "deleted": "events.conditions",
    "satisfies": "events.conditions",
    "updated": "events.conditions",
    "EventData": "events.contract",
    "Event": "events.envelope",
    "RecordsFailed": "events.failures",
    "handles": "events.registry",
    "publishes": "events.registry",
    "accepts": "gateway.acceptance",
    "publish": "outbox.capture",
}

__all__ = [
    "Change",
    "Event",
    "EventData",
    "KafkaConsumerClient",
    "KafkaProducerClient",
    "RecordsFailed",
    "accepts",
    "becomes",
    "changed",
    "created",
    "deleted",
    "handles",
    "publish",
    "publishes",
    "satisfies",
    "updated",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
