"""Connections of a process that lives long."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    connections,
    transaction,
)

from kafka_integration import database


def raised(django: type[Exception], cause: Exception) -> Exception:
    """Return a driver's error as Django raises it."""
    error = django(str(cause))
    error.__cause__ = cause
    return error


def postgres(django: type[Exception], state: str | None) -> Exception:
    cause = psycopg.OperationalError("said PostgreSQL")
    cause.sqlstate = state
    return raised(django, cause)


def psycopg2(state: str | None) -> Exception:
    cause = Exception("said PostgreSQL")
    cause.pgcode = state  # type: ignore[attr-defined]  # as psycopg2's errors have it
    return raised(OperationalError, cause)


@pytest.mark.parametrize(
    "error",
    [
        postgres(OperationalError, None),
        postgres(OperationalError, "57P01"),
        postgres(OperationalError, "08006"),
        postgres(OperationalError, "53300"),
        postgres(InternalError, "25006"),
        psycopg2(None),
        psycopg2("57P03"),
        database.ConnectionLost("under a handler that caught the first error"),
        raised(OperationalError, sqlite3.OperationalError("database is locked")),
    ],
)
def test_an_outage_is_told_apart(error: Exception) -> None:
    assert database.is_outage(error)
    wrapped = RuntimeError("a service's own words")
    wrapped.__context__ = error
    assert database.is_outage(wrapped)


@pytest.mark.parametrize(
    "error",
    [
        postgres(OperationalError, "40P01"),
        postgres(OperationalError, "55P03"),
        postgres(OperationalError, "57014"),
        postgres(IntegrityError, "23505"),
        postgres(DataError, "22001"),
        raised(OperationalError, sqlite3.OperationalError("no such table: x")),
        raised(InterfaceError, psycopg.InterfaceError("the cursor is closed")),
        ConnectionError("some other server"),
        ValueError("server closed the connection"),
    ],
)
def test_a_failure_of_the_work_itself_is_no_outage(error: Exception) -> None:
    assert not database.is_outage(error)


def test_errors_that_name_each_other_come_to_an_end() -> None:
    one, two = ValueError(), ValueError()
    one.__context__, two.__context__ = two, one
    assert not database.is_outage(one)


PSYCOPG_2_BROKEN = 2


@pytest.mark.parametrize(
    ("driver", "lost"),
    [
        (SimpleNamespace(closed=True), True),
        (SimpleNamespace(closed=PSYCOPG_2_BROKEN), True),
        (SimpleNamespace(closed=False), False),
        (SimpleNamespace(closed=0), False),
        (SimpleNamespace(), False),
        (None, False),
    ],
)
def test_a_use_that_is_not_possible_is_an_outage_only_with_a_lost_connection(
    driver: object, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything(initialized_only: bool) -> list[SimpleNamespace]:
        return [SimpleNamespace(alias="other", connection=driver)]

    error = raised(InterfaceError, psycopg.InterfaceError("it is closed"))
    with monkeypatch.context() as patch:
        patch.setattr(connections, "all", everything)
        assert database.is_outage(error) is lost
        database.require_own_fault(ValueError(), "default", "it")
        if not lost:
            database.require_own_fault(error, "default", "it")
            return
        with pytest.raises(database.ConnectionLost, match="database other was lost") as caught:
            database.require_own_fault(error, "default", "it")
    # By then Django has replaced the connection.
    assert database.is_outage(caught.value)


class Connection:
    """What of Django's connection matters here."""

    def __init__(self, **differences: Any) -> None:
        self.connection: object | None = object()
        self.in_atomic_block = False
        self.errors_occurred = False
        self.usable = True
        self.close_at: float | None = None
        self.settings_dict = {"AUTOCOMMIT": True, "CONN_MAX_AGE": 60}
        self.autocommit = True
        self.closed = False
        vars(self).update(differences)

    def get_autocommit(self) -> bool:
        return self.autocommit

    def is_usable(self) -> bool:
        return self.usable

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def tidied(monkeypatch: pytest.MonkeyPatch) -> Callable[[Connection], bool]:
    def tidy(found: Connection) -> bool:
        def everything(initialized_only: bool) -> list[Connection]:
            return [found]

        monkeypatch.setattr(database, "connections", SimpleNamespace(all=everything))
        database.close_stale_connections()
        return found.closed

    return tidy


PAST, JUST_NOW, FUTURE = -100.0, -1.0, 100.0
REQUEST = {"AUTOCOMMIT": True, "CONN_MAX_AGE": 0}


@pytest.mark.parametrize(
    ("differences", "closed"),
    [
        ({}, False),
        ({"errors_occurred": True}, False),
        ({"errors_occurred": True, "usable": False}, True),
        ({"usable": False}, False),
        ({"autocommit": False}, True),
        ({"errors_occurred": True, "usable": False, "in_atomic_block": True}, False),
        ({"connection": None, "autocommit": False}, False),
        ({"age": FUTURE}, False),
        ({"age": PAST}, True),
        ({"age": PAST, "in_atomic_block": True}, False),
        ({"age": JUST_NOW, "settings_dict": REQUEST}, False),
        ({"age": PAST, "settings_dict": REQUEST}, True),
    ],
)
def test_only_broken_and_old_connections_are_closed(
    tidied: Any, differences: dict[str, Any], closed: bool
) -> None:
    age = differences.pop("age", None)
    if age is not None:
        differences["close_at"] = time.monotonic() + age
    assert tidied(Connection(**differences)) is closed


def test_a_look_forgets_errors_that_did_no_harm(tidied: Any) -> None:
    found = Connection(errors_occurred=True)
    tidied(found)
    assert not found.errors_occurred


@pytest.mark.django_db(transaction=True)
def test_a_sound_transaction_passes() -> None:
    with transaction.atomic():
        database.require_sound_transaction("default", "it")
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError, match="it left its transaction"):
            database.require_sound_transaction("default", "it")
    assert not connection.in_atomic_block
