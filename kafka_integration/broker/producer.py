"""The one way we write to Kafka: an idempotent producer that never gives up by itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple
from weakref import WeakMethod

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from ..conf import settings
from ..errors import AuthenticationFailed, BrokerError, BrokerUnavailable, ProducerFailed
from .client_log import demoting
from .config import client_config, explain, is_news, make_client

log = logging.getLogger(__name__)

HeaderValue = bytes | str
_OVERHEAD = 64 * 1024


class Delivery(NamedTuple):
    """What Kafka answered for one message.

    Args:
        topic, partition, offset: where it stands; partition and offset are -1 if it does not.
        error: why not, or None.
    """

    topic: str
    partition: int
    offset: int
    error: BrokerError | None = None


class EventProducer:
    """An idempotent producer with ``acks=all`` and Java's partitioner.

    A message is tried until it is delivered, refused for good, or the producer is thrown away
    (``message.timeout.ms=0``): one that timed out while its successor went through would break
    the order of its key. Make it after a fork, never before: librdkafka's threads do not survive
    one.

    Args:
        required: librdkafka properties that nothing may change, not even ``KAFKA_CLIENT_OPTIONS``.
        overrides: librdkafka properties, with ``_`` where the name has a dot.
    """

    def __init__(self, required: Mapping[str, Any] | None = None, **overrides: Any) -> None:
        self.last_error: BrokerError | None = None
        self._failure: ProducerFailed | None = None
        config = producer_config(**overrides) | dict(required or {})
        # With a strong reference the client would stand in a cycle and live on, with its threads
        # and connections, until the garbage collector finds it and waits for their end.
        on_error = WeakMethod(self._on_error)
        self._producer = make_client(Producer, config | {"error_cb": partial(_tell, on_error)})
        self._produce = self._producer.produce

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | str | None,
        headers: Sequence[tuple[str, HeaderValue | None]],
        on_delivery: Callable[[Delivery], None],
    ) -> None:
        """Queue one message; ``on_delivery`` is called from :meth:`poll` or :meth:`flush`.

        A message that the client itself refuses is reported through ``on_delivery`` too.
        """

        report = partial(self._report, topic, on_delivery)
        headers = headers if isinstance(headers, list) else list(headers)
        while True:
            try:
                self._produce(topic, value, key, headers=headers, on_delivery=report)
                return
            except BufferError:
                self.poll(0.1)
            except KafkaException as error:
                self._report_error(topic, on_delivery, error.args[0])
                return

    def poll(self, timeout: float) -> None:
        """Serve delivery reports for at most ``timeout`` seconds."""
        try:
            self._producer.poll(timeout)
        except (KafkaException, SystemError) as error:
            self._note_failure(error)

    def flush(self, timeout: float) -> int:
        """Wait at most ``timeout`` seconds for all reports; return how many are still missing.

        If the producer has failed for good, what it still holds is withdrawn and reported so.
        """
        try:
            return self._producer.flush(timeout)
        except (KafkaException, SystemError) as error:
            self._note_failure(error)
        # What is on its way may still be taken; waiting for the answer saves a repeat.
        self._producer.purge(in_flight=False)
        self._serve(min(timeout, 1.0))
        self.abandon()
        return len(self._producer)

    def send_and_wait(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | str | None,
        headers: Sequence[tuple[str, HeaderValue | None]],
        timeout: float = 30.0,
    ) -> Delivery:
        """Send one message and wait for Kafka's acknowledgement.

        Args:
            timeout: seconds. After it the message is withdrawn; if it was already on its way it
                may still be written.

        Raises:
            BrokerError: it was not acknowledged; the class says why.
        """
        answers: list[Delivery] = []
        self.send(topic, value, key, headers, answers.append)
        if self.flush(timeout):
            self.abandon()
            raise self.last_error or BrokerUnavailable(
                settings.broker, f"no acknowledgement within {timeout:g} s"
            )
        if answers[-1].error:
            raise answers[-1].error
        return answers[-1]

    def abandon(self) -> None:
        """Withdraw what is queued and under way; its reports come as errors. Recalls nothing."""
        self._producer.purge()
        self._serve(1.0)

    def close(self, timeout: float = 5.0) -> None:
        """Wait for what is under way, at most ``timeout`` seconds, and withdraw the rest."""
        if self.flush(timeout):
            self.abandon()

    def _serve(self, timeout: float) -> None:
        """Serve reports until none is missing; unlike flush(), in a failed producer too."""
        deadline = time.monotonic() + timeout
        while len(self._producer) and time.monotonic() < deadline:
            self.poll(0.05)

    def _report(
        self,
        topic: str,
        on_delivery: Callable[[Delivery], None],
        error: KafkaError | None,
        message: KafkaMessage,
    ) -> None:
        # confluent-kafka 2.16 leaves the exception of a producer that has just failed for good
        # pending and calls back for each message all the same, where it breaks the next call
        # through Python's C API.
        try:
            _touch(message)
        except SystemError as pending:
            self._note_failure(pending)
        if error is None:
            on_delivery(Delivery(topic, _number(message.partition()), _number(message.offset())))
        else:
            self._report_error(topic, on_delivery, error)

    def _report_error(
        self, topic: str, on_delivery: Callable[[Delivery], None], error: KafkaError
    ) -> None:
        found: BrokerError = explain(error, topic)
        # librdkafka says of what it held only that it was purged.
        if self._failure is not None and isinstance(found, ProducerFailed):
            found = self._failure
        on_delivery(Delivery(topic, -1, -1, found))

    def _note_failure(self, error: KafkaException | SystemError) -> None:
        """Remember why this producer has failed for good; raise ``error`` if it has not."""
        found = _kafka_error(error)
        if found is None:
            # Once the pending exception is taken, the client's call ends with a bare SystemError.
            if self._failure is None:
                raise error
            return
        failure = explain(found)
        if not found.fatal():
            raise failure from error
        if isinstance(failure, ProducerFailed):
            self._failure = failure

    def _on_error(self, error: KafkaError) -> None:
        found = explain(error)
        if isinstance(found, (AuthenticationFailed, BrokerUnavailable)):
            self.last_error = _worse(self.last_error, found)
            log.debug("%s", found)
        elif error.code() != KafkaError._GAPLESS_GUARANTEE:
            log.warning("%s", found)


def _tell(on_error: Callable[[], Callable[[KafkaError], None] | None], error: KafkaError) -> None:
    found = on_error()
    if found is not None:
        found(error)


def producer_config(**overrides: Any) -> dict[str, Any]:
    """Return the librdkafka properties that our producers start from."""
    limits = {"message_max_bytes": settings.max_message_bytes + _OVERHEAD}
    return client_config(**_DEFAULTS | limits | overrides)


_DEFAULTS: dict[str, Any] = {
    "enable_idempotence": True,
    "acks": "all",
    # librdkafka's own default, consistent_random, puts a key elsewhere than Java's clients do.
    "partitioner": "murmur2_random",
    "message_timeout_ms": 0,
    "topic_metadata_propagation_max_ms": 10_000,
    # Topics come from the catalogue; one that was deleted must not come back with other settings.
    "allow_auto_create_topics": False,
    "compression_type": "snappy",
    "linger_ms": 5,
    # The default of 1 GiB would be the process's memory when Kafka is slow.
    "queue_buffering_max_kbytes": 64 * 1024,
    "socket_keepalive_enable": True,
    "reconnect_backoff_max_ms": 2_000,
}

_gapless_log = demoting(f"{__name__}.gapless")
# A rejected event is told by whoever sent it, and librdkafka's "fatal" is how it should be.
_gapless_log.addFilter(lambda record: "gap" not in record.getMessage().lower())
_gapless_log.addFilter(is_news)

GAPLESS: dict[str, Any] = {
    # Without these, what was sent after a rejected message overtakes it: the broker takes any
    # sequence number from a producer that it does not know yet on a partition, and librdkafka
    # starts a new epoch and goes on. A broker works on one request of a connection at a time, so
    # that more in flight would save little.
    "enable.gapless.guarantee": True,
    "max.in.flight": 1,
    "logger": _gapless_log,
}
"""Required of a producer that fails for good with the first message that Kafka rejects."""


_touch = methodcaller("error")


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _kafka_error(error: BaseException | None) -> KafkaError | None:
    """Return what the client said in ``error`` or in what is behind it."""
    while error is not None and not isinstance(error, KafkaException):
        error = error.__cause__ or error.__context__
    return None if error is None else error.args[0]


def _worse(known: BrokerError | None, found: BrokerError) -> BrokerError:
    # A wrong password is followed by "all brokers down", which must not hide it.
    return known if isinstance(known, AuthenticationFailed) else found
