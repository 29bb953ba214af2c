"""How far the queue has been read, and which transactions may still add rows below that.

Positions are given out when a row is inserted and seen when its transaction commits, so a row may
turn up below what was already read. A reader that only goes forward would lose it, and one that
begins at the lowest row each time walks over everything that was sent and is not vacuumed yet.
So we remember which transactions had not ended when we passed: nothing but they can add rows
below. When one of them has ended, the next read begins where its rows can begin.

It is known where they can begin because a transaction of our own, one that records a batch, gets
its number after that batch was read: whoever has a higher number takes positions above the batch.

Source: PostgreSQL's documentation, "Transaction ID and Snapshot Information Functions".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Snapshot(NamedTuple):
    """What a statement of PostgreSQL could see.

    Args:
        xmax: no transaction from this number on was visible; some of them may have begun.
        running: the transactions below ``xmax`` that had not ended.
    """

    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read ``xmin:xmax:running,running,…`` as ``pg_current_snapshot()`` writes it."""
        _, xmax, running = text.split(":")
        return cls(int(xmax), frozenset(map(int, running.split(","))) if running else frozenset())

    def sees(self, transaction: int) -> bool:
        """Tell whether ``transaction`` had ended."""
        return transaction < self.xmax and transaction not in self.running


class Mark(NamedTuple):
    """Transactions with a number above ``transaction`` take positions above ``position``."""

    transaction: int
    position: int


@dataclass
class Horizon:
    """The state of reading a queue by position.

    Args:
        cursor: everything up to this position was read, but for what came later.
        xmax: no transaction from this number on was visible then.
        suspects: the lower ones that had not ended then, each with a position that all of its
            own are above.
        own: our own transactions, which insert nothing.
        marks: where the positions of new transactions begin; in order.
        top: the highest position that was seen so far.
    """

    cursor: int = 0
    xmax: int = 0
    suspects: Mapping[int, int] = field(default_factory=dict)
    own: set[int] = field(default_factory=set)
    marks: list[Mark] = field(default_factory=list)
    top: int = 0

    def start(self, snapshot: Snapshot) -> int:
        """Return the position above which a read with this snapshot finds all that is new."""
        ended = [low for suspect, low in self.suspects.items() if snapshot.sees(suspect)]
        new = self.xmax
        while new in snapshot.running or (new in self.own and new < snapshot.xmax):
            new += 1
        if new < snapshot.xmax:
            ended.append(self.low(new))
        return min([self.cursor, *ended])

    def low(self, transaction: int) -> int:
        """Return a position that all of a transaction's own are above."""
        place = bisect_left(self.marks, (transaction,))
        return self.marks[place - 1].position if place else 0

    def mark(self, own: Mark) -> None:
        """Note a transaction of our own, and ``top`` as it was before that got its number."""
        self.own.add(own.transaction)
        self.marks.append(own)

    def knows(self, snapshot: Snapshot) -> bool:
        """Tell whether a snapshot is of the server that we know: its transactions are no older."""
        return snapshot.xmax >= self.xmax

    def advance(self, snapshot: Snapshot, last: int | None, is_cut: bool) -> None:
        """Note what a read from :meth:`start` has found.

        Args:
            snapshot: that of the read.
            last: the highest position it returned, or None if there was no row.
            is_cut: whether there may be more rows above ``last``.
        """
        if is_cut and last is not None and last < self.cursor:
            return  # not all late rows fitted; the next read begins as low again
        self.suspects = {
            running: self.suspects.get(running, self.low(running)) for running in snapshot.running
        }
        self.cursor = max(self.cursor, last or 0)
        self.top = max(self.top, self.cursor)
        self.xmax = snapshot.xmax
        self.own = {transaction for transaction in self.own if transaction >= self.xmax}
        del self.marks[: max(0, bisect_left(self.marks, (self.xmax,)) - 1)]

    def restart(self) -> None:
        """Begin again at the lowest row."""
        self.cursor = 0
