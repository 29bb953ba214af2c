"""Keeps on_commit hooks out of transactions that messages share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connections

from ..errors import HookRefused


@contextmanager
def refusing_hooks(using: str, who: str) -> Iterator[None]:
    """Make ``transaction.on_commit`` raise inside the block, in this thread, on this database.

    Raises:
        HookRefused: from the call that registers a hook, so that its traceback shows where.
    """
    connection = connections[using]

    def refuse(func: Callable[[], object], robust: bool = False) -> None:
        raise HookRefused(who, using)

    connection.on_commit = refuse  # type: ignore[method-assign]  # Django has no place to ask
    try:
        yield
    finally:
        del connection.on_commit
