"""The parked keys that a consumer knows of."""

from __future__ import annotations

import pytest

from kafka_integration.inbox.waiting import Waiting

from .messages import TOPIC, message

ONE, TWO = message(offset=1), message(offset=2)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_lane_is_taken_once_it_is_due_and_then_it_is_out(waiting: Waiting) -> None:
    waiting.note("a", ONE, due=5.0)
    assert waiting.holds("a")
    assert not waiting.holds("b")
    assert waiting.take(4.9, 9) == []
    assert waiting.take(5.0, 9) == [("a", ONE, False)]
    assert waiting.take(5.0, 9) == []
    assert waiting.is_due(0.0)
    waiting.go_on("a", TWO, due=7.0)
    assert not waiting.is_due(6.9)
    assert waiting.take(7.0, 9) == [("a", TWO, False)]


def test_what_comes_behind_does_not_change_when_the_first_is_due(waiting: Waiting) -> None:
    waiting.note("a", ONE, due=5.0)
    waiting.note("a", TWO, due=1.0)
    assert waiting.number("a") == 2
    assert waiting.take(4.0, 9) == []
    assert waiting.take(5.0, 9) == [("a", ONE, False)]


def test_no_more_are_taken_than_asked_for(waiting: Waiting) -> None:
    for lane in "abc":
        waiting.note(lane, ONE, due=0.0)
    assert [lane for lane, _, _ in waiting.take(1.0, 2)] == ["a", "b"]
    assert [lane for lane, _, _ in waiting.take(1.0, 2)] == ["c"]
    assert waiting.take(1.0, -1) == []


def test_it_stays_closed_to_others_if_one_was_parked_while_someone_looked(
    waiting: Waiting,
) -> None:
    waiting.note("a", ONE, due=0.0)
    waiting.take(0.0, 9)
    seen = waiting.version("a")
    waiting.note("a", TWO, due=0.0)
    waiting.close("a", seen, now=3.0)
    assert waiting.holds("a")
    assert waiting.take(3.0, 9) == [("a", ONE, False)]
    waiting.close("a", waiting.version("a"), now=3.0)
    assert not waiting.holds("a")
    assert waiting.take(9.0, 9) == []


def test_who_comes_late_finds_nothing(waiting: Waiting) -> None:
    waiting.note("a", ONE, due=0.0)
    version = waiting.version("a")
    waiting.drop({(TOPIC, 1)})
    assert not waiting.holds("a")
    waiting.go_on("a", ONE, due=0.0)
    waiting.close("a", version, now=0.0)
    waiting.less("a")
    assert (waiting.version("a"), waiting.number("a")) == (0, 0)
    assert waiting.take(9.0, 9) == []


def test_another_partition_stays(waiting: Waiting) -> None:
    waiting.note("a", ONE, due=0.0)
    waiting.drop({(TOPIC, 2)})
    waiting.less("a")
    assert (waiting.holds("a"), waiting.number("a")) == (True, 0)
