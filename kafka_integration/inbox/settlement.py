"""One step of a message towards its end: a try, or its burial. Nothing here waits."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence

from django.utils import timezone

from ..broker.formats import FormatUnavailable
from ..database import close_connections, is_outage
from ..errors import BrokerError, DeadLetterRefused
from ..events.envelope import Message
from ..events.registry import Handler
from .careful import Careful
from .dead_letters import DeadLetters, Failure
from .dispatch import Outcome, dispatch
from .job import Again, Bury, Done, Job, Verdict
from .parked import ParkedTries
from .parked_rows import ParkedRows
from .parking import Parking
from .policy import (
    handler_for,
    is_broker_error,
    is_database_outage,
    own_handler_for,
    policy_of,
)
from .retry import GiveUp, Ignore, Park, SoFar, decide, pause
from .sharing import Sharing
from .store import Identity, identity, is_recorded, record_dead
from .trace import described, worth_showing
from .waiting import Waiting

log = logging.getLogger(__name__)

_OUTAGE_BACKOFF = 0.5
_OUTAGE_MAXIMUM = 30.0
_DATABASE_AWAY = "The database is away"
_FORMAT_AWAY = "Its format cannot be used now"


class Settler:
    """Decides what follows each step of a message.

    :meth:`handle` may run in several threads at a time; :meth:`bury` belongs to the one thread
    that owns the dead letters' producer.

    Args:
        group: the consumer group.
        handlers: its handlers.
        dead_letters: where those go that cannot be handled.
        waiting: the keys that are parked.
        careful: the partitions whose last owner died.
        stopped: asked between two messages of a batch that is handled one by one.
        random: returns a number from 0 up to 1.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        dead_letters: DeadLetters,
        waiting: Waiting | None = None,
        careful: Careful | None = None,
        *,
        stopped: Callable[[], bool] = lambda: False,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._group = group
        self._handlers = handlers
        self._dead_letters = dead_letters
        self._random = random
        self._waiting = waiting or Waiting()
        self._careful = careful or Careful()
        self._sharing = Sharing(handlers, self.handle, self._judge, self._name, stopped)
        self.batch_size = self._sharing.size
        self._parking = Parking(handlers, self._waiting)
        self._parked = ParkedTries(
            group,
            handlers,
            ParkedRows(group, handlers),
            self._waiting,
            stopped=stopped,
            random=random,
        )

    def handle(self, job: Job) -> Verdict:
        """Try a message once, in the transaction of its effect.

        Returns:
            :class:`Done` if that is committed or the message is parked, :class:`Again` if another
            try follows, :class:`Bury` if the message is given up.
        """
        if job.failure is not None:
            return Bury()
        if job.parked is not None:
            return self._outlive(job, lambda: self._parked.handle(job))
        try:
            who = self._name(job)
        except BrokerError as error:
            return self._wait(job, "Kafka does not tell the topic's id", error, everybody=True)
        if self._waiting.holds(job.lane):
            return self._outlive(job, lambda: self._parking.behind(job, who))
        own = own_handler_for(job.message, self._handlers) if self._is_careful(job) else None
        if own is not None:
            return self._outlive(job, lambda: self._with_care(job, who, own))
        try:
            outcome = dispatch(job.message, self._handlers, who, job.attempt)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is judged here
            return self._judge(job, error)
        if outcome is Outcome.PARKED:
            self._waiting.note(job.lane, job.message.outline(), time.monotonic(), number=0)
        return Done(outcome)

    def _is_careful(self, job: Job) -> bool:
        return self._careful.has(job.place)

    def _with_care(self, job: Job, who: Identity, handler: Handler) -> Verdict:
        verdict = self._parked.first(job, who, handler)
        return verdict or Done(self._parking.meet(job, who, handler.using))

    def handle_all(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Try messages that may share a transaction in one; if it fails, one by one.

        Returns:
            A verdict for each. Those behind one of their lane that is not done did not run.
        """
        shared = jobs[0].batch is not None
        started, computed = time.monotonic(), time.thread_time()
        verdicts = [self.handle(jobs[0])] if len(jobs) == 1 else self._together(jobs)
        if shared:
            self.batch_size.took(
                len(jobs), time.monotonic() - started, time.thread_time() - computed
            )
        return verdicts

    def _together(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Share a transaction, without those that must not."""
        alone = [job for job in jobs if self._waiting.holds(job.lane) or self._is_careful(job)]
        shared = [job for job in jobs if job not in alone] if alone else jobs
        verdicts = dict(zip(shared, self._sharing.together(shared), strict=True)) if shared else {}
        verdicts |= zip(alone, self._sharing.one_by_one(alone), strict=True)
        return [verdicts[job] for job in jobs]

    def bury(self, job: Job) -> Verdict:
        """Send a dead letter, then record it. In this order: a letter twice beats none at all.

        Returns:
            :class:`Done`, or :class:`Again` where Kafka or the database does not take it now.
        """
        failure = job.failure
        if failure is None:
            raise ValueError(f"{job.message.place()} was not given up.")
        try:
            return self._outlive(job, lambda: self._bury(job, failure))
        except Exception as error:
            if not is_broker_error(error):
                raise
            told = failure.text()
            return self._wait(
                job, f"The dead-letter topic does not take the message ({told})", error
            )

    def outage_pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row that nobody is guilty of."""
        return pause(failures, _OUTAGE_BACKOFF, _OUTAGE_MAXIMUM, self._random)

    def _name(self, job: Job) -> Identity:
        if job.who is None:
            job.who = identity(self._group, job.message, lambda _: job.origin())
        return job.who

    def _outlive(self, job: Job, action: Callable[[], Verdict]) -> Verdict:
        """Do something; if the database or a format is away, it is done again later."""
        try:
            return action()
        except FormatUnavailable as error:
            return self._wait(job, _FORMAT_AWAY, error, everybody=True)
        except Exception as error:
            if not is_database_outage(error):
                raise
            return self._wait(job, _DATABASE_AWAY, error, everybody=is_outage(error))

    def _judge(self, job: Job, error: Exception) -> Verdict:
        if isinstance(error, FormatUnavailable):
            return self._wait(job, _FORMAT_AWAY, error, everybody=True)
        who = self._name(job)
        if is_database_outage(error):
            return self._wait(job, _DATABASE_AWAY, error, everybody=is_outage(error))
        now = timezone.now()
        job.tried_at = job.tried_at or now
        so_far = SoFar(job.attempt, job.waited, (now - job.tried_at).total_seconds())
        policy = policy_of(handler_for(job.message, self._handlers))
        decision = decide(policy, so_far, error, self._random)
        if isinstance(decision, GiveUp):
            job.failure = Failure(self._group, decision.reason, job.attempt, error)
            self._tell(job.message, job.failure)
            return Bury()
        if isinstance(decision, Ignore):
            return self._outlive(job, lambda: self._parking.ignore(job, who, error))
        if isinstance(decision, Park):
            seconds = decision.pause
            return self._outlive(job, lambda: self._parking.park(job, who, error, seconds))
        return self._again(job, error, decision.pause)

    def _again(self, job: Job, error: Exception, seconds: float) -> Again:
        self._announce(job, error, seconds)
        failed, job.attempt, job.troubles = job.attempt, job.attempt + 1, 0
        job.waited += seconds
        return Again(seconds, error, failed)

    def _bury(self, job: Job, failure: Failure) -> Verdict:
        handler = handler_for(job.message, self._handlers)
        if job.record is None and not job.sent and is_recorded(self._name(job), handler.using):
            return Done(self._parking.meet(job, self._name(job), handler.using))
        self._send(job, failure)
        reason = failure.text() if job.refusal is None else f"{failure.text()}\n{job.refusal}"
        if job.record is not None:
            self._parked.bury(job, job.record, failure, reason)
        else:
            record_dead(
                self._name(job),
                job.message,
                using=handler.using,
                handler=handler.name,
                attempts=failure.attempts,
                error=reason,
            )
        return Done(Outcome.DEAD, reason, letter=job.refusal is None)

    def _send(self, job: Job, failure: Failure) -> None:
        """Send a dead letter, unless it is out or its topic will never take it.

        To wait for that topic would hold the key for ever, and the record keeps the bytes too.
        """
        if job.sent:
            return
        try:
            self._dead_letters.send(job.message, failure)
        except DeadLetterRefused as refusal:
            log.error("Group %s at %s: %s", self._group, job.message.place(), refusal)
            job.refusal = refusal
        job.sent = True
        job.troubles = 0

    def _wait(self, job: Job, trouble: str, error: Exception, *, everybody: bool = False) -> Again:
        job.troubles += 1
        seconds = self.outage_pause(job.troubles)
        log.warning(
            "Group %s waits %.1f s at %s and counts no attempt. %s: %s",
            self._group,
            seconds,
            job.message.place(),
            trouble,
            error,
        )
        close_connections()
        return Again(seconds, everybody=everybody)

    def _announce(self, job: Job, error: Exception, seconds: float) -> None:
        log.warning(
            "Group %s: try %d of %s failed, again in %.1f s: %s",
            self._group,
            job.attempt,
            job.message.place(),
            seconds,
            described(error),
        )

    def _tell(self, message: Message, failure: Failure) -> None:
        trace = worth_showing(failure.error)
        # Who has no traceback to read needs no second line beside the dead letter's.
        log.log(
            logging.ERROR if trace else logging.DEBUG,
            "Group %s: try %d of %s failed for good: %s",
            self._group,
            failure.attempts,
            message.place(),
            failure.text(),
            exc_info=trace,
        )
