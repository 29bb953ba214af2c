"""Transactions beside the test's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, transaction


class Session:
    """A transaction that is open in a database session of its own until it is told to end."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._transaction = transaction.atomic()
        self._is_open = True
        self.do(self._transaction.__enter__)

    def do(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do something in the transaction."""
        self.begin_to(work, *arguments).result(30)

    def begin_to(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Let the transaction begin to do something that may have to wait."""
        return self._thread.submit(work, *arguments)

    def commit(self) -> None:
        """Commit."""
        self._is_open = False
        self.do(self._transaction.__exit__, None, None, None)

    def roll_back(self) -> None:
        """Roll back."""
        self.do(transaction.set_rollback, True)
        self.commit()

    def close(self) -> None:
        """End the session; what is not committed is rolled back."""
        if self._is_open:
            self.roll_back()
        self.do(lambda: connection.close())  # looked up in that thread
        self._thread.shutdown()
