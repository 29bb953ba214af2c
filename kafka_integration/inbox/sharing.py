"""Messages that share a transaction, and how the guilty ones are found when it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Sequence

from ..events.failures import RecordsFailed
from ..events.registry import Handler
from .batch import dispatch_all
from .batch_size import BatchSize
from .dispatch import Outcome
from .job import Again, Back, Done, Job, Turns, Verdict
from .policy import is_anothers_fault
from .store import Identity
from .trace import described

log = logging.getLogger(__name__)

_MOST_TOGETHER = 200
_MOST_IN_A_LIST = 1_000


class Round:
    """The verdicts on some jobs, tried in their order, in parts.

    Args:
        jobs: all of them.
        stopped: whether nothing more may begin.
    """

    def __init__(self, jobs: Sequence[Job], stopped: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._stopped = stopped
        self._waits: set[Hashable] = set()
        self._parked: set[Hashable] = set()
        self._everybody = False
        self._verdicts: dict[Job, Verdict] = {}

    def note(self, job: Job, verdict: Verdict) -> None:
        """Take a verdict; those behind in its lane wait unless it is done, or parked with it."""
        self._verdicts[job] = verdict
        if not isinstance(verdict, Done):
            self._waits.add(job.lane)
        elif verdict.outcome is Outcome.PARKED:
            self._parked.add(job.lane)
        if isinstance(verdict, Again) and verdict.everybody:
            self._everybody = True

    def may_run(self, job: Job) -> bool:
        """Tell whether a job has no verdict yet and may run in a transaction of its own."""
        if self._everybody or self._stopped():
            return False
        return job not in self._verdicts and job.lane not in self._waits

    def open(self, jobs: Sequence[Job]) -> list[Job]:
        """Return those that may run in one transaction."""
        return [job for job in jobs if self.may_run(job) and job.lane not in self._parked]

    def verdicts(self) -> list[Verdict]:
        """Return a verdict for each: what did not run goes back."""
        return [self._verdicts.get(job, Back()) for job in self._jobs]


class Sharing:
    """Tries messages that may share a transaction in one; if it fails, it finds out who failed.

    A batch handler that says who failed is believed. Otherwise what it got is halved again and
    again, until the guilty one is alone; messages of other handlers are tried one by one.

    Args:
        handlers: the group's handlers.
        alone: tries one message in a transaction of its own.
        judge: decides what follows the failure of one.
        name: returns who a message is.
        stopped: asked before each part of a batch that failed.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        alone: Callable[[Job], Verdict],
        judge: Callable[[Job, Exception], Verdict],
        name: Callable[[Job], Identity],
        stopped: Callable[[], bool],
    ) -> None:
        self._handlers = handlers
        self._alone = alone
        self._judge = judge
        self._name = name
        self._stopped = stopped
        self._in_lists = {handler.topic for handler in handlers if handler.batch}
        self.size = BatchSize(_MOST_IN_A_LIST if self._in_lists else _MOST_TOGETHER)

    def together(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Try these in one transaction, and find the guilty ones if it fails."""
        found = Round(jobs, self._stopped)
        if (error := self._share(jobs, found)) is not None:
            self.size.failed()
            self._narrow(jobs, found, error)
        return found.verdicts()

    def one_by_one(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Try these in a transaction each."""
        found = Round(jobs, self._stopped)
        self._one_by_one(jobs, found)
        return found.verdicts()

    def _share(self, jobs: Sequence[Job], found: Round) -> Exception | None:
        try:
            named = [(job.message, self._name(job)) for job in jobs]
            outcomes = dispatch_all(named, self._handlers, Turns(jobs))
        except Exception as error:  # noqa: BLE001  # whoever is guilty will be found
            log.debug("A batch of %d was rolled back: %s", len(jobs), described(error))
            return error
        for job, outcome in zip(jobs, outcomes, strict=True):
            found.note(job, Done(outcome))
        return None

    def _narrow(self, jobs: Sequence[Job], found: Round, error: Exception) -> None:
        lists = any(job.message.topic in self._in_lists for job in jobs)
        if not lists or is_anothers_fault(error):
            self._one_by_one(jobs, found)
        elif isinstance(error, RecordsFailed) and self._believe(error, jobs, found):
            self._try(jobs, found)
        else:
            middle = len(jobs) // 2
            self._try(jobs[:middle], found)
            self._try(jobs[middle:], found)

    def _try(self, jobs: Sequence[Job], found: Round) -> None:
        left = found.open(jobs)
        if len(left) < 2:
            self._one_by_one(left, found)
        elif (error := self._share(left, found)) is not None:
            self._narrow(left, found, error)

    def _believe(self, failed: RecordsFailed, jobs: Sequence[Job], found: Round) -> bool:
        """Judge those that a handler named; return whether it named any of these."""
        named = False
        for job in found.open(jobs):
            error = failed.of(job.message)
            if error is not None:
                named = True
                # What is behind it in its lane was rolled back too, and waits for it.
                if found.open([job]):
                    found.note(job, self._judge(job, error))
        return named

    def _one_by_one(self, jobs: Sequence[Job], found: Round) -> None:
        turns = Turns(jobs)
        for job in jobs:
            if found.may_run(job):
                turns(job.message)
                found.note(job, self._alone(job))
