"""What was sent, what came of it: a small storm in which all is well."""

from __future__ import annotations

from tests.storm.inbound.checker import Effect, Sent, Wire
from tests.storm.inbound.stream import Item, Manner

TOPIC = "storm.single_x.json"
GROUP = "storm-x"


def sent(key: str, number: int, offset: int, manner: Manner = Manner.PLAIN) -> Sent:
    item = Item("single", key, number, manner, named=True)
    wire = Wire((TOPIC, 0, offset), key.encode(), item.value, tuple(item.headers))
    reason = {Manner.FATAL: "not-retriable", Manner.GARBLED: "undecodable"}.get(manner, "")
    return Sent(wire, key, number, reason)


def effect(row: int, key: str, number: int, before: int) -> Effect:
    return Effect(row, TOPIC, key, number, before)


def letter(of: Sent, offset: int) -> Wire:
    topic, partition, place = of.wire.place
    said = {"group": GROUP, "reason": of.poison, "topic": topic}
    said |= {"partition": str(partition), "offset": str(place)}
    told = [("dlq_" + name, text.encode()) for name, text in said.items()]
    return Wire((f"{topic}.dlq", 0, offset), of.wire.key, of.wire.value, (*of.wire.headers, *told))


SENT = [
    sent("a", 1, 10),
    sent("b", 1, 11, Manner.GARBLED),
    sent("a", 2, 12, Manner.FATAL),
    sent("a", 2, 13, Manner.FATAL),
    sent("a", 3, 14),
    sent("b", 2, 15),
    sent("a", 4, 16),
    sent("a", 1, 17),
]
"""``a1`` and ``a2`` come twice; ``a2`` and ``b1`` are poison."""

EFFECTS = [effect(1, "a", 1, 0), effect(3, "b", 2, 0), effect(4, "a", 3, 1), effect(5, "a", 4, 3)]
LETTERS = [letter(SENT[1], 0), letter(SENT[2], 1)]
