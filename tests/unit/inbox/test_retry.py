"""Decisions after a failure, as pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.errors import InvalidMessage, UndecodableMessage, UnknownVersion
from kafka_integration.inbox.retry import (
    GiveUp,
    Ignore,
    Park,
    Policy,
    Retry,
    SoFar,
    decide,
    pause,
)

POLICY = Policy(attempts=3, backoff=0.5, maximum=30.0)
numbers = st.floats(0, 1, exclude_max=True)


def test_pauses_double_up_to_the_maximum() -> None:
    longest = [pause(attempt, 0.5, 3.0, lambda: 1.0) for attempt in range(1, 6)]
    assert longest == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(1, 10**9), numbers, st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_pause_is_never_negative_and_never_above_the_maximum(
    attempt: int, dice: float, backoff: float, maximum: float
) -> None:
    assert 0 <= pause(attempt, backoff, maximum, lambda: dice) <= maximum


def test_the_whole_span_is_used() -> None:
    assert pause(3, 1.0, 60.0, lambda: 0.0) == 0.0
    assert pause(3, 1.0, 60.0, lambda: 0.25) == 1.0


@given(st.integers(1, 20), st.integers(1, 20), numbers)
def test_there_are_exactly_as_many_tries_as_the_policy_says(
    attempts: int, attempt: int, dice: float
) -> None:
    policy = Policy(attempts=attempts, backoff=1.0, maximum=2.0)
    decision = decide(policy, SoFar(attempt), ValueError(), lambda: dice)
    assert isinstance(decision, Retry) == (attempt < attempts)


def test_the_last_try_gives_up() -> None:
    assert decide(POLICY, SoFar(3), ValueError(), lambda: 0.0) == GiveUp("attempts-exhausted")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UndecodableMessage(), "undecodable"),
        (InvalidMessage(), "invalid"),
        (UnknownVersion(), "unknown-version"),
    ],
)
def test_a_bad_message_is_never_tried_again(error: Exception, reason: str) -> None:
    assert decide(POLICY, SoFar(1), error, lambda: 0.0) == GiveUp(reason)


def test_other_exceptions_than_those_worth_it_are_not_tried_again() -> None:
    policy = Policy(attempts=3, backoff=1.0, maximum=2.0, retry_on=(ConnectionError,))
    assert decide(policy, SoFar(1), ValueError(), lambda: 0.0) == GiveUp("not-retriable")
    assert decide(policy, SoFar(1), ConnectionResetError(), lambda: 0.5) == Retry(0.5)


def test_of_the_classes_of_an_exception_the_closest_counts() -> None:
    policy = Policy(
        attempts=3,
        backoff=1.0,
        maximum=2.0,
        retry_on=(Exception, BrokenPipeError),
        fatal_on=(OSError,),
        ignore_on=(ConnectionError,),
    )
    found = {
        kind: type(decide(policy, SoFar(1), kind(), lambda: 0.5))
        for kind in (ValueError, OSError, TimeoutError, ConnectionResetError, BrokenPipeError)
    }
    assert found == {
        ValueError: Retry,
        OSError: GiveUp,
        TimeoutError: GiveUp,
        ConnectionResetError: Ignore,
        BrokenPipeError: Retry,
    }


def test_what_waited_long_enough_in_memory_is_parked() -> None:
    policy = Policy(attempts=9, backoff=2.0, maximum=60.0, in_place=5.0)
    assert decide(policy, SoFar(1, waited=3.0), ValueError(), lambda: 1.0) == Retry(2.0)
    assert decide(policy, SoFar(1, waited=3.1), ValueError(), lambda: 1.0) == Park(2.0)
    assert decide(policy, SoFar(9, waited=3.1), ValueError(), lambda: 1.0) == GiveUp(
        "attempts-exhausted"
    )


def test_no_try_begins_after_the_time_is_up() -> None:
    policy = Policy(attempts=9, backoff=2.0, maximum=60.0, patience=10.0)
    assert decide(policy, SoFar(1, age=8.0), ValueError(), lambda: 1.0) == Retry(2.0)
    assert decide(policy, SoFar(1, age=8.1), ValueError(), lambda: 1.0) == GiveUp("time-exhausted")
