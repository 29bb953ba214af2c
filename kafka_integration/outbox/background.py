"""Work on a thread of its own, with a database connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

from ..database import close_stale_connections

T = TypeVar("T")


class Background:
    """Runs calls one after another, beside the caller.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run ``call`` when those before it are done."""

        def run() -> T:
            close_stale_connections()
            return call()

        return self._executor.submit(run)

    def close(self) -> None:
        """Wait for what is running and close the thread's connections."""
        self._executor.submit(connections.close_all)
        self._executor.shutdown()
