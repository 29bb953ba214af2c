"""The threads: who runs when, and what comes back. Handlers are stood in for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import pytest

from kafka_integration.broker.assignment import Taken
from kafka_integration.inbox.batch_size import BatchSize
from kafka_integration.inbox.dead_letters import DeadLetters
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Again, Bury, Done, Job, Verdict
from kafka_integration.inbox.pool import Pool, Work

from .messages import message

SECONDS = 20.0
HANDLED = Done(Outcome.HANDLED)


class Letters:
    """Notes which threads it was used in."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def poll(self) -> None:
        self.threads.add(threading.current_thread().name)

    close = poll


def job(number: int, key: str = "k") -> Job:
    found = message(offset=number, key=key.encode())
    return Job(Taken(found, 1), (*Taken(found, 1).place, key), lambda: "c/t")


class Bench:
    """Makes pools and ends them."""

    def __init__(self) -> None:
        self.letters = Letters()
        self.pools: list[Pool] = []
        self.stopped = threading.Event()

    def pool(
        self,
        handle: Callable[[Job], Verdict],
        bury: Callable[[Job], Verdict] = lambda _: HANDLED,
        workers: int = 4,
        backoff: float = 0.0,
        handle_all: Work | None = None,
        batches: BatchSize | None = None,
        alone_seconds: float = SECONDS,
    ) -> Pool:
        def all_of(jobs: Sequence[Job]) -> list[Verdict]:
            return [handle(one) for one in jobs]

        pool = Pool(
            handle_all or all_of,
            bury,
            cast(DeadLetters, self.letters),
            lambda _: backoff,
            stopped=self.stopped.is_set,
            workers=workers,
            batches=batches,
            alone_seconds=alone_seconds,
        )
        pool.start()
        self.pools.append(pool)
        return pool


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    for pool in found.pools:
        pool.end(SECONDS)


def results(pool: Pool, count: int) -> list[tuple[int, Verdict]]:
    found: list[tuple[int, Verdict]] = []
    while len(found) < count:
        one = pool.result(SECONDS)
        assert one is not None, found
        found.append((one[0].message.offset, one[1]))
    return found


def test_nothing_begins_beside_one_that_shall_be_alone(bench: Bench) -> None:
    release = threading.Event()

    def handle(one: Job) -> Verdict:
        if one.alone:
            assert release.wait(SECONDS)
        return HANDLED

    pool = bench.pool(handle, workers=3)
    suspect = job(1, "a")
    suspect.alone = True
    pool.add(suspect)
    while not pool.running():
        time.sleep(0.01)
    pool.add(job(2, "b"))
    assert pool.result(0.2) is None
    assert [one.message.offset for one in pool.running()] == [1]
    release.set()
    assert {number for number, _ in results(pool, 2)} == {1, 2}


def test_but_for_a_limited_time(bench: Bench) -> None:
    release = threading.Event()

    def handle(one: Job) -> Verdict:
        if one.alone:
            assert release.wait(SECONDS)
        return HANDLED

    pool = bench.pool(handle, workers=3, alone_seconds=0.1)
    suspect = job(1, "a")
    suspect.alone = True
    pool.add(suspect)
    pool.add(job(2, "b"))
    assert results(pool, 1) == [(2, HANDLED)]
    release.set()
    assert results(pool, 1) == [(1, HANDLED)]


def test_a_slow_key_holds_nobody_else(bench: Bench) -> None:
    release = threading.Event()

    def handle(one: Job) -> Verdict:
        if one.message.offset == 1:
            assert release.wait(SECONDS)
        return HANDLED

    pool = bench.pool(handle, workers=2)
    for number, key in enumerate(["slow", "slow", "b", "c", "b"], start=1):
        pool.add(job(number, key))
    assert {number for number, _ in results(pool, 3)} == {3, 4, 5}
    assert [one.message.offset for one in pool.running()] == [1]
    release.set()
    assert [number for number, _ in results(pool, 2)] == [1, 2]
    assert pool.in_flight() == (0, 0)


def test_a_pause_before_a_retry_takes_no_thread(bench: Bench) -> None:
    def handle(one: Job) -> Verdict:
        one.attempt += 1
        if one.lane == job(0, "bad").lane and one.attempt == 2:
            return Again(0.3, ValueError(), 1)
        return HANDLED

    pool = bench.pool(handle, workers=1)
    for number, key in [(1, "bad"), (2, "bad"), (3, "good")]:
        pool.add(job(number, key))
    found = results(pool, 4)
    assert [number for number, _ in found] == [1, 3, 1, 2]
    assert isinstance(found[0][1], Again)


def test_in_an_outage_everybody_waits(bench: Bench) -> None:
    tried: list[int] = []

    def handle(one: Job) -> Verdict:
        tried.append(one.message.offset)
        return HANDLED if len(tried) > 1 else Again(0.0, everybody=True)

    pool = bench.pool(handle, workers=1, backoff=0.5)
    started = time.monotonic()
    for number in (1, 2):
        pool.add(job(number, str(number)))
    results(pool, 3)
    assert time.monotonic() - started >= 0.5
    assert sorted(tried) == [1, 1, 2]


def test_letters_live_in_one_thread_which_is_no_handlers(bench: Bench) -> None:
    handlers: set[str] = set()
    buried: set[str] = set()

    def handle(one: Job) -> Verdict:
        handlers.add(threading.current_thread().name)
        return Bury()

    def bury(one: Job) -> Verdict:
        buried.add(threading.current_thread().name)
        return Done(Outcome.DEAD)

    pool = bench.pool(handle, bury)
    for number in range(40):
        pool.add(job(number, str(number)))
    assert {verdict for _, verdict in results(pool, 40)} == {Done(Outcome.DEAD)}
    pool.end(SECONDS)
    assert len(buried) == 1
    assert bench.letters.threads == buried
    assert not handlers & buried


def test_what_ends_the_process_is_raised_in_the_consumers_thread(bench: Bench) -> None:
    def handle(one: Job) -> Verdict:
        raise SystemExit(3)

    pool = bench.pool(handle, workers=1)
    pool.add(job(1))
    pool.add(job(2))
    with pytest.raises(SystemExit):
        pool.result(SECONDS)
    assert pool.result(0.1) is None
    assert pool.in_flight()[0] == 2


def test_stopped_it_begins_nothing_and_what_runs_may_end(bench: Bench) -> None:
    begun, release = threading.Event(), threading.Event()

    def handle(one: Job) -> Verdict:
        begun.set()
        assert release.wait(SECONDS)
        return HANDLED

    pool = bench.pool(handle, workers=1)
    pool.add(job(1))
    pool.add(job(2, "other"))
    assert begun.wait(SECONDS)
    bench.stopped.set()
    pool.stop()
    assert pool.busy()
    release.set()
    assert results(pool, 1) == [(1, HANDLED)]
    assert pool.result(0.1) is None
    assert not pool.busy()
    assert pool.in_flight()[0] == 1


def test_a_partition_that_goes_leaves_what_runs_to_itself(bench: Bench) -> None:
    begun, release = threading.Event(), threading.Event()

    def handle(one: Job) -> Verdict:
        begun.set()
        assert release.wait(SECONDS)
        return Again(0.0, ValueError(), 1)

    pool = bench.pool(handle)
    pool.add(job(1))
    pool.add(job(2))
    assert begun.wait(SECONDS)
    place = job(1).place
    pool.hold([place])
    assert pool.busy([place])
    pool.drop([place])
    release.set()
    assert [number for number, _ in results(pool, 1)] == [1]
    deadline = time.monotonic() + SECONDS
    while pool.busy():
        assert time.monotonic() < deadline
    assert pool.in_flight() == (0, 0)
    assert pool.result(0.1) is None


def test_other_work_comes_before_the_next_message(bench: Bench) -> None:
    pool = bench.pool(lambda _: HANDLED)
    assert pool.submit(lambda: 7).result(SECONDS) == 7

    def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        pool.submit(fail).result(SECONDS)


def test_a_thread_that_hangs_is_left_behind(bench: Bench) -> None:
    release = threading.Event()

    def handle(one: Job) -> Verdict:
        release.wait(SECONDS)
        return HANDLED

    pool = bench.pool(handle, workers=1)
    pool.add(job(1))
    started = time.monotonic()
    pool.end(0.2)
    assert time.monotonic() - started < SECONDS / 2
    release.set()


def batched(number: int) -> Job:
    one = job(number, str(number))
    one.database = "default"
    return one


def test_batches_run_one_at_a_time_until_they_are_seen_to_wait(bench: Bench) -> None:
    release = threading.Event()
    sizes = BatchSize(4)

    def handle(jobs: Sequence[Job]) -> list[Verdict]:
        assert release.wait(SECONDS)
        return [HANDLED] * len(jobs)

    pool = bench.pool(lambda _: HANDLED, handle_all=handle, batches=sizes)
    for number in range(8):
        pool.add(batched(number))
    time.sleep(0.2)
    assert len(pool.running()) == 1
    sizes.at_once = 4
    pool.add(batched(8))
    release.set()
    assert len(results(pool, 9)) == 9


def test_a_batch_that_hangs_does_not_keep_the_others_from_theirs(bench: Bench) -> None:
    release = threading.Event()

    def handle(jobs: Sequence[Job]) -> list[Verdict]:
        if jobs[0].message.offset == 0:
            assert release.wait(SECONDS)
        return [HANDLED] * len(jobs)

    pool = bench.pool(lambda _: HANDLED, handle_all=handle, batches=BatchSize(1))
    for number in range(3):
        pool.add(batched(number))
    assert {number for number, _ in results(pool, 2)} == {1, 2}
    release.set()
    results(pool, 1)
