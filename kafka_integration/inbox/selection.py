"""Which letters an operator means: by number, event, group, topic, handler, key, error or time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.db import models

from ..errors import KafkaIntegrationError
from ..models import InboxRecord, InboxStatus
from ..models.inbox import InboxRecordQuerySet


class LetterLost(KafkaIntegrationError):
    """Raised when a letter is asked for that is not there."""

    def __init__(self, number: int, using: str) -> None:
        self.number = number
        self.using = using
        super().__init__(
            f"Database {using!r} has no letter {number}. 'kafka_dead_letters list' shows those "
            "that are dead, and --status the others."
        )


@dataclass(frozen=True)
class LetterSelection:
    """Inbox records to which all that is given applies; one that says nothing selects everything.

    Args:
        numbers: their primary keys, as a list shows them.
        event_ids: their events' ids, ``ce_id`` on the wire.
        groups: their consumer groups.
        topics: the topics that they came from.
        handlers: functions that they failed in: a whole dotted path, or its end.
        keys: their whole keys, as text, or as ``0x`` and hexadecimal digits.
        error: what the last error contains; upper and lower case are the same.
        since: given up, or first handled, then or later.
        until: given up, or first handled, before.
    """

    numbers: tuple[int, ...] = ()
    event_ids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    error: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return self != LetterSelection()

    def records(
        self, using: str, statuses: Sequence[str] = (InboxStatus.DEAD,)
    ) -> InboxRecordQuerySet:
        """Return the records of the database ``using`` that are meant, by default the dead ones."""
        records = InboxRecord.objects.using(using).filter(status__in=statuses)
        bounds = {name: value for name, value in self._bounds().items() if value}
        return records.filter(self._of_handlers(), **bounds)

    def _bounds(self) -> dict[str, object]:
        return {
            "pk__in": self.numbers,
            "event_id__in": self.event_ids,
            "group__in": self.groups,
            "topic__in": self.topics,
            "key__in": [form for key in self.keys for form in _forms(key)],
            "last_error__icontains": self.error,
            "created_at__gte": self.since,
            "created_at__lt": self.until,
        }

    def _of_handlers(self) -> models.Q:
        named = models.Q()
        for name in self.handlers:
            named |= models.Q(handler=name) | models.Q(handler__endswith=f".{name}")
        return named


def letter(number: int, using: str = "default") -> InboxRecord:
    """Return one record by its number, whatever its status.

    Raises:
        LetterLost: there is none.
    """
    found = InboxRecord.objects.using(using).filter(pk=number).first()
    if found is None:
        raise LetterLost(number, using)
    return found


def _forms(key: str) -> list[bytes]:
    """Return the keys that are shown as ``key``; one that is no text is shown in hexadecimal."""
    forms = [key.encode("utf-8", "surrogateescape")]
    if key.startswith("0x"):
        with suppress(ValueError):  # then it is text that begins so
            forms.append(bytes.fromhex(key[2:]))
    return forms
