"""Tries parked messages: those of a key in their order, and those that an operator wants tried."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

from django.db import transaction
from django.utils import timezone

from ..conf import settings
from ..errors import InvalidMessage
from ..events.registry import Handler
from ..models import InboxRecord, InboxStatus
from .careful import ProcessesDied
from .dead_letters import Failure
from .dispatch import Outcome, call, choose, read
from .job import Bury, Done, Job, Verdict
from .parked_failures import ParkedFailures, parked_lane
from .parked_records import record_parked
from .parked_rows import ParkedRows, is_ready
from .policy import is_anothers_fault
from .store import Identity, storable
from .waiting import Waiting

log = logging.getLogger(__name__)

_AT_A_STRETCH = 1.0


class ParkedTries:
    """Runs the parked records that a job is for. Several threads may, each with its own job.

    A record is locked while its handler runs, and updated in the transaction of the handler's
    effect: of several consumers that believe to own its partition one runs it.

    Args:
        group: the consumer group.
        handlers: its handlers.
        rows: the parked records.
        waiting: told of what is parked no longer, or longer.
        stopped: asked between two records.
        random: returns a number from 0 up to 1.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        rows: ParkedRows,
        waiting: Waiting,
        *,
        stopped: Callable[[], bool] = lambda: False,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._group = group
        self._handlers = handlers
        self._rows = rows
        self._waiting = waiting
        self._stopped = stopped
        self._failures = ParkedFailures(group, handlers, rows, waiting, random)
        self._begun: set[tuple[str | None, int]] = set()
        """Records whose try began in this process and came to no end, as in an outage."""

    def first(self, job: Job, who: Identity, handler: Handler) -> Verdict | None:
        """Try a message that was just read, after it was written down that a try begins.

        Returns:
            What came of it; None if the group has a record of it already.

        Raises:
            DatabaseError: the database is away; nothing is counted.
            FormatUnavailable: no message of its format can be read for now; nothing is counted.
        """
        fresh = record_parked(
            who,
            job.message,
            using=handler.using,
            handler=handler.name,
            attempts=job.attempt - 1,
            tried_at=job.tried_at,
            starts=1,
        )
        record = self._rows.of(who, handler.using) if fresh else None
        if record is None:
            return None
        job.record = record
        self._begun.add(_name(record))
        self._run(job, record)
        if job.failure is not None:
            return Bury()
        return self._told(job, record) if job.ran else None

    def handle(self, job: Job) -> Verdict:
        """Run one record, or those of a lane that are due, for about a second.

        Returns:
            :class:`Bury` if one was given up; else :class:`Done`, and ``job.ran`` tells the rest.

        Raises:
            RecordLocked: another consumer is at it.
            DatabaseError: the database is away; nothing is counted.
            FormatUnavailable: no message of its format can be read for now; nothing is counted.
        """
        lane = parked_lane(job)
        deadline = time.monotonic() + _AT_A_STRETCH
        while True:
            version = self._waiting.version(lane)
            record = self._next(job)
            if record is None:
                self._waiting.close(lane, version, time.monotonic())
                return _PARKED
            late = job.alone or time.monotonic() >= deadline or self._stopped()
            if (late and job.ran) or not is_ready(record, timezone.now()):
                self._put_off(job, record)
                return _PARKED
            job.load(record)
            if self._begin(job, record):
                self._run(job, record)
            if job.failure is not None:
                return Bury()

    def bury(self, job: Job, record: InboxRecord, failure: Failure, reason: str) -> None:
        """Put down that a record is dead, after its letter was sent, and let its key go on."""
        self._rows.change(
            record,
            status=InboxStatus.DEAD,
            attempts=failure.attempts,
            last_error=storable(reason),
            available_at=None,
            key_hash=None,
        )
        self._waiting.less(parked_lane(job))
        self._waiting.go_on(parked_lane(job), record.outline(), time.monotonic())

    def _next(self, job: Job) -> InboxRecord | None:
        if job.parked is None or job.parked.pk is None:
            return self._rows.first_of(job.message)
        return self._rows.get(job.parked.using, job.parked.pk) if not job.ran else None

    def _told(self, job: Job, record: InboxRecord) -> Done:
        _, outcome = job.ran.pop()
        if outcome is not Outcome.PARKED or record.available_at is None:
            return Done(outcome, record.last_error)
        seconds = (record.available_at - timezone.now()).total_seconds()
        self._waiting.note(job.lane, record.outline(), time.monotonic() + seconds)
        return Done(outcome, record.last_error)

    def _begin(self, job: Job, record: InboxRecord) -> bool:
        """Write down that a try begins; return whether it may."""
        if _name(record) in self._begun:
            return True
        starts = record.starts or 0
        if starts < max(1, settings.handler_crashes):
            begun = self._rows.begin(record)
            if begun:
                self._begun.add(_name(record))
            return begun
        with transaction.atomic(using=record._state.db):
            locked = self._rows.lock(record)
        if locked is not None:  # nobody who lives is at it
            self._failures.give_up(job, record, ProcessesDied(starts), "processes-died", starts)
        return False

    def _put_off(self, job: Job, record: InboxRecord) -> None:
        due = time.monotonic()
        if record.available_at is not None:
            due += max(0.0, (record.available_at - timezone.now()).total_seconds())
        self._waiting.go_on(parked_lane(job), record.outline(), due)

    def _run(self, job: Job, record: InboxRecord) -> None:
        """Try a record once and put down what came of it."""
        self._try(job, record)
        self._begun.discard(_name(record))

    def _try(self, job: Job, record: InboxRecord) -> None:
        committed: list[bool] = []
        try:
            if not self._handle(record, committed):
                return  # someone else was quicker
        except Exception as error:
            if not committed and is_anothers_fault(error):
                raise
            if not committed:
                self._failures.settle(job, record, error)
                return
            log.exception(
                "An on_commit hook failed for %s, which was parked. The effect is committed; this "
                "hook and those after it will not run again.",
                record.place(),
            )
        self._failures.finished(job, record, Outcome.HANDLED)

    def _handle(self, record: InboxRecord, committed: list[bool]) -> bool:
        using = record._state.db or "default"
        with transaction.atomic(using=using, durable=True):
            locked = self._rows.lock(record)
            if locked is None:
                return False
            transaction.on_commit(lambda: committed.append(True), using=using)
            message = locked.message()
            handler = choose(message, self._handlers)
            if handler is None or handler.using != using:
                raise InvalidMessage(
                    f"Group {self._group!r} has no handler for this message on database "
                    f"{using!r} any more. Declare one again, or discard the message."
                )
            who = Identity(locked.group, locked.source, locked.event_id)
            call(handler, read(message, handler, who))
            locked.finish()
        return True


_PARKED = Done(Outcome.PARKED)


def _name(record: InboxRecord) -> tuple[str | None, int]:
    return record._state.db, record.pk
