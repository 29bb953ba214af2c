"""How much a sender may send: a count a minute, kept in Django's cache."""

from __future__ import annotations

import time

from django.core.cache import cache

from ..conf import settings
from .problems import TooMany
from .sender import Sender

_WINDOW = 60


def spend(sender: Sender, events: int, now: float | None = None) -> None:
    """Count ``events`` of a sender's allowance.

    The count is of fixed minutes. It is exact where the cache counts in one step (Redis,
    Memcached, the memory of one process); where every process has a cache of its own, each gives
    the whole allowance.

    Args:
        events: how many.
        now: seconds since 1970; by default the clock's.

    Raises:
        TooMany: the allowance of this minute is used up.
    """
    now = time.time() if now is None else now
    minute, passed = divmod(int(now), _WINDOW)
    key = f"kafka-gateway:{sender.kind}:{hash_of(sender)}:{minute}"
    cache.add(key, 0, timeout=2 * _WINDOW)
    try:
        count = cache.incr(key, events)
    except ValueError:  # thrown out between the two calls
        count = events
        cache.set(key, count, timeout=2 * _WINDOW)
    if count > settings.gateway_events_per_minute:
        raise TooMany(settings.gateway_events_per_minute, _WINDOW - passed)


def hash_of(sender: Sender) -> str:
    """Return the sender's name in letters that every cache takes."""
    return sender.name.encode().hex()[:150]
