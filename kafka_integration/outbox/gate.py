"""Which topics are open: a missing or forbidden one stops its own events and no others."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..broker.admin import TopicAdmin
from ..conf import settings
from ..errors import AuthenticationFailed, BrokerError, BrokerUnavailable, TopicMissing

_PAUSE = 10.0
_PATIENCE = 3.0


class TopicGate:
    """Knows which topics can be written to, as far as that can be known before trying.

    A closed topic is tried again after ten seconds.

    Args:
        say: is told why a topic is closed.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._admin: TopicAdmin | None = None
        self._known: set[str] = set()
        self._closed: dict[str, tuple[float, BrokerError]] = {}

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

    def _ask(self) -> TopicAdmin:
        if self._admin is None:
            self._admin = TopicAdmin(_PATIENCE)
        return self._admin
