"""A whole storm: what goes wrong, and when, by its seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .tracks import BEAT_SECONDS, Fault, Track

_SHARE_OF_SERVICES = 0.4


@dataclass(frozen=True)
class Plan:
    """A whole storm.

    Args:
        seed: what it was drawn from.
        events: how many there shall be at least.
        services: the faults of Kafka and PostgreSQL, one after the other.
        processes: those of the crew, beside them.
        beats: in how many bursts the events come.
    """

    seed: int
    events: int
    services: tuple[Fault, ...]
    processes: tuple[Fault, ...]
    beats: int

    @property
    def faults(self) -> list[Fault]:
        """Every fault by its time."""
        return sorted([*self.services, *self.processes], key=lambda fault: fault.at)

    @property
    def seconds(self) -> float:
        """How long it takes if nothing is slow."""
        return self.beats * BEAT_SECONDS

    @property
    def deadline(self) -> float:
        """When it is given up, in seconds after it began."""
        return 120.0 + 4 * self.seconds

    def burst(self, makers: int) -> int:
        """Return the events of one maker at each beat.

        It is a tenth more than needed, for what goes wrong.
        """
        return max(1, round(1.1 * self.events / self.beats / makers))


def draw(seed: int, events: int, faults: int, services: Track, processes: Track) -> Plan:
    """Return the storm of this seed.

    Args:
        seed: any number; the same one gives the same plan.
        events: how many there shall be at least.
        faults: how many things go wrong.
        services: what goes wrong with Kafka and PostgreSQL.
        processes: what goes wrong with the crew.
    """
    rng = Random(seed)  # a storm must be repeatable, not secret
    count = round(faults * _SHARE_OF_SERVICES)
    first = services.draw(rng, count)
    second = processes.draw(rng, faults - count)
    beats = [count * services.beats, (faults - count) * processes.beats]
    return Plan(seed, events, first, second, 1 + max(beats))
