"""Topics: what they may be called and what one looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import TopicNameError

CONTENT_TYPES = {
    "json": "application/json",
    "avro": "application/avro",
    "protobuf": "application/protobuf",
}
"""What the values of a topic are, by the last part of its name."""

FORMATS = tuple(CONTENT_TYPES)
DEAD_LETTER_SUFFIX = ".dlq"

_PART = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Topic:
    """One topic as the catalogue wants it.

    Args:
        name: ``domain.action.format``, or that name with ``.dlq``.
        partitions: how many it has.
        replication_factor: on how many brokers each partition lies.
        config: Kafka's topic settings that the catalogue owns, by Kafka's names, values as text.
        dead_letter_of: the topic whose dead letters it takes; None for an event topic.
        description: one line for people.
    """

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict, hash=False)
    dead_letter_of: str | None = None
    description: str = ""

    @property
    def domain(self) -> str:
        """The first part of the name."""
        return self.name.partition(".")[0]


def check_event_topic(topic: str) -> str:
    """Return ``topic`` if its name is ``domain.action.format``.

    Raises:
        TopicNameError: it is not; the message says what is wrong with it.
    """
    parts = topic.split(".")
    if len(parts) != 3:
        raise TopicNameError(topic, f"it has {len(parts)} parts where three are needed")
    for part in parts:
        if not _PART.fullmatch(part):
            raise TopicNameError(topic, f"the part {part!r} is not a lower case word")
    if parts[2] not in FORMATS:
        raise TopicNameError(topic, f"the format {parts[2]!r} is none of {', '.join(FORMATS)}")
    if len(topic) + len(DEAD_LETTER_SUFFIX) > 249:
        reason = "with its dead letters it is longer than Kafka's 249 characters"
        raise TopicNameError(topic, reason)
    return topic


def format_of(topic: str) -> str:
    """Return the format that the name of an event topic, once checked, promises."""
    return topic.rpartition(".")[2]


def content_type_of(topic: str) -> str:
    """Return the ``content-type`` of an event topic's messages."""
    return CONTENT_TYPES[format_of(topic)]


def dead_letter_topic(topic: str) -> str:
    """Return the name of the topic that takes the dead letters of ``topic``."""
    return topic + DEAD_LETTER_SUFFIX
