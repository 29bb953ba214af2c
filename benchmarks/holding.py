"""Keeps a transaction open, as a forgotten session or a long report does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def transaction_held_open(hold: bool) -> Iterator[None]:
    """Keep a transaction with a number and a snapshot of its own open inside the block, or not."""
    if not hold:
        yield
        return
    other = connection.copy("held")
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT pg_current_xact_id()")
        yield
    finally:
        other.rollback()
        other.close()
