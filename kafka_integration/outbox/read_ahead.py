"""Reads batches before there is room for them, on a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait

from .background import Background
from .reader import Reader, Wanted
from .scan import QueueRow

_MOST = 2
_PAUSE = 0.005


class ReadAhead:
    """The batches that were read and not taken yet, and which rows are under way.

    A row is under way from its reading until :meth:`leave` is called: no other read returns it.

    Args:
        reader: reads the queue.
        wanted: tells what to read, given the positions that are under way; called on the thread
            that reads.
    """

    def __init__(self, reader: Reader, wanted: Callable[[Sequence[int]], Wanted]) -> None:
        self._reader = reader
        self._wanted = wanted
        self._thread: Background | None = None
        self._reads: deque[Future[list[QueueRow]]] = deque()
        self._under_way: set[int] = set()
        self._next_look = 0.0

    def is_idle(self) -> bool:
        """Tell whether nothing was read that is not taken, and nothing more was found."""
        return not (self._reads or self._reader.is_cut)

    def look(self) -> None:
        """See to it that the next batches are read: two if many rows wait, else one."""
        most = _MOST if self._reader.is_cut else 1
        while len(self._reads) < most and time.monotonic() >= self._next_look:
            self._thread = self._thread or Background("outbox-reader")
            self._reads.append(self._thread.submit(self._read))

    def look_again(self) -> None:
        """Read at the next :meth:`look`, however short ago the last one found no more."""
        self._next_look = 0.0

    def take(self, seconds: float) -> list[QueueRow]:
        """Return the next batch; nothing if it is not there after ``seconds``.

        Raises:
            DatabaseError: the database did not answer; what it would have read is read anew.
        """
        wait([*self._reads][:1], seconds)
        if not (self._reads and self._reads[0].done()):
            return []
        rows = self._reads.popleft().result()
        if not self._reader.is_cut:
            self._next_look = time.monotonic() + _PAUSE
        return rows

    def read_now(self) -> list[QueueRow]:
        """Read a batch on this thread, while nothing is under way."""
        return self._reader.read(self._wanted(()))

    def leave(self, rows: Iterable[QueueRow]) -> None:
        """Take note that rows are not under way any more: they are out, or left for now."""
        self._under_way.difference_update([row.position for row in rows])

    def drop(self) -> None:
        """Leave all that was read and not taken, and begin at the lowest row again."""
        wait(self._reads)
        for read in self._reads:
            if not read.exception():
                self.leave(read.result())
        self._reads.clear()
        self.restart()

    def forget(self) -> None:
        """Take it that nothing is under way, whatever was."""
        self.drop()
        self._under_way.clear()

    def restart(self) -> None:
        """Look at the whole queue again with the next read, and do so at once."""
        self._next_look = 0.0
        self._reader.restart()

    def close(self) -> None:
        """End the thread and its database connection."""
        if self._thread:
            self._thread.close()
        self._thread = None

    def _read(self) -> list[QueueRow]:
        try:
            rows = self._reader.read(self._wanted(tuple(self._under_way)))
        except BaseException:
            self.restart()  # before the next read, which would pass what this one did not return
            raise
        self._under_way.update([row.position for row in rows])
        return rows
