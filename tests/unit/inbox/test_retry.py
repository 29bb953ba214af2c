"""Decisions after a failure, as pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.errors import InvalidMessage, UndecodableMessage, UnknownVersion
from kafka_integration.inbox.retry import GiveUp, Policy, Retry, decide, pause

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
    decision = decide(policy, attempt, ValueError(), lambda: dice)
    assert isinstance(decision, Retry) == (attempt < attempts)


def test_the_last_try_gives_up() -> None:
    assert decide(POLICY, 3, ValueError(), lambda: 0.0) == GiveUp("attempts-exhausted")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UndecodableMessage(), "undecodable"),
        (InvalidMessage(), "invalid"),
        (UnknownVersion(), "unknown-version"),
    ],
)
def test_a_bad_message_is_never_tried_again(error: Exception, reason: str) -> None:
    assert decide(POLICY, 1, error, lambda: 0.0) == GiveUp(reason)


def test_other_exceptions_than_those_worth_it_are_not_tried_again() -> None:
    policy = Policy(attempts=3, backoff=1.0, maximum=2.0, retry_on=(ConnectionError,))
    assert decide(policy, 1, ValueError(), lambda: 0.0) == GiveUp("not-retriable")
    assert decide(policy, 1, ConnectionResetError(), lambda: 0.5) == Retry(0.5)
