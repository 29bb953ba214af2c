"""From changes to events: what each publication makes of a change, written in one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from uuid_utils.compat import uuid7

from ..broker.formats import topic_format
from ..conf import settings
from ..events.conditions import Change
from ..events.contract import EventData
from ..events.envelope import shared_headers
from ..events.registry import Publication
from ..events.topics import content_type_of
from .store import NewEvent, append, lock_all_keys, lock_keys


@dataclass(frozen=True)
class Occasion:
    """When and where events come about: the same for all events of one statement."""

    time: datetime = field(default_factory=timezone.now)
    source: str = field(default_factory=lambda: settings.source)
    _headers: dict[tuple[type[EventData], str], dict[str, str]] = field(default_factory=dict)

    def draft(
        self,
        data: EventData,
        topic: str,
        key: str,
        *,
        subject: str = "",
        extra: Mapping[str, str] | None = None,
        available_at: datetime | None = None,
    ) -> NewEvent:
        """Return the event that tells of ``data``, with an id of its own.

        Raises:
            FormatRefused, FormatUnavailable, UnusableContract: it cannot be written in the format
                of its topic.
        """
        kind = type(data), content_type_of(topic)
        headers = None if extra else self._headers.get(kind)
        if headers is None:
            headers = self._headers_of(*kind, extra)
        value = topic_format(topic).encode(data, topic)
        return NewEvent(uuid7(), topic, key, value, headers, self.time, available_at, subject)

    def _headers_of(
        self, contract: type[EventData], content_type: str, extra: Mapping[str, str] | None
    ) -> dict[str, str]:
        headers = shared_headers(
            type=contract.type_name(),
            version=contract.event_version,
            source=self.source,
            time=timezone.make_aware(self.time) if timezone.is_naive(self.time) else self.time,
            extra=extra,
            content_type=content_type,
        )
        if not extra:
            self._headers[contract, content_type] = headers
        return headers


def record(
    using: str,
    publications: Iterable[Publication],
    changes: Iterable[Change],
    *,
    keys_are_locked: bool = False,
) -> int:
    """Store the events of some changes in the open transaction, in the order given.

    Args:
        using: the database's alias.
        publications: those that may match.
        changes: what happened.
        keys_are_locked: whether :func:`hold_order` was called for them.

    Returns:
        How many events there were.

    Raises:
        PublishError: an event could never be sent.
    """
    drafts = list(_matching(list(publications), changes))
    by_own_key = [event for publication, event in drafts if publication.key is not None]
    if by_own_key and not keys_are_locked:
        lock_keys(using, by_own_key)
    append(using, [event for _, event in drafts])
    return len(drafts)


def drafted(publications: Iterable[Publication], change: Change) -> list[NewEvent]:
    """Return the event that each publication makes of a change, whatever its condition says."""
    occasion = Occasion()
    return [_event_of(found, found.seen(change), occasion) for found in publications]


def hold_order(using: str, publications: Iterable[Publication]) -> None:
    """Make room for the events of more changes than keys can be locked one by one."""
    if any(publication.key is not None for publication in publications):
        lock_all_keys(using)


def _matching(
    publications: list[Publication], changes: Iterable[Change]
) -> Iterator[tuple[Publication, NewEvent]]:
    occasion = None
    for change in changes:
        for publication in publications:
            seen = publication.seen(change)
            if publication.when.matches(seen):
                occasion = occasion or Occasion()
                yield publication, _event_of(publication, seen, occasion)


def _event_of(publication: Publication, change: Change, occasion: Occasion) -> NewEvent:
    data = publication.contract.from_instance(change)
    key = publication.key_for(change)
    about = key if publication.key is None else str(change.pk)
    subject = f"{change.publisher._meta.label}/{about}"
    return occasion.draft(data, publication.topic, key, subject=subject)
