"""Which messages are in order with each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kafka_integration.events.registry import Order
from kafka_integration.inbox.order import lane_of, order_of

from .messages import TOPIC, Broken, handler, ignore, message

ONE = message(key=b"a", offset=1)
OTHERS = {
    "its key": message(key=b"a", offset=2),
    "another key": message(key=b"b", offset=2),
    "another partition": replace(message(key=b"a", offset=1), partition=2),
}


@pytest.mark.parametrize(
    ("order", "together"),
    [("key", {"its key"}), ("partition", {"its key", "another key"}), ("none", set())],
)
def test_what_waits_for_a_message(order: Order, together: set[str]) -> None:
    lane = lane_of(ONE, order)
    assert {name for name, other in OTHERS.items() if lane_of(other, order) == lane} == together


def test_messages_without_a_key_are_one_key_of_their_partition() -> None:
    first, second = message(key=None, offset=1), message(key=None, offset=2)
    assert lane_of(first, "key") == lane_of(second, "key")
    assert lane_of(first, "key") != lane_of(replace(second, partition=2), "key")
    assert lane_of(first, "key") != lane_of(message(key=b""), "key")


def test_the_strictest_handler_of_a_topic_decides() -> None:
    def order(*orders: Order) -> Order:
        return order_of(TOPIC, [handler(ignore, Broken, order=one) for one in orders])

    assert order("none", "none") == "none"
    assert order("none", "key") == "key"
    assert order("key", "partition", "none") == "partition"
    assert order_of("other.topic.json", [handler(ignore, order="none")]) == "key"
