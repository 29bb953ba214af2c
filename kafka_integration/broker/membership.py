"""What happens in a rebalance: partitions come, are taken away, or are lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from .assignment import Assignment
from .commits import Commits
from .offsets import Place

log = logging.getLogger(__name__)


class Listener(Protocol):
    """Is told of partitions that come and go, inside the consumer's ``poll``."""

    def arriving(self, places: set[Place]) -> None:
        """Prepare for these partitions: their messages come after the return."""

    def leaving(self, places: set[Place]) -> None:
        """End the work on these partitions: what is finished before the return is committed."""

    def lost(self, places: set[Place]) -> None:
        """Drop the work on these partitions: another member may have them already."""


class Membership:
    """librdkafka's callbacks of a rebalance. They run inside the consumer's ``poll``.

    Args:
        group_id: whose partitions they are, for the log.
        commits: makes what is finished last before a partition goes.
        forget: told of partitions that have gone, for whatever reason.
        listener: told before and after; see :class:`Listener`.
        from_beginning: start each partition at its first message when it first comes to us.
    """

    def __init__(
        self,
        group_id: str,
        commits: Commits,
        forget: Callable[[set[Place]], None],
        listener: Listener | None,
        *,
        from_beginning: bool,
    ) -> None:
        self.assignment = Assignment()
        self.listener = listener
        self.left: set[Place] = set()
        """What has gone since the last message was polled."""
        self._group_id = group_id
        self._commits = commits
        self._forget = forget
        self._from_beginning = from_beginning
        self._begun: set[Place] = set()
        self._paused = False

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Begin with these partitions; librdkafka's ``on_assign``."""
        places = _places(partitions)
        if self._from_beginning:
            for item in partitions:
                if (item.topic, item.partition) not in self._begun:
                    item.offset = OFFSET_BEGINNING
        self._begun |= places
        consumer.incremental_assign(partitions)
        self.assignment.add(places)
        if self.listener is not None:
            self.listener.arriving(places)
        if self._paused and partitions:
            consumer.pause(partitions)

    def revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit what is finished of these partitions and let them go; ``on_revoke``."""
        if self.listener is not None:
            self.listener.leaving(_places(partitions))
        self._commits.commit_now(consumer)
        self._remove(_places(partitions))

    def lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget these partitions; ``on_lost``."""
        # Another member may have them already: a commit now would set it back.
        log.warning(
            "Group %s lost %d partitions: it was not heard of for too long. If handlers are slow, "
            "raise max.poll.interval.ms through KAFKA_CLIENT_OPTIONS.",
            self._group_id,
            len(partitions),
        )
        self._remove(_places(partitions))
        if self.listener is not None:
            self.listener.lost(_places(partitions))

    def pause(self, consumer: Consumer) -> None:
        """Fetch no more, of new partitions neither, until :meth:`resume`."""
        if not self._paused:
            self._paused = True
            if found := self._partitions():
                consumer.pause(found)

    def resume(self, consumer: Consumer) -> None:
        """Fetch again."""
        if self._paused:
            self._paused = False
            if found := self._partitions():
                consumer.resume(found)

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(*place) for place in self.assignment.places]

    def _remove(self, places: set[Place]) -> None:
        self.assignment.remove(places)
        self.left |= places
        self._forget(places)


def _places(partitions: Iterable[TopicPartition]) -> set[Place]:
    return {(item.topic, item.partition) for item in partitions}
