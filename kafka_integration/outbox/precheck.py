"""What can be known of an event before it is handed to Kafka: whether its topic can take it.

An event that cannot fit is held at once. Whether one fits whose size depends on compression, only
Kafka can tell: it is sent apart from the others, so that none of them is rejected with it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..broker.limits import lone_batch
from ..errors import BrokerError, MessageTooLarge
from .batch import Batch
from .gate import TopicGate
from .scan import QueueRow

# More than a key and headers usually have; those that have more are met by Kafka itself.
_REST = 16 * 1024
_TRUST = 20


@dataclass(frozen=True)
class Sorted:
    """Rows by how they are to be sent.

    Args:
        swift: what Kafka takes, as far as we know.
        apart: what comes next: rows that Kafka may reject, and those of the same keys behind them.
        refused: those of ``apart`` that it would reject for sure, with the reason.
    """

    swift: Sequence[QueueRow]
    apart: Sequence[QueueRow] = ()
    refused: Sequence[tuple[QueueRow, BrokerError]] = ()

    def batch(self) -> Batch:
        """Return what is to be sent apart, with what need not be asked noted already."""
        return Batch(self.apart, failed=list(self.refused))


class Precheck:
    """Looks at rows before they are handed over. It costs no request while all of them fit.

    Args:
        gate: knows what topics take.
    """

    def __init__(self, gate: TopicGate) -> None:
        self._gate = gate
        self._taken: Counter[str] = Counter()

    def finds(self, rows: Sequence[QueueRow]) -> bool:
        """Tell whether Kafka may reject one of the rows, by what we know of its topic."""
        return any(self._doubts(row) for row in self._large(rows))

    def sort(self, rows: Sequence[QueueRow]) -> Sorted:
        """Sort rows by how they are to be sent; Kafka is asked anew for limits that matter."""
        doubted = self._doubted_now(rows)
        if not doubted:
            return Sorted(rows)
        firsts: dict[tuple[str, int], int] = {}
        for row in doubted:
            firsts.setdefault(row.unit, row.position)
        return Sorted(
            [row for row in rows if row.position < firsts.get(row.unit, row.position + 1)],
            [row for row in rows if row.position >= firsts.get(row.unit, row.position + 1)],
            [(row, error) for row in doubted if (error := self._refusal(row))],
        )

    def refusals(self, rows: Sequence[QueueRow]) -> dict[int, BrokerError]:
        """Return why Kafka would reject rows, by position, for those that it would for sure."""
        refused = [(row.position, self._refusal(row)) for row in self._doubted_now(rows)]
        return {position: error for position, error in refused if error}

    def learn(self, batch: Batch) -> None:
        """Take note of what Kafka said of a batch.

        What compresses well is not doubted any more once Kafka has taken twenty such events of a
        topic in a row. A rejection that was not foreseen says that a limit has changed.
        """
        for row in self._large([sent.row for sent in batch.sent]):
            self._taken[row.topic] += not self._fits(row)
        unforeseen = {r.topic for r, e in batch.rejected() if not isinstance(e, MessageTooLarge)}
        for topic in unforeseen:
            del self._taken[topic]
            self._gate.refresh_limits(topic)

    def _large(self, rows: Iterable[QueueRow]) -> list[QueueRow]:
        least = self._gate.narrowest - _REST
        return [row for row in rows if len(row.value) > least] if least < math.inf else []

    def _doubted_now(self, rows: Sequence[QueueRow]) -> list[QueueRow]:
        doubted = [row for row in self._large(rows) if self._doubts(row)]
        for topic in {row.topic for row in doubted}:
            # A limit that was raised meanwhile must not hold anything.
            self._gate.refresh_limits(topic)
        return [row for row in doubted if self._doubts(row)]

    def _doubts(self, row: QueueRow) -> bool:
        if self._fits(row):
            return False
        return self._taken[row.topic] < _TRUST or self._refusal(row) is not None

    def _fits(self, row: QueueRow) -> bool:
        limits = self._gate.limits(row.topic)
        if limits is None or len(row.value) + _REST <= limits.largest_batch:
            return True
        return limits.surely_takes(_size(row))

    def _refusal(self, row: QueueRow) -> BrokerError | None:
        limits, size = self._gate.limits(row.topic), _size(row)
        if limits is None or not limits.surely_refuses(size):
            return None
        return MessageTooLarge(row.topic, size, limits.largest_batch)


def _size(row: QueueRow) -> int:
    return lone_batch(row.key, row.value, row.wire_headers())
