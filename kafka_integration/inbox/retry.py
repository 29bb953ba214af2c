"""Whether a failed try is followed by another, and after which pause. No clock, no dice here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import MessageError, UndecodableMessage, UnknownVersion

_DOUBLINGS = 62

Random = Callable[[], float]
"""Returns a number from 0 up to, but not including, 1."""


@dataclass(frozen=True)
class Policy:
    """How often a handler is tried and how long the pauses are.

    Args:
        attempts: tries in all, the first one included.
        backoff: the longest pause after the first try, in seconds; it doubles with each try.
        maximum: no pause is longer, in seconds.
        retry_on: exceptions that are worth another try.
    """

    attempts: int
    backoff: float
    maximum: float
    retry_on: tuple[type[BaseException], ...] = (Exception,)


@dataclass(frozen=True)
class Retry:
    """Try again after ``pause`` seconds."""

    pause: float


@dataclass(frozen=True)
class GiveUp:
    """Do not try again; ``reason`` is one word for people and for headers."""

    reason: str


def decide(policy: Policy, attempt: int, error: BaseException, random: Random) -> Retry | GiveUp:
    """Return what follows the failure of try number ``attempt``, which counts from 1.

    A :class:`MessageError` is never worth another try: the same bytes would fail again.
    """
    if isinstance(error, MessageError):
        return GiveUp(_kind(error))
    if not isinstance(error, policy.retry_on):
        return GiveUp("not-retriable")
    if attempt >= policy.attempts:
        return GiveUp("attempts-exhausted")
    return Retry(pause(attempt, policy.backoff, policy.maximum, random))


def pause(attempt: int, backoff: float, maximum: float, random: Random) -> float:
    """Return the seconds to wait after failure number ``attempt``: exponential, with full jitter.

    Full jitter spreads those who failed together. Source: "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.
    """
    longest = min(maximum, backoff * 2.0 ** min(attempt - 1, _DOUBLINGS))
    return random() * longest


def _kind(error: MessageError) -> str:
    if isinstance(error, UndecodableMessage):
        return "undecodable"
    return "unknown-version" if isinstance(error, UnknownVersion) else "invalid"
