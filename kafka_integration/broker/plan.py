"""What must be done so that Kafka's topics are as the catalogue says: pure, nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..events.catalogue import Catalogue
from ..events.topics import Topic


@dataclass(frozen=True)
class ExistingTopic:
    """One topic as Kafka has it.

    Args:
        name: what it is called.
        partitions: how many it has.
        replication_factor: on how many brokers its first partition lies.
        config: the values in force of the settings that the catalogue owns or that are set on
            this topic itself.
    """

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict, hash=False)


class Kind(str, Enum):
    """What a difference asks for."""

    CREATE = "create"
    ADD_PARTITIONS = "add partitions"
    SET_CONFIG = "set config"
    FEWER_PARTITIONS = "fewer partitions"
    OTHER_REPLICATION = "other replication factor"


_REFUSALS = {
    Kind.FEWER_PARTITIONS: (
        "Kafka cannot take partitions away. Correct the catalogue, or move to a new topic."
    ),
    Kind.OTHER_REPLICATION: (
        "Moving replicas loads the cluster, so it is not done here. Use Kafka's "
        "kafka-reassign-partitions, or correct the catalogue."
    ),
}
_MORE_PARTITIONS = (
    "With more partitions keys move, so events of one key lose their order across the change. "
    "If that is all right, use --allow-more-partitions."
)


_UNITS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}


@dataclass(frozen=True)
class Change:
    """One value: as Kafka has it, None if it has none, and as it should be."""

    name: str
    found: str | None
    wanted: str

    def __str__(self) -> str:
        wanted = readable(self.name, self.wanted)
        if self.found is None:
            return f"{self.name} = {wanted}"
        return f"{self.name}: {readable(self.name, self.found)} -> {wanted}"


def readable(name: str, value: str) -> str:
    """Return a topic setting's value; one in milliseconds with its meaning beside it."""
    if not (name.endswith(".ms") and value.isdigit()):
        return value
    milliseconds = int(value)
    for unit, size in _UNITS.items():
        if milliseconds >= size and milliseconds % size == 0:
            return f"{value} ({milliseconds // size} {unit})"
    return value


@dataclass(frozen=True)
class Action:
    """One step towards the catalogue for one topic.

    Args:
        kind: what is done.
        topic: the topic as it should be.
        changes: the values that differ.
    """

    kind: Kind
    topic: Topic
    changes: tuple[Change, ...]

    def refusal(self, *, allow_more_partitions: bool) -> str:
        """Return why this is not done, with the cure, or nothing if it is."""
        if self.kind is Kind.ADD_PARTITIONS and not allow_more_partitions:
            return _MORE_PARTITIONS
        return _REFUSALS.get(self.kind, "")

    def as_json(self) -> dict[str, object]:
        """Return this action as plain values."""
        changes = [vars(change) for change in self.changes]
        return {"action": self.kind.value, "topic": self.topic.name, "changes": changes}

    def __str__(self) -> str:
        return f"{self.kind.value} {self.topic.name}"


def plan(catalogue: Catalogue, existing: Mapping[str, ExistingTopic]) -> list[Action]:
    """Return what must be done, in the catalogue's order; nothing when Kafka is in step.

    Args:
        catalogue: how it should be.
        existing: how it is, by name. Of a topic's settings only those that the catalogue gives
            are compared.
    """
    return [action for topic in catalogue for action in _compare(topic, existing.get(topic.name))]


def unmanaged(catalogue: Catalogue, existing: Mapping[str, ExistingTopic]) -> list[str]:
    """Return the topics that Kafka has and the catalogue lacks, but for Kafka's own (``__…``)."""
    return sorted(name for name in existing if name not in catalogue and not name.startswith("__"))


def _compare(topic: Topic, found: ExistingTopic | None) -> Iterator[Action]:
    if found is None:
        yield Action(Kind.CREATE, topic, tuple(_all_values(topic)))
        return
    if found.partitions != topic.partitions:
        more = topic.partitions > found.partitions
        kind = Kind.ADD_PARTITIONS if more else Kind.FEWER_PARTITIONS
        yield Action(kind, topic, (_change("partitions", found.partitions, topic.partitions),))
    if found.replication_factor != topic.replication_factor:
        change = _change("replication factor", found.replication_factor, topic.replication_factor)
        yield Action(Kind.OTHER_REPLICATION, topic, (change,))
    changes = tuple(
        Change(name, found.config.get(name), wanted)
        for name, wanted in topic.config.items()
        if found.config.get(name) != wanted
    )
    if changes:
        yield Action(Kind.SET_CONFIG, topic, changes)


def _all_values(topic: Topic) -> Iterator[Change]:
    yield Change("partitions", None, str(topic.partitions))
    yield Change("replication factor", None, str(topic.replication_factor))
    for name, value in topic.config.items():
        yield Change(name, None, value)


def _change(name: str, found: int, wanted: int) -> Change:
    return Change(name, str(found), str(wanted))
