"""What follows when a parked message fails again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from math import inf

from django.utils import timezone

from ..events.registry import Handler
from ..models import InboxRecord, InboxStatus
from .dead_letters import Failure
from .dispatch import Outcome
from .job import Job
from .parked_rows import ParkedRows
from .policy import handler_for, policy_of
from .retry import Decision, GiveUp, Ignore, SoFar, decide
from .store import storable
from .trace import described, worth_showing
from .waiting import Waiting

log = logging.getLogger(__name__)


class ParkedFailures:
    """Judges failures by the handler's policy, and puts them down.

    Args:
        group: the consumer group.
        handlers: its handlers.
        rows: the parked records.
        waiting: told of what is parked no longer.
        random: returns a number from 0 up to 1.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        rows: ParkedRows,
        waiting: Waiting,
        random: Callable[[], float],
    ) -> None:
        self._group = group
        self._handlers = handlers
        self._rows = rows
        self._waiting = waiting
        self._random = random

    def settle(self, job: Job, record: InboxRecord, error: Exception) -> None:
        """Put down what follows the failure of a try, in a transaction of its own."""
        if record.key_hash is None:
            self._dead_again(job, record, error)
            return
        decision = self._decide(record, error)
        if isinstance(decision, GiveUp):
            self.give_up(job, record, error, decision.reason, 1)
        elif isinstance(decision, Ignore):
            self._tell(record, error, "and is ignored")
            record.last_error = _text(error)
            if self._rows.change(record, **record.finished()):
                self.finished(job, record, Outcome.IGNORED)
        else:
            self._tell(record, error, f"again in {decision.pause:.1f} s")
            self._park_again(job, record, error, decision.pause)

    def give_up(
        self, job: Job, record: InboxRecord, error: Exception, reason: str, tries: int
    ) -> None:
        """Let a dead letter follow; what was tried on demand is dead again without one."""
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

    def finished(self, job: Job, record: InboxRecord, outcome: Outcome) -> None:
        """Take it that a record is done."""
        job.ran.append((record, outcome))
        self._waiting.less(parked_lane(job))

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


def parked_lane(job: Job) -> Hashable:
    """Return the lane whose parked messages a job runs, or the one that it is in."""
    return job.lane if job.parked is None else job.parked.lane


def _text(error: Exception) -> str:
    return storable(described(error))
