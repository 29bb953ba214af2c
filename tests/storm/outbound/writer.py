"""Who writes, and under which keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

HOT = [f"hot-{number}" for number in range(3)]
SHARED = [*HOT, *(f"shared-{number:02d}" for number in range(40))]


@dataclass
class Writer:
    """Who writes.

    Args:
        name: of this writer; keys that begin with it are touched by no other.
        bulk: how many events a bulk act makes.
        rng: draws acts and keys.
    """

    name: str
    bulk: int
    rng: Random
    mortal: list[str] = field(default_factory=list)

    @property
    def own(self) -> list[str]:
        """The keys that only this writer uses."""
        return [f"{self.name}-{number}" for number in range(20)]

    def some(self, keys: Sequence[str], count: int) -> list[str]:
        """Draw distinct keys."""
        return self.rng.sample(keys, min(count, len(keys)))

    def few(self) -> list[str]:
        """Draw one to three keys, mostly shared with others."""
        keys = SHARED if self.rng.random() < 0.7 else self.own
        hot = [self.rng.choice(HOT)] if self.rng.random() < 0.3 else []
        return sorted({*hot, *self.some(keys, self.rng.randint(1, 3))})
