"""Which messages wait for each other."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ..events.envelope import Message
from ..events.registry import Handler, Order
from ..models.inbox import InboxRecordQuerySet

_STRICTEST: tuple[Order, ...] = ("partition", "key", "none")


def order_of(topic: str, handlers: Sequence[Handler]) -> Order:
    """Return the order that a topic's messages are kept in: the strictest of its handlers."""
    asked = {handler.order for handler in handlers if handler.topic == topic}
    return next((order for order in _STRICTEST if order in asked), "key")


def in_lane(records: InboxRecordQuerySet, message: Message, order: Order) -> InboxRecordQuerySet:
    """Return those of ``records`` that are in one lane with ``message``, the first one first."""
    here = records.filter(topic=message.topic, partition=message.partition)
    if order == "key":
        here = here.of_key(message.key)
    elif order == "none":
        here = here.filter(offset=message.offset)
    return here.order_by("offset", "pk")


def lane_of(message: Message, order: Order) -> Hashable:
    """Return what ``message`` is in order with; two messages of one lane never run together.

    A producer scatters messages without a key, so that their order means little; what little it
    means is kept, and all of a partition are in one lane.
    """
    place = message.topic, message.partition
    if order == "partition":
        return place
    return (*place, message.key if order == "key" else message.offset)
