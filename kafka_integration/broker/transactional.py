"""A producer that writes in Kafka transactions (KIP-98): all of a batch is seen, or none of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from ..conf import settings
from ..errors import (
    AuthenticationFailed,
    BrokerError,
    BrokerUnavailable,
    ProducerFailed,
    ProducerFenced,
    TopicRefused,
    TransactionFailed,
    TransactionsRefused,
)
from .config import explain
from .limits import LARGEST_BATCH, batch_options
from .producer import EventProducer, producer_config

log = logging.getLogger(__name__)

# How long one call may take before we look whether to go on.
_SLICE = 0.5
# Readers of committed records wait behind the transaction of a relay that died, at most so long.
_TRANSACTION_MS = 30_000
_QUEUE_KBYTES = 4 * 1024
_FENCED = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    }
)

Proceed = Callable[[], bool]


class TransactionalProducer(EventProducer):
    """Writes batches, each in a Kafka transaction.

    All calls may be made from one thread at a time. Those that wait for Kafka take ``proceed`` and
    ask it every half second whether to go on waiting; they return False once it says no.

    librdkafka 2.16 does not speak the newer protocol of transactions (KIP-890), in which the
    broker raises the producer's epoch with each. With the older one, a request that was taken for
    lost and arrives late can work on a later transaction of the same epoch. So a producer that has
    met any trouble is :attr:`worn` and must be replaced: its successor's :meth:`initialise` raises
    the epoch, and what arrives late is refused.

    Args:
        transactional_id: whoever initialises with it last may write, and all others are fenced.
        singly: sends each message in a request of its own, so that the one that Kafka rejects is
            told from those that would only travel with it.
        narrowest: the lowest limit of all topics, in bytes: no batch is made larger than that.
    """

    def __init__(
        self, transactional_id: str, *, singly: bool = False, narrowest: float = LARGEST_BATCH
    ) -> None:
        self.transactional_id = transactional_id
        required: dict[str, Any] = {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": _TRANSACTION_MS,
            "message.timeout.ms": _TRANSACTION_MS,
            # Sixteen of them may live in one process.
            "queue.buffering.max.kbytes": _queue_kbytes(),
        }
        required |= batch_options(narrowest, producer_config())
        if singly:
            required["batch.num.messages"] = 1
        super().__init__(required)
        self._worn = False

    @property
    def worn(self) -> bool:
        """Whether something happened after which no further transaction may begin."""
        return self._worn or self.last_error is not None

    def initialise(self, proceed: Proceed) -> bool:
        """Fence every other producer of this id, and end what it had begun.

        Raises:
            TransactionsRefused: we may not use this id.
            AuthenticationFailed: Kafka does not accept our credentials.
            BrokerError: this producer cannot be used.
        """
        done = self._insist(self._producer.init_transactions, proceed)
        # What happened before the first transaction cannot reach a later one.
        self._worn, self.last_error = False, None
        return done

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            BrokerError: this producer cannot be used any more.
        """
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            raise self._translate(error) from error

    def commit(self, proceed: Proceed) -> bool:
        """Commit what was sent since :meth:`begin`; a commit that timed out is called again.

        Raises:
            TransactionFailed: it must be aborted.
            ProducerFenced: another producer took over; whether it was committed is not known.
            BrokerError: this producer cannot be used any more; just as little is known.
        """
        done = self._insist(self._producer.commit_transaction, proceed)
        self.poll(0)
        self._serve(1.0)
        return done

    def abort(self, proceed: Proceed) -> bool:
        """Abort what was sent since :meth:`begin`.

        Raises:
            ProducerFenced: another producer took over, and its start aborted it.
            BrokerError: this producer cannot be used any more.
        """
        self._worn = True
        self.abandon()
        return self._insist(self._producer.abort_transaction, proceed)

    def _insist(self, call: Callable[[float], object], proceed: Proceed) -> bool:
        """Call until it succeeds or may not be called again."""
        while proceed():
            try:
                call(_SLICE)
                return True
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise self._translate(error) from error
                log.debug("Once more: %s", error.args[0])
                self._worn = True
            self.poll(0)
            if isinstance(self.last_error, AuthenticationFailed):
                raise self.last_error
        return False

    def _translate(self, error: KafkaException) -> BrokerError:
        return explain_transaction(error.args[0], self.transactional_id)

    def _on_error(self, error: KafkaError) -> None:
        # Whoever calls is told by an exception; here it only says that something happened.
        self._worn = True
        found = explain(error)
        if isinstance(found, (AuthenticationFailed, BrokerUnavailable)):
            super()._on_error(error)
        log.debug("%s: %s", self.transactional_id, found)


def explain_transaction(error: KafkaError, transactional_id: str) -> BrokerError:
    """Return the exception of ours that says what an error of a transaction means.

    Args:
        error: librdkafka's error; one that is retriable is none to explain.
        transactional_id: of the producer that it happened to.
    """
    code = error.code()
    if code in _FENCED:
        return ProducerFenced(transactional_id)
    if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return TransactionsRefused(transactional_id, settings.broker)
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return TopicRefused("", settings.broker)  # which one, it does not say
    if error.txn_requires_abort():
        return TransactionFailed(error.str())
    found = explain(error)
    # What happened to the producer says nothing about one message or topic.
    return found if isinstance(found, AuthenticationFailed) else ProducerFailed(error.str())


def _queue_kbytes() -> int:
    """Return room for one batch, and for the largest event whatever its size."""
    return max(_QUEUE_KBYTES, 4 * settings.max_message_bytes // 1024)
