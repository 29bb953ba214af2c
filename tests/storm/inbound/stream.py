"""What the producer sends: drawn from the seed alone, so that it is known what must come of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from random import Random

CONTRACT = "Asked"

_BATCHED = 0.75
_HOT = 0.1
_KEYS = 200
_NAMED = 0.9
_ADJACENT = 0.02
_FAR = 0.03


class Manner(str, Enum):
    """What its handler makes of an event."""

    PLAIN = "plain"
    SLOW = "slow"
    FLAKY = "flaky"
    FATAL = "fatal"
    GARBLED = "garbled"
    INVALID = "invalid"
    NEWER = "newer"


REASONS = {
    Manner.FATAL: "not-retriable",
    Manner.GARBLED: "undecodable",
    Manner.INVALID: "invalid",
    Manner.NEWER: "unknown-version",
}
"""What the dead letter of each kind of poison gives as its reason."""

_SHARES = {Manner.SLOW: 0.002, Manner.FLAKY: 0.01, **dict.fromkeys(REASONS, 0.0025)}


@dataclass(frozen=True)
class Item:
    """One event as it is sent.

    Args:
        table: for which of the topics.
        key: of the message.
        number: among the events of table and key, from 1.
        manner: what its handler makes of it.
        named: whether it has an id of its own.
    """

    table: str
    key: str
    number: int
    manner: Manner
    named: bool

    @property
    def value(self) -> bytes:
        """The bytes of the message."""
        if self.manner is Manner.GARBLED:
            return b"\xff\x00 " + f"{self.key} {self.number}".encode()
        number = "many" if self.manner is Manner.INVALID else self.number
        return json.dumps({"lane": self.key, "number": number, "manner": self.manner}).encode()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The headers of the message; ``storm_`` is for the checker alone."""
        said = {"storm_number": str(self.number), "storm_manner": self.manner.value}
        if self.named:
            said |= {"ce_id": f"{self.key}/{self.number}", "ce_source": f"/storm/{self.table}"}
            said |= {"ce_type": CONTRACT}
        if self.manner is Manner.NEWER:
            said["ce_dataversion"] = "99"
        return [(name, text.encode()) for name, text in said.items()]


def stream(seed: int, events: int) -> Iterator[Item]:
    """Yield what is sent, in its order; some of it twice, at once or far apart.

    Args:
        seed: the same one gives the same again.
        events: how many different ones.
    """
    rng = Random(f"{seed}/stream")  # repeatable, not secret
    numbers: Counter[tuple[str, str]] = Counter()
    again: list[tuple[int, int, Item]] = []
    for number in range(events):
        item = _draw(rng, numbers)
        yield item
        lot = rng.random()
        if item.named and lot < _ADJACENT:
            yield item
        elif item.named and lot < _ADJACENT + _FAR:
            heappush(again, (number + rng.randint(50, 50 + events // 4), number, item))
        while again and again[0][0] <= number:
            yield heappop(again)[2]
    while again:
        yield heappop(again)[2]


def _draw(rng: Random, numbers: Counter[tuple[str, str]]) -> Item:
    table = "batch" if rng.random() < _BATCHED else "single"
    hot = rng.random() < _HOT
    key = f"hot-{rng.randrange(3)}" if hot else f"key-{rng.randrange(_KEYS):03d}"
    numbers[table, key] += 1
    lot, manner = rng.random(), Manner.PLAIN
    for one, share in _SHARES.items():
        lot -= share
        if lot < 0:
            manner = one
            break
    return Item(table, key, numbers[table, key], manner, rng.random() < _NAMED)
