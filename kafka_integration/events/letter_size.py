"""How large the messages of a dead-letter topic may be: more than those of the topic it serves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .topics import Topic

SIZE = "max.message.bytes"

_KAFKA_DEFAULT = 1_048_588
_LARGEST = 2**31 - 1
_USUAL_ROOM = 1024 * 1024
_LEAST_ROOM = 64 * 1024


def with_room(topic: Topic, served: Topic | None) -> Topic:
    """Return a dead-letter topic that takes what ``served`` takes, and the reason as headers.

    What the catalogue says for dead letters stays; see :func:`size_problems`.

    Args:
        served: the topic whose dead letters ``topic`` takes; without one nothing changes.
    """
    if served is None or SIZE in topic.config or not _is_number(served):
        return topic
    size = min(_size(served) + _USUAL_ROOM, _LARGEST)
    return replace(topic, config={**topic.config, SIZE: str(size)})


def size_problems(topic: Topic, served: Topic | None) -> Iterator[str]:
    """Yield what is wrong with the largest message that ``topic`` takes.

    Args:
        served: the topic whose dead letters it takes, if any.
    """
    if not _is_number(topic):
        yield (
            f"Topic {topic.name}: {SIZE} is {topic.config[SIZE]!r}; write a whole number of bytes."
        )
        return
    if served is None or not _is_number(served):
        return
    least = min(_size(served) + _LEAST_ROOM, _LARGEST)
    if _size(topic) < least:
        yield (
            f"Topic {topic.name}: {SIZE} is {_size(topic)}, and {served.name} takes messages of "
            f"{_size(served)} bytes, which would not fit with the reason added as headers; raise "
            f"it to {least} or more, or leave it out."
        )


def _is_number(topic: Topic) -> bool:
    return topic.config.get(SIZE, "0").isdecimal()


def _size(topic: Topic) -> int:
    return int(topic.config.get(SIZE, _KAFKA_DEFAULT))
