"""Whether Kafka is away, for a person who reads the log: said seldom, and once when it is over."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

_REPEAT_SECONDS = 30.0
_ASK_SECONDS = 1.0


class Outage:
    """Remembers whether Kafka is away, as asking it tells.

    librdkafka says that all brokers are down, but it may say so late, after one has answered
    again, and it never says that one is back. So its word is only a reason to ask.

    Args:
        group_id: whose consumer it is, for the log.
    """

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self._trouble: object = None
        self._lasts = False
        self._warned_at = 0.0
        self._asked_at = 0.0

    def suspect(self, trouble: object) -> None:
        """Take a sign that no broker answers; ``trouble`` says so with its cure."""
        self._trouble = trouble

    def must_ask(self) -> bool:
        """Tell whether it is time to ask Kafka: once a second, while it is thought to be away."""
        now = time.monotonic()
        if self._trouble is None or now - self._asked_at < _ASK_SECONDS:
            return False
        self._asked_at = now
        return True

    def unanswered(self) -> None:
        """Take it that Kafka did not answer: a warning at first and every 30 seconds."""
        now = time.monotonic()
        if not self._lasts or now - self._warned_at >= _REPEAT_SECONDS:
            self._warned_at = now
            log.warning("Group %s waits for Kafka. %s", self.group_id, self._trouble)
        self._lasts = True

    def answered(self) -> None:
        """Take it that Kafka answered."""
        self._trouble = None
        if self._lasts:
            self._lasts = False
            # A warning like the one that it ends, so that whoever saw that sees this too.
            log.warning("Group %s: Kafka answers again.", self.group_id)
