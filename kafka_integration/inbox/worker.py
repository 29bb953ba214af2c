"""The consumer's loop: poll, settle, finish; between messages, what an operator asked for."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence

from .. import signals
from ..broker.admin import TopicAdmin
from ..broker.backlog import Backlog
from ..broker.consumer import EventConsumer
from ..conf import settings
from ..database import close_connections, close_stale_connections, is_outage
from ..errors import ConfigurationError, DeclarationError, TopicMissing
from ..events.envelope import Message
from ..events.registry import Handler, registry
from ..events.topics import dead_letter_topic
from .dead_letters import DeadLetters
from .dispatch import Outcome
from .origin import Origins
from .parked import ParkedRecords
from .settlement import Settler

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_PARKED_EVERY = 1.0
_OUTAGE_SECONDS = 5.0
_TOPIC_SECONDS = 2.0


class Worker:
    """Runs one group's handlers, one message at a time.

    Args:
        group: the consumer group.
        drain: end when all is handled that stood in the topics at the start, and no parked record
            is due.
        max_messages: end after so many messages.
        from_beginning: read the topics from their first message; what the group has handled
            before is not handled again.

    Raises:
        UnknownGroup: no handler belongs to the group.
        ConfigurationError: ``KAFKA_ENABLED`` is off.
        DeclarationError: a handler is a coroutine function.
    """

    def __init__(
        self,
        group: str,
        *,
        drain: bool = False,
        max_messages: int | None = None,
        from_beginning: bool = False,
    ) -> None:
        self.group = group
        self.handlers = _usable(registry.handlers_of(group))
        self.topics = sorted({handler.topic for handler in self.handlers})
        self.outcomes: Counter[Outcome] = Counter()
        self.retried: Counter[Outcome] = Counter()
        self._drain = drain
        self._max_messages = max_messages
        self._from_beginning = from_beginning
        self._stopping = threading.Event()
        self._parked = ParkedRecords(group, self.handlers)
        self._parked_at = 0.0

    def stop(self) -> None:
        """End :meth:`run` after the current message; a pause before a retry ends at once.

        A message that waits for a retry is left uncommitted and comes again. Safe to call from a
        signal handler and from any thread.
        """
        self._stopping.set()

    def run(self) -> None:
        """Handle messages until stopped, or until the limits given at the start are reached.

        Raises:
            TopicMissing: a topic or its dead-letter topic does not exist.
            BrokerError: Kafka does not answer at the start, or refuses us.
        """
        admin = TopicAdmin()
        self._require_topics(admin)
        consumer = EventConsumer(
            self.topics, self.group, from_beginning=self._from_beginning, watch_ends=self._drain
        )
        dead_letters = DeadLetters()
        settler = Settler(
            self.group,
            self.handlers,
            consumer,
            dead_letters,
            origin=Origins(admin),
            stopped=self._stopping.is_set,
        )
        try:
            self._loop(consumer, settler, dead_letters)
        finally:
            consumer.close()
            dead_letters.close()
            close_connections()

    def _loop(self, consumer: EventConsumer, settler: Settler, dead_letters: DeadLetters) -> None:
        backlog = self._backlog(consumer)
        signals.consumer_started.send(sender=type(self), group=self.group)
        while not self._stopping.is_set() and not self._reached_limit():
            signals.consumer_turned.send(sender=type(self), group=self.group)
            dead_letters.poll()
            busy = self._run_parked()
            if not busy and backlog is not None and backlog.is_cleared():
                return
            message = consumer.poll(0 if busy else _POLL_SECONDS)
            if message is not None:
                self._settle(message, consumer, settler)

    def _settle(self, message: Message, consumer: EventConsumer, settler: Settler) -> None:
        close_stale_connections()
        outcome = settler.settle(message)
        close_stale_connections()
        if outcome is None:
            return
        consumer.finished(message)
        self.outcomes[outcome] += 1
        signals.message_handled.send(
            sender=type(self), group=self.group, message=message, outcome=outcome
        )

    def _run_parked(self) -> bool:
        """Run one parked record if one is due; return whether to look again at once."""
        if time.monotonic() < self._parked_at:
            return False
        close_stale_connections()
        try:
            outcome = self._parked.run_one()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Group %s cannot look for parked records: %s", self.group, error)
            close_connections()
            self._parked_at = time.monotonic() + _OUTAGE_SECONDS
            return False
        if outcome is None:
            self._parked_at = time.monotonic() + _PARKED_EVERY
            return False
        self.retried[outcome] += 1
        return True

    def _backlog(self, consumer: EventConsumer) -> Backlog | None:
        if not self._drain:
            return None
        return Backlog(consumer, from_beginning=self._from_beginning)

    def _reached_limit(self) -> bool:
        return self._max_messages is not None and self.outcomes.total() >= self._max_messages

    def _require_topics(self, admin: TopicAdmin) -> None:
        wanted = [name for topic in self.topics for name in (topic, dead_letter_topic(topic))]
        missing = admin.missing(wanted, patience=_TOPIC_SECONDS)
        if missing:
            raise TopicMissing(missing, settings.broker)


def _usable(handlers: Sequence[Handler]) -> list[Handler]:
    if not settings.enabled:
        raise ConfigurationError(
            "KAFKA_ENABLED is off, so nothing is consumed. Set it to true to start a consumer."
        )
    for handler in handlers:
        if inspect.iscoroutinefunction(handler.function):
            raise DeclarationError(
                f"Handler {handler.name} is a coroutine function, and transactions need plain "
                "ones. Write 'def' in place of 'async def', and call async code through "
                "asgiref.sync.async_to_sync."
            )
    return list(handlers)
