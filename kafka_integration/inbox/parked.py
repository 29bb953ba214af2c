"""Messages that an operator wants tried again."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connections, transaction
from django.utils import timezone

from .. import signals
from ..database import ConnectionClosed, is_outage
from ..errors import InvalidMessage
from ..events.registry import Handler
from ..models import InboxRecord, InboxStatus
from .dispatch import Outcome, call, choose, read
from .store import Identity, storable
from .trace import described, worth_showing

log = logging.getLogger(__name__)


class ParkedRecords:
    """Runs the group's parked records that are due.

    Args:
        group: the consumer group.
        handlers: its handlers; their databases are looked into.
    """

    def __init__(self, group: str, handlers: Sequence[Handler]) -> None:
        self._group = group
        self._handlers = handlers
        self._databases = sorted({handler.using for handler in handlers})

    def run_one(self) -> Outcome | None:
        """Try one record once: HANDLED, or DEAD again with the new reason; None if none is due.

        Its row is locked meanwhile, so of several consumers one runs it, and it is updated in the
        transaction of the handler's effect.

        Raises:
            DatabaseError: the database is away; the record stays parked.
        """
        for using in self._databases:
            tried = self._run_one(using)
            if tried is not None:
                record, outcome = tried
                signals.record_retried.send(
                    sender=type(self), group=self._group, record=record, outcome=outcome
                )
                return outcome
        return None

    def _run_one(self, using: str) -> tuple[InboxRecord, Outcome] | None:
        record: InboxRecord | None = None
        try:
            with transaction.atomic(using=using, durable=True):
                record = self._next(using)
                return None if record is None else (record, self._try(record, using))
        except Exception as error:
            if record is None or is_outage(error):
                raise
            return record, self._after_breakage(record, using, error)

    def _next(self, using: str) -> InboxRecord | None:
        features = connections[using].features
        due = InboxRecord.objects.using(using).due(self._group, timezone.now())
        if features.has_select_for_update_skip_locked:
            due = due.select_for_update(skip_locked=True)
        return due.first()

    def _try(self, record: InboxRecord, using: str) -> Outcome:
        record.attempts += 1
        record.available_at = None
        try:
            with transaction.atomic(using=using):
                self._handle(record, using)
        except Exception as error:
            if is_outage(error) or isinstance(error, ConnectionClosed):
                raise
            _log_failure(record, error)
            record.status = InboxStatus.DEAD
            record.last_error = storable(described(error))
        else:
            record.status = InboxStatus.DONE
            record.last_error = ""
            record.key, record.value, record.headers = None, None, []
        record.save(using=using, update_fields=_CHANGED)
        return Outcome.HANDLED if record.status == InboxStatus.DONE else Outcome.DEAD

    def _handle(self, record: InboxRecord, using: str) -> None:
        message = record.message()
        handler = choose(message, self._handlers)
        if handler is None or handler.using != using:
            raise InvalidMessage(
                f"Group {self._group!r} has no handler for this message on database {using!r} any "
                "more. Declare one again, or discard the message."
            )
        call(
            handler, read(message, handler, Identity(record.group, record.source, record.event_id))
        )

    def _after_breakage(self, record: InboxRecord, using: str, error: Exception) -> Outcome:
        """Put down what became of a record whose transaction could not say so itself."""
        _log_failure(record, error)
        record.last_error = storable(described(error))
        undone = (
            InboxRecord.objects.using(using)
            .filter(pk=record.pk, status=InboxStatus.PARKED)
            .update(
                status=InboxStatus.DEAD,
                available_at=None,
                attempts=record.attempts,
                last_error=record.last_error,
                updated_at=timezone.now(),
            )
        )
        # If it is parked no longer, it had committed, and what failed was an on_commit hook.
        return Outcome.DEAD if undone else Outcome.HANDLED


_CHANGED = [
    "status",
    "attempts",
    "available_at",
    "last_error",
    "key",
    "value",
    "headers",
    "updated_at",
]


def _log_failure(record: InboxRecord, error: Exception) -> None:
    log.warning(
        "Group %s: %s[%s]@%s, tried again on demand, failed: %s",
        record.group,
        record.topic,
        record.partition,
        record.offset,
        described(error),
        exc_info=worth_showing(error),
    )
