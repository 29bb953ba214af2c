"""One storm from its first event to the last: what the plan says, while the crew works."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event as Flag

import psycopg

from . import ledger
from .crew import Crew, Member
from .faults import Faults
from .plan import RELAYS, WRITERS, Fault, Plan
from .report import say
from .stage import Stage

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
        self.done: list[Fault] = []
        self.relays = Crew([self._relay(number, exactly_once, logs) for number in range(RELAYS)])
        self.writers = Crew([self._writer(number, logs) for number in range(WRITERS)])
        self.faults = Faults(stage, self.relays, self.writers)
        self._began = time.time()
        self._over = Flag()

    def blow(self) -> None:
        """Let it happen; afterwards everything committed is drained, if it can be."""
        self._began = time.time()
        try:
            with ThreadPoolExecutor(2) as pool:
                tracks = (self.plan.services, self.plan.processes)
                futures = [pool.submit(self._follow, track) for track in tracks]
                try:
                    self._supervise(futures)
                finally:
                    self._over.set()
            self.faults.heal()
            self.writers.stop(30.0)
            self._drain()
            self.relays.stop(30.0)
        finally:
            self.writers.kill()
            self.relays.kill()

    @property
    def surprises(self) -> list[str]:
        """Ends of processes that no fault explains."""
        return [*self.relays.surprises, *self.writers.surprises]

    def _supervise(self, tracks: Sequence[Future[None]]) -> None:
        """Keep the crew alive until every fault was carried out and enough is committed."""
        committed, asked = 0, 0.0
        while self._elapsed() < self.plan.deadline:
            self.relays.revive()
            self.writers.revive()
            if time.monotonic() - asked > 2.0:
                committed, asked = self._committed(committed), time.monotonic()
            if all(track.done() for track in tracks):
                for track in tracks:
                    track.result()
                if committed >= self.plan.events:
                    return
            time.sleep(0.1)
        say(f"given up after {self._elapsed():.0f} s with {committed} events committed")

    def _follow(self, track: Sequence[Fault]) -> None:
        """Carry out the faults of one track, each at its time or as soon after as it can be."""
        for fault in track:
            if self._over.wait(max(0.0, fault.at - self._elapsed())):
                return
            say(f"fault {len(self.done) + 1} of {len(self.plan.faults)}: {fault}")
            self.done.append(fault)
            self.faults.carry_out(fault)

    def _committed(self, before: int) -> int:
        try:
            committed = ledger.count(self.stage.database)
            waiting = ledger.waiting(self.stage.database)
        except psycopg.Error:
            return before  # away, as the plan wants it, or not migrated a moment ago
        say(f"{committed} committed, {waiting} waiting")
        return committed

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

    def _elapsed(self) -> float:
        return time.time() - self._began

    def _relay(self, number: int, exactly_once: bool, logs: Path) -> Member:
        command = ["manage.py", "kafka_relay", *(["--exactly-once"] if exactly_once else [])]
        name = f"relay-{number}"
        return Member(name, lambda life: command, self.stage.environment, logs / f"{name}.log")

    def _writer(self, number: int, logs: Path) -> Member:
        name = f"writer-{number}"

        def command(life: int) -> list[str]:
            seed = f"{self.plan.seed}/{number}/{life}"
            given = ["--name", name, "--seed", seed, "--burst", str(self.plan.burst)]
            return ["-m", "tests.storm.writing", *given, "--began", f"{self._began}"]

        return Member(name, command, self.stage.environment, logs / f"{name}.log")
