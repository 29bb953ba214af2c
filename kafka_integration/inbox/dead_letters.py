"""What a message that cannot be handled looks like in its dead-letter topic."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass

from ..broker.producer import Delivery, EventProducer
from ..errors import DeadLetterRefused, DeliveryFailed, ProducerFailed
from ..events.envelope import Headers, Message
from ..events.topics import dead_letter_topic
from .trace import described, from_handler

log = logging.getLogger(__name__)

_PREFIX = "dlq_"
_LONGEST_TRACE = 4096
_LONGEST_MESSAGE = 1024
_CLIENT_LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Failure:
    """Why a message was given up.

    Args:
        group: whose handler could not handle it.
        reason: the class of the failure, as :func:`kafka_integration.inbox.retry.decide` says it.
        attempts: how often it was tried.
        error: the last try's exception.
    """

    group: str
    reason: str
    attempts: int
    error: BaseException

    def text(self) -> str:
        """Return exception class, message and place, as the admin shows them."""
        return described(self.error)


class DeadLetters:
    """Sends messages to ``<topic>.dlq``. The producer is made when the first one is sent.

    Args:
        timeout: seconds that one acknowledgement may take.
    """

    def __init__(self, timeout: float = 10.0) -> None:
        self.timeout = timeout
        self._producer: EventProducer | None = None

    def send(self, message: Message, failure: Failure) -> Delivery:
        """Send one message with all its bytes and wait until Kafka has acknowledged it.

        A letter that its topic does not take is sent again without trace and exception message.

        Raises:
            DeadLetterRefused: the topic takes it not even so, most likely for its size.
            BrokerError: Kafka did not acknowledge it; nothing is known to be written.
        """
        try:
            return self._send(message, headers(message, failure))
        except DeliveryFailed:
            log.warning(
                "The dead letter of %s is too much for %s; it is sent without its trace.",
                message.place(),
                dead_letter_topic(message.topic),
            )
        try:
            return self._send(message, headers(message, failure, brief=True))
        except DeliveryFailed as error:
            raise DeadLetterRefused(error.topic, error.reason) from error

    def close(self) -> None:
        """Let go of the producer."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _send(self, message: Message, told: Headers) -> Delivery:
        if self._producer is None:
            # The original was within its topic's limit; whether its dead letter is within the
            # limit of its own topic is for the broker to say, not for the client to guess.
            self._producer = EventProducer(message_max_bytes=_CLIENT_LIMIT)
        try:
            return self._producer.send_and_wait(
                dead_letter_topic(message.topic),
                message.value,
                message.key,
                told,
                self.timeout,
            )
        except ProducerFailed:
            self.close()
            raise

    def poll(self) -> None:
        """Serve the producer's callbacks; what it logs would pile up in memory otherwise."""
        if self._producer is not None:
            self._producer.poll(0)


def headers(message: Message, failure: Failure, *, brief: bool = False) -> Headers:
    """Return the dead letter's headers: the message's own, then where it failed and why.

    Only the last failure is told: headers that grew with each one would in the end make the
    message too large.

    Args:
        brief: leave out the trace and the exception's message.
    """
    kept = [(name, value) for name, value in message.headers if not name.startswith(_PREFIX)]
    said = {
        "reason": failure.reason,
        "group": failure.group,
        "attempts": str(failure.attempts),
        "topic": message.topic,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "timestamp": "" if message.timestamp is None else str(message.timestamp),
        "exception_class": _class_of(failure.error),
    }
    told = [
        (_PREFIX + name, text.encode("utf-8", "backslashreplace")) for name, text in said.items()
    ]
    if brief:
        return [*kept, *told]
    shown = str(failure.error).encode("utf-8", "backslashreplace")
    trace = _trace(failure.error).encode("utf-8", "backslashreplace")
    return [
        *kept,
        *told,
        (_PREFIX + "exception_message", _whole(shown[:_LONGEST_MESSAGE])),
        (_PREFIX + "trace", _whole(trace[-_LONGEST_TRACE:])),
    ]


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(*from_handler(error)))


def _class_of(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _whole(text: bytes) -> bytes:
    """Return ``text`` without the part of a character that a cut may have left at either end."""
    return text.decode("utf-8", "ignore").encode()
