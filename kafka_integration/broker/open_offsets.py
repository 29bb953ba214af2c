"""Up to where a partition is finished when its messages end out of order."""

from __future__ import annotations

from collections import OrderedDict


class OpenOffsets:
    """The messages of one partition that were taken and are not finished yet.

    Only the first of them matters for a commit: a group that goes on at :attr:`following` loses
    nothing and repeats what was finished beyond. Its memory grows with what is open, not with
    what was finished behind a message that never ends.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[int, None] = OrderedDict()
        self._next: int | None = None

    def __len__(self) -> int:
        return len(self._open)

    @property
    def following(self) -> int | None:
        """The offset to go on at: everything before it is finished. None before the first take."""
        return next(iter(self._open)) if self._open else self._next

    def is_past(self, offset: int) -> bool:
        """Tell whether that offset, or one beyond it, was taken before."""
        return self._next is not None and offset < self._next

    def take(self, offset: int) -> None:
        """Note that a message is being worked at. Offsets may leave gaps, and only grow.

        Raises:
            ValueError: it was taken before, or one beyond it was.
        """
        if self.is_past(offset):
            raise ValueError(f"Offset {offset} comes after {self._next}: offsets must grow.")
        self._open[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> int | None:
        """Note that a message is finished; return :attr:`following` if it moved, else None."""
        first = self.following
        if offset not in self._open:
            return None
        del self._open[offset]
        return self.following if offset == first else None

    def reach(self, offset: int) -> None:
        """Note that nothing stands between what was taken and ``offset``, the partition's end."""
        self._next = max(offset, self._next or 0)
