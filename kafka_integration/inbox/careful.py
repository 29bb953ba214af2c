"""Partitions whose last owner died: there, whatever begins is written down first. No clock here.

A process that is killed says nothing. But the database knows who had a partition and has not given
it up. What that one was at when it died is among the first messages of the partition that are not
done, as many as it may have had in memory. Each of these is put into the inbox as begun before its
handler runs, and one that several processes began and none ended is given up. All other messages
cost nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from ..broker.offsets import Place
from ..errors import KafkaIntegrationError


class ProcessesDied(KafkaIntegrationError):
    """Raised when several processes began to handle a message and none came to an end.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(
            f"{count} processes ended while a handler was at this message: by the handler itself, "
            "by lack of memory, or from outside. Mend the handler, or give it more memory, and "
            "retry the message; or discard it. KAFKA_HANDLER_CRASHES is how many may."
        )


class Careful:
    """Counts, for each suspected partition, the messages that are still to be handled with care."""

    def __init__(self) -> None:
        self._left: dict[Place, int] = {}

    def suspect(self, places: Collection[Place], most: int) -> None:
        """Take it that owners of these partitions died with up to ``most`` messages in memory."""
        for place in places:
            self._left[place] = most

    def has(self, place: Place) -> bool:
        """Tell whether messages of this partition are to be handled with care."""
        return place in self._left

    def passed(self, place: Place) -> None:
        """Take it that a message of this partition was handled that was not done before."""
        left = self._left.get(place)
        if left is not None and left > 1:
            self._left[place] = left - 1
        elif left is not None:
            del self._left[place]

    def drop(self, places: Collection[Place]) -> None:
        """Forget these partitions."""
        for place in places:
            self._left.pop(place, None)
