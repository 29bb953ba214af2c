"""A member that joins the group and leaves it again, every few seconds: rebalances without end."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Event as Flag

from ..crew import Crew, Member

_PATIENCE = 60.0
_READS = b" reads "
"""What a consumer's log says once it begins."""


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
            before = self._reads()
            self.crew.revive()
            self._await_begin(over, before)
            over.wait(self._rng.uniform(4.0, 7.0))
            self.crew.end(_PATIENCE)
            self.visits += 1
            over.wait(self._rng.uniform(0.0, 1.0))

    def _await_begin(self, over: Flag, before: int) -> None:
        """Wait until the guest reads: where the machine is busy it takes long to get there."""
        [member] = self.crew.members
        while self._reads() == before and member.age < _PATIENCE and member.alive:
            if over.wait(0.2):
                return

    def _reads(self) -> int:
        [member] = self.crew.members
        return member.log.read_bytes().count(_READS) if member.log.exists() else 0
