"""Hears from PostgreSQL that events were committed, so that the relay need not look."""

from __future__ import annotations

import logging
import selectors
import threading
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..flag import Flag

log = logging.getLogger(__name__)

_SLICE = 0.5
_AGAIN_SECONDS = 5.0
_PATIENCE = 2.0


class Listener:
    """Sets a flag whenever a transaction with events has been committed.

    It only shortens pauses: while it cannot listen, the relay finds events by looking, as always.

    Args:
        using: alias of a direct connection to the outbox's database. Through PgBouncer in
            transaction mode nothing is heard.
        heard: the flag.
        channel: what writers name in NOTIFY.

    Source: PostgreSQL's LISTEN and NOTIFY.
    """

    def __init__(self, using: str, heard: Flag, channel: str) -> None:
        self._using = using
        self._heard = heard
        self._channel = channel
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox-listener", daemon=True)

    def start(self) -> None:
        """Listen on a thread and a connection of its own."""
        self._thread.start()

    def close(self) -> None:
        """End the thread and close its connection; one that is only just made is left behind."""
        self._ending.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._ending.is_set():
            connection = connections.create_connection(self._using)
            try:
                self._listen(connection)
            except (DatabaseError, InterfaceError) as error:
                log.warning(
                    "Cannot listen for new events on %s; the relay looks for them by itself "
                    "meanwhile: %s",
                    self._using,
                    error,
                )
                self._ending.wait(_AGAIN_SECONDS)
            finally:
                connection.close()

    def _listen(self, connection: BaseDatabaseWrapper) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {self._channel}")
        self._heard.set()  # for what was committed before
        with selectors.DefaultSelector() as selector:
            selector.register(connection.connection.fileno(), selectors.EVENT_READ)
            while not self._ending.is_set():
                if selector.select(_SLICE) and self._was_told(connection):
                    self._heard.set()

    def _was_told(self, connection: BaseDatabaseWrapper) -> bool:
        with connection.wrap_database_errors:
            return _take_notifications(connection.connection)


def _take_notifications(connection: Any) -> bool:
    """Return whether notifications have come, and forget them."""
    if not hasattr(connection, "pgconn"):  # psycopg 2
        connection.poll()
        told = bool(connection.notifies)
        connection.notifies.clear()
        return told
    connection.pgconn.consume_input()
    told = False
    while connection.pgconn.notifies():
        told = True
    return told
