"""The one thread that sends dead letters: their producer must be polled by no other."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty, SimpleQueue

from ..database import close_stale_connections
from .dead_letters import DeadLetters
from .job import Job, Verdict

_POLL_SECONDS = 0.2


class Clerk:
    """Buries jobs one after the other, in the thread that calls :meth:`work`.

    Args:
        bury: sends a dead letter and records it.
        letters: whose producer lives in that thread; closed at its end.
        settled: told what came of each.
    """

    def __init__(
        self,
        bury: Callable[[Job], Verdict],
        letters: DeadLetters,
        settled: Callable[[Job, Verdict], None],
    ) -> None:
        self._bury = bury
        self._letters = letters
        self._settled = settled
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()

    def take(self, job: Job) -> None:
        """Take a job that was given up; from any thread."""
        self._waiting.put(job)

    def end(self) -> None:
        """Let :meth:`work` return once it has buried what it has; from any thread."""
        self._waiting.put(None)

    def work(self) -> None:
        """Bury what comes, until the end.

        Raises:
            Exception: one could not be buried, and not because Kafka or the database is away.
        """
        try:
            while self._turn():
                pass
        finally:
            self._letters.close()

    def _turn(self) -> bool:
        try:
            job = self._waiting.get(timeout=_POLL_SECONDS)
        except Empty:
            # What the producer logs would pile up in memory otherwise.
            self._letters.poll()
            return True
        if job is not None:
            close_stale_connections()
            self._settled(job, self._bury(job))
            close_stale_connections()
        return job is not None
