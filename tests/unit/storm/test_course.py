"""Faults are carried out track by track, until they are through and the watch is content."""

from __future__ import annotations

from threading import Event as Flag

import pytest

from tests.storm.course import Course
from tests.storm.tracks import Fault, Service

SECONDS = 30.0


def fault(at: float, lot: int) -> Fault:
    return Fault(at, Service.KAFKA_KILLED, 1.0, on_holder=False, lot=lot)


def test_it_ends_once_all_faults_are_through_and_the_watch_is_content() -> None:
    struck: list[int] = []
    tracks = [[fault(0.0, 1), fault(0.2, 2)], [fault(0.1, 3)]]
    course = Course(tracks, lambda one: struck.append(one.lot), SECONDS)
    course.run(lambda: len(struck) > 1)
    assert sorted(struck) == [1, 2, 3]
    assert struck.index(1) < struck.index(2)
    assert len(course.done) == 3


def test_it_is_given_up_after_its_time_and_what_runs_beside_it_ends() -> None:
    ended = Flag()

    def beside(over: Flag) -> None:
        assert over.wait(SECONDS)
        ended.set()

    course = Course([[fault(600.0, 1)]], lambda one: None, 0.3)
    course.run(lambda: False, [beside])
    assert course.done == []
    assert ended.is_set()


def test_what_breaks_beside_it_or_in_a_fault_is_raised() -> None:
    def broken(_: object) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Course([], lambda one: None, SECONDS).run(lambda: False, [broken])
    with pytest.raises(ValueError, match="broken"):
        Course([[fault(0.0, 1)]], broken, SECONDS).run(lambda: False)
