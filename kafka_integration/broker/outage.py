"""Whether Kafka is away, for a person who reads the log: said seldom, and once when it is over."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

_REPEAT_SECONDS = 30.0
_ASK_SECONDS = 1.0


class Outage:
    """Remembers from when on Kafka was away.

    Args:
        group_id: whose consumer it is, for the log.
    """

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.lasts = False
        self._warned_at = 0.0
        self._asked_at = 0.0

    def note(self, trouble: object) -> None:
        """Take a sign that no broker answers; it is a warning at first and every 30 seconds."""
        now = time.monotonic()
        if not self.lasts or now - self._warned_at >= _REPEAT_SECONDS:
            self._warned_at = now
            log.warning("Group %s: %s Waiting for it.", self.group_id, trouble)
        self.lasts = True

    def end(self) -> None:
        """Take a sign that a broker answers."""
        if self.lasts:
            self.lasts = False
            # A warning like the one that it ends, so that whoever saw that sees this too.
            log.warning("Group %s: Kafka answers again.", self.group_id)

    def must_ask(self) -> bool:
        """Tell whether it is time to ask Kafka: once a second, and only while it is away.

        A group with nothing to read would not learn otherwise that it is back.
        """
        now = time.monotonic()
        if not self.lasts or now - self._asked_at < _ASK_SECONDS:
            return False
        self._asked_at = now
        return True
