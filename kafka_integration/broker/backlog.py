"""What a group had before it at one moment, and whether it is dealt with."""

from __future__ import annotations

import logging
import time

from ..errors import BrokerUnavailable
from .consumer import EventConsumer
from .offsets import Place

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0


class Backlog:
    """All messages that stood in a consumer's topics when this was made.

    A partition is dealt with when the consumer, made with ``watch_ends=True``, is past the end
    that the partition had then. It may be past it without a message there: transactions leave
    markers, compaction leaves gaps. For partitions that another member of the group holds, the
    group's committed offset is looked at once a second.

    Args:
        consumer: it does not matter whether it has joined its group yet.
        from_beginning: what is committed already does not count as dealt with.

    Raises:
        BrokerError: Kafka did not say where the topics end.
    """

    def __init__(self, consumer: EventConsumer, *, from_beginning: bool = False) -> None:
        self._consumer = consumer
        self._from_beginning = from_beginning
        marks = consumer.offsets.watermarks()
        self._ends: dict[Place, int] = {p: high for p, (low, high) in marks.items() if low < high}
        self._looked_at = time.monotonic()
        if not from_beginning:
            self._drop(consumer.offsets.committed(self._ends) if self._ends else {})

    def is_cleared(self) -> bool:
        """Tell whether every message of then is finished; ask between two messages."""
        self._drop(self._consumer.positions)
        elsewhere = self._ends.keys() - self._consumer.assigned
        if elsewhere and self._may_ask() and self._joined():
            self._ask(elsewhere)
        return not self._ends and not self._consumer.has_waiting

    def _joined(self) -> bool:
        # What was committed before we began would clear a reading from the beginning at once.
        return not self._from_beginning or bool(self._consumer.assigned)

    def _may_ask(self) -> bool:
        if time.monotonic() - self._looked_at < _LOOK_EVERY:
            return False
        self._looked_at = time.monotonic()
        return True

    def _ask(self, places: set[Place]) -> None:
        try:
            self._drop(self._consumer.offsets.committed(places))
        except BrokerUnavailable as error:
            log.warning("The group's progress is not known just now: %s", error)

    def _drop(self, reached: dict[Place, int]) -> None:
        self._ends = {p: end for p, end in self._ends.items() if reached.get(p, -1) < end}
