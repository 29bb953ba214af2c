"""The threads that handlers run in; a clerk's thread buries what they give up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..broker.offsets import Place
from ..database import close_connections, close_stale_connections
from .batch_size import BatchSize
from .clerk import Clerk
from .dead_letters import DeadLetters
from .job import Again, Back, Bury, Crashed, Done, Job, Verdict
from .lanes import Lanes
from .quiet import Quiet

_BRISK_SECONDS = 1.0

T = TypeVar("T")

Work = Callable[[Sequence[Job]], Sequence[Verdict]]


class Pool:
    """Runs jobs in threads, each lane in order. All methods are for the consumer's thread.

    A thread that is done with a job takes the next one by itself. What became of each is in
    :meth:`result`, also where another try follows. The threads are daemons: one whose handler
    hangs must not keep the process from ending.

    Args:
        handle: tries jobs; it returns a verdict for each, in their order.
        bury: sends a dead letter and records it.
        letters: the dead letters, which live in one thread of their own.
        backoff: seconds that all threads wait after so many outages in a row.
        stopped: asked before each job; nothing more is started once it says yes.
        workers: how many threads handle.
        batches: how many jobs of one batch a thread takes at a time; by default one.
        alone_seconds: for how long nothing else begins beside a job that shall be alone.
        name: what the threads are called.
    """

    def __init__(
        self,
        handle: Work,
        bury: Callable[[Job], Verdict],
        letters: DeadLetters,
        backoff: Callable[[int], float],
        *,
        stopped: Callable[[], bool],
        workers: int,
        batches: BatchSize | None = None,
        alone_seconds: float = 30.0,
        name: str = "kafka-handler",
    ) -> None:
        self._handle = handle
        self._stopped = stopped
        self._batches = batches or BatchSize(1)
        self._alone_seconds = alone_seconds
        self._alone_until = 0.0
        self._workers = workers
        self._lanes: Lanes[Job] = Lanes()
        self._quiet = Quiet(backoff)
        self._changed = threading.Condition()
        self._ended = False
        self._chores: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._at: dict[int, Sequence[Job]] = {}
        self._batching: dict[int, float] = {}
        self._clerk = Clerk(bury, letters, lambda job, verdict: self._settle([job], [verdict]))
        self._results: SimpleQueue[tuple[Job | None, Verdict]] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, args=(self._loop,), name=f"{name}-{n}", daemon=True)
            for n in range(workers)
        ]
        self._threads.append(
            threading.Thread(
                target=self._run, args=(self._clerk.work,), name=f"{name}-letters", daemon=True
            )
        )

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def add(self, job: Job) -> None:
        """Let a job run when its turn comes."""
        with self._changed:
            self._lanes.add(job)
            if self._may_take(time.monotonic()):
                self._changed.notify()

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """Run something else in a thread, before any job; never run once we :meth:`stop`."""
        future: Future[T] = Future()
        with self._changed:
            self._chores.append((future, action))
            self._changed.notify()
        return future

    def result(self, timeout: float = 0.0) -> tuple[Job, Verdict] | None:
        """Return the next job that came to something, or None after ``timeout`` seconds.

        Raises:
            BaseException: what ends the process, as ``SystemExit`` in a handler.
        """
        try:
            job, verdict = self._results.get(timeout > 0, timeout or None)
        except Empty:
            return None
        if isinstance(verdict, Crashed):
            raise verdict.error
        assert job is not None  # noqa: S101  # for mypy: only a crash has none
        return job, verdict

    def in_flight(self) -> tuple[int, int]:
        """Return how many jobs there are and how many bytes they take."""
        with self._changed:
            return self._lanes.count, self._lanes.size

    def running(self) -> list[Job]:
        """Return the job that each thread is at."""
        with self._changed:
            return [min(jobs, key=lambda job: job.started) for jobs in self._at.values() if jobs]

    def hold(self, places: Collection[Place]) -> None:
        """Start nothing more of these partitions."""
        with self._changed:
            self._lanes.hold(places)

    def release(self, places: Collection[Place]) -> None:
        """Start what waits of these partitions after all."""
        with self._changed:
            self._lanes.release(places)
            self._changed.notify()

    def busy(self, places: Collection[Place] | None = None) -> bool:
        """Tell whether anything of these partitions, or of all, is at work."""
        with self._changed:
            return bool(self._lanes.out(places)) or (places is None and bool(self._at))

    def drop(self, places: Collection[Place]) -> None:
        """Forget the jobs of these partitions; those at work are left to themselves."""
        with self._changed:
            self._lanes.drop(places)

    def stop(self) -> None:
        """Start nothing more at all."""
        with self._changed:
            self._lanes.stop()
            self._chores.clear()

    def end(self, timeout: float) -> None:
        """End the threads; leave those behind that are at work after ``timeout`` seconds."""
        with self._changed:
            self._ended = True
            self._lanes.stop()
            self._changed.notify_all()
        self._clerk.end()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001  # told in the consumer's thread, which ends
            self._results.put((None, Crashed(error)))
        finally:
            close_connections()

    def _loop(self) -> None:
        while (task := self._next()) is not None:
            task()

    def _next(self) -> Callable[[], None] | None:
        """Wait for something to do; None at the end."""
        with self._changed:
            while not self._ended:
                now = time.monotonic()
                if self._chores:
                    chore = self._chores.popleft()
                    self._begin((), now)
                    return lambda: self._do_chore(*chore)
                if jobs := self._take(now):
                    self._begin(jobs, now)
                    return lambda: self._do(jobs)
                self._changed.wait(self._time_to_wake(now))
        return None

    def _take(self, now: float) -> list[Job]:
        if not self._may_take(now):
            return []
        # Not more than its share: the other threads are there as well.
        threads = min(self._workers, self._batches.at_once)
        share = -(-(self._lanes.count - self._lanes.out()) // threads)
        jobs = self._lanes.take(now, max(1, min(self._batches.value, share)))
        if jobs and jobs[0].alone:
            self._alone_until = now + self._alone_seconds
        if jobs and jobs[0].batch is not None:
            self._batching[threading.get_ident()] = now
        return jobs

    def _may_take(self, now: float) -> bool:
        if now < max(self._quiet.until, self._alone_until) or self._stopped():
            return False
        # One that takes long may hang, and must not keep the others from theirs.
        brisk = sum(now - since < _BRISK_SECONDS for since in self._batching.values())
        return brisk < self._batches.at_once or self._lanes.next_batch is None

    def _begin(self, jobs: Sequence[Job], now: float) -> None:
        for job in jobs:
            job.started = now
        self._at[threading.get_ident()] = jobs
        # Whoever else is idle may be asleep for longer than until the next lane is ready.
        if self._lanes.ready or self._time_to_wake(now) is not None:
            self._changed.notify()

    def _time_to_wake(self, now: float) -> float | None:
        if now < (until := max(self._quiet.until, self._alone_until)):
            return until - now
        times = [self._lanes.next_wake()]
        if not self._may_take(now):
            times.append(now + _BRISK_SECONDS)
        return min((max(0.0, at - now) for at in times if at is not None), default=None)

    def _do(self, jobs: Sequence[Job]) -> None:
        close_stale_connections()
        try:
            verdicts = self._handle(jobs)
        except BaseException as error:  # noqa: BLE001  # told in the consumer's thread, which ends
            verdicts = [Crashed(error)] * len(jobs)
        close_stale_connections()
        self._settle(jobs, verdicts)

    def _do_chore(self, future: Future[Any], action: Callable[[], Any]) -> None:
        try:
            close_stale_connections()
            result = action()
            close_stale_connections()
        except BaseException as error:  # noqa: BLE001  # raised where the result is asked for
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            with self._changed:
                del self._at[threading.get_ident()]

    def _settle(self, jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> None:
        with self._changed:
            self._at.pop(threading.get_ident(), None)
            self._batching.pop(threading.get_ident(), None)
            # Before the lanes: who sees nothing at work any more finds all results.
            for job, verdict in zip(jobs, verdicts, strict=True):
                if not isinstance(verdict, (Bury, Back)):
                    self._results.put((job, verdict))
            now = time.monotonic()
            if any(job.alone for job in jobs):
                self._alone_until = 0.0
            for job, verdict in reversed(list(zip(jobs, verdicts, strict=True))):
                self._return(job, verdict, now)
            self._changed.notify()

    def _return(self, job: Job, verdict: Verdict, now: float) -> None:
        if isinstance(verdict, Done):
            self._quiet.calm()
            self._lanes.done(job)
        elif isinstance(verdict, Again):
            if verdict.everybody:
                self._quiet.trouble(now)
            self._lanes.again(job, now + verdict.pause)
        elif isinstance(verdict, Bury):
            self._clerk.take(job)
        else:
            if isinstance(verdict, Crashed):
                self._lanes.stop()
            self._lanes.back(job)
