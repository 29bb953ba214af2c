"""A plain consumer beside whatever is measured, on the same clock."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType

from confluent_kafka import Consumer, TopicPartition

from benchmarks.topics import PARTITIONS

_POLL = 0.1
_START_PATIENCE = 30.0


class Listener:
    """Notes when the first record of each key is there; its settings are the client's defaults.

    The clock is ``time.perf_counter()``, read when the record is in Python's hands.

    Args:
        topic: read as a whole, from its beginning.
    """

    def __init__(self, topic: str) -> None:
        self._arrived: dict[str, float] = {}
        self._news = threading.Condition()
        self._ended = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": os.environ["KAFKA_BROKER"],
                "group.id": f"of-{topic}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(_START_PATIENCE)
        self._consumer.close()

    def arrival(self, key: str, timeout: float) -> float:
        """Wait for the first record of ``key``; return when it was there.

        Args:
            key: as the record has it.
            timeout: seconds.

        Raises:
            TimeoutError: it did not come.
        """
        with self._news:
            if not self._news.wait_for(lambda: key in self._arrived, timeout):
                raise TimeoutError(
                    f"Nothing with key {key!r} came within {timeout:g} s. See whether the relay "
                    "runs, by its warnings above or by starting 'manage.py kafka_relay' by hand."
                )
            return self._arrived[key]

    def _listen(self) -> None:
        while not self._ended.is_set():
            message = self._consumer.poll(_POLL)
            now = time.perf_counter()
            if message is None:
                continue
            key = message.key()
            if message.error() or key is None:
                continue  # a partition made a moment ago; the client asks again
            with self._news:
                self._arrived.setdefault(key.decode(), now)
                self._news.notify_all()
