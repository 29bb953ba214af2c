"""Reading stops at the bound; a pause comes late and ends late."""

from __future__ import annotations

import pytest

from kafka_integration.inbox.throttle import Intake, Throttle


def test_below_the_bounds_it_reads() -> None:
    assert Throttle(10, 100).decide(9, 99, 0.0) is Intake.READ


@pytest.mark.parametrize(("messages", "size"), [(10, 1), (1, 100)])
def test_at_either_bound_it_waits_and_pauses_after_a_second(messages: int, size: int) -> None:
    throttle = Throttle(10, 100)
    assert throttle.decide(messages, size, 5.0) is Intake.WAIT
    assert throttle.decide(messages, size, 5.9) is Intake.WAIT
    assert throttle.decide(messages, size, 6.0) is Intake.PAUSE


def test_whoever_makes_room_now_and_then_is_never_paused() -> None:
    throttle = Throttle(10, 100)
    for second in range(10):
        assert throttle.decide(10, 1, second) is Intake.WAIT
        assert throttle.decide(9, 1, second + 0.5) is Intake.READ


def test_a_pause_ends_when_half_is_gone() -> None:
    throttle = Throttle(10, 100)
    throttle.decide(10, 1, 0.0)
    assert throttle.decide(10, 1, 1.0) is Intake.PAUSE
    assert throttle.decide(6, 1, 2.0) is Intake.PAUSE
    assert throttle.decide(5, 51, 3.0) is Intake.PAUSE
    assert throttle.decide(5, 50, 4.0) is Intake.READ
    assert throttle.decide(10, 1, 4.1) is Intake.WAIT


def test_with_room_for_one_it_still_reads() -> None:
    throttle = Throttle(1, 100)
    throttle.decide(1, 1, 0.0)
    assert throttle.decide(1, 1, 1.0) is Intake.PAUSE
    assert throttle.decide(0, 0, 2.0) is Intake.READ
