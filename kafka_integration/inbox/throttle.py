"""Whether to read on, by how much is in flight. No clock here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_PATIENCE = 1.0


class Intake(Enum):
    """What to do with the partitions."""

    READ = "read"
    WAIT = "wait"
    PAUSE = "pause"


@dataclass
class Throttle:
    """Keeps what is in flight within bounds, and pauses the partitions seldom.

    At the bound it is enough not to read: the client's own queue then fills and it fetches no
    more. But who does not poll falls out of the group, and a poll may bring a message. So a
    consumer that stands at its bound for a second pauses; it then reads again only when half of
    it is gone, since a pause costs all that was fetched.

    Args:
        messages, size: the bounds, in messages and bytes.
    """

    messages: int
    size: int
    _full_since: float | None = None
    _paused: bool = False

    def decide(self, messages: int, size: int, now: float) -> Intake:
        """Return what to do with so much in flight at ``now`` (seconds of any clock)."""
        if self._paused and (2 * messages > self.messages or 2 * size > self.size):
            return Intake.PAUSE
        if messages < self.messages and size < self.size:
            self._full_since, self._paused = None, False
            return Intake.READ
        if self._full_since is None:
            self._full_since = now
        self._paused = now - self._full_since >= _PATIENCE
        return Intake.PAUSE if self._paused else Intake.WAIT
