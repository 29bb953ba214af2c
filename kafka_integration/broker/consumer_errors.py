"""What a consumer makes of librdkafka's errors: which to raise, which to wait out."""

from __future__ import annotations

import logging
import time

from confluent_kafka import KafkaError

from ..errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    DeliveryFailed,
    ProducerFailed,
)
from .config import explain
from .outage import Outage

log = logging.getLogger(__name__)

_REPEAT_SECONDS = 30.0


def explain_reading(error: KafkaError, topic: str = "", group: str = "") -> BrokerError:
    """Return the exception of ours that says what ``error`` means for a reader."""
    found = explain(error, topic, group)
    if isinstance(found, (DeliveryFailed, ProducerFailed)):
        about = f" {topic}" if topic else ""
        return BrokerError(f"Kafka does not let us read{about}: {error.str()} ({error.name()}).")
    return found


class Troubles:
    """Remembers the error that must be raised; warns of those that pass by themselves.

    Args:
        group_id: whose consumer it is, for the log.
    """

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.outage = Outage(group_id)
        self._worst: BrokerError | None = None
        self._warned: dict[int, float] = {}

    def note(self, error: KafkaError) -> None:
        """Take an error of the client as a whole; librdkafka's ``error_cb``."""
        found = explain_reading(error, group=self.group_id)
        if isinstance(found, AuthenticationFailed) or error.fatal():
            self._worst = self._worst or found
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self.outage.suspect(found)
        elif isinstance(found, BrokerUnavailable):
            # One connection of several; of the last one librdkafka tells as above.
            log.debug("Group %s: %s", self.group_id, found)
        else:
            log.info("Group %s: %s", self.group_id, error.str())

    def judge(self, error: KafkaError, topic: str) -> None:
        """Take an error that came in place of a message: raise it, or warn and go on.

        Raises:
            BrokerError: it does not pass by itself.
        """
        found = explain_reading(error, topic, self.group_id)
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            self._warn(
                error,
                "a handler took longer than max.poll.interval.ms, so Kafka gave our partitions "
                "to others. We join again. Make the handler faster, or raise the interval through "
                "KAFKA_CLIENT_OPTIONS.",
            )
        elif isinstance(found, BrokerUnavailable) or error.retriable():
            self._warn(error, str(found))
        else:
            raise found

    def raise_worst(self) -> None:
        """Raise the error, if any, that ends this consumer."""
        if self._worst is not None:
            raise self._worst

    def _warn(self, error: KafkaError, text: str) -> None:
        now = time.monotonic()
        last = self._warned.get(error.code())
        if last is None or now - last > _REPEAT_SECONDS:
            self._warned[error.code()] = now
            log.warning("Group %s: %s", self.group_id, text)
