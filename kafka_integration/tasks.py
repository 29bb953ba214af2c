"""Celery tasks; Celery's autodiscovery finds them in Django's installed apps.

Without Celery they are plain functions, so that importing this module never fails.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from .conf import settings
from .inbox import purge as inbox_purge
from .outbox import purge as outbox_purge
from .outbox.leases import Leases
from .outbox.relay import Relay
from .shutdown import stop_after


def task(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a Celery task of ``function`` where Celery is installed; else leave it a function."""
    if find_spec("celery") is None:
        return function
    from celery import shared_task

    made: Callable[..., Any] = shared_task(function)
    return made


@task
def relay_tick(seconds: float = 30.0, using: str = "default") -> int:
    """Send what the outbox holds to Kafka, for teams that run no ``manage.py kafka_relay``.

    While another relay or tick holds the outbox it returns at once. While Kafka is away it waits
    until its time is over, and the events stay in the outbox.

    Args:
        seconds: how long to go on at most. What is under way then is given five seconds more.
        using: alias of the outbox's database.

    Returns:
        How many events were published.

    Raises:
        AuthenticationFailed: Kafka does not accept our credentials.
        ClusterChanged: Kafka is another cluster than before.
        TopicMissing: events remain whose topic does not exist.
    """
    if Leases(using, settings.relay_lease_seconds).holder():
        return 0
    relay = Relay(using)
    with stop_after(seconds, relay.stop):
        relay.drain()
    return relay.published


@task
def purge_outbox(days: float | None = None, using: str = "default") -> int:
    """Delete events that have been out for long enough, and never one that is not out.

    Args:
        days: for how long they are kept; by default ``KAFKA_OUTBOX_RETENTION_DAYS``.
        using: alias of the outbox's database.

    Returns:
        How many events were deleted.
    """
    kept = timedelta(days=settings.outbox_retention_days if days is None else days)
    return max((step.done for step in outbox_purge.purge(kept, using)), default=0)


@task
def purge_inbox(days: float | None = None, using: str = "default") -> int:
    """Delete the records of messages that were handled long ago.

    Args:
        days: for how long they are kept, which must be more than any topic that is read keeps its
            messages; by default ``KAFKA_INBOX_RETENTION_DAYS``.
        using: alias of the database that the records are in.

    Returns:
        How many records were deleted.
    """
    kept = timedelta(days=settings.inbox_retention_days if days is None else days)
    return max((step.done for step in inbox_purge.purge(kept, using)), default=0)
