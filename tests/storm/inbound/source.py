"""The producer: sends the stream in bursts, through whatever happens to Kafka."""

from __future__ import annotations

import time
from collections.abc import Sequence
from threading import Event as Flag
from typing import Any

from confluent_kafka import Producer

from ..tracks import allowed
from .checker import Headers, Named, Sent, Wire
from .stream import REASONS, Item, Manner

_PATIENCE = 120.0
_LONGEST = 600_000


class SourceBroken(Exception):
    """Raised when the topics do not hold what was to be sent: a mistake in the storm."""


class Source:
    """Sends the stream, by a plain idempotent producer.

    Args:
        broker: its address.
        topics: by the names that items give.
        items: what to send.
        burst: how many at each beat.
    """

    def __init__(
        self, broker: str, topics: dict[str, str], items: Sequence[Item], burst: int
    ) -> None:
        self.through = False
        """Whether all of it was sent."""
        self._topics = topics
        self._items = items
        self._burst = burst
        self._refused: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": broker,
                "enable.idempotence": True,
                "delivery.timeout.ms": _LONGEST,
                "log_level": 2,
            }
        )

    def run(self, over: Flag) -> None:
        """Send all, unless it is over before.

        Raises:
            SourceBroken: something was not sent.
        """
        began = time.monotonic()
        for number, item in enumerate(self._items):
            while number >= allowed(time.monotonic() - began, self._burst):
                if over.is_set():
                    return
                self._producer.poll(0.02)
            self._send(item)
        left = self._producer.flush(_PATIENCE)
        if left or self._refused:
            raise SourceBroken(f"{left} messages were not sent in time; {self._refused[:3]}")
        self.through = True

    def _send(self, item: Item) -> None:
        topic = self._topics[item.table]
        headers: list[tuple[str, str | bytes | None]] = [*item.headers]
        while True:
            try:
                self._producer.produce(
                    topic, item.value, item.key, headers=headers, on_delivery=self._report
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _report(self, error: Any, message: Any) -> None:
        if error is not None:
            self._refused.append(str(error))


def wire(message: Any) -> Wire:
    """Return what the checker needs of a message."""
    headers: Headers = tuple(message.headers() or ())
    place = (message.topic(), message.partition(), message.offset())
    return Wire(place, message.key(), message.value(), headers)


def sent(found: Wire) -> Sent:
    """Return which event a message of a source topic is."""
    reason = REASONS.get(Manner(found.header("storm_manner")), "")
    key = (found.key or b"").decode()
    return Sent(found, key, int(found.header("storm_number")), reason)


def require_as_planned(
    found: Sequence[Sent], items: Sequence[Item], topics: dict[str, str]
) -> None:
    """Make sure that the topics hold the stream, each key in its order: else nothing was proven.

    Raises:
        SourceBroken: they do not.
    """
    there: dict[tuple[str, str], list[Named]] = {}
    for one in sorted(found, key=lambda one: one.wire.place):
        there.setdefault(one.event[:2], []).append(one.event)
    planned: dict[tuple[str, str], list[Named]] = {}
    for item in items:
        event = (topics[item.table], item.key, item.number)
        planned.setdefault(event[:2], []).append(event)
    wrong = [unit for unit, events in planned.items() if there.get(unit) != events]
    if wrong or len(there) != len(planned):
        raise SourceBroken(f"The topics do not hold what was to be sent under {wrong[:3]}.")
