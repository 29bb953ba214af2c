"""How far long work has come: what its loop hands out after each transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """The state of long work after one more committed batch.

    Args:
        done: how many rows it has changed so far.
        left: how many it has looked at and left alone.
        share: how much of the whole is behind it, from 0 to 1; an estimate.
        last: where it stands, so that it can be taken up again from there.
        end: where it would have ended.
    """

    done: int
    left: int = 0
    share: float = 1.0
    last: Any = None
    end: Any = None


def share_of(first: float, now: float, end: float) -> float:
    """Return how much of the way from ``first`` to ``end`` is behind ``now``, from 0 to 1."""
    return 1.0 if end <= first else min(1.0, max(0.0, (now - first) / (end - first)))
