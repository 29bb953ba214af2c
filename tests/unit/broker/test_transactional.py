"""What the errors of transactions mean, and the records of the progress topic."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from kafka_integration.broker.progress import batch_of, record_of
from kafka_integration.broker.transactional import explain_transaction
from kafka_integration.errors import (
    AuthenticationFailed,
    BrokerError,
    ProducerFailed,
    ProducerFenced,
    TopicRefused,
    TransactionFailed,
    TransactionsRefused,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KafkaError(KafkaError._FENCED, fatal=True), ProducerFenced),
        (KafkaError(KafkaError.PRODUCER_FENCED, fatal=True), ProducerFenced),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, fatal=True), ProducerFenced),
        (KafkaError(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED), TransactionsRefused),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), TopicRefused),
        (KafkaError(KafkaError._TIMED_OUT, txn_requires_abort=True), TransactionFailed),
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, txn_requires_abort=True), TransactionFailed),
        (KafkaError(KafkaError.INVALID_PRODUCER_ID_MAPPING, fatal=True), ProducerFailed),
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), ProducerFailed),
        (KafkaError(KafkaError.SASL_AUTHENTICATION_FAILED), AuthenticationFailed),
    ],
)
def test_what_an_error_of_a_transaction_means(error: KafkaError, kind: type[BrokerError]) -> None:
    assert type(explain_transaction(error, "outbox.3")) is kind


def test_a_fenced_producer_names_what_may_be_shared() -> None:
    found = explain_transaction(KafkaError(KafkaError._FENCED, fatal=True), "outbox.3")
    assert "outbox.3" in str(found)
    assert "KAFKA_TRANSACTIONAL_ID_PREFIX" in str(found)


def test_a_record_of_progress_is_read_as_it_was_written() -> None:
    assert batch_of(record_of(12)) == 12


@pytest.mark.parametrize("value", [b"", b"12", b'{"batch": -1}', b'{"batch": 1}x'])
def test_what_others_wrote_is_no_progress(value: bytes) -> None:
    with pytest.raises(BrokerError, match="KAFKA_PROGRESS_TOPIC"):
        batch_of(value)
