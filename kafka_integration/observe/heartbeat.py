"""Whether a loop goes round, and whether it gets anywhere. No signal and no clock here."""

from __future__ import annotations

from dataclasses import dataclass

_MEMORY_SECONDS = 15.0


@dataclass(frozen=True)
class Verdict:
    """An answer to a probe: yes or no, and why."""

    good: bool
    reason: str


class Heartbeat:
    """What is known of a loop: when it last went round, and what it last waited for.

    Args:
        patience: seconds without a round after which the loop counts as hanging.
        now: the moment at which it began, in seconds of any monotonic clock; all other moments
            are of the same clock.
    """

    def __init__(self, patience: float, now: float) -> None:
        self._patience = patience
        self._turned = now
        self._begun = False
        self._waiting: tuple[str, float] | None = None
        self._stuck = ""

    def begin(self, now: float) -> None:
        """Note that the loop has what it needs to work."""
        self._begun = True
        self._turned = now

    def turn(self, now: float) -> None:
        """Note that the loop went round."""
        self._turned = now

    def progress(self, now: float) -> None:
        """Note that work was done: whatever it waited for has come."""
        self.begin(now)
        self._waiting = None

    def wait(self, reason: str, now: float) -> None:
        """Note that the loop went round and must wait. To be told again while it lasts."""
        self._turned = now
        self._waiting = (reason, now)

    def stick(self, reason: str) -> None:
        """Note what holds its work up though the loop goes round; empty if nothing does."""
        self._stuck = reason

    def live(self, now: float) -> Verdict:
        """Tell whether the loop goes round: if not, only a restart helps."""
        silent = now - self._turned
        if silent > self._patience:
            return Verdict(
                False,
                f"The loop has not gone round for {silent:.0f} s (KAFKA_HEALTH_SECONDS: "
                f"{self._patience:g}). Restart this process; nothing is lost by it.",
            )
        return Verdict(True, "The loop goes round.")

    def ready(self, now: float) -> Verdict:
        """Tell whether work can be done now. A restart seldom helps where it cannot."""
        live = self.live(now)
        if not live.good:
            return live
        if self._stuck:
            return Verdict(False, self._stuck)
        if self._waiting and now - self._waiting[1] <= _MEMORY_SECONDS:
            return Verdict(False, f"Waiting: {self._waiting[0]}")
        if not self._begun:
            return Verdict(False, "Starting: no work was taken up so far.")
        return Verdict(True, "Working, or nothing to do.")
