"""Tries parked messages: those of a key in their order, and those that an operator wants tried."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from math import inf

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
from .parked_rows import ParkedRows, is_ready
from .policy import handler_for, is_database_outage, policy_of
from .retry import Decision, GiveUp, Ignore, SoFar, decide
from .store import Identity, record_parked, storable
from .trace import described, worth_showing
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
        self._random = random
        self._begun: set[tuple[str | None, int]] = set()
        """Records whose try began in this process and came to no end, as in an outage."""

    def first(self, job: Job, who: Identity, handler: Handler) -> Verdict | None:
        """Try a message that was just read, after it was written down that a try begins.

        Returns:
            What came of it; None if the group has a record of it already.

        Raises:
            DatabaseError: the database is away; nothing is counted.
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
        """
        lane = _lane_of(job)
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
        self._waiting.less(_lane_of(job))
        self._waiting.go_on(_lane_of(job), record.outline(), time.monotonic())

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
            self._give_up(job, record, ProcessesDied(starts), "processes-died", starts)
        return False

    def _put_off(self, job: Job, record: InboxRecord) -> None:
        due = time.monotonic()
        if record.available_at is not None:
            due += max(0.0, (record.available_at - timezone.now()).total_seconds())
        self._waiting.go_on(_lane_of(job), record.outline(), due)

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
            if not committed and is_database_outage(error):
                raise
            if not committed:
                self._failed(job, record, error)
                return
            log.exception(
                "An on_commit hook failed for %s, which was parked. The effect is committed; this "
                "hook and those after it will not run again.",
                record.place(),
            )
        self._finished(job, record, Outcome.HANDLED)

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

    def _failed(self, job: Job, record: InboxRecord, error: Exception) -> None:
        if record.key_hash is None:
            self._dead_again(job, record, error)
            return
        decision = self._decide(record, error)
        if isinstance(decision, GiveUp):
            self._give_up(job, record, error, decision.reason, 1)
        elif isinstance(decision, Ignore):
            self._tell(record, error, "and is ignored")
            record.last_error = _text(error)
            if self._rows.change(record, **record.finished()):
                self._finished(job, record, Outcome.IGNORED)
        else:
            self._tell(record, error, f"again in {decision.pause:.1f} s")
            self._park_again(job, record, error, decision.pause)

    def _give_up(
        self, job: Job, record: InboxRecord, error: Exception, reason: str, tries: int
    ) -> None:
        if record.key_hash is None:
            self._dead_again(job, record, error)
            return
        job.failure = Failure(self._group, reason, record.attempts + tries, error)
        self._tell(record, error, "for good", last=True)

    def _decide(self, record: InboxRecord, error: Exception) -> Decision:
        tried_at = record.tried_at or timezone.now()
        age = (timezone.now() - tried_at).total_seconds()
        so_far = SoFar(record.attempts + 1, waited=inf, age=age)
        policy = policy_of(handler_for(record.message(), self._handlers))
        return decide(policy, so_far, error, self._random)

    def _park_again(self, job: Job, record: InboxRecord, error: Exception, seconds: float) -> None:
        attempts, now = record.attempts + 1, timezone.now()
        record.last_error = _text(error)
        record.available_at = now + timedelta(seconds=seconds)
        self._rows.change(
            record,
            attempts=attempts,
            last_error=record.last_error,
            available_at=record.available_at,
            tried_at=record.tried_at or now,
        )
        job.ran.append((record, Outcome.PARKED))

    def _dead_again(self, job: Job, record: InboxRecord, error: Exception) -> None:
        self._tell(record, error, "on demand", last=True)
        record.last_error = _text(error)
        self._rows.change(
            record,
            status=InboxStatus.DEAD,
            attempts=record.attempts + 1,
            last_error=record.last_error,
            available_at=None,
        )
        job.ran.append((record, Outcome.DEAD))

    def _finished(self, job: Job, record: InboxRecord, outcome: Outcome) -> None:
        job.ran.append((record, outcome))
        self._waiting.less(_lane_of(job))

    def _tell(
        self, record: InboxRecord, error: Exception, what: str, *, last: bool = False
    ) -> None:
        log.warning(
            "Group %s: a new try of %s, which was parked, failed %s: %s",
            record.group,
            record.place(),
            what,
            described(error),
            exc_info=worth_showing(error) if last else None,
        )


_PARKED = Done(Outcome.PARKED)


def _lane_of(job: Job) -> Hashable:
    return job.lane if job.parked is None else job.parked.lane


def _name(record: InboxRecord) -> tuple[str | None, int]:
    return record._state.db, record.pk


def _text(error: Exception) -> str:
    return storable(described(error))
