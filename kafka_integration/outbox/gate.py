"""Which topics are open: a missing or forbidden one stops its own events and no others."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from ..broker.admin import TopicAdmin
from ..broker.limits import TopicLimits
from ..broker.producer import producer_config
from ..conf import settings
from ..errors import AuthenticationFailed, BrokerError, BrokerUnavailable, TopicMissing

log = logging.getLogger(__name__)

_PAUSE = 10.0
_PATIENCE = 3.0


class TopicGate:
    """Knows which topics can be written to, as far as that can be known before trying.

    A closed topic is tried again after ten seconds.

    Args:
        say: is told why a topic is closed.
        patience: seconds that one answer of Kafka may take.
    """

    def __init__(self, say: Callable[[str], None], patience: float = _PATIENCE) -> None:
        self._say = say
        self._patience = patience
        self._admin: TopicAdmin | None = None
        self._known: set[str] = set()
        self._closed: dict[str, tuple[float, BrokerError]] = {}
        self._limits: dict[str, TopicLimits | None] = {}

    def closed(self) -> list[str]:
        """Return the topics that are left alone for now."""
        return list(self._closed)

    def lets_through(self, topic: str) -> bool:
        """Tell whether events of ``topic`` may be handed over; asks Kafka the first time.

        Raises:
            BrokerUnavailable: Kafka does not answer.
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        if topic not in self._known and topic not in self._closed:
            self._look_up(topic)
        return topic in self._known

    def limits(self, topic: str) -> TopicLimits | None:
        """Return what a topic takes, as far as we know; None if Kafka did not tell.

        Kafka is asked when the topic is met, and again by :meth:`refresh_limits`.
        """
        return self._limits.get(topic)

    def refresh_limits(self, topic: str) -> None:
        """Ask Kafka what a topic takes."""
        try:
            self._limits[topic] = self._ask().limits(topic, producer_config())
        except BrokerError as error:
            # It is no more than help: what does not fit is found when Kafka rejects it.
            log.info("What topic %s takes at most is not known: %s", topic, error)
            self._limits[topic] = None

    @property
    def narrowest(self) -> float:
        """The lowest limit of the topics that were met; infinity if none is known."""
        known = [limits.largest_batch for limits in self._limits.values() if limits]
        return min(known, default=math.inf)

    def cluster_id(self) -> str:
        """Return the id of the cluster that answers; empty if it tells none.

        Raises:
            BrokerUnavailable: Kafka does not answer.
            AuthenticationFailed: Kafka does not accept our credentials.
        """
        return self._ask().cluster_id()

    def close(self, topic: str, error: BrokerError) -> None:
        """Leave ``topic`` alone for a while, because of ``error``."""
        self._known.discard(topic)
        self._limits.pop(topic, None)
        self._closed[topic] = time.monotonic() + _PAUSE, error
        self._say(f"{error} Its events wait.")

    def reopen(self) -> bool:
        """Forget what was closed long enough ago to be tried again; return whether any was."""
        now, before = time.monotonic(), len(self._closed)
        self._closed = {topic: item for topic, item in self._closed.items() if item[0] > now}
        return len(self._closed) < before

    def raise_if_closed(self) -> None:
        """Raise what keeps topics closed: the missing ones in one error, or else the first.

        Raises:
            TopicMissing, TopicRefused: some topic is closed.
        """
        errors = {topic: error for topic, (_, error) in self._closed.items()}
        missing = [topic for topic, error in errors.items() if isinstance(error, TopicMissing)]
        if missing:
            raise TopicMissing(missing, settings.broker)
        for error in errors.values():
            raise error

    def _look_up(self, topic: str) -> None:
        try:
            if self._ask().missing([topic]):
                raise TopicMissing([topic], settings.broker)
        except (BrokerUnavailable, AuthenticationFailed):
            raise
        except BrokerError as error:
            self.close(topic, error)
        else:
            self._known.add(topic)
            self.refresh_limits(topic)

    def _ask(self) -> TopicAdmin:
        if self._admin is None:
            self._admin = TopicAdmin(self._patience)
        return self._admin
