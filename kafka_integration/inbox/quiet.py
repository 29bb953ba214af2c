"""How long everybody waits while the database is away. No clock here."""

from __future__ import annotations

from collections.abc import Callable


class Quiet:
    """One wait for all threads: else each message of a backlog would find the outage for itself.

    Args:
        backoff: returns the seconds to wait after failure number 1, 2 and so on.
    """

    def __init__(self, backoff: Callable[[int], float]) -> None:
        self.until = 0.0
        self._backoff = backoff
        self._failures = 0

    def trouble(self, now: float) -> None:
        """Take it that the database is away; those who find so during a wait change nothing."""
        if now >= self.until:
            self._failures += 1
            self.until = now + self._backoff(self._failures)

    def calm(self) -> None:
        """Take it that something worked."""
        self._failures = 0
