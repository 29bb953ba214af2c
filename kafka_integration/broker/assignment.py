"""Which partitions are ours, since when, and what of them is being worked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

from ..events.envelope import Message
from .offsets import Place
from .open_offsets import OpenOffsets


@dataclass(frozen=True)
class Taken:
    """A message that is being worked at.

    Args:
        message: what was read.
        generation: which assignment of its partition it was read in; no two have one number.
    """

    message: Message
    generation: int

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.message.topic, self.message.partition


class Assignment:
    """Our partitions. A partition that goes and comes again is a new one: what was taken from the
    old one may end meanwhile, and must not be taken for progress of the new.
    """

    def __init__(self) -> None:
        self.places: set[Place] = set()
        self.positions: dict[Place, int] = {}
        self._open: dict[Place, OpenOffsets] = {}
        self._generations: dict[Place, int] = {}
        self._numbers = count(1)

    def add(self, places: Iterable[Place]) -> None:
        """Begin with these partitions."""
        for place in places:
            self.places.add(place)
            self._begin(place)

    def remove(self, places: Iterable[Place]) -> None:
        """Forget these partitions and all that was taken from them."""
        for place in places:
            self.places.discard(place)
            self.positions.pop(place, None)
            self._open.pop(place, None)
            self._generations.pop(place, None)

    def take(self, message: Message) -> Taken:
        """Note that ``message``, which was just read, is being worked at.

        Offsets that start anew are those of a topic that was made anew: another generation.
        """
        place = message.topic, message.partition
        if place not in self._open or self._open[place].is_past(message.offset):
            self._begin(place)
        self._open[place].take(message.offset)
        return Taken(message, self._generations[place])

    def finish(self, taken: Taken) -> int | None:
        """Note that it is finished; return where the partition's group may go on, if that moved.

        What was taken in an earlier assignment is none of ours any more.
        """
        place = taken.place
        if place not in self.places or self._generations.get(place) != taken.generation:
            return None
        following = self._open[place].finish(taken.message.offset)
        if following is not None:
            self.positions[place] = following
        return following

    def reach(self, place: Place, offset: int) -> None:
        """Note that a partition was read to its end, which may be past its last message."""
        opened = self._open.get(place)
        if opened is not None:
            opened.reach(offset)
        if not opened:
            self.positions[place] = offset

    def _begin(self, place: Place) -> None:
        self._generations[place] = next(self._numbers)
        self._open[place] = OpenOffsets()
