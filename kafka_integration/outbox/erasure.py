"""Takes personal data out of the outbox and the inbox, and leaves the fact that an event was.

Each transaction leaves an audit line in the log ``kafka_integration.erasure``. It goes to the log
and not to Django's admin log: a command has no user, which an admin entry needs, the admin may not
be installed, and the line must outlive what a purge or a restored backup does to the database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import models, transaction
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.crypto import salted_hmac

from ..errors import NotOutYet
from ..models import InboxRecord, InboxStatus, OutboxEvent, OutboxQueue
from ..models.inbox import InboxRecordQuerySet
from ..step import Step
from .selection import Selection

log = logging.getLogger("kafka_integration.erasure")

# ce_subject is not among them: it names the row that the event is about.
ENVELOPE = frozenset(
    {
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_time",
        "ce_dataversion",
        "content-type",
    }
)
_BATCH = 200
_KEPT = (InboxStatus.PARKED, InboxStatus.DEAD, InboxStatus.DISCARDED)


def pseudonym(key: str) -> str:
    """Return what stands for an erased key.

    It depends on Django's ``SECRET_KEY``: a bare hash of a short key, such as a customer's number,
    is found by trying them all.
    """
    digest = salted_hmac("kafka_integration.erasure", key, algorithm="sha256").hexdigest()
    return f"erased:{digest}"


class Erasure:
    """Blanks values and headers, in the outbox and in the inbox; with keys given, the keys too.

    The envelope's headers stay, so that it is still known which event was sent where and when. An
    erased event is never replayed, and an erased message never retried: it counts as discarded.
    What Kafka holds is out of reach: it goes with the topic's retention.

    Args:
        selection: events by id or by key.
        using: alias of the database.
    """

    def __init__(self, selection: Selection, using: str = "default") -> None:
        self._selection = selection
        self._using = using
        self._hide_keys = bool(selection.keys)

    def run(self) -> Iterator[Step]:
        """Erase, in bounded transactions.

        Yields:
            How many rows have been blanked, after each transaction.

        Raises:
            NotOutYet: some of them are in the queue, or wait to be handled again. The
                transactions before that stand.
        """
        chosen = self._selection.events(self._using)
        _require_out(chosen, self._using)
        _require_settled(self._records_by_key())
        filled = chosen.annotate(size=Length("value")).filter(size__gt=0).order_by("pk")
        done = 0
        while batch := list(filled.values_list("pk", flat=True)[:_BATCH]):
            done += self._erase_events(batch)
            yield Step(done, share=0.5)
        done += self._erase_records(self._records_by_key())
        done += self._erase_records(self._records_by_id(self._selection.event_ids))
        yield Step(done)

    def _erase_events(self, pks: Sequence[int]) -> int:
        events = OutboxEvent.objects.using(self._using).filter(pk__in=pks)
        with transaction.atomic(using=self._using):
            found = list(events.order_by("pk").select_for_update())
            # With the locks: a replay that came before them is seen, and one that comes later
            # finds nothing to send.
            _require_out(events, self._using)
            for event in found:
                events.filter(pk=event.pk).update(**self._blank_event(event))
            ids = [event.event_id for event in found]
            records = self._erase_records(self._records_by_id(ids))
        self._log("outbox", map(str, ids))
        return len(found) + records

    def _erase_records(self, records: InboxRecordQuerySet) -> int:
        with transaction.atomic(using=self._using):
            found = [r for r in records.select_for_update() if r.value is not None or r.last_error]
            _require_settled(records)
            for record in found:
                records.filter(pk=record.pk).update(**self._blank_record(record))
        if found:
            self._log("inbox", (f"{record.group} {record.event_id}" for record in found))
        return len(found)

    def _blank_event(self, event: OutboxEvent) -> dict[str, Any]:
        headers = {name: text for name, text in event.headers.items() if name in ENVELOPE}
        key = pseudonym(event.key) if self._hide_keys else event.key
        return {"value": b"", "headers": headers, "key": key}

    def _blank_record(self, record: InboxRecord) -> dict[str, Any]:
        key = record.key
        if self._hide_keys and key is not None:
            key = pseudonym(bytes(key).decode("utf-8", "backslashreplace")).encode()
        return {
            "key": key,
            "value": None,
            "headers": [pair for pair in record.headers if pair[0] in ENVELOPE],
            "last_error": "",
            "status": InboxStatus.DISCARDED,
            "updated_at": timezone.now(),
        }

    def _records_by_key(self) -> InboxRecordQuerySet:
        keys = [key.encode() for key in self._selection.keys]
        records = self._records().filter(key__in=keys)
        topics = self._selection.topics
        return records.filter(topic__in=topics) if topics else records

    def _records_by_id(self, ids: Iterable[UUID]) -> InboxRecordQuerySet:
        records = self._records()
        return records.filter(group__in=records.groups(), event_id__in=list(map(str, ids)))

    def _records(self) -> InboxRecordQuerySet:
        # Only these keep a message's bytes.
        return InboxRecord.objects.using(self._using).filter(status__in=_KEPT)

    def _log(self, room: str, names: Iterable[str]) -> None:
        log.warning("Erased in the %s of database %s: %s", room, self._using, ", ".join(names))


def _require_out(events: models.QuerySet[OutboxEvent], using: str) -> None:
    queued = OutboxQueue.objects.using(using).filter(event__in=events.values("pk"))
    unsent = [str(found) for found in queued.values_list("event__event_id", flat=True)[:6]]
    if unsent:
        raise NotOutYet(unsent, "Let the relay send them, or 'kafka_outbox discard' them first.")


def _require_settled(records: InboxRecordQuerySet) -> None:
    parked = list(records.filter(status=InboxStatus.PARKED).values_list("event_id", flat=True)[:6])
    if parked:
        raise NotOutYet(parked, "They wait to be handled again; let that happen first.")
