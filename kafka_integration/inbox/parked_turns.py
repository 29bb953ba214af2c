"""When parked messages are tried: those of our partitions, and what an operator wants tried."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol, TypeVar

from ..broker.assignment import Taken
from ..broker.offsets import Place
from ..conf import settings
from ..database import close_connections, is_outage
from ..events.envelope import Message
from ..models import InboxRecord
from .careful import Careful
from .dispatch import Outcome
from .job import Job, Parked
from .owners import Owners
from .parked_rows import ParkedLane, ParkedRows
from .waiting import Waiting

log = logging.getLogger(__name__)

_EVERY = 1.0
_OUTAGE_SECONDS = 5.0
_RELEASE_SECONDS = 2.0

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
    found: Future[Arrival | None] | None = None


class Arrival(NamedTuple):
    """What the database knows of partitions that came.

    Args:
        suspected: those whose last owner ended without giving them up.
        lanes: the keys of them that are parked.
    """

    suspected: set[Place]
    lanes: list[ParkedLane]


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
        owners: who has its partitions.
        waiting: the parked keys of our partitions, which the handlers' threads know too.
        careful: the partitions whose last owner died, likewise.
        runner: whose threads run them.
        most: how many may run at a time.
        drain: not to be idle before what is due anywhere in the group was tried.
    """

    def __init__(
        self,
        group: str,
        rows: ParkedRows,
        owners: Owners,
        waiting: Waiting,
        careful: Careful,
        runner: Runner,
        most: int,
        *,
        drain: bool = False,
    ) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self._group = group
        self._rows = rows
        self._owners = owners
        self._waiting = waiting
        self._careful = careful
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
        self._careful.drop(places)
        self._out = {job for job in self._out if job.place not in places}
        for load in self._loads:
            load.places -= places
        self._loads = [load for load in self._loads if load.places]

    def give_up(self, places: set[Place]) -> None:
        """Tell the next owner of these partitions that we did not die with them."""
        given = self._ask(lambda: self._owners.release(places)) if places else None
        if given is not None:
            wait([given], _RELEASE_SECONDS)

    def passed(self, place: Place, outcome: Outcome) -> None:
        """Take it that a message that was just read has been dealt with."""
        if outcome is not Outcome.DUPLICATE and self._careful.has(place):
            self._careful.passed(place)

    def turn(self) -> None:
        """Begin what is due, and take what was found.

        Raises:
            Exception: what is no outage; the consumer cannot go on.
        """
        now = time.monotonic()
        self._loads = [load for load in self._loads if not self._is_loaded(load, now)]
        self._look_for_demanded(now)
        self._begin_due(now)

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
                load.found = self._ask(lambda: self._arrival(places))
            return False
        if not load.found.done():
            return False
        found, load.found = load.found.result(), None
        if found is None:
            load.at = now + _OUTAGE_SECONDS
            return False
        self._careful.suspect(found.suspected & load.places, settings.consume_in_flight)
        for lane, message, number, starts in found.lanes:
            if (message.topic, message.partition) in load.places:
                # Those that a process may have died of come first, and each alone.
                due = -inf if starts else now
                self._waiting.note(lane, message, due, number, alone=starts > 0)
        self._begin_due(now)
        self._runner.release(load.places)
        return True

    def _arrival(self, places: set[Place]) -> Arrival:
        # In this order: whoever parks a message has the partition, and does not once we claim it.
        suspected = self._owners.claim(places)
        return Arrival(suspected, self._rows.lanes(places))

    def _begin_due(self, now: float) -> None:
        for lane, message, alone in self._waiting.take(now, self._most - len(self._out)):
            self._begin(message, Parked(lane), alone=alone)

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

    def _begin(self, message: Message, parked: Parked, *, alone: bool = False) -> None:
        lane: Hashable = ("parked", parked)
        job = Job(Taken(message, 0), lane, lambda: "", parked=parked, alone=alone)
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
