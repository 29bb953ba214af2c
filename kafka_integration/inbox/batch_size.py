"""How many messages share a transaction. No clock here."""

from __future__ import annotations

_SHORT, _LONG = 0.25, 0.5


class BatchSize:
    """Grows while batches are quick and shrinks when they are not.

    A transaction that takes long holds locks and pins what the database would clean up, and its
    work is done twice if its last message fails.

    Args:
        most: the largest.
    """

    def __init__(self, most: int) -> None:
        self.value = min(16, most)
        self._most = most

    def took(self, messages: int, seconds: float) -> None:
        """Take it that a batch of so many messages took so long."""
        if seconds > _LONG:
            self.value = max(1, min(self.value, messages) // 2)
        elif seconds < _SHORT and messages >= self.value:
            self.value = min(self._most, 2 * self.value)

    def failed(self) -> None:
        """Take it that a batch was rolled back: what shares a transaction is done twice then."""
        self.value = max(1, self.value // 2)
