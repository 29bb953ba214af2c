"""A member that joins the group and leaves it again, every few seconds: rebalances without end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Event as Flag

from ..crew import Crew, Member

_PATIENCE = 60.0


class Guests:
    """One guest after the other, each in a process of its own.

    Args:
        member: what a guest is.
        rng: draws how long they stay.
        excuse: tells whether an end of its own with this code has its reason.
    """

    def __init__(self, member: Member, rng: Random, excuse: Callable[[Member, int], bool]) -> None:
        self.crew = Crew([member], excuse)
        self.visits = 0
        self._rng = rng

    def come_and_go(self, over: Flag) -> None:
        """Go on until it is over."""
        while not over.is_set():
            self.crew.revive()
            over.wait(self._rng.uniform(6.0, 9.0))
            self.crew.end(_PATIENCE)
            self.visits += 1
            over.wait(self._rng.uniform(0.0, 1.0))
