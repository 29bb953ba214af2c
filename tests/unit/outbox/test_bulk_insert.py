"""Rows created many at once: each is told, in order, with what the database made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Value
from django.db.models.functions import Lower
from pytest_django import DjangoAssertNumQueries

from kafka_integration.errors import EventTooLarge, NotCapturable
from kafka_integration.models import OutboxEvent
from kafka_integration.outbox import bulk_insert, rows
from tests.sample.events import SampleCreated, lane
from tests.sample.models import Label, Place, Sample
from tests.unit.outbox.telling import tell, telling, told

pytestmark = pytest.mark.django_db
POSTGRES = connection.vendor == "postgresql"


@pytest.fixture
def labels() -> Iterator[None]:
    with telling(Label, "created", "updated", "deleted"):
        yield


@pytest.fixture
def places() -> Iterator[None]:
    with telling(Place, "created", "renamed"):
        yield


@pytest.mark.usefixtures("labels")
def test_each_row_is_told_in_the_order_of_the_objects() -> None:
    Label.objects.bulk_create([Label(code=str(number), size=number) for number in range(20)])
    assert told("code", "size") == [("label.created", str(n), n) for n in range(20)]


@pytest.mark.usefixtures("labels")
def test_what_the_database_fills_in_is_told() -> None:
    [made] = Label.objects.bulk_create([Label(code="a", name="low", size="7")])
    assert told("colour", "loud", "size", "label_id") == [
        ("label.created", "grey", "LOW", 7, str(made.pk))
    ]
    assert isinstance(made.size, str), "the caller's instance is left alone"


@pytest.mark.usefixtures("places")
def test_keys_that_the_database_makes_are_told() -> None:
    made = Place.objects.bulk_create([Place(name="a"), Place(pk=1_000, name="b"), Place(name="c")])
    expected = [("place.created", place.pk, place.name) for place in made]
    keys = list(OutboxEvent.objects.order_by("queued__position").values_list("key", flat=True))
    assert keys == [str(place.pk) for place in made]
    assert told("place_id", "name") == expected


@pytest.mark.usefixtures("places")
def test_a_generator_and_nothing_at_all_are_taken_as_ever() -> None:
    assert Place.objects.bulk_create(iter([])) == []
    assert Place.objects.bulk_create([]) == []
    assert len(Place.objects.bulk_create(Place(name=name) for name in "ab")) == 2
    assert told("name") == [("place.created", "a"), ("place.created", "b")]


@pytest.mark.usefixtures("places")
def test_batches_are_rows_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows.chunks, "__defaults__", (4,))
    Place.objects.bulk_create([Place(name=str(number)) for number in range(10)], batch_size=3)
    assert told("name") == [("place.created", str(number)) for number in range(10)]


@pytest.mark.usefixtures("places")
def test_the_events_of_a_thousand_rows_are_few_statements(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    places = [Place(name=str(number)) for number in range(1_000 if POSTGRES else 10)]
    # PostgreSQL: the rows, then events and queue in one. SQLite: shard count, events, queue.
    expected = 2 if POSTGRES else 4
    with transaction.atomic(), django_assert_num_queries(expected):
        Place.objects.bulk_create(places)


@pytest.mark.usefixtures("places")
def test_an_event_that_cannot_be_stored_takes_the_rows_with_it(settings: Any) -> None:
    settings.KAFKA_MAX_MESSAGE_BYTES = 10
    with pytest.raises(EventTooLarge), transaction.atomic():
        Place.objects.bulk_create([Place(name="a")])
    assert not Place.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("places")
def test_outside_a_transaction_rows_and_events_are_one(settings: Any) -> None:
    settings.KAFKA_MAX_MESSAGE_BYTES = 10
    with pytest.raises(EventTooLarge):
        Place.objects.bulk_create([Place(name="a")])
    assert not Place.objects.exists()
    assert not OutboxEvent.objects.exists()


@pytest.mark.usefixtures("labels")
def test_rows_that_break_a_constraint_leave_no_event() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.bulk_create([Label(code="a"), Label(code="a")])
    assert told() == []


@pytest.mark.usefixtures("labels")
def test_ignored_conflicts_are_refused_with_the_way_out() -> None:
    with pytest.raises(NotCapturable, match=r"sample\.Label.*Leave out the rows that exist"):
        Label.objects.bulk_create([Label(code="a")], ignore_conflicts=True)
    assert not Label.objects.exists()


def test_ignored_conflicts_are_taken_where_creation_is_not_told() -> None:
    with telling(Label, "updated", "deleted"):
        Label.objects.bulk_create([Label(code="a")], ignore_conflicts=True)
        assert Label.objects.count() == 1
        assert told() == []


@pytest.mark.usefixtures("places")
def test_a_database_that_does_not_tell_its_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(connection.features), "can_return_rows_from_bulk_insert", False)
    with pytest.raises(NotCapturable, match=r"Give the objects their keys"):
        Place.objects.bulk_create([Place(pk=7, name="a"), Place(name="b")])
    assert not Place.objects.exists()
    bulk_insert.require_keys(Place.objects.all(), [Place(pk=7, name="a")])


@pytest.mark.usefixtures("places")
def test_a_key_that_the_database_computes_is_refused() -> None:
    with pytest.raises(NotCapturable, match="Give the objects their keys"):
        Place.objects.bulk_create([Place(pk=Value(7) + Value(1), name="a")])


def test_more_rows_than_there_are_locks_for_take_one_lock() -> None:
    with telling(Sample, "created", contract=SampleCreated, key=lane), transaction.atomic():
        Sample.objects.bulk_create(Sample(lane=str(number)) for number in range(rows.CHUNK + 1))
        assert advisory_locks() == (1 if POSTGRES else 0)
    assert len(told()) == rows.CHUNK + 1


def advisory_locks() -> int:
    if not POSTGRES:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        [(count,)] = cursor.fetchall()
    return int(count)


def upsert(*labels: Label, fields: tuple[str, ...] = ("name", "size"), **options: Any) -> None:
    Label.objects.bulk_create(
        labels,
        update_conflicts=True,
        update_fields=list(fields),
        unique_fields=options.pop("unique_fields", ["code"]),
        **options,
    )


class TestUpsert:
    """``update_conflicts=True``."""

    @pytest.fixture(autouse=True)
    def _labels(self, labels: None) -> None:
        Label.objects.bulk_create([Label(code="b", name="old", size=1)])
        told()

    def test_new_rows_are_created_and_old_ones_updated(self) -> None:
        upsert(*(Label(code=code, name="new", size=2) for code in "abc"))
        assert told("code", "name", "size", "loud", "previous_name", "previous_size") == [
            ("label.created", "a", "new", 2, "NEW", None, None),
            ("label.updated", "b", "new", 2, "NEW", "old", 1),
            ("label.created", "c", "new", 2, "NEW", None, None),
        ]

    def test_the_row_keeps_its_key_and_what_is_not_updated(self) -> None:
        row = Label.objects.get(code="b")
        upsert(Label(code="b", name="new", size=2), fields=("name",))
        assert told("label_id", "name", "size") == [("label.updated", str(row.pk), "new", 1)]

    def test_conditions_look_at_what_the_row_held(self) -> None:
        tell(Label, "renamed")
        upsert(Label(code="b", name="old", size=2))
        assert told("size") == [("label.updated", 2)]
        upsert(Label(code="b", name="new", size=2))
        assert told("previous_name") == [("label.updated", "old"), ("label.renamed", "old")]

    def test_the_primary_key_may_be_what_conflicts(self) -> None:
        row = Label.objects.get(code="b")
        upsert(Label(pk=row.pk, code="z", size=9), Label(code="y", size=8), unique_fields=["pk"])
        assert told("code", "size") == [("label.updated", "b", 9), ("label.created", "y", 8)]

    def test_what_the_database_would_tell_as_wrong_is_left_to_django(self) -> None:
        with pytest.raises(ValueError, match="Unique fields"):
            upsert(Label(code="b"), unique_fields=None)

    def test_an_expression_as_the_unique_value_is_refused(self) -> None:
        with pytest.raises(NotCapturable, match="code is an expression"):
            upsert(Label(code=Lower("B")))

    def test_none_of_it_is_told_when_it_fails(self) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            upsert(Label(code="c", shelf_id=10_000))
            connection.check_constraints()
        assert told() == []


@pytest.mark.usefixtures("places")
def test_upserted_keys_that_the_database_makes_are_told() -> None:
    old = Place.objects.create(name="old")
    told()
    Place.objects.bulk_create(
        [Place(name="x"), Place(pk=old.pk, name="y"), Place(name="z")],
        update_conflicts=True,
        update_fields=["name"],
        unique_fields=["id"],
    )
    found = told("place_id", "name", "previous_name")
    assert [row[::2] for row in found] == [
        ("place.created", "x"),
        ("place.renamed", "y"),
        ("place.created", "z"),
    ]
    assert found[1] == ("place.renamed", old.pk, "y", "old")
