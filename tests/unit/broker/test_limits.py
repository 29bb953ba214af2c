"""What surely fits into a topic, and what surely does not."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from kafka_integration.broker.limits import TopicLimits, batch_options, limits_of, lone_batch

SNAPPY = {"compression.type": "snappy"}
NONE = {"compression.type": "none"}


def limits(producer: Mapping[str, object], stored: str = "producer") -> TopicLimits:
    topic = {"max.message.bytes": "1000", "compression.type": stored}
    found = limits_of(topic, producer)
    assert found is not None
    return found


@pytest.mark.parametrize("settings", [{}, {"max.message.bytes": None}])
def test_where_kafka_does_not_tell_a_limit_nothing_is_known(
    settings: Mapping[str, str | None],
) -> None:
    assert limits_of(settings, SNAPPY) is None


def test_the_size_of_a_lone_batch_is_what_kafka_counts() -> None:
    # Measured: a topic of 1,000 bytes takes a value of 929 bytes under a key of one, and 882 with
    # two headers.
    assert lone_batch("k", b"x" * 929, []) == 1_000
    assert lone_batch("k", b"x" * 882, [("ce_id", "x" * 36), ("a", "b")]) == 1_000
    assert lone_batch("ß", b"", []) == lone_batch("kk", b"", [])


@pytest.mark.parametrize(
    ("producer", "stored", "ratio"),
    [
        (NONE, "producer", 1),
        (NONE, "gzip", 1),
        (SNAPPY, "producer", 64 / 3),
        (SNAPPY, "uncompressed", 1),
        (SNAPPY, "zstd", 64 / 3),
        ({"compression.type": "lz4"}, "snappy", 64 / 3),
        ({"compression.type": "zstd"}, "producer", math.inf),
        ({"compression.type": "snappy", "compression.codec": "gzip"}, "producer", 1_032),
    ],
)
def test_compression_helps_only_as_far_as_both_the_way_and_the_topic_allow(
    producer: Mapping[str, object], stored: str, ratio: float
) -> None:
    assert limits(producer, stored).best_ratio == ratio


def test_without_compression_one_byte_decides() -> None:
    found = limits(NONE)
    assert found.surely_takes(1_000)
    assert not found.surely_refuses(1_000)
    assert not found.surely_takes(1_001)
    assert found.surely_refuses(1_001)


def test_with_compression_there_is_much_that_only_kafka_can_tell() -> None:
    found = limits(SNAPPY)
    assert not found.surely_takes(1_001)
    assert not found.surely_refuses(20_000)
    assert found.surely_refuses(21_000)


def test_where_nothing_is_known_of_a_codec_nothing_is_surely_refused() -> None:
    assert not limits({"compression.type": "new"}).surely_refuses(10**9)


def test_batches_are_kept_below_the_lowest_limit_and_what_the_user_says() -> None:
    assert batch_options(math.inf, {}) == {}
    assert batch_options(1_048_588, {}) == {}
    assert batch_options(1_000, {}) == {"batch.size": 1_000}
    assert batch_options(1_000, {"batch.size": "500"}) == {}
    assert batch_options(0, {}) == {"batch.size": 1}
