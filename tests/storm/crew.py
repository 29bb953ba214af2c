"""Relays, writers and consumers in processes of their own, started again when they die."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGTERM, Signals
from threading import RLock

from .voice import say

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Member:
    """One of the crew, through all its lives.

    Args:
        name: what it is called, and its log with it.
        command: its arguments after ``python``, for the life of this number.
        environment: of its process.
        log: the file that takes what it says.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    environment: Mapping[str, str]
    log: Path
    lives: int = 0
    expected: set[int] = field(default_factory=set)
    process: subprocess.Popen[bytes] | None = None
    born: float = 0.0

    @property
    def age(self) -> float:
        """For how many seconds its present process has been there."""
        return time.monotonic() - self.born

    @property
    def pid(self) -> int:
        """Its present process."""
        return self.process.pid if self.process else 0

    @property
    def alive(self) -> bool:
        """Whether its present process runs."""
        return self.process is not None and self.process.poll() is None

    def send(self, signum: Signals) -> None:
        """Send a signal; the end that it leads to is then no surprise."""
        if self.process is None:
            return
        if signum in (SIGKILL, SIGTERM):  # a process that has just begun has no handler yet
            self.expected.add(-signum)
        self.process.send_signal(signum)

    def start(self) -> None:
        """Begin a new life."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self.command(self.lives)],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.lives += 1
        self.born = time.monotonic()
        self.expected = {0}


@dataclass
class Crew:
    """All members of one kind.

    Args:
        members: the relays, the writers, or the consumers.
        excuse: tells whether an end by itself, with this code, has its reason.
    """

    members: list[Member]
    excuse: Callable[[Member, int], bool] = lambda member, code: False
    surprises: list[str] = field(default_factory=list)
    _lock: RLock = field(default_factory=RLock)
    _over: bool = False

    def revive(self) -> None:
        """Start whoever is not running; an exit code that no fault explains is a surprise."""
        with self._lock:
            for member in self.members:
                if not self._over and (member.process is None or self._has_ended(member)):
                    member.start()

    def stop(self, patience: float) -> None:
        """End all for good in an orderly way; see :meth:`end`."""
        with self._lock:
            self._over = True
            self.end(patience)

    def end(self, patience: float) -> None:
        """End all in an orderly way, and kill whoever takes longer than ``patience`` seconds."""
        with self._lock:
            for member in self.members:
                member.send(SIGCONT)
                member.send(SIGTERM)
            deadline = time.monotonic() + patience
            for member in self.members:
                self._await(member, deadline)

    def kill(self) -> None:
        """End all at once."""
        with self._lock:
            self._over = True
            for member in self.members:
                if member.process and member.process.poll() is None:
                    member.process.kill()
                    member.process.wait()

    def _await(self, member: Member, deadline: float) -> None:
        if member.process is None:
            return
        try:
            member.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._note(f"{member.name} did not end when it was told to")
            member.send(SIGKILL)
            member.process.wait()
        self._has_ended(member)

    def _has_ended(self, member: Member) -> bool:
        assert member.process is not None
        code = member.process.poll()
        surprising = code not in member.expected and not self.excuse(member, code or 0)
        if code is not None and surprising:
            self._note(f"{member.name} ended by itself with {code}; see {member.log}")
        return code is not None

    def _note(self, surprise: str) -> None:
        say(surprise)
        self.surprises.append(surprise)
