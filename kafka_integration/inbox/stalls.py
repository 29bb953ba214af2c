"""Which handlers run for so long that someone should know. No clock here."""

from __future__ import annotations

from collections.abc import Iterable

from .job import Job


class StallWatch:
    """Tells of a handler once it has run for ``patience`` seconds, then each time that doubled.

    Args:
        patience: seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._next: dict[tuple[Job, float], float] = {}

    def due(self, running: Iterable[Job], now: float) -> list[tuple[Job, float]]:
        """Return the jobs to tell of, and for how many seconds each has run."""
        tries = [(job, job.started) for job in running]
        self._next = {one: self._next.get(one, self._patience) for one in tries}
        found = [(one, now - one[1]) for one in tries if now - one[1] >= self._next[one]]
        for one, seconds in found:
            self._next[one] = 2 * seconds
        return [(job, seconds) for (job, _), seconds in found]
