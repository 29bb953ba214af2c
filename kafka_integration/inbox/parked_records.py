"""Writes inbox records of messages that wait, or that count as dealt with though they failed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from ..events.envelope import Message
from ..models import InboxRecord, InboxStatus
from ..models.inbox import key_hash
from .store import Identity, add, new_record, storable, with_bytes


def record_parked(
    who: Identity,
    message: Message,
    *,
    using: str,
    handler: str,
    attempts: int = 0,
    error: str = "",
    available_at: datetime | None = None,
    tried_at: datetime | None = None,
    starts: int = 0,
) -> bool:
    """Record that ``message`` waits, with its bytes, and that later ones of its key wait behind it.

    Args:
        attempts: how often it was tried.
        error: why the last try failed.
        available_at: when it may be tried; None if it only waits for those before it.
        tried_at: when its first try failed.
        starts: 1 if a try is about to begin.

    Returns:
        Whether the group had no record of it yet; an older record is left as it is.
    """
    record = with_bytes(who, message, InboxStatus.PARKED, handler, attempts)
    record.last_error = storable(error)
    record.available_at, record.tried_at = available_at, tried_at
    record.key_hash, record.starts = key_hash(message.key), starts
    return add(record, using)


def record_ignored(
    who: Identity, message: Message, *, using: str, handler: str, attempts: int, error: str
) -> bool:
    """Record that ``message`` counts as dealt with though its handler failed, and why it does.

    Returns:
        Whether the group had no record of it yet; an older record is left as it is.
    """
    record = new_record(who, message, InboxStatus.DONE, handler, attempts)
    record.last_error = storable(error)
    return add(record, using)


def parked_of(known: Collection[Identity], using: str) -> set[Identity]:
    """Return those messages that are parked, so that the later ones of their keys must wait."""
    if not known:
        return set()
    rows = InboxRecord.objects.using(using).holding(next(iter(known)).group)
    found = rows.filter(event_id__in={who.event_id for who in known})
    return {
        who
        for row in found.values_list("group", "source", "event_id")
        if (who := Identity(*row)) in known
    }
