"""Where a message without an id of its own comes from."""

from __future__ import annotations

from ..broker.admin import TopicAdmin
from ..events.envelope import Message


class Origins:
    """Returns ``<cluster id>/<topic id>`` for messages, and asks Kafka as seldom as is safe.

    A topic that is deleted and made again gets another id and its offsets start anew. So the id
    is asked for at each partition's first message, and whenever its offsets do not grow.
    """

    def __init__(self, admin: TopicAdmin | None = None) -> None:
        self._admin = admin
        self._ids: dict[str, str] = {}
        self._last: dict[tuple[str, int], int] = {}

    def __call__(self, message: Message) -> str:
        """Return the origin of ``message``.

        Raises:
            BrokerError: Kafka did not say.
        """
        if self._admin is None:
            self._admin = TopicAdmin()
        place = (message.topic, message.partition)
        if message.topic not in self._ids or message.offset <= self._last.get(
            place, message.offset
        ):
            self._ids |= self._admin.topic_ids([message.topic])
        self._last[place] = message.offset
        return f"{self._admin.cluster_id()}/{self._ids[message.topic]}"
