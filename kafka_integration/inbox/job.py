"""One message on its way through the worker, and what a step with it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from ..broker.assignment import Taken
from ..broker.offsets import Place
from ..errors import DeadLetterRefused
from ..events.envelope import Message
from ..models import InboxRecord
from .dead_letters import Failure
from .dispatch import Outcome
from .store import Identity

_OVERHEAD = 500
_NO_GENERATION = 0


@dataclass(frozen=True)
class Parked:
    """What a job is for that runs messages from the inbox, not one that was just read.

    Args:
        lane: whose parked messages are run in their order.
        using: alias of the database of the one record that an operator wants tried again.
        pk: that record, or None.
    """

    lane: Hashable = None
    using: str = ""
    pk: int | None = None


@dataclass(eq=False)
class Job:
    """A message that is being dealt with. One thread at a time has it.

    Args:
        taken: the message and the assignment that it was read in.
        lane: what it keeps its order with; see :func:`lane_of`.
        origin: tells where it comes from, if it has no id of its own.
    """

    taken: Taken
    lane: Hashable
    origin: Callable[[], str]
    database: str | None = None
    """Whose transaction it may share with others at its first try."""
    attempt: int = 1
    troubles: int = 0
    """How often in a row something other than the message stood in its way."""
    waited: float = 0.0
    """The pauses between its tries so far, in seconds."""
    tried_at: datetime | None = None
    """When its first try failed."""
    alone: bool = False
    """Whether nothing else may begin beside it, since a process died of it, or of another."""
    parked: Parked | None = None
    """What it runs from the inbox; None for a message that was just read."""
    record: InboxRecord | None = None
    """The inbox record that it is at."""
    ran: list[tuple[InboxRecord, Outcome]] = field(default_factory=list)
    """What became of the inbox records that it ran."""
    who: Identity | None = None
    failure: Failure | None = None
    """Why it was given up. It is then buried, not handled."""
    sent: bool = False
    """Whether its dead letter is out, or was refused."""
    refusal: DeadLetterRefused | None = None
    started: float = 0.0
    """Since when its handler runs, on the monotonic clock; infinite while another of them does."""

    @property
    def message(self) -> Message:
        """What was read."""
        return self.taken.message

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.taken.place

    @property
    def batch(self) -> Hashable:
        """Jobs of one batch may share a transaction; None means that it runs alone."""
        fresh = self.attempt == 1 and not self.troubles and self.failure is None
        return self.database if fresh else None

    def load(self, record: InboxRecord) -> None:
        """Turn to a record of the inbox, or to the next one."""
        self.record, self.failure, self.sent, self.refusal = record, None, False, None
        self.taken = Taken(record.message(), _NO_GENERATION)
        self.started = time.monotonic()

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        if self.parked is not None:
            return _OVERHEAD  # it has one record at a time, and never the same
        message = self.message
        headers = sum(len(name) + len(value or b"") for name, value in message.headers)
        return len(message.value or b"") + len(message.key or b"") + headers + _OVERHEAD


class Turns:
    """Tells which of a thread's jobs is at work: the others have not started, or are through.

    Args:
        jobs: what the thread has.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = {id(job.message): job for job in jobs}
        self._now: Job | None = None
        for job in jobs:
            job.started = inf

    def __call__(self, message: Message) -> None:
        """Take it that the handler of ``message`` begins."""
        if self._now is not None:
            self._now.started = inf
        self._now = self._jobs[id(message)]
        self._now.started = time.monotonic()


@dataclass(frozen=True)
class Done:
    """It is finished, and the group may go on.

    Args:
        outcome: what became of it.
        reason: why it was given up, ignored or parked, if it was.
        letter: whether a dead letter of it was taken.
        error: what its last try raised, if it was parked for that.
        attempt: which try that was, from 1.
        pause: seconds until the next.
    """

    outcome: Outcome
    reason: str = ""
    letter: bool = True
    error: Exception | None = None
    attempt: int = 0
    pause: float = 0.0


@dataclass(frozen=True)
class Again:
    """Another try follows.

    Args:
        pause: seconds until then.
        error: what the handler raised; None if the try does not count.
        attempt: which try failed, from 1.
        everybody: the trouble is not this message's alone: the others wait as well.
    """

    pause: float
    error: Exception | None = None
    attempt: int = 0
    everybody: bool = False


@dataclass(frozen=True)
class Bury:
    """It was given up; a dead letter follows."""


@dataclass(frozen=True)
class Back:
    """It did not run, since one before it in its lane must run again first."""


@dataclass(frozen=True)
class Crashed:
    """Something ends the process, such as ``SystemExit`` in a handler."""

    error: BaseException


Verdict = Done | Again | Bury | Back | Crashed
