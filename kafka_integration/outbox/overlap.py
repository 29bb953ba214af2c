"""The server stores while the client goes on: psycopg's pipeline mode, where the driver has it.

Statements are sent without waiting for the answers to those before. Errors surface within the
``with`` block or at its end, at the latest before the transaction around it is committed; the
server carries out nothing that comes after one.

Source: psycopg 3's documentation of pipeline mode, which needs libpq 14; PgBouncer passes it on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections


@contextmanager
def overlapping(using: str) -> Iterator[bool]:
    """Do not wait for answers within the ``with`` block, unless they are asked for.

    Args:
        using: alias of a database with an open transaction.

    Returns:
        Whether the driver can; without it all is as ever.
    """
    connection = connections[using]
    start = getattr(connection.connection, "pipeline", None)  # psycopg 2 and SQLite have none
    if start is None or not _is_supported():
        yield False
        return
    with connection.wrap_database_errors, start():
        yield True


def _is_supported() -> bool:
    from psycopg import Pipeline  # only where its connection is in use

    return Pipeline.is_supported()
