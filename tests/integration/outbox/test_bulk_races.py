"""Bulk writes beside another transaction: the old values are those that were really replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from kafka_integration import EventData
from kafka_integration.errors import NotCapturable
from kafka_integration.outbox import affected, rows
from kafka_integration.outbox.upsert import Upsert
from tests.sample.models import Label, Shelf
from tests.unit.outbox.telling import forget, telling, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _labels(db: None) -> Iterator[None]:
    with telling(Label, "created", "updated", "renamed"):
        shelf = Shelf.objects.create(name="high")
        Label.objects.bulk_create(Label(code=str(n), size=n, shelf=shelf) for n in range(4))
        forget()
        yield


class ShelfTold(EventData):
    """A shelf was renamed."""

    name: str


@contextmanager
def another_transaction(work: Callable[[], Any]) -> Iterator[None]:
    """Do ``work`` in a transaction that commits a moment after the block has begun to wait."""
    worked = threading.Event()

    def run() -> None:
        with transaction.atomic():
            work()
            worked.set()
            wait_for_a_waiting_session()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert worked.wait(10)
    try:
        yield
    finally:
        thread.join(10)


def wait_for_a_waiting_session() -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(1_000):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone() != (0,):
                return
            cursor.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("nobody waited")


def others_change() -> None:
    Label.objects.filter(code="1").update(name="theirs")
    Label.objects.filter(code="2").update(size=-1)


def test_a_save_tells_what_another_transaction_left() -> None:
    label = Label.objects.get(code="1")
    label.name = "ours"
    with another_transaction(others_change):
        label.save()
    assert told("code", "name", "previous_name")[-2:] == [
        ("label.updated", "1", "ours", "theirs"),
        ("label.renamed", "1", "ours", "theirs"),
    ]


@pytest.mark.parametrize("joined", [False, True])
def test_a_row_that_another_transaction_changes_is_told_as_that_one_left_it(joined: bool) -> None:
    reached = Label.objects.filter(size__gte=0, code__in="12")
    reached = reached.filter(shelf__name="high") if joined else reached
    with another_transaction(others_change):
        assert reached.update(name="ours") == 1, "the other one has left the queryset"
    assert told("code", "previous_name")[-2:] == [
        ("label.updated", "1", "theirs"),
        ("label.renamed", "1", "theirs"),
    ]


def test_a_row_that_another_transaction_makes_is_told_as_updated() -> None:
    with another_transaction(lambda: Label.objects.create(code="x", name="theirs")):
        Label.objects.bulk_create(
            [Label(code="x", name="ours"), Label(code="y", name="ours")],
            update_conflicts=True,
            update_fields=["name"],
            unique_fields=["code"],
        )
    assert told("code", "previous_name") == [
        ("label.created", "x", None),
        ("label.updated", "x", "theirs"),
        ("label.renamed", "x", "theirs"),
        ("label.created", "y", None),
    ]


def test_an_upsert_that_always_comes_late_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Upsert, "_before", lambda self, objects: {})
    with pytest.raises(NotCapturable, match="Try again when they are done"):
        Label.objects.bulk_create(
            [Label(code="1", name="ours")],
            update_conflicts=True,
            update_fields=["name"],
            unique_fields=["code"],
        )
    assert not Label.objects.filter(name="ours").exists()
    assert told() == []


def test_rows_are_locked_in_the_order_of_their_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two updates of the same rows never wait for each other."""
    monkeypatch.setattr(rows.chunks, "__defaults__", (2,))
    monkeypatch.setattr(affected, "CHUNK", 2)
    keys = sorted(Label.objects.values_list("pk", flat=True))
    for queryset in (
        Label.objects.order_by("-size"),
        Label.objects.order_by("-size").filter(shelf__name="high"),
    ):
        with transaction.atomic():
            assert [key for found in affected.affected(queryset) for key in found] == keys


def test_an_insert_that_refers_to_a_row_under_update_need_not_wait() -> None:
    with telling(Shelf, "updated", contract=ShelfTold):
        shelf = Shelf.objects.get()

        def refer() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                Label.objects.create(code="new", shelf=shelf)
            connection.close()

        with transaction.atomic():
            Shelf.objects.update(name="low")
            thread = threading.Thread(target=refer)
            thread.start()
            thread.join(10)
            assert Label.objects.filter(code="new").exists()
