"""Where a message without an id of its own comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..broker.admin import TopicAdmin
from ..events.envelope import Message


class Incarnation:
    """One life of a topic, from its making to its deletion. Any thread may ask for its name.

    Args:
        ask: asks Kafka for ``<cluster id>/<topic id>``.
    """

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._name = ""
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """Return ``<cluster id>/<topic id>``; Kafka is asked once.

        Raises:
            BrokerError: Kafka did not say.
        """
        with self._lock:
            if not self._name:
                self._name = self._ask()
            return self._name


class Origins:
    """Tells which incarnation of its topic a message is from. Give it the messages as they come.

    A topic that is deleted and made again gets another id and its offsets start anew. So Kafka is
    asked anew at each partition's first message, and whenever its offsets do not grow.
    """

    def __init__(self, admin: TopicAdmin | None = None) -> None:
        self._admin = admin
        self._topics: dict[str, Incarnation] = {}
        self._last: dict[tuple[str, int], int] = {}

    def of(self, message: Message) -> Incarnation:
        """Return the origin of ``message``. Nothing is asked before someone wants its name."""
        place = message.topic, message.partition
        last = self._last.get(place, message.offset)
        if message.topic not in self._topics or message.offset <= last:
            self._topics[message.topic] = Incarnation(lambda: self._ask(message.topic))
        self._last[place] = message.offset
        return self._topics[message.topic]

    def _ask(self, topic: str) -> str:
        admin = self._admin or TopicAdmin()
        return f"{admin.cluster_id()}/{admin.topic_ids([topic])[topic]}"
