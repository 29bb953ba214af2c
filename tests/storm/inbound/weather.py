"""One storm from its first event to the last: what the plan says, while consumers work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psycopg

from .. import topics
from ..course import Course
from ..crew import Crew, Member
from ..names import group
from ..plan import Plan
from ..stage import Stage
from ..strikes import heal
from ..tracks import Fault
from ..voice import say
from . import ledger
from .faults import Faults
from .guests import Guests
from .plan import CONSUMERS
from .source import Source
from .stream import Item

_DRAIN_SECONDS = 300.0
_STUCK_SECONDS = 90.0
_LEAVE_SECONDS = 60.0
_YOUNG_SECONDS = 40.0


class Weather:
    """A storm that is going on.

    Args:
        stage: where it takes place.
        plan: what will happen.
        items: what is sent.
        logs: the folder for what the processes say.
    """

    def __init__(self, stage: Stage, plan: Plan, items: Sequence[Item], logs: Path) -> None:
        self.stage = stage
        self._logs = logs
        members = [self._member(f"consumer-{number}") for number in range(CONSUMERS)]
        self.consumers = Crew(members, self._excuse)
        self.guests = Guests(self._member("guest"), Random(f"{plan.seed}/guests"), self._excuse)
        burst = -(-len(items) // max(1, plan.beats - 1))
        self.source = Source(stage.broker, stage.topics, items, burst)
        self._faults = Faults(stage, self.consumers)
        tracks = (plan.services, plan.processes)
        self.course = Course(tracks, self._faults.carry_out, plan.deadline)
        self._asked = 0.0
        self._left = 0

    def blow(self) -> None:
        """Let it happen; afterwards everything that was sent is handled, if it can be."""
        try:
            self.course.run(self._watch, [self.source.run, self.guests.come_and_go])
            heal(self.stage, self.consumers)
            self._drain()
            self.consumers.stop(_LEAVE_SECONDS)
        finally:
            self.consumers.kill()
            self.guests.crew.kill()

    @property
    def done(self) -> list[Fault]:
        """The faults that were carried out."""
        return self.course.done

    @property
    def surprises(self) -> list[str]:
        """Ends of processes that no fault explains, and what the group never got through."""
        left = [f"{self._left} messages were not committed in the end"] if self._left else []
        return [*left, *self.consumers.surprises, *self.guests.crew.surprises]

    def _watch(self) -> bool:
        """Keep the consumers alive; tell whether all was sent."""
        self.consumers.revive()
        if time.monotonic() - self._asked > 2.0:
            self._asked = time.monotonic()
            self._tell()
        return self.source.through

    def _tell(self) -> None:
        try:
            say(f"{ledger.count(self.stage.database)} effects")
        except psycopg.Error:
            return  # away, as the plan wants it

    def _drain(self) -> None:
        """Wait until the group has committed everything, or commits no more."""
        started = moved = time.monotonic()
        before = -1
        while lag := topics.lag(self.stage.broker, self.stage.topics.values(), self.group):
            now = time.monotonic()
            moved = now if lag != before else moved
            before = lag
            if now > min(moved + _STUCK_SECONDS, started + _DRAIN_SECONDS):
                self._left = lag
                return
            self.consumers.revive()
            time.sleep(0.5)

    @property
    def group(self) -> str:
        """The consumers' group."""
        return group(self.stage.run)

    def _excuse(self, member: Member, code: int) -> bool:
        """A consumer ends with an error where Kafka is away as it begins, and says so."""
        return code == 1 and self._faults.away and member.age < _YOUNG_SECONDS

    def _member(self, name: str) -> Member:
        command = ["manage.py", "kafka_consume", "--group", self.group]
        return Member(
            name, lambda life: command, self.stage.environment, self._logs / f"{name}.log"
        )
