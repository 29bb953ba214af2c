"""Who is told of, and how often."""

from __future__ import annotations

from kafka_integration.broker.assignment import Taken
from kafka_integration.inbox.job import Job
from kafka_integration.inbox.stalls import StallWatch

from .messages import message


def job(started: float) -> Job:
    return Job(Taken(message(), 1), "lane", lambda: "c/t", started=started)


def test_a_handler_is_told_of_after_its_time_and_then_seldom() -> None:
    watch, slow, fast = StallWatch(30.0), job(0.0), job(25.0)
    told = {now: watch.due([slow, fast], now) for now in (29, 30, 31, 59, 60, 100)}
    assert told == {
        29: [],
        30: [(slow, 30.0)],
        31: [],
        59: [(fast, 34.0)],
        60: [(slow, 60.0)],
        100: [(fast, 75.0)],
    }


def test_the_next_try_has_its_own_time() -> None:
    watch, again = StallWatch(30.0), job(0.0)
    assert watch.due([again], 30.0)
    again.started = 40.0
    assert watch.due([again], 69.0) == []
    assert watch.due([again], 70.0) == [(again, 30.0)]
