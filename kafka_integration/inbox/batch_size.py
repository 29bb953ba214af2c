"""How many messages share a transaction, and how many such transactions run. No clock here."""

from __future__ import annotations

_SHORT, _LONG = 0.25, 0.5
_SPARE = 0.7


class BatchSize:
    """Grows while batches are quick and shrinks when they are not.

    A transaction that takes long holds locks and pins what the database would clean up, and its
    work is done twice if its last message fails. And threads share one interpreter: handlers that
    compute most of the time gain nothing from each other, and those that wait gain much.

    Args:
        most: the largest.
    """

    def __init__(self, most: int) -> None:
        self.value = min(16, most)
        self.at_once = 1
        """How many batches may run at a time."""
        self._most = most

    def took(self, messages: int, seconds: float, computing: float) -> None:
        """Take it that a batch of so many messages took so long.

        Args:
            messages: how many.
            seconds: from its beginning to its commit.
            computing: seconds of them in which its thread had the processor.
        """
        if seconds > _LONG:
            self.value = max(1, min(self.value, messages) // 2)
        elif seconds < _SHORT and messages >= self.value:
            self.value = min(self._most, 2 * self.value)
        share = max(computing, 0.001) / max(seconds, 0.001)
        self.at_once = max(1, int(_SPARE / share))

    def failed(self) -> None:
        """Take it that a batch was rolled back: what shares a transaction is done twice then."""
        self.value = max(1, self.value // 2)
