"""Deletions of many rows: each is told, with what it held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count
from django.db.models.deletion import Collector, ProtectedError
from django.db.models.signals import pre_delete

from kafka_integration.errors import NotCapturable
from kafka_integration.models import OutboxEvent
from kafka_integration.outbox import bulk_delete, rows
from tests.sample.models import Group, Label, Membership, Place, QuietPlace
from tests.unit.outbox.telling import forget, telling, told

pytestmark = pytest.mark.django_db
POSTGRES = connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def _labels(db: None) -> Iterator[None]:
    with telling(Label, "deleted"):
        Label.objects.bulk_create(
            [Label(pk=f"{number:032d}", code=str(number), size=number) for number in range(5)]
        )
        forget()
        yield


def test_each_row_of_a_queryset_is_told() -> None:
    count, _ = Label.objects.filter(size__gte=2).delete()
    assert count == 3
    assert told("code", "size") == [("label.deleted", str(n), n) for n in (2, 3, 4)]


def test_what_a_row_held_is_read_from_the_row() -> None:
    stale = Label.objects.get(code="1")
    with telling(Label):
        Label.objects.filter(code="1").update(name="renamed elsewhere")
    stale.delete()
    assert told("name") == [("label.deleted", "renamed elsewhere")]


def test_events_and_reads_are_one_statement_each() -> None:
    with telling(Label), transaction.atomic():
        before = queries_of(lambda: Label.objects.filter(size__lt=2).delete())
    with telling(Label, "deleted"), transaction.atomic():
        after = queries_of(lambda: Label.objects.filter(size__gte=2).delete())
    assert after - before == (2 if POSTGRES else 4)


def queries_of(work: Any) -> int:
    count = 0

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        count += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        work()
    return count


def test_many_rows_are_told_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows.chunks, "__defaults__", (2,))
    monkeypatch.setattr(bulk_delete, "CHUNK", 2)
    Label.objects.all().delete()
    assert told("code") == [("label.deleted", str(n)) for n in range(5)]


def test_a_cascade_is_told() -> None:
    with telling(Membership, "deleted"):
        group = Group.objects.create(name="all")
        for label in Label.objects.all():
            Membership.objects.create(group=group, label=label)
        group.delete()
        assert len(told()) == 5


def test_deleting_the_same_instance_again_tells_nothing() -> None:
    label = Label.objects.get(code="1")
    twin = Label.objects.get(code="1")
    label.delete()
    assert len(told()) == 1
    twin.delete()
    assert told() == []


def test_a_publishing_model_is_never_deleted_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django deletes in one statement only what nobody listens to."""

    unseen: list[Any] = []

    def watch(original: Any, queryset: Any, using: str) -> Any:
        unseen.append(queryset.model)
        return original(queryset, using)

    monkeypatch.setattr(bulk_delete, "delete_unseen", watch)
    assert not Collector("default").can_fast_delete(Label.objects.all())
    Label.objects.all().delete()
    assert Label.groups.through in unseen, "which tells of nothing"
    assert Label not in unseen
    assert len(told()) == 5


def test_a_raw_deletion_is_told() -> None:
    assert Label.objects.filter(size__lt=3, shelf__name=None)._raw_delete("default") == 3
    assert told("code") == [("label.deleted", str(n)) for n in range(3)]
    with pytest.raises(NotCapturable, match="aggregated"):
        Label.objects.annotate(n=Count("groups"))._raw_delete("default")


def test_a_collector_with_a_deletion_of_its_own_is_told() -> None:
    """As soft-deleting packages have it: they send the signals, and do the rest themselves."""
    label = Label.objects.get(code="1")
    pre_delete.send(sender=Label, instance=label, using="default")
    assert told("code") == [("label.deleted", "1")]


def test_a_failed_deletion_leaves_no_event_and_no_mark() -> None:
    def refuse(**kwargs: Any) -> None:
        raise ProtectedError("no", set())

    label = Label.objects.get(code="1")
    pre_delete.connect(refuse, sender=Label)
    try:
        with pytest.raises(ProtectedError), transaction.atomic():
            label.delete()
    finally:
        pre_delete.disconnect(refuse, sender=Label)
    assert told() == []
    assert not [name for name in label.__dict__ if name.startswith("kafka")]
    label.delete()
    assert told("code") == [("label.deleted", "1")]


def test_one_row_collected_twice_is_told_once() -> None:
    with telling(Place, "deleted"):
        place = Place.objects.create(name="a")
        collector = Collector("default")
        collector.add([place])
        collector.add([QuietPlace.objects.get(pk=place.pk)])
        collector.delete()
        assert told("name") == [("place.deleted", "a")]


@pytest.mark.django_db(transaction=True)
def test_a_bare_deletion_and_its_events_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Collector, "sort", fail)
    with pytest.raises(ZeroDivisionError):
        Label.objects.all().delete()
    assert Label.objects.count() == 5
    assert not OutboxEvent.objects.exists()
