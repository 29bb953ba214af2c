"""Compares what was committed with what stands in the topics; knows neither relay nor outbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Unit = tuple[str, str]
"""A topic and a key: what order is kept for."""


@dataclass(frozen=True)
class Record:
    """One record of a topic, in the storm's own terms.

    Args:
        topic, partition, offset: where it stands.
        key: the key on the wire.
        number: its place among the events of topic and key, by the order of commits.
        id: the event's id.
        sequence: its ``ce_sequence``.
        doomed: whether it tells of work that was rolled back.
    """

    topic: str
    partition: int
    offset: int
    key: str
    number: int
    id: str
    sequence: str
    doomed: bool = False


@dataclass(frozen=True)
class Difference:
    """Something that must not be: ``partition`` and ``offset`` are None for what is lost."""

    kind: str
    topic: str
    key: str
    number: int
    partition: int | None
    offset: int | None
    why: str

    def __str__(self) -> str:
        place = "" if self.partition is None else f" at [{self.partition}]@{self.offset}"
        return f"{self.kind}: {self.topic} {self.key} number {self.number}{place}: {self.why}"


@dataclass
class Verdict:
    """What the checker found; ``published`` counts every record."""

    committed: int = 0
    published: int = 0
    lost: list[Difference] = field(default_factory=list)
    duplicates: list[Difference] = field(default_factory=list)
    order_violations: list[Difference] = field(default_factory=list)
    phantoms: list[Difference] = field(default_factory=list)


@dataclass
class _Seen:
    """What has been read of one topic and key."""

    partition: int
    highest: int = 0
    sequence: str = ""
    first: dict[int, Record] = field(default_factory=dict)


class Checker:
    """Judges records one by one.

    Args:
        committed: how many events were committed for each topic and key: numbers 1 to that.
        exactly_once: judge the order of every record, not only of first appearances.
    """

    def __init__(self, committed: Mapping[Unit, int], exactly_once: bool) -> None:
        self.committed = committed
        self.exactly_once = exactly_once
        self.verdict = Verdict(sum(committed.values()))
        self._seen: dict[Unit, _Seen] = {}

    def judge(self, records: Iterable[Record]) -> Verdict:
        """Judge all that the topics hold, in any order, and return the verdict."""
        for record in sorted(records, key=lambda one: (one.topic, one.partition, one.offset)):
            self.verdict.published += 1
            self._judge(record)
        for (topic, key), count in sorted(self.committed.items()):
            seen = self._seen.get((topic, key))
            for number in range(1, count + 1):
                if seen is None or number not in seen.first:
                    why = "committed, and in no record"
                    lost = Difference("lost", topic, key, number, None, None, why)
                    self.verdict.lost.append(lost)
        return self.verdict

    def _judge(self, record: Record) -> None:
        reason = self._phantom(record)
        if reason:
            self.verdict.phantoms.append(_difference("phantom", record, reason))
            return
        unit = (record.topic, record.key)
        seen = self._seen.setdefault(unit, _Seen(record.partition))
        disorder = self._disorder(seen, record)
        if disorder:
            self.verdict.order_violations.append(_difference("order", record, disorder))
        if record.number in seen.first:
            first = seen.first[record.number]
            why = f"first seen at [{first.partition}]@{first.offset}"
            self.verdict.duplicates.append(_difference("duplicate", record, why))
        else:
            seen.first[record.number] = record
            seen.sequence = max(seen.sequence, record.sequence)
        seen.highest = max(seen.highest, record.number)

    def _phantom(self, record: Record) -> str:
        """Say why no commit stands for this record; empty if one does."""
        unit = (record.topic, record.key)
        count = self.committed.get(unit, 0)
        if record.doomed:
            return "its work was rolled back"
        if not 1 <= record.number <= count:
            return f"the last that was committed is {count}"
        first = self._seen[unit].first.get(record.number) if unit in self._seen else None
        if first is not None and first.id != record.id:
            return f"[{first.partition}]@{first.offset} has the number under another event id"
        return ""

    def _disorder(self, seen: _Seen, record: Record) -> str:
        """Say what is wrong with a record's place; empty if nothing is."""
        if record.partition != seen.partition:
            return f"its key was on partition {seen.partition} before"
        first = seen.first.get(record.number)
        if (first is None or self.exactly_once) and record.number < seen.highest:
            return f"number {seen.highest} came before it"
        if first is None and record.sequence <= seen.sequence:
            return f"ce_sequence {record.sequence} is not above {seen.sequence}"
        if first is not None and record.sequence != first.sequence:
            return f"ce_sequence {record.sequence} was {first.sequence} before"
        return ""


def _difference(kind: str, record: Record, why: str) -> Difference:
    place = (record.topic, record.key, record.number, record.partition, record.offset)
    return Difference(kind, *place, why)
