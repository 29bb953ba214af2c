"""What a topic takes at most, and how large a message is on its way there.

A broker compares ``max.message.bytes`` with whole batches: as they come, which may be compressed,
and once more as it stores them, if the topic's ``compression.type`` asks for something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LARGEST_BATCH = 1_000_000
"""Bytes: librdkafka's default of ``batch.size``."""

_BATCH_HEAD = 61  # bytes of a batch without records, message format 2 (KIP-98)
_CODECS = ("compression.type", "compression.codec")  # two names of one property
# How many bytes one compressed byte can stand for, by the formats: Snappy copies at most 64 bytes
# with an element of three, LZ4 lengthens a match by 255 with each byte, DEFLATE ends at 1,032.
_RATIOS = {"none": 1.0, "uncompressed": 1.0, "snappy": 64 / 3, "lz4": 255.0, "gzip": 1_032.0}


@dataclass(frozen=True)
class TopicLimits:
    """What a topic takes.

    Args:
        largest_batch: the topic's ``max.message.bytes``.
        best_ratio: how many bytes of a message may at best become one of a batch, as it is sent
            and as it is stored; infinite where nothing is known.
    """

    largest_batch: int
    best_ratio: float = math.inf

    def surely_takes(self, size: int) -> bool:
        """Tell whether a message fits, however badly it is compressed.

        Args:
            size: from :func:`lone_batch`.
        """
        return size <= self.largest_batch

    def surely_refuses(self, size: int) -> bool:
        """Tell whether a message does not fit, however well it is compressed."""
        room = max(0, self.largest_batch - _BATCH_HEAD)
        return size - _BATCH_HEAD > room * self.best_ratio


def limits_of(
    topic: Mapping[str, str | None], producer: Mapping[str, object]
) -> TopicLimits | None:
    """Return what a topic takes of a producer; None if its settings do not tell.

    Args:
        topic: the topic's settings, as Kafka describes them.
        producer: the librdkafka properties of the producer.
    """
    largest = int(topic.get("max.message.bytes") or 0)
    if not largest:
        return None
    sent = max(_ratio(str(producer[name])) for name in _CODECS if name in producer)
    stored = topic.get("compression.type") or "producer"
    kept = sent if stored == "producer" else _ratio(stored)
    return TopicLimits(largest, min(sent, kept))


def lone_batch(key: str, value: bytes, headers: Iterable[tuple[str, str]]) -> int:
    """Return the bytes of a batch that holds one message and is not compressed."""
    parts = [key.encode()]
    for name, text in headers:
        parts += [name.encode(), text.encode()]
    sizes = [len(value), *map(len, parts)]
    # Besides: attributes, two differences that are zero, and how many headers there are.
    record = 3 + _varint(len(parts) // 2) + sum(size + _varint(size) for size in sizes)
    return _BATCH_HEAD + record + _varint(record)


def batch_options(narrowest: float, producer: Mapping[str, object]) -> dict[str, int]:
    """Return what keeps a producer's batches below the limit of every topic.

    librdkafka gathers what is queued for a partition, and knows no topic's limit.

    Args:
        narrowest: the lowest ``max.message.bytes`` of the topics, or infinity.
        producer: the librdkafka properties of the producer.
    """
    given = int(str(producer.get("batch.size", LARGEST_BATCH)))
    return {"batch.size": int(max(1, narrowest))} if narrowest < given else {}


def _ratio(codec: str) -> float:
    return _RATIOS.get(codec, math.inf)


def _varint(number: int) -> int:
    """Return the bytes of a number that is written zigzag, seven bits in each."""
    return max(1, -(-(2 * number).bit_length() // 7))
