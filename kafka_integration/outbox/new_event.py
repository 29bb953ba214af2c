"""An event about to be stored, and what is refused of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from ..errors import EventTooLarge, UnusableKey
from ..events.envelope import own_headers
from ..models.queue import key_hash


class NewEvent(NamedTuple):
    """An event about to be stored.

    Args:
        event_id: unique, growing (UUIDv7).
        topic, key, value: as they shall be on the wire.
        headers: its headers; events that share most of them shall share this very mapping, which
            then is sent to the database once.
        created_at: when it happened; aware.
        available_at: not to be sent before, or None.
        subject: what it is about, if ``headers`` lack what is this event's own: its id and its
            subject, which may be empty. None if they are all there is.
    """

    event_id: UUID
    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str]
    created_at: datetime
    available_at: datetime | None = None
    subject: str | None = None

    @property
    def key_hash(self) -> int:
        """The unit of order that the event belongs to."""
        return key_hash(self.topic, self.key)

    def all_headers(self) -> dict[str, str]:
        """Return the headers as they shall be on the wire."""
        if self.subject is None:
            return dict(self.headers)
        return {**self.headers, **own_headers(str(self.event_id), self.subject)}

    def size(self) -> int:
        """Return the bytes of key, value and headers together."""
        size = len(self.key.encode()) + len(self.value) + _size_of(self.headers)
        if self.subject is not None:
            size += _size_of(own_headers(str(self.event_id), self.subject))
        return size


def check(events: Iterable[NewEvent], limit: int) -> None:
    """Refuse what could be stored but never sent.

    Args:
        events: that shall be stored.
        limit: the setting ``KAFKA_MAX_MESSAGE_BYTES``.

    Raises:
        UnusableKey: a key is empty, too long, or holds a NUL.
        EventTooLarge: an event has more bytes than ``limit``.
    """
    rooms: dict[int, int] = {}
    for event in events:
        key, shared = event.key, id(event.headers)
        if not key or "\x00" in key or len(key.encode()) > UnusableKey.LIMIT:
            raise UnusableKey(event.topic, key)
        if shared not in rooms:
            rooms[shared] = limit - _size_of(event.headers) - _LARGEST_KEY - _OWN
        # Counted only where it may matter: no character has more than four bytes.
        rest = len(event.value) + 4 * len(event.subject or "")
        if rest > rooms[shared] and event.size() > limit:
            raise EventTooLarge(event.topic, event.size(), limit)


_LARGEST_KEY = UnusableKey.LIMIT
_OWN = 100  # the names of an event's own headers, and its id


def _size_of(headers: Mapping[str, str]) -> int:
    return sum(len(name) + len(text.encode()) for name, text in headers.items())
