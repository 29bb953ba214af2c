"""When parked messages are tried: those of our partitions, and what an operator wants tried."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from ..broker.assignment import Taken
from ..broker.offsets import Place
from ..database import close_connections, is_outage
from ..events.envelope import Message
from ..models import InboxRecord
from .dispatch import Outcome
from .job import Job, Parked
from .parked_rows import ParkedLane, ParkedRows
from .waiting import Waiting

log = logging.getLogger(__name__)

_EVERY = 1.0
_OUTAGE_SECONDS = 5.0

T = TypeVar("T")


class Runner(Protocol):
    """Whose threads run what is due: :class:`~kafka_integration.inbox.pool.Pool`."""

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """Run something in a thread."""

    def add(self, job: Job) -> None:
        """Let a job run when its turn comes."""

    def hold(self, places: Collection[Place]) -> None:
        """Start nothing more of these partitions."""

    def release(self, places: Collection[Place]) -> None:
        """Start what waits of these partitions after all."""


@dataclass
class Load:
    """Partitions whose parked keys are being asked for.

    Args:
        places: those of them that are still ours.
        found: the answer; None in an outage of the database.
        at: when to ask; asked already if there is an answer to come.
    """

    places: set[Place]
    at: float
    found: Future[list[ParkedLane] | None] | None = None


class Look(NamedTuple):
    """What was found in the database.

    Args:
        demanded: records that an operator wants tried again.
        overdue: whether others are due in the group.
    """

    demanded: list[InboxRecord]
    overdue: bool


class ParkedTurns:
    """Lets parked messages run when they are due. All methods are for the consumer's thread.

    Nothing of a partition is handled before its parked keys are known, so that no message
    overtakes one of its key that was parked by an earlier owner.

    Args:
        group: the consumer group.
        rows: its parked records.
        waiting: the parked keys of our partitions, which the handlers' threads know too.
        runner: whose threads run them.
        most: how many may run at a time.
        drain: not to be idle before what is due anywhere in the group was tried.
    """

    def __init__(
        self,
        group: str,
        rows: ParkedRows,
        waiting: Waiting,
        runner: Runner,
        most: int,
        *,
        drain: bool = False,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._group = group
        self._rows = rows
        self._waiting = waiting
        self._runner = runner
        self._most = most
        self._drain = drain
        self._out: set[Job] = set()
        self._loads: list[Load] = []
        self._looked = False
        self._look_at = 0.0
        self._look: Future[Look | None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is due, and nothing under way."""
        under_way = self._loads or self._out or not self._looked
        return not under_way and not self._waiting.is_due(time.monotonic())

    @property
    def loading(self) -> bool:
        """Whether partitions wait for an answer."""
        return bool(self._loads)

    def arriving(self, places: set[Place]) -> None:
        """Ask for the parked keys of these partitions, and handle nothing of them until then."""
        if places:
            self._runner.hold(places)
            self._loads.append(Load(set(places), time.monotonic()))

    def gone(self, places: set[Place]) -> None:
        """Forget these partitions."""
        self._waiting.drop(places)
        self._out = {job for job in self._out if job.place not in places}
        for load in self._loads:
            load.places -= places
        self._loads = [load for load in self._loads if load.places]

    def turn(self) -> None:
        """Begin what is due, and take what was found.

        Raises:
            Exception: what is no outage; the consumer cannot go on.
        """
        now = time.monotonic()
        self._loads = [load for load in self._loads if not self._is_loaded(load, now)]
        self._look_for_demanded(now)
        for lane, message in self._waiting.take(now, self._most - len(self._out)):
            self._begin(message, Parked(lane))

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Take it that a job has run what it could."""
        self._out.discard(job)
        self.outcomes.update(ran for _, ran in job.ran if ran is not Outcome.PARKED)
        if outcome is Outcome.DEAD:
            self.outcomes[outcome] += 1
        if job.parked is not None and job.parked.pk is not None:
            self._looked, self._look_at = False, 0.0

    def _is_loaded(self, load: Load, now: float) -> bool:
        if load.found is None:
            if now >= load.at:
                places = set(load.places)
                load.found = self._ask(lambda: self._rows.lanes(places))
            return False
        if not load.found.done():
            return False
        found, load.found = load.found.result(), None
        if found is None:
            load.at = now + _OUTAGE_SECONDS
            return False
        for lane, message, number in found:
            if (message.topic, message.partition) in load.places:
                self._waiting.note(lane, message, now, number)
        self._runner.release(load.places)
        return True

    def _look_for_demanded(self, now: float) -> None:
        if self._look is None and now >= self._look_at and len(self._out) < self._most:
            most = self._most + len(self._out)
            self._look = self._ask(lambda: self._look_up(most))
        if self._look is None or not self._look.done():
            return
        found, self._look = self._look.result(), None
        self._look_at = now + (_OUTAGE_SECONDS if found is None else _EVERY)
        found = found or Look([], overdue=False)
        under_way = {job.parked for job in self._out}
        begun = [record for record in found.demanded if _demand(record) not in under_way]
        for record in begun[: self._most - len(self._out)]:
            self._begin(record.outline(), _demand(record))
        self._looked = not begun and not found.overdue

    def _look_up(self, most: int) -> Look:
        return Look(self._rows.demanded(most), self._drain and self._rows.is_overdue())

    def _begin(self, message: Message, parked: Parked) -> None:
        lane: Hashable = ("parked", parked)
        job = Job(Taken(message, 0), lane, lambda: "", parked=parked)
        self._out.add(job)
        self._runner.add(job)

    def _ask(self, question: Callable[[], T]) -> Future[T | None]:
        return self._runner.submit(lambda: self._answer(question))

    def _answer(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Group %s cannot look for parked records: %s", self._group, error)
            close_connections()
            return None


def _demand(record: InboxRecord) -> Parked:
    return Parked(using=record._state.db or "default", pk=record.pk)
