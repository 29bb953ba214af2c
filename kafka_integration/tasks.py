"""Celery tasks; Celery's autodiscovery finds them in Django's installed apps.

Without Celery they are plain functions, so that importing this module never fails.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from .conf import settings
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
        TopicMissing: events remain whose topic does not exist.
    """
    if Leases(using, settings.relay_lease_seconds).holder():
        return 0
    relay = Relay(using)
    with stop_after(seconds, relay.stop):
        relay.drain()
    return relay.published
