"""One storm from its first event to the last: what the plan says, while the crew works."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg

from ..course import Course
from ..crew import Crew, Member
from ..plan import Plan
from ..stage import Stage
from ..strikes import heal
from ..tracks import Fault
from ..voice import say
from . import ledger
from .faults import Faults
from .plan import RELAYS, WRITERS

_DRAIN_SECONDS = 300.0
_STUCK_SECONDS = 60.0


class Weather:
    """A storm that is going on.

    Args:
        stage: where it takes place.
        plan: what will happen.
        exactly_once: how relays publish.
        logs: the folder for what the processes say.
    """

    def __init__(self, stage: Stage, plan: Plan, exactly_once: bool, logs: Path) -> None:
        self.stage = stage
        self.plan = plan
        self.relays = Crew([self._relay(number, exactly_once, logs) for number in range(RELAYS)])
        self.writers = Crew([self._writer(number, logs) for number in range(WRITERS)])
        faults = Faults(stage, self.relays, self.writers)
        tracks = (plan.services, plan.processes)
        self.course = Course(tracks, faults.carry_out, plan.deadline)
        self._committed = 0
        self._asked = 0.0

    def blow(self) -> None:
        """Let it happen; afterwards everything committed is drained, if it can be."""
        try:
            self.course.run(self._watch)
            heal(self.stage, self.relays, self.writers)
            self.writers.stop(30.0)
            self._drain()
            self.relays.stop(30.0)
        finally:
            self.writers.kill()
            self.relays.kill()

    @property
    def done(self) -> list[Fault]:
        """The faults that were carried out."""
        return self.course.done

    @property
    def surprises(self) -> list[str]:
        """Ends of processes that no fault explains."""
        return [*self.relays.surprises, *self.writers.surprises]

    def _watch(self) -> bool:
        """Keep the crew alive; tell whether enough is committed."""
        self.relays.revive()
        self.writers.revive()
        if time.monotonic() - self._asked > 2.0:
            self._count()
            self._asked = time.monotonic()
        return self._committed >= self.plan.events

    def _count(self) -> None:
        try:
            committed = ledger.count(self.stage.database)
            waiting = ledger.waiting(self.stage.database)
        except psycopg.Error:
            return  # away, as the plan wants it, or not migrated a moment ago
        say(f"{committed} committed, {waiting} waiting")
        self._committed = committed

    def _drain(self) -> None:
        """Wait until the queue is empty, or shrinks no more."""
        started = moved = time.monotonic()
        before = 0
        while waiting := ledger.waiting(self.stage.database):
            now = time.monotonic()
            moved = now if waiting != before else moved
            before = waiting
            if now > min(moved + _STUCK_SECONDS, started + _DRAIN_SECONDS):
                say(f"given up waiting for {waiting} events that are still in the queue")
                return
            self.relays.revive()
            time.sleep(0.2)

    def _relay(self, number: int, exactly_once: bool, logs: Path) -> Member:
        command = ["manage.py", "kafka_relay", *(["--exactly-once"] if exactly_once else [])]
        name = f"relay-{number}"
        return Member(name, lambda life: command, self.stage.environment, logs / f"{name}.log")

    def _writer(self, number: int, logs: Path) -> Member:
        name = f"writer-{number}"

        def command(life: int) -> list[str]:
            seed = f"{self.plan.seed}/{number}/{life}"
            given = ["--name", name, "--seed", seed, "--burst", str(self.plan.burst(WRITERS))]
            return ["-m", "tests.storm.outbound.writing", *given, "--began", f"{self.course.began}"]

        return Member(name, command, self.stage.environment, logs / f"{name}.log")
