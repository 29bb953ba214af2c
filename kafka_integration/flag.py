"""A flag that a signal handler may set while the same thread waits for it."""

from __future__ import annotations

import threading
import time

_SLICE = 0.5


class Flag:
    """What :class:`threading.Event` is, for signal handlers too.

    A handler runs in the midst of whatever the main thread does. If that is a wait for a
    ``threading.Event``, which holds a lock for a moment at its start and its end, ``set()`` in the
    handler waits for that lock forever. Here the lock is one that its holder may take again.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._changed = threading.Condition(threading.RLock())

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and end every wait; safe from any thread and in a signal handler."""
        self._is_set = True
        with self._changed:
            self._changed.notify_all()

    def clear(self) -> None:
        """Take it back."""
        self._is_set = False

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most ``seconds``; return whether it is."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._is_set and (left := deadline - time.monotonic()) > 0:
                # A handler that runs between the question and the wait wakes nobody.
                self._changed.wait(min(left, _SLICE))
        return self._is_set
