"""The health of a relay and of a consumer, by what their loops tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from django.dispatch import Signal

from .. import signals
from ..conf import settings
from .heartbeat import Heartbeat, Verdict
from .receivers import Receivers


class Health(Protocol):
    """What probes ask."""

    def live(self) -> Verdict:
        """Tell whether the process should go on; if not, restart it."""

    def ready(self) -> Verdict:
        """Tell whether it can do its work now."""


class LoopHealth(Receivers):
    """The health of a process whose loop sends signals."""

    def __init__(self) -> None:
        self.patience = settings.health_seconds
        self._beat = Heartbeat(self.patience, time.monotonic())

    def live(self) -> Verdict:
        """Tell whether the loop goes round."""
        return self._beat.live(time.monotonic())

    def ready(self) -> Verdict:
        """Tell whether it can do its work now."""
        return self._beat.ready(time.monotonic())

    def _turn(self, **_: Any) -> None:
        self._beat.turn(time.monotonic())

    def _begin(self, **_: Any) -> None:
        self._beat.begin(time.monotonic())

    def _progress(self, **_: Any) -> None:
        self._beat.progress(time.monotonic())


class RelayHealth(LoopHealth):
    """A relay lives while its loop goes round, and is ready unless it must wait for something."""

    def pairs(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        """Return which method listens to which signal."""
        return (
            (signals.relay_turned, self._turn),
            (signals.relay_leading, self._begin),
            (signals.batch_relayed, self._relayed),
            (signals.relay_waiting, self._waits),
        )

    def _relayed(self, published: int, **_: Any) -> None:
        # A batch of which nothing went out is no sign that Kafka takes anything.
        (self._progress if published else self._turn)()

    def _waits(self, reason: str, **_: Any) -> None:
        self._beat.wait(reason, time.monotonic())


class ConsumerHealth(LoopHealth):
    """A consumer is ready once it reads, and while its handlers come to an end.

    A handler that takes its time is not cured by a restart, so it leaves the process alive.
    """

    def pairs(self) -> tuple[tuple[Signal, Callable[..., None]], ...]:
        """Return which method listens to which signal."""
        return (
            (signals.consumer_started, self._begin),
            (signals.consumer_turned, self._turned),
        )

    def _turned(self, busy_seconds: float = 0.0, **_: Any) -> None:
        self._turn()
        hangs = busy_seconds > self.patience
        reason = f"A handler has been at work for {busy_seconds:.0f} s, and its key waits."
        self._beat.stick(reason if hangs else "")
