"""Carries out the faults of several tracks beside each other, while someone watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event as Flag

from .tracks import Fault
from .voice import say


class Course:
    """What goes wrong from the storm's begin to its end.

    Args:
        tracks: the faults of each follow each other.
        carry_out: makes one happen.
        deadline: when the storm is given up, in seconds after its begin.
    """

    def __init__(
        self,
        tracks: Sequence[Sequence[Fault]],
        carry_out: Callable[[Fault], None],
        deadline: float,
    ) -> None:
        self.done: list[Fault] = []
        self.began = time.time()
        self._tracks = tracks
        self._carry_out = carry_out
        self._deadline = deadline
        self._over = Flag()

    def run(self, watch: Callable[[], bool], beside: Sequence[Callable[[Flag], None]] = ()) -> None:
        """Go on until every fault was carried out and ``watch`` is content, or it takes too long.

        Args:
            watch: called again and again; says whether enough has happened.
            beside: run in threads of their own, each until it ends or the flag is set.
        """
        self.began = time.time()
        with ThreadPoolExecutor(len(self._tracks) + len(beside)) as pool:
            futures = [pool.submit(self._follow, track) for track in self._tracks]
            others = [pool.submit(action, self._over) for action in beside]
            try:
                self._supervise(futures, others, watch)
            finally:
                self._over.set()
        for other in others:
            other.result()

    def elapsed(self) -> float:
        """Return the seconds since its begin."""
        return time.time() - self.began

    def _supervise(
        self,
        tracks: Sequence[Future[None]],
        others: Sequence[Future[None]],
        watch: Callable[[], bool],
    ) -> None:
        while self.elapsed() < self._deadline:
            content = watch()
            for future in [*tracks, *others]:
                if future.done():
                    future.result()
            if content and all(track.done() for track in tracks):
                return
            time.sleep(0.1)
        say(f"given up after {self.elapsed():.0f} s")

    def _follow(self, track: Sequence[Fault]) -> None:
        """Carry out the faults of one track, each at its time or as soon after as it can be."""
        number = sum(map(len, self._tracks))
        for fault in track:
            if self._over.wait(max(0.0, fault.at - self.elapsed())):
                return
            say(f"fault {len(self.done) + 1} of {number}: {fault}")
            self.done.append(fault)
            self._carry_out(fault)
