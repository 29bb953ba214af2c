"""A bare ``produce()`` loop: what the Kafka client can do when nothing else is to be done."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import islice
from statistics import median

from confluent_kafka import KafkaError, Message, Producer

from kafka_integration.garbage import collecting_rarely
from kafka_integration.models import OutboxQueue
from kafka_integration.outbox.scan import COLUMNS, QueueRow

_PASSES = 3
# As safe as the relay's producer, and with the client's own choice of everything else.
_OPTIONS = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "snappy",
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 0,  # bounded by bytes, so that nothing is refused
}

Record = tuple[bytes, str, list[tuple[str, str | bytes | None]]]


def measure(topic: str, events: int) -> float:
    """Return events a second with the first ``events`` of the outbox, the median of three passes.

    They are in memory, headers and all. The clock starts once the producer has had an answer.
    """
    queue = OutboxQueue.objects.with_hold().order_by("position").values_list(*COLUMNS)
    rows = map(QueueRow._make, islice(queue.iterator(), events))
    records: list[Record] = [(bytes(row.value), row.key, [*row.wire_headers()]) for row in rows]
    with collecting_rarely():
        return len(records) / median(_seconds(topic, records) for _ in range(_PASSES))


def _seconds(topic: str, records: Sequence[Record]) -> float:
    producer = Producer({"bootstrap.servers": os.environ["KAFKA_BROKER"], **_OPTIONS})
    answers: list[int] = []

    def answer(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        answers.append(message.offset() or 0)

    producer.produce(topic, b"{}", "warm", on_delivery=answer)
    producer.flush()
    started = time.perf_counter()
    for value, key, headers in records:
        producer.produce(topic, value, key, headers=headers, on_delivery=answer)
    producer.flush()
    seconds = time.perf_counter() - started
    assert len(answers) == len(records) + 1, "not every record was acknowledged"
    return seconds
