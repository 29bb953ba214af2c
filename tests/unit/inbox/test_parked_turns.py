"""When parked messages run, with a database and threads that are stood in for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, TypeVar, cast

import pytest

from kafka_integration.broker.offsets import Place
from kafka_integration.inbox import parked_turns as module
from kafka_integration.inbox.careful import Careful
from kafka_integration.inbox.dispatch import Outcome
from kafka_integration.inbox.job import Job, Parked
from kafka_integration.inbox.owners import Owners
from kafka_integration.inbox.parked_rows import ParkedLane, ParkedRows
from kafka_integration.inbox.parked_turns import ParkedTurns
from kafka_integration.inbox.waiting import Waiting
from kafka_integration.models import InboxRecord

from .messages import TOPIC, message
from .test_settlement import outage

T = TypeVar("T")
PLACE = (TOPIC, 1)


class Rows:
    """Gives these answers, one a question."""

    def __init__(self) -> None:
        self.parked: list[list[ParkedLane] | Exception] = []
        self.wanted: list[list[InboxRecord] | Exception] = []
        self.looks = 0
        self.overdue = False

    def is_overdue(self) -> bool:
        return self.overdue

    def lanes(self, places: Collection[Place]) -> list[ParkedLane]:
        return self.answer(self.parked)

    def demanded(self, most: int) -> list[InboxRecord]:
        self.looks += 1
        return self.answer(self.wanted)

    def answer(self, answers: list[list[T] | Exception]) -> list[T]:
        found = answers.pop(0) if answers else []
        if isinstance(found, Exception):
            raise found
        return found


class Possessions:
    """Remembers who gave what up, and suspects these partitions."""

    def __init__(self) -> None:
        self.suspected: set[Place] = set()
        self.given: list[set[Place]] = []

    def claim(self, places: Collection[Place]) -> set[Place]:
        return self.suspected & set(places)

    def release(self, places: set[Place]) -> None:
        self.given.append(places)


class Threads:
    """Runs what is submitted at once, or when told to."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.held: set[Place] = set()
        self.later: list[Callable[[], None]] | None = None

    def submit(self, action: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(action())
            except Exception as error:  # noqa: BLE001  # as a thread would
                future.set_exception(error)

        if self.later is None:
            run()
        else:
            self.later.append(run)
        return future

    def add(self, job: Job) -> None:
        self.jobs.append(job)

    def hold(self, places: Collection[Place]) -> None:
        self.held |= set(places)

    def release(self, places: Collection[Place]) -> None:
        self.held -= set(places)


class Clock:
    """A clock that a test moves on."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


class Scene:
    """Turns, and what surrounds them."""

    def __init__(self, most: int = 3, *, drain: bool = False) -> None:
        self.rows, self.threads, self.waiting = Rows(), Threads(), Waiting()
        self.owners, self.careful = Possessions(), Careful()
        self.turns = ParkedTurns(
            "things",
            cast(ParkedRows, self.rows),
            cast(Owners, self.owners),
            self.waiting,
            self.careful,
            self.threads,
            most,
            drain=drain,
        )

    def turn(self, times: int = 1) -> list[Any]:
        for _ in range(times):
            self.turns.turn()
        return [job.parked for job in self.threads.jobs]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def scene(clock: Clock) -> Scene:
    return Scene()


def record(pk: int) -> InboxRecord:
    return InboxRecord(pk=pk, topic=TOPIC, partition=1, offset=pk)


def test_nothing_of_a_partition_runs_before_its_parked_keys_are_known(scene: Scene) -> None:
    scene.threads.later = []
    scene.rows.parked = [[ParkedLane("a", message(), 2)]]
    scene.turns.arriving({PLACE})
    assert scene.threads.held == {PLACE}
    scene.turn(2)
    assert (scene.threads.held, scene.turns.loading, scene.turns.idle) == ({PLACE}, True, False)
    for run in scene.threads.later:
        run()
    scene.turn()
    assert (scene.threads.held, scene.turns.loading) == (set(), False)
    assert scene.waiting.holds("a")
    assert scene.waiting.number("a") == 2
    [job] = scene.threads.jobs
    assert job.parked is not None
    assert (job.parked.lane, job.place) == ("a", PLACE)


def test_in_an_outage_the_partition_is_held_and_asked_for_again(
    scene: Scene, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scene.rows.parked = [outage(), [ParkedLane("a", message(), 1)]]
    scene.turns.arriving({PLACE})
    scene.turn(5)
    assert "Group things cannot look for parked records" in caplog.text
    assert scene.threads.held == {PLACE}
    clock.now += 5
    scene.turn(2)
    assert scene.threads.held == set()
    assert scene.waiting.holds("a")


def test_a_partition_that_goes_before_the_answer_is_left_alone(scene: Scene) -> None:
    other = (TOPIC, 2)
    scene.threads.later = []
    scene.rows.parked = [[ParkedLane("a", message(), 1)]]
    scene.turns.arriving({PLACE, other})
    scene.turn()
    scene.turns.gone({PLACE})
    scene.threads.later[0]()
    scene.turn()
    assert scene.threads.held == {PLACE}, "to be held is for the pool to forget"
    assert not scene.waiting.holds("a")


def test_what_a_process_may_have_died_of_is_tried_alone_and_first(scene: Scene) -> None:
    scene.owners.suspected = {PLACE}
    scene.rows.parked = [
        [ParkedLane("a", message(), 1, starts=0), ParkedLane("b", message(), 3, starts=1)]
    ]
    scene.turns.arriving({PLACE, (TOPIC, 2)})
    scene.turn(2)
    assert [(job.parked, job.alone) for job in scene.threads.jobs] == [
        (Parked("b"), True),
        (Parked("a"), False),
    ]
    assert scene.careful.has(PLACE)
    assert not scene.careful.has((TOPIC, 2))
    scene.turns.passed(PLACE, Outcome.DUPLICATE)
    for _ in range(999):
        scene.turns.passed(PLACE, Outcome.HANDLED)
    assert scene.careful.has(PLACE), "as many as may be in memory"
    scene.turns.passed(PLACE, Outcome.HANDLED)
    assert not scene.careful.has(PLACE)


def test_what_is_given_up_is_told(scene: Scene) -> None:
    scene.turns.give_up({PLACE})
    scene.turns.give_up(set())
    assert scene.owners.given == [{PLACE}]


def test_only_so_many_run_at_a_time(clock: Clock) -> None:
    scene = Scene(most=2)
    for lane in "abc":
        scene.waiting.note(lane, message(), due=0.0)
    assert [parked.lane for parked in scene.turn(3)] == ["a", "b"]
    first = scene.threads.jobs[0]
    scene.waiting.close("a", scene.waiting.version("a"), now=0.0)
    scene.turns.ended(first, Outcome.PARKED)
    assert [parked.lane for parked in scene.turn()] == ["a", "b", "c"]


def test_what_became_of_them_is_counted(scene: Scene) -> None:
    scene.waiting.note("a", message(), due=0.0)
    scene.turn()
    [job] = scene.threads.jobs
    done = [Outcome.HANDLED, Outcome.HANDLED, Outcome.PARKED]
    job.ran = [(record(number), outcome) for number, outcome in enumerate(done)]
    scene.turns.ended(job, Outcome.DEAD)
    assert scene.turns.outcomes == {Outcome.HANDLED: 2, Outcome.DEAD: 1}


def test_what_is_wanted_runs_once_at_a_time_and_then_it_looks_at_once(
    scene: Scene, clock: Clock
) -> None:
    assert not scene.turns.idle
    scene.rows.wanted = [[record(1)], [record(1), record(2)], []]
    assert [parked.pk for parked in scene.turn()] == [1]
    clock.now += 1
    assert [parked.pk for parked in scene.turn()] == [1, 2]
    assert not scene.turns.idle
    for job in scene.threads.jobs:
        scene.turns.ended(job, Outcome.PARKED)
    scene.turn()
    assert scene.turns.idle
    scene.turn(5)
    assert scene.rows.looks == 3
    clock.now += 1
    scene.turn()
    assert scene.rows.looks == 4


def test_in_an_outage_it_looks_less_often(scene: Scene, clock: Clock) -> None:
    scene.rows.wanted = [outage()]
    scene.turn()
    assert scene.turns.idle
    clock.now += 4
    scene.turn()
    assert scene.rows.looks == 1
    clock.now += 1
    scene.turn()
    assert scene.rows.looks == 2


def test_what_is_no_outage_is_raised(scene: Scene) -> None:
    scene.rows.wanted = [LookupError()]
    with pytest.raises(LookupError):
        scene.turn()


def test_a_drain_waits_for_what_is_due_though_it_has_no_partition_yet(clock: Clock) -> None:
    scene = Scene(drain=True)
    scene.rows.overdue = True
    scene.turn()
    assert not scene.turns.idle
    clock.now += 1
    scene.rows.overdue = False
    scene.turn()
    assert scene.turns.idle
