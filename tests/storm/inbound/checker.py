"""Compares what was sent with what came of it; knows neither consumer nor inbox.

Effects must be there once for each event, and in the order of their keys. Poison must be in the
dead-letter topic with its bytes, and nothing else may be there; the same letter may come again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

Place = tuple[str, int, int]
"""Topic, partition and offset."""

Headers = tuple[tuple[str, bytes], ...]

Named = tuple[str, str, int]
"""An event: topic, key and number."""

DEAD = ".dlq"
_PREFIX = "dlq_"


@dataclass(frozen=True)
class Wire:
    """A message of a topic, as it is there."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Headers

    def header(self, name: str) -> str:
        """Return a header's text, or an empty one."""
        return next((value.decode() for found, value in self.headers if found == name), "")


@dataclass(frozen=True)
class Sent:
    """An event that was sent; its repeats are others.

    Args:
        wire: the message.
        key, number: which event it is.
        poison: the reason that its dead letter must give; empty if it must be handled.
    """

    wire: Wire
    key: str
    number: int
    poison: str = ""

    @property
    def event(self) -> Named:
        """Which event it is."""
        return self.wire.place[0], self.key, self.number


@dataclass(frozen=True)
class Effect:
    """What a handler left.

    Args:
        row: grows with each effect.
        topic, key, number: of which event.
        before: the highest number of the key that the handler saw.
    """

    row: int
    topic: str
    key: str
    number: int
    before: int

    @property
    def event(self) -> Named:
        """Of which event."""
        return self.topic, self.key, self.number


@dataclass(frozen=True)
class Difference:
    """Something that must not be."""

    kind: str
    event: Named | None
    why: str

    def __str__(self) -> str:
        topic, key, number = self.event or ("", "", 0)
        return f"{self.kind}: {topic} {key} number {number}: {self.why}"


@dataclass
class Verdict:
    """What the checker found; ``repeated`` letters are no fault."""

    events: int = 0
    sent: int = 0
    handled: int = 0
    poison: int = 0
    dead_lettered: int = 0
    repeated: int = 0
    lost: list[Difference] = field(default_factory=list)
    duplicates: list[Difference] = field(default_factory=list)
    order_violations: list[Difference] = field(default_factory=list)
    phantoms: list[Difference] = field(default_factory=list)
    missing_letters: list[Difference] = field(default_factory=list)
    wrong_letters: list[Difference] = field(default_factory=list)

    @property
    def differences(self) -> list[Difference]:
        """All that must not be."""
        effects = [*self.lost, *self.duplicates, *self.order_violations, *self.phantoms]
        return [*effects, *self.missing_letters, *self.wrong_letters]


class Checker:
    """Judges one storm.

    Args:
        sent: what stands in the source topics.
        group: the consumer group, which letters must name.
    """

    def __init__(self, sent: Sequence[Sent], group: str) -> None:
        self._group = group
        self._places = {one.wire.place: one for one in sent}
        self._good = {one.event for one in sent if not one.poison}
        self._poison = {one.event for one in sent if one.poison}
        self.verdict = Verdict(len(self._good) + len(self._poison), len(sent))
        self.verdict.poison = len(self._poison)

    def judge(self, effects: Iterable[Effect], letters: Iterable[Wire]) -> Verdict:
        """Judge all effects and all letters, each in any order, and return the verdict."""
        self._judge_effects(sorted(effects, key=lambda one: one.row))
        self._judge_letters(sorted(letters, key=lambda one: one.place))
        return self.verdict

    def _judge_effects(self, effects: Sequence[Effect]) -> None:
        verdict, first = self.verdict, dict[Named, Effect]()
        for one in effects:
            if one.event not in self._good:
                why = "it is poison" if one.event in self._poison else "it was never sent"
                verdict.phantoms.append(Difference("phantom", one.event, why))
            elif one.event in first:
                why = f"row {one.row} after row {first[one.event].row}"
                verdict.duplicates.append(Difference("duplicate", one.event, why))
            else:
                first[one.event] = one
        verdict.handled = len(first)
        for event in sorted(self._good - set(first)):
            verdict.lost.append(Difference("lost", event, "sent, and without an effect"))
        verdict.order_violations += _disorder(first.values())

    def _judge_letters(self, letters: Iterable[Wire]) -> None:
        verdict, answered = self.verdict, set[Named]()
        for letter in letters:
            of = self._places.get(_origin(letter))
            why = self._wrong(letter, of)
            if why:
                event = of.event if of is not None else None
                text = f"{why}, says the letter at {letter.place}"
                verdict.wrong_letters.append(Difference("wrong letter", event, text))
            elif of is not None and of.event in answered:
                verdict.repeated += 1
            elif of is not None:
                answered.add(of.event)
        verdict.dead_lettered = len(answered)
        for event in sorted(self._poison - answered):
            missing = Difference("missing letter", event, "poison, and without a dead letter")
            verdict.missing_letters.append(missing)

    def _wrong(self, letter: Wire, of: Sent | None) -> str:
        """Say what is wrong with a letter; empty if nothing is."""
        if of is None:
            return f"nothing stands at {_origin(letter)}"
        if letter.place[0] != of.wire.place[0] + DEAD:
            return "it stands in another topic's dead letters"
        if not of.poison:
            return "it is no poison"
        if (letter.key, letter.value) != (of.wire.key, of.wire.value):
            return "its bytes are others"
        if (
            tuple(one for one in letter.headers if not one[0].startswith(_PREFIX))
            != of.wire.headers
        ):
            return "its headers are others"
        said = letter.header("dlq_group"), letter.header("dlq_reason")
        return "" if said == (self._group, of.poison) else f"its group and reason are {said}"


def _disorder(effects: Iterable[Effect]) -> Iterator[Difference]:
    """Name each effect that is not behind the one before it in its key.

    A key's effects must have been there, and seen, when the next one happened.
    """
    keys: dict[tuple[str, str], list[Effect]] = {}
    for one in effects:
        keys.setdefault((one.topic, one.key), []).append(one)
    for found in keys.values():
        numbers = sorted(one.number for one in found)
        preceding = dict(zip(numbers, [0, *numbers], strict=False))
        highest = 0
        for one in found:
            if one.number < highest:
                yield Difference("order", one.event, f"number {highest} came before it")
            elif one.before != preceding[one.number]:
                why = f"number {one.before} was the last then, not {preceding[one.number]}"
                yield Difference("order", one.event, why)
            highest = max(highest, one.number)


def _origin(letter: Wire) -> Place:
    topic, partition, offset = (
        letter.header(_PREFIX + name) for name in ("topic", "partition", "offset")
    )
    try:
        return topic, int(partition), int(offset)
    except ValueError:
        return topic, -1, -1
