"""Where a process keeps its metrics: one registry of our own for each role."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from .inbox_state import InboxState
from .outbox_state import OutboxState


def state_registry(using: str = "default") -> CollectorRegistry:
    """Return what the database says of outbox and inbox: the same whichever process is asked.

    Args:
        using: alias of the database.
    """
    registry = CollectorRegistry()
    for collector in _states(using):
        registry.register(collector)
    return registry


def process_registry() -> CollectorRegistry:
    """Return the metrics of this process: memory, CPU time, open files, garbage collections."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _states(using: str) -> tuple[Collector, ...]:
    return OutboxState(using), InboxState(using)
