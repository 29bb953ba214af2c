"""One step of a message towards its end: a try, or its burial. Nothing here waits."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Hashable, Sequence

from ..broker.formats import FormatUnavailable
from ..database import close_connections, is_outage
from ..errors import BrokerError, DeadLetterRefused
from ..events.envelope import Message
from ..events.registry import Handler
from .batch import dispatch_all
from .batch_size import BatchSize
from .dead_letters import DeadLetters, Failure
from .dispatch import Outcome, dispatch
from .job import Again, Back, Bury, Done, Job, Turns, Verdict
from .policy import handler_for, is_broker_error, is_database_outage, policy_of
from .retry import GiveUp, decide, pause
from .store import Identity, identity, is_recorded, record_dead
from .trace import described, worth_showing

log = logging.getLogger(__name__)

_OUTAGE_BACKOFF = 0.5
_OUTAGE_MAXIMUM = 30.0
_MOST_TOGETHER = 200
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
        stopped: asked between two messages of a batch that is handled one by one.
        random: returns a number from 0 up to 1.
    """

    def __init__(
        self,
        group: str,
        handlers: Sequence[Handler],
        dead_letters: DeadLetters,
        *,
        stopped: Callable[[], bool] = lambda: False,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.batch_size = BatchSize(_MOST_TOGETHER)
        self._stopped = stopped
        self._group = group
        self._handlers = handlers
        self._dead_letters = dead_letters
        self._random = random

    def handle(self, job: Job) -> Verdict:
        """Try a message once, in the transaction of its effect.

        Returns:
            :class:`Done` if that is committed, :class:`Again` if another try follows,
            :class:`Bury` if the message is given up.
        """
        if job.failure is not None:
            return Bury()
        try:
            who = self._name(job)
        except BrokerError as error:
            return self._wait(job, "Kafka does not tell the topic's id", error, everybody=True)
        try:
            outcome = dispatch(job.message, self._handlers, who, job.attempt)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is judged here
            return self._judge(job, error)
        return Done(outcome)

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
        try:
            named = [(job.message, self._name(job)) for job in jobs]
            outcomes = dispatch_all(named, self._handlers, Turns(jobs))
        except Exception as error:  # noqa: BLE001  # whoever is guilty will be found alone
            self.batch_size.failed()
            return self._one_by_one(jobs, error)
        return [Done(outcome) for outcome in outcomes]

    def _one_by_one(self, jobs: Sequence[Job], error: Exception) -> list[Verdict]:
        log.debug(
            "Group %s: a batch of %d was rolled back: %s", self._group, len(jobs), described(error)
        )
        waits: set[Hashable] = set()
        everybody = False
        verdicts: list[Verdict] = []
        turns = Turns(jobs)
        for job in jobs:
            if everybody or job.lane in waits or self._stopped():
                verdicts.append(Back())
                continue
            turns(job.message)
            verdict = self.handle(job)
            verdicts.append(verdict)
            if not isinstance(verdict, Done):
                waits.add(job.lane)
            everybody = isinstance(verdict, Again) and verdict.everybody
        return verdicts

    def bury(self, job: Job) -> Verdict:
        """Send a dead letter, then record it. In this order: a letter twice beats none at all.

        Returns:
            :class:`Done`, or :class:`Again` where Kafka or the database does not take it now.
        """
        if job.failure is None or job.who is None:
            raise ValueError(f"{job.message.place()} was not given up.")
        try:
            return self._bury(job, job.who, job.failure)
        except Exception as error:
            if is_database_outage(error):
                return self._wait(job, _DATABASE_AWAY, error, everybody=is_outage(error))
            if not is_broker_error(error):
                raise
            told = job.failure.text()
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

    def _judge(self, job: Job, error: Exception) -> Verdict:
        if is_database_outage(error):
            return self._wait(job, _DATABASE_AWAY, error, everybody=is_outage(error))
        if isinstance(error, FormatUnavailable):
            return self._wait(job, _FORMAT_AWAY, error, everybody=True)
        policy = policy_of(handler_for(job.message, self._handlers))
        decision = decide(policy, job.attempt, error, self._random)
        if isinstance(decision, GiveUp):
            job.failure = Failure(self._group, decision.reason, job.attempt, error)
            self._tell(job.message, job.failure)
            return Bury()
        self._announce(job, error, decision.pause)
        failed, job.attempt, job.troubles = job.attempt, job.attempt + 1, 0
        return Again(decision.pause, error, failed)

    def _bury(self, job: Job, who: Identity, failure: Failure) -> Verdict:
        handler = handler_for(job.message, self._handlers)
        if not job.sent and is_recorded(who, handler.using):
            return Done(Outcome.DUPLICATE)
        self._send(job, failure)
        reason = failure.text() if job.refusal is None else f"{failure.text()}\n{job.refusal}"
        record_dead(
            who,
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
