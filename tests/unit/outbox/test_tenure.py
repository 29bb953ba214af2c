"""One shard's Kafka transactions, with a producer that is told what to do."""

from __future__ import annotations

from typing import Any

import pytest

from kafka_integration.errors import BrokerError, ProducerFailed, ProducerFenced
from kafka_integration.models import OutboxManifest
from kafka_integration.outbox.batch import Batch
from kafka_integration.outbox.load import Load
from kafka_integration.outbox.tenure import Attempt, Tenure


class _Failing:
    """A producer that fails for good when its transaction is committed."""

    last_error = None

    def __init__(self, error: BrokerError) -> None:
        self._error = error
        self.abandoned = 0

    def begin(self) -> None:
        """Begin."""

    def send(self, *_: Any) -> None:
        """Take everything."""

    def flush(self, _: float) -> int:
        """Have nothing under way."""
        return 0

    def commit(self, _: Any) -> bool:
        """Fail."""
        raise self._error

    def abandon(self) -> None:
        """Count."""
        self.abandoned += 1


@pytest.mark.parametrize("error", [ProducerFenced("outbox.3"), ProducerFailed("it is over")])
def test_a_producer_that_has_failed_for_good_keeps_nothing(error: BrokerError) -> None:
    tenure, producer = Tenure("default", 3, 1, lambda: True), _Failing(error)
    tenure._producer = producer  # type: ignore[assignment]  # what open() would have made
    attempt = Attempt(OutboxManifest(shard=3, batch=1), Load([]), Batch([]))
    assert tenure.publish(attempt).error is error
    assert not attempt.committed
    assert producer.abandoned == 1
