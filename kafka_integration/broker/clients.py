"""The plain clients: straight to and from Kafka, for scripts and tools.

An application's own events belong elsewhere. ``publishes()`` and ``publish()`` write an event in
the transaction of what it tells of, so that neither is lost; ``@handles`` makes an effect happen
once. These clients know no database: what they send is sent although the transaction around it
rolls back, and what they receive may come twice.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from ..conf import settings
from ..errors import MessageError, TopicMissing
from ..events.envelope import Message
from ..events.serialisation import decode, encode
from ..events.topics import check_event_topic
from ..shutdown import stopping_on_signals
from .admin import TopicAdmin
from .consumer import EventConsumer
from .producer import Delivery, EventProducer

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_DOUBLINGS = 16

MessageHandler = Callable[[dict[str, Any]], object]


class KafkaProducerClient:
    """Sends single messages and waits for each one's acknowledgement.

    Use it as a context manager, in a script or a tool. In an application, use ``publishes()`` or
    ``publish()``: they go through the outbox.

    Args:
        timeout: seconds that one acknowledgement may take.
        overrides: librdkafka properties, with ``_`` where the name has a dot.
    """

    def __init__(self, timeout: float = 30.0, **overrides: Any) -> None:
        self.timeout = timeout
        self._producer = EventProducer(**overrides)
        self._admin = TopicAdmin()
        self._known: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send_message(
        self,
        topic: str,
        value: Any,
        key: str | bytes | None = None,
        headers: Mapping[str, Any] | None = None,
    ) -> Delivery:
        """Send one message; it is in Kafka when this returns.

        Args:
            topic: ``domain.action.format``; it must exist.
            value: text and bytes are sent as they are, None as a null value (a tombstone), and
                anything else as JSON; UUID, datetime and Decimal become text, as in pydantic.
            key: messages of one key keep their order.
            headers: values that are not bytes are sent as their text.

        Returns:
            Where it landed: topic, partition and offset.

        Raises:
            TopicNameError: the topic's name is not ``domain.action.format``.
            TopicMissing: Kafka has no such topic.
            BrokerError: Kafka did not acknowledge it.
            pydantic_core.PydanticSerializationError: a part of the value has no JSON form.
        """
        self._require(check_event_topic(topic))
        return self._producer.send_and_wait(
            topic, _to_bytes(value), key, _to_headers(headers or {}), self.timeout
        )

    def close(self) -> None:
        """Let go of the connection. :meth:`send_message` leaves nothing under way."""
        self._producer.close()

    def _require(self, topic: str) -> None:
        # The producer would find out only after ten seconds.
        if topic in self._known:
            return
        if self._admin.missing([topic]):
            raise TopicMissing([topic], settings.broker)
        self._known.add(topic)


class KafkaConsumerClient:
    """Hands the messages of some topics to a function, one after the other.

    Use it in a script or a tool. In an application, use ``@handles``: its effect happens once.

    The function gets a dict with ``topic``, ``partition``, ``offset``, ``key`` (text; bytes if it
    is not UTF-8), ``value`` (decoded JSON; the raw bytes if it is no JSON; None if it is null),
    ``headers`` (a dict of text; bytes that are not UTF-8 are escaped) and ``timestamp``
    (milliseconds since 1970).

    Only when it returns ``True`` is the message finished, and committed within a second or at
    the end. When it returns anything else or raises (which is logged with its traceback), the
    same message is handed over again after a pause that grows up to ``backoff_max``, and all
    messages after it wait: nothing is skipped and the order is kept. A message that must not be
    tried again is one to return ``True`` for. After a crash, messages may come twice.

    Args:
        topics: what to read; from its beginning if the group is new.
        group_id: the consumer group; its id in Kafka is ``KAFKA_GROUP_PREFIX`` and this.
        message_handler: the function.
        backoff: the longest pause after a first failure, in seconds; it doubles with each one.
        backoff_max: no pause is longer, in seconds.
        overrides: librdkafka properties, with ``_`` where the name has a dot.
    """

    def __init__(
        self,
        topics: Sequence[str],
        group_id: str,
        message_handler: MessageHandler,
        *,
        backoff: float = 0.5,
        backoff_max: float = 30.0,
        **overrides: Any,
    ) -> None:
        self.topics = list(topics)
        self.group_id = group_id
        self.message_handler = message_handler
        self.backoff = backoff
        self.backoff_max = backoff_max
        self._overrides = overrides
        self._stopping = threading.Event()

    def start(self) -> None:
        """Read until :meth:`stop`, SIGTERM or SIGINT, then commit and leave the group.

        The signals are taken only in the main thread, and handled as before afterwards.

        Raises:
            TopicMissing: a topic does not exist.
            BrokerError: Kafka does not answer at the start, or refuses us. When it goes away
                later, a warning is logged and the client waits.
        """
        missing = TopicAdmin().missing(self.topics)
        if missing:
            raise TopicMissing(missing, settings.broker)
        consumer = EventConsumer(self.topics, self.group_id, **self._overrides)
        try:
            with stopping_on_signals(self.stop):
                self._loop(consumer)
        finally:
            consumer.close()

    def stop(self) -> None:
        """End :meth:`start` after the current message, from any thread or from the handler."""
        self._stopping.set()

    def _loop(self, consumer: EventConsumer) -> None:
        while not self._stopping.is_set():
            message = consumer.poll(_POLL_SECONDS)
            if message is not None:
                self._deliver(message, consumer)

    def _deliver(self, message: Message, consumer: EventConsumer) -> None:
        failures = 0
        while not self._accepts(message):
            longest = min(self.backoff_max, self.backoff * 2.0 ** min(failures, _DOUBLINGS))
            failures += 1
            consumer.rest(longest * random.random(), self._stopping.is_set)  # noqa: S311  # jitter, no secret
            if self._stopping.is_set() or not consumer.owns(message):
                return
        consumer.finished(message)

    def _accepts(self, message: Message) -> bool:
        try:
            answer = self.message_handler(as_mapping(message))
        except Exception:
            log.exception("The message handler failed for %s; it gets it again.", message.place())
            return False
        if answer is not True:
            log.warning(
                "The message handler returned %r for %s; it gets it again. Return True when a "
                "message is dealt with.",
                answer,
                message.place(),
            )
        return answer is True


def as_mapping(message: Message) -> dict[str, Any]:
    """Return a message as :class:`KafkaConsumerClient` hands it over."""
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "key": _text_or_bytes(message.key),
        "value": _decoded(message.value),
        "headers": {name: _escaped(value) for name, value in message.headers},
        "timestamp": message.timestamp,
    }


def _decoded(value: bytes | None) -> Any:
    try:
        return None if value is None else decode(value)
    except MessageError as error:
        log.debug("A value is handed over as bytes: %s", error)
        return value


def _text_or_bytes(key: bytes | None) -> str | bytes | None:
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return key


def _escaped(value: bytes | None) -> str:
    return "" if value is None else value.decode("utf-8", "backslashreplace")


def _to_bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else encode(value)


def _to_headers(headers: Mapping[str, Any]) -> list[tuple[str, bytes | str]]:
    return [
        (name, value if isinstance(value, bytes) else str(value)) for name, value in headers.items()
    ]
