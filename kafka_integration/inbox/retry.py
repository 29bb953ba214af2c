"""Whether a failed try is followed by another, and after which pause. No clock, no dice here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

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
        fatal_on: exceptions that are not.
        ignore_on: exceptions after which the message counts as dealt with.
        in_place: pauses that add up to no more than these seconds are spent in memory.
        patience: no try begins more than so many seconds after the first failure; None: no limit.

    Of several classes that an exception is of, the closest one counts.
    """

    attempts: int
    backoff: float
    maximum: float
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    fatal_on: tuple[type[BaseException], ...] = ()
    ignore_on: tuple[type[BaseException], ...] = ()
    in_place: float = inf
    patience: float | None = None


@dataclass(frozen=True)
class SoFar:
    """What has been done for a message.

    Args:
        attempt: which try failed last, from 1.
        waited: seconds of pauses between its tries; infinite once it was parked.
        age: seconds since its first failure.
    """

    attempt: int
    waited: float = 0.0
    age: float = 0.0


@dataclass(frozen=True)
class Retry:
    """Try again after ``pause`` seconds, in which the message stays in memory."""

    pause: float


@dataclass(frozen=True)
class Park:
    """Try again after ``pause`` seconds; until then the database keeps the message."""

    pause: float


@dataclass(frozen=True)
class Ignore:
    """Do not try again, and take the message as dealt with."""


@dataclass(frozen=True)
class GiveUp:
    """Do not try again; ``reason`` is one word for people and for headers."""

    reason: str


Decision = Retry | Park | Ignore | GiveUp


def decide(policy: Policy, so_far: SoFar, error: BaseException, random: Random) -> Decision:
    """Return what follows a failure.

    A :class:`MessageError` is never worth another try: the same bytes would fail again.
    """
    if isinstance(error, MessageError):
        return GiveUp(_kind(error))
    closest = _closest(type(error), policy)
    if closest is policy.ignore_on:
        return Ignore()
    if closest is not policy.retry_on:
        return GiveUp("not-retriable")
    if so_far.attempt >= policy.attempts:
        return GiveUp("attempts-exhausted")
    seconds = pause(so_far.attempt, policy.backoff, policy.maximum, random)
    if policy.patience is not None and so_far.age + seconds > policy.patience:
        return GiveUp("time-exhausted")
    return Retry(seconds) if so_far.waited + seconds <= policy.in_place else Park(seconds)


def pause(attempt: int, backoff: float, maximum: float, random: Random) -> float:
    """Return the seconds to wait after failure number ``attempt``: exponential, with full jitter.

    Full jitter spreads those who failed together. Source: "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015.
    """
    longest = min(maximum, backoff * 2.0 ** min(attempt - 1, _DOUBLINGS))
    return random() * longest


def _closest(kind: type[BaseException], policy: Policy) -> tuple[type[BaseException], ...] | None:
    """Return the list that has the closest of the classes that ``kind`` is of."""
    lists = (policy.ignore_on, policy.fatal_on, policy.retry_on)
    return next((found for one in kind.__mro__ for found in lists if one in found), None)


def _kind(error: MessageError) -> str:
    if isinstance(error, UndecodableMessage):
        return "undecodable"
    return "unknown-version" if isinstance(error, UnknownVersion) else "invalid"
