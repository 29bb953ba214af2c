"""Hands events to Kafka, in order, and finds the one that spoils a batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..broker.limits import LARGEST_BATCH, batch_options
from ..broker.producer import GAPLESS, EventProducer, producer_config
from .batch import Batch
from .scan import QueueRow

# Batches are bounded by bytes, not by count.
_SWIFT = GAPLESS | {"queue.buffering.max.messages": 0}
# A lone event would wait for company in vain, and a batch, handed over at once, gathers by itself
# while requests are under way.
_LINGER_MS = 0
# A producer's start takes half a second, so a topic that rejects often must not cost many.
_CAREFUL_SECONDS = 10.0
_CAREFUL = {"queue.buffering.max.messages": 0, "batch.num.messages": 1}


class Sender:
    """Sends batches of the outbox, swiftly while Kafka takes everything, else with care.

    Kafka takes or rejects a producer's batch as a whole, be it for one event's sake. Swiftly, all
    events are handed over at once, and the producer stops at the first rejection, so that no later
    event of a key is written before an earlier one. What is unsent then, and what follows for some
    seconds, goes with care: each event in a producer's batch of its own, one of a key at a time.

    Args:
        wait: waits for all answers of the producer; False if we must not go on.
    """

    def __init__(self, wait: Callable[[EventProducer], bool]) -> None:
        self._wait = wait
        self._producer: EventProducer | None = None
        self._careful_until = 0.0
        self._narrowest: float = LARGEST_BATCH
        self._batches: dict[str, int] = {}

    @property
    def is_careful(self) -> bool:
        """Whether a rejection is so fresh that events go one by one."""
        return time.monotonic() < self._careful_until

    def send(self, batch: Batch) -> bool:
        """Send a batch's rows and note in it what Kafka said; False if we must not go on."""
        if self.is_careful:
            return self._send_with_care(batch)
        attempt = Batch(batch.rows)
        if not self._attempt(attempt):
            return False
        batch.sent = attempt.sent
        if not attempt.rejected():
            batch.failed = attempt.failed
            return True
        self.be_careful()
        return self._send_with_care(batch)

    def hand_over(self, batch: Batch) -> None:
        """Give a batch's rows to the swift producer, up to the first that is known to fail.

        Its answers are noted in the batch while :meth:`serve` or :meth:`settle` is called.
        """
        producer = self._open_swift()
        for row in batch.rows:
            if batch.failed:
                break
            _hand_over(producer, batch, row)

    def serve(self, seconds: float) -> EventProducer:
        """Take answers for at most ``seconds``; return the producer that they come from."""
        producer = self._open_swift()
        producer.poll(seconds)
        return producer

    def is_too_wide(self, narrowest: float) -> bool:
        """Tell whether a producer's batch may be larger than some topic takes.

        Args:
            narrowest: the lowest limit of all topics, in bytes.
        """
        return narrowest < self._narrowest

    def narrow(self, narrowest: float) -> None:
        """Let no batch be larger than that from now on; nothing may be under way."""
        if self.is_too_wide(narrowest):
            if not self.is_careful:
                self.discard_producer()
            self._narrowest = narrowest
            self._batches = batch_options(self._narrowest, producer_config())

    def settle(self) -> bool:
        """Wait for all answers; False if we must not go on."""
        return self._producer is None or self._wait(self._producer)

    def be_careful(self) -> None:
        """Send one by one for a while, so that what spoils the others is found."""
        self.discard_producer()
        self._careful_until = time.monotonic() + _CAREFUL_SECONDS

    def discard_producer(self) -> None:
        """Withdraw what is under way and begin anew with the next batch."""
        if self._producer:
            self._producer.abandon()
        self._producer = None
        self._careful_until = 0.0

    def _attempt(self, attempt: Batch) -> bool:
        self.hand_over(attempt)
        proceed = self.settle()
        if attempt.failed or not proceed:
            self.discard_producer()
        return proceed

    def _send_with_care(self, batch: Batch) -> bool:
        producer = self._open(_CAREFUL)
        for turn in _rounds(batch.unsent()):
            for row in turn:
                if not batch.withholds(row):
                    _hand_over(producer, batch, row)
            proceed = self._wait(producer)
            if not proceed or batch.other_failure():
                self.discard_producer()
                return proceed
        return True

    def _open_swift(self) -> EventProducer:
        if self._careful_until and not self.is_careful:
            self.discard_producer()
        return self._open(_SWIFT | self._batches)

    def _open(self, options: Mapping[str, Any]) -> EventProducer:
        if self._producer is None:
            self._producer = EventProducer(options, linger_ms=_LINGER_MS)
        return self._producer


class CarefulSender(Sender):
    """Sends always with care, with a producer of its own."""

    @property
    def is_careful(self) -> bool:
        """Events go one by one."""
        return True

    def send(self, batch: Batch) -> bool:
        """Send a batch's rows, unless all of them are known to fail or to wait behind one."""
        return all(map(batch.withholds, batch.rows)) or super().send(batch)


def _rounds(rows: Sequence[QueueRow]) -> list[list[QueueRow]]:
    """Return the rows in rounds, each of which has at most one of a key; order is kept."""
    rounds: list[list[QueueRow]] = []
    seen: Counter[tuple[str, int]] = Counter()
    for row in rows:
        unit = row.unit
        if seen[unit] == len(rounds):
            rounds.append([])
        rounds[seen[unit]].append(row)
        seen[unit] += 1
    return rounds


def _hand_over(producer: EventProducer, batch: Batch, row: QueueRow) -> None:
    batch.handed_over += 1
    producer.send(
        row.topic, bytes(row.value), row.key, row.wire_headers(), partial(batch.note, row)
    )
