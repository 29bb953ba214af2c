"""Database connections of processes that live long: no request ever ends to tidy them up."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

_AGE_OF_UNLIMITED_USE = 60.0
_ABORTED = 3

_OUTAGES = frozenset(
    {
        "25006",  # read_only_sql_transaction: after a failover we still talk to the old primary
        "25P03",  # idle_in_transaction_session_timeout: we were paused for too long
        "53100",  # disk_full
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
    }
)
_CONTENTION = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
    }
)
_SQLITE_BUSY = ("database is locked", "database table is locked")


class ConnectionClosed(transaction.TransactionManagementError):
    """Raised when code closed the connection of the transaction that it ran in."""


class ConnectionLost(InterfaceError):
    """Raised when the connection under a transaction was lost, whoever caught the first error."""


def close_stale_connections() -> None:
    """Close the connections that are broken or too old; call it where no transaction is open.

    Django does this at the ends of a request. With ``CONN_MAX_AGE=0`` it closes every connection
    there, which for a worker would mean to reconnect for each message; here such a connection
    lives for a minute.
    """
    for connection in connections.all(initialized_only=True):
        if connection.connection is None or connection.in_atomic_block:
            continue
        connection.health_check_done = False  # type: ignore[attr-defined]  # Django has it since 4.1
        if _is_broken(connection) or _is_old(connection):
            connection.close()


def close_connections() -> None:
    """Close every connection that is not inside a transaction."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def is_outage(error: BaseException) -> bool:
    """Tell whether ``error`` says that the database is away or out of reach, for whatever work.

    A deadlock, a lock timeout or a cancelled statement is none: the work itself had a part in it.
    A busy SQLite file is one: another process writes. An ``InterfaceError`` is one only while a
    connection of this thread is lost: drivers also raise it for mistakes, as a closed cursor.
    """
    return any(
        isinstance(found, (DatabaseError, InterfaceError)) and _says_outage(found)
        for found in _chain(error)
    )


def forget_past_errors() -> None:
    """Clear the errors that broke earlier transactions.

    Django keeps the last one of each connection for good and names it as the cause when a later
    transaction is broken, where an old outage would be taken for a new one.
    """
    for connection in connections.all(initialized_only=True):
        connection.rollback_exc = None  # type: ignore[attr-defined]  # Django has it since 4.2


def require_sound_transaction(using: str, who: str) -> None:
    """Make sure that the open transaction would commit what was done in it.

    A database error that is caught inside a transaction leaves it aborted, and PostgreSQL answers
    its COMMIT with a silent ROLLBACK.

    Args:
        using: the database's alias.
        who: what ran in the transaction, for the message.

    Raises:
        ConnectionClosed: its connection was closed.
        ConnectionLost: its connection was lost, which is an outage.
        TransactionManagementError: it would roll back.
    """
    connection = connections[using]
    require_open_connection(using, who)
    if getattr(connection.connection, "closed", False):
        raise ConnectionLost(f"The connection to database {using!r} was lost under {who}.")
    if connection.needs_rollback or _is_aborted(connection):
        raise transaction.TransactionManagementError(
            f"{who} left its transaction on database {using!r} broken: it caught a database error "
            "or set a rollback. Put the statement that may fail into a "
            f"'with transaction.atomic(using={using!r}):' of its own and catch the error outside."
        )


def require_open_connection(using: str, who: str) -> None:
    """Make sure that the open transaction still has its connection.

    Raises:
        ConnectionClosed: it was closed by a call of its ``close()``.
    """
    if connections[using].closed_in_transaction:
        raise ConnectionClosed(
            f"{who} closed the connection to database {using!r} inside its own transaction, so "
            "nothing of it can be committed. Leave the connection open."
        )


def require_own_fault(error: BaseException, using: str, who: str) -> None:
    """Make sure that ``error`` is the work's own and does not come from a connection.

    Call it before the transaction ends: Django then puts a new connection in a lost one's place,
    and drivers do not say in their ``InterfaceError`` whether cursor or connection was closed.

    Raises:
        ConnectionClosed: the transaction's connection was closed by a call of its ``close()``.
        ConnectionLost: the driver reports a use that is not possible, and a connection is lost.
    """
    require_open_connection(using, who)
    lost = _lost_connections()
    if lost and any(isinstance(found, InterfaceError) for found in _chain(error)):
        raise ConnectionLost(
            f"The connection to database {', '.join(lost)} was lost under {who}."
        ) from error


def _lost_connections() -> list[str]:
    # psycopg 3 says True or False, psycopg 2 a number; SQLite's file cannot be lost.
    return [
        connection.alias
        for connection in connections.all(initialized_only=True)
        if getattr(connection.connection, "closed", False)
    ]


def _is_broken(connection: BaseDatabaseWrapper) -> bool:
    if connection.get_autocommit() != connection.settings_dict["AUTOCOMMIT"]:
        return True
    if connection.errors_occurred and not connection.is_usable():
        return True
    connection.errors_occurred = False
    return False


def _is_old(connection: BaseDatabaseWrapper) -> bool:
    if connection.close_at is None:
        return False
    grace = 0.0 if connection.settings_dict["CONN_MAX_AGE"] else _AGE_OF_UNLIMITED_USE
    return time.monotonic() >= connection.close_at + grace


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, ConnectionClosed):
            return
        error = error.__cause__ or error.__context__


def _says_outage(error: BaseException) -> bool:
    driver = error.__cause__ or error
    if isinstance(error, InterfaceError):
        return isinstance(error, ConnectionLost) or bool(_lost_connections())
    if hasattr(driver, "sqlstate") or hasattr(driver, "pgcode"):
        return _state_is_outage(error, driver)
    return str(error) in _SQLITE_BUSY


def _state_is_outage(error: BaseException, driver: BaseException) -> bool:
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    if state is None:
        # The client library lost or never had a connection: no server, no SQLSTATE.
        return isinstance(error, OperationalError)
    return state in _OUTAGES or state.startswith("08")


def _is_aborted(connection: BaseDatabaseWrapper) -> bool:
    # psycopg 2 and 3 both know libpq's transaction status without asking the server.
    info = getattr(connection.connection, "info", None)
    return info is not None and int(info.transaction_status) == _ABORTED


def is_contention(error: BaseException) -> bool:
    """Tell whether ``error`` says that another transaction was in the way; trying again helps."""
    driver = error.__cause__ or error
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return state in _CONTENTION
