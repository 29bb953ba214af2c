"""Faults in their order and at their times: drawn from a seed alone, so that they come again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

BEAT_SECONDS = 4.0
"""Work comes in a burst at each beat, and faults strike soon after it, where much is under way."""


class Kind(str, Enum):
    """One way in which something goes wrong."""


class Service(Kind):
    """What goes wrong with Kafka or PostgreSQL."""

    KAFKA_KILLED = "kafka-killed"
    KAFKA_RESTARTED = "kafka-restarted"
    KAFKA_FROZEN = "kafka-frozen"
    POSTGRES_FAST = "postgres-fast"
    POSTGRES_IMMEDIATE = "postgres-immediate"


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        at: seconds after the storm began.
        kind: what goes wrong.
        seconds: how long it lasts, where that can be chosen.
        on_holder: whether it strikes a process that has work, where one can be found.
        lot: a number for every other choice.
    """

    at: float
    kind: Kind
    seconds: float
    on_holder: bool
    lot: int

    def __str__(self) -> str:
        return f"{self.kind.value} for {self.seconds:.1f} s (lot {self.lot})"


@dataclass(frozen=True)
class Track:
    """Faults that follow each other; those of other tracks overlap with them.

    Args:
        kinds: what goes wrong; each before any comes again.
        beats: from one to the next.
        shortest: none is shorter, in seconds.
        on_holder: the share that strikes a process that has work.
    """

    kinds: Sequence[Kind]
    beats: int
    shortest: float
    on_holder: float = 0.7

    def draw(self, rng: Random, count: int) -> tuple[Fault, ...]:
        """Return so many faults."""
        numbered = zip(range(count), self._shuffled(rng))  # noqa: B905  # endless
        return tuple(self._fault(rng, number, kind) for number, kind in numbered)

    def _fault(self, rng: Random, number: int, kind: Kind) -> Fault:
        return Fault(
            at=(1 + number * self.beats) * BEAT_SECONDS + rng.uniform(0.0, 1.5),
            kind=kind,
            seconds=self.shortest + rng.uniform(0.5, 2.5),
            on_holder=rng.random() < self.on_holder,
            lot=rng.randrange(1_000),
        )

    def _shuffled(self, rng: Random) -> Iterator[Kind]:
        """Deal every kind before any comes again."""
        while True:
            yield from rng.sample(self.kinds, len(self.kinds))


def allowed(seconds: float, burst: int) -> int:
    """Return how many events may have been made by now: a burst at each beat."""
    return burst * (1 + int(seconds / BEAT_SECONDS))
