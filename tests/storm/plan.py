"""What will go wrong, and when: drawn from the seed alone, so that a storm can be repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

LEASE_SECONDS = 3.0
BEAT_SECONDS = 4.0
"""Writers write a burst at each beat, and faults strike soon after it, where much is under way."""

RELAYS = 3
WRITERS = 4

_BEATS_BETWEEN = {"services": 3, "processes": 2}
_SHARE_OF_SERVICES = 0.4
_ON_A_HOLDER = 0.7


class Kind(str, Enum):
    """One way in which something goes wrong."""

    KAFKA_KILLED = "kafka-killed"
    KAFKA_RESTARTED = "kafka-restarted"
    KAFKA_FROZEN = "kafka-frozen"
    POSTGRES_FAST = "postgres-fast"
    POSTGRES_IMMEDIATE = "postgres-immediate"
    RELAY_KILLED = "relay-killed"
    RELAY_FROZEN = "relay-frozen"
    RELAY_STOPPED = "relay-stopped"
    WRITER_KILLED = "writer-killed"
    LEASE_TAMPERED = "lease-tampered"


SERVICES = (
    Kind.KAFKA_KILLED,
    Kind.KAFKA_RESTARTED,
    Kind.KAFKA_FROZEN,
    Kind.POSTGRES_FAST,
    Kind.POSTGRES_IMMEDIATE,
)
PROCESSES = (
    Kind.RELAY_KILLED,
    Kind.RELAY_FROZEN,
    Kind.RELAY_STOPPED,
    Kind.WRITER_KILLED,
    Kind.LEASE_TAMPERED,
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Args:
        at: seconds after the storm began.
        kind: what goes wrong.
        seconds: how long it lasts, where that can be chosen.
        on_holder: whether it strikes a relay that holds leases, where one can be found.
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
class Plan:
    """A whole storm.

    Args:
        seed: what it was drawn from.
        events: how many shall be committed at least.
        services: the faults of Kafka and PostgreSQL, one after the other.
        processes: those of relays, writers and leases, beside them.
        beats: how many bursts the writers need for their events.
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

    @property
    def burst(self) -> int:
        """Events of one writer at each beat; a tenth more than needed, for what goes wrong."""
        return max(1, round(1.1 * self.events / self.beats / WRITERS))


def draw(seed: int, events: int, faults: int) -> Plan:
    """Return the storm of this seed.

    Args:
        seed: any number; the same one gives the same plan.
        events: how many shall be committed at least.
        faults: how many things go wrong.
    """
    rng = Random(seed)  # a storm must be repeatable, not secret
    of_services = round(faults * _SHARE_OF_SERVICES)
    services = tuple(_track(rng, SERVICES, of_services, _BEATS_BETWEEN["services"]))
    rest = faults - of_services
    processes = tuple(_track(rng, PROCESSES, rest, _BEATS_BETWEEN["processes"]))
    beats = [len(services) * _BEATS_BETWEEN["services"], rest * _BEATS_BETWEEN["processes"]]
    return Plan(seed, events, services, processes, 1 + max(beats))


def allowed(seconds: float, burst: int) -> int:
    """Return how many events a writer may have written by now: a burst at each beat."""
    return burst * (1 + int(seconds / BEAT_SECONDS))


def _track(rng: Random, kinds: Sequence[Kind], count: int, beats: int) -> Iterator[Fault]:
    for number, kind in zip(range(count), _shuffled(rng, kinds)):  # noqa: B905  # endless
        yield Fault(
            at=(1 + number * beats) * BEAT_SECONDS + rng.uniform(0.0, 1.5),
            kind=kind,
            seconds=LEASE_SECONDS + rng.uniform(0.5, 2.5),
            on_holder=rng.random() < _ON_A_HOLDER,
            lot=rng.randrange(1_000),
        )


def _shuffled(rng: Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Deal every kind before any comes again."""
    while True:
        yield from rng.sample(kinds, len(kinds))
