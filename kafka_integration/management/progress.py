"""What a person or a log sees of a running relay."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from django.core.management.base import OutputWrapper

from ..conf import settings
from ..signals import batch_relayed, event_held, relay_idle, relay_leading, relay_waiting

_REPORT_EVERY = 5.0
_REPEAT_EVERY = 30.0


class RelayProgress:
    """Writes lifecycle signals as lines; on a terminal the count moves on one line of its own.

    Args:
        out: where to write.
    """

    def __init__(self, out: OutputWrapper) -> None:
        self.out = out
        self.published = 0
        self.held = 0
        self._started = time.monotonic()
        self._reported = self._started
        self._told = 0
        self._said: tuple[str, float] = ("", 0.0)
        self._on_count_line = False

    def __enter__(self) -> RelayProgress:
        relay_leading.connect(self._leading)
        relay_idle.connect(self._idle)
        batch_relayed.connect(self._relayed)
        event_held.connect(self._held)
        relay_waiting.connect(self._waiting)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        relay_leading.disconnect(self._leading)
        relay_idle.disconnect(self._idle)
        batch_relayed.disconnect(self._relayed)
        event_held.disconnect(self._held)
        relay_waiting.disconnect(self._waiting)
        is_quiet = kind is None and self._is_untouched()
        nothing = "Nothing could be sent, so Kafka was not asked. " if is_quiet else ""
        self._line(f"{nothing}{self._count()}. Relay ended.")

    def _is_untouched(self) -> bool:
        return not (self.published or self.held or self._said[0])

    def _relayed(self, published: int, **_: Any) -> None:
        self.published += published
        if self.out.isatty():
            self.out.write(f"\r{self._count()}", ending="")
            self.out.flush()
            self._on_count_line = True
        elif time.monotonic() - self._reported > _REPORT_EVERY:
            self._report()

    def _leading(self, using: str, owner: str, **_: Any) -> None:
        who = owner.rpartition(":")[0]
        self._line(f"Relay {who} sends the outbox of database {using!r} to {settings.broker}.")

    def _idle(self, **_: Any) -> None:
        is_due = not self._told or time.monotonic() - self._reported > _REPORT_EVERY
        if self.published != self._told and is_due and not self.out.isatty():
            self._report()

    def _report(self) -> None:
        self._line(self._count())
        self._reported = time.monotonic()
        self._told = self.published

    def _held(self, event_id: object, topic: str, reason: str, **_: Any) -> None:
        self.held += 1
        self._line(f"Held back: event {event_id} of {topic}: {reason}")

    def _waiting(self, reason: str, **_: Any) -> None:
        said, at = self._said
        if reason != said or time.monotonic() - at > _REPEAT_EVERY:
            self._said = (reason, time.monotonic())
            self._line(f"Waiting: {reason}")

    def _count(self) -> str:
        seconds = time.monotonic() - self._started
        held = f", {self.held:,} held back" if self.held else ""
        noun = "event" if self.published == 1 else "events"
        return f"Published {self.published:,} {noun} in {seconds:.1f} s{held}"

    def _line(self, text: str) -> None:
        start = "\n" if self._on_count_line else ""
        self._on_count_line = False
        self.out.write(start + text)
        self.out.flush()
