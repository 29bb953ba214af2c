"""Updates of many rows at once: each row is told, with what it held before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, Exists, F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from pytest_django import DjangoAssertNumQueries

from kafka_integration.errors import NotCapturable
from kafka_integration.models import OutboxEvent
from kafka_integration.outbox import affected, bulk_update, rows
from tests.sample.events import SampleCreated, lane
from tests.sample.models import Label, Sample, Shelf
from tests.unit.outbox.telling import forget, tell, telling, told

pytestmark = pytest.mark.django_db
POSTGRES = connection.vendor == "postgresql"


@pytest.fixture(autouse=True)
def _labels(db: None) -> Iterator[None]:
    with telling(Label, "updated", "renamed"):
        Label.objects.bulk_create(
            [Label(pk=f"{number:032d}", code=str(number), size=number) for number in range(5)]
        )
        forget()
        yield


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two rows be many."""
    for module in (affected, bulk_update, rows):
        monkeypatch.setattr(module, "CHUNK", 2)
    monkeypatch.setattr(rows.chunks, "__defaults__", (2,))


def everything() -> list[tuple[str, str, int]]:
    return list(Label.objects.order_by("code").values_list("code", "name", "size"))


def test_each_row_is_told_with_what_it_held() -> None:
    assert Label.objects.filter(size__gte=3).update(name="new", size=F("size") * 10) == 2
    assert told("code", "name", "loud", "size", "previous_name", "previous_size") == [
        ("label.updated", "3", "new", "NEW", 30, "", 3),
        ("label.renamed", "3", "new", "NEW", 30, "", 3),
        ("label.updated", "4", "new", "NEW", 40, "", 4),
        ("label.renamed", "4", "new", "NEW", 40, "", 4),
    ]


def test_conditions_look_at_each_row() -> None:
    Label.objects.filter(code="1").update(name="new")
    forget()
    Label.objects.filter(code__in="12").update(name="new")
    assert [row for row in told("code") if row[0] == "label.renamed"] == [("label.renamed", "2")]


@pytest.mark.usefixtures("small_chunks")
def test_many_rows_are_changed_in_chunks_and_told_in_the_order_of_their_keys() -> None:
    assert Label.objects.order_by("-code").update(size=F("size") + 1) == 5
    assert told("code", "size", "previous_size") == [
        ("label.updated", str(number), number + 1, number) for number in range(5)
    ]


@pytest.mark.usefixtures("small_chunks")
def test_a_row_is_changed_once_though_it_still_matches_when_changed() -> None:
    assert Label.objects.filter(size__gte=0).update(size=F("size") + 1) == 5
    assert [size for _, _, size in everything()] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("small_chunks")
def test_a_condition_on_other_rows_is_asked_before_any_is_changed() -> None:
    unnamed = Label.objects.filter(name="", size=OuterRef("size") - 1)
    assert Label.objects.filter(Exists(unnamed)).update(name="after an unnamed") == 4
    assert [name for _, name, _ in everything()] == ["", *["after an unnamed"] * 4]
    assert len(told()) == 8


@pytest.mark.usefixtures("small_chunks")
def test_a_value_from_other_rows_is_computed_before_any_is_changed() -> None:
    smaller = Label.objects.filter(size__lt=OuterRef("size")).order_by("-size").values("size")[:1]
    with telling(Label):
        Label.objects.update(size=Coalesce(Subquery(smaller), -1))
        expected = everything()
        for number in range(5):
            Label.objects.filter(code=number).update(size=number)
    assert Label.objects.update(size=Coalesce(Subquery(smaller), -1)) == 5
    assert everything() == expected, "it is Django's own result"
    assert [previous for _, previous in told("previous_size")] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("small_chunks")
def test_a_join_reaches_each_row_once() -> None:
    shelf = Shelf.objects.create(name="high")
    Label.objects.filter(size__lt=3).update(shelf=shelf)
    Label.objects.filter(code="4").update(fallback=shelf)
    forget()
    assert Label.objects.filter(shelf__name="high").update(name="up") == 3
    assert told("code", "previous_name")[::2] == [("label.updated", str(n), "") for n in range(3)]
    twice = Label.objects.filter(groups__name__in=["a", "b"])
    for name in "ab":
        Label.objects.get(code="1").groups.create(name=name)
    assert twice.count() == 2
    assert twice.update(name="once") == 1
    assert len(told()) == 2


def test_an_outer_join_is_no_hindrance() -> None:
    assert (
        Label.objects.select_related("shelf").filter(shelf__name__isnull=True).update(size=9) == 5
    )
    assert len(told()) == 5


@pytest.mark.usefixtures("small_chunks")
def test_annotations_may_be_set() -> None:
    annotated = Label.objects.annotate(tag=Concat(F("code"), Value("!"))).filter(tag__lt="3")
    assert annotated.update(name=F("tag")) == 3
    assert told("name")[::2] == [("label.updated", f"{number}!") for number in range(3)]


def test_values_and_locks_of_the_queryset_make_no_difference() -> None:
    assert Label.objects.values("code").filter(code="1").update(name="a") == 1
    assert Label.objects.select_for_update().only("code").filter(code="1").update(name="b") == 1
    assert [row for row in told("previous_name") if row[0] == "label.renamed"] == [
        ("label.renamed", ""),
        ("label.renamed", "a"),
    ]


def test_nothing_to_change_is_no_event_and_a_wrong_field_is_told() -> None:
    assert Label.objects.filter(code="x").update(name="new") == 0
    assert Label.objects.none().update(name="new") == 0
    assert told() == []
    with pytest.raises(FieldDoesNotExist):
        Label.objects.none().update(**{"nothing": 1})


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        ("sliced", lambda: Label.objects.all()[:2]),
        ("distinct", lambda: Label.objects.distinct()),
        ("aggregated", lambda: Label.objects.annotate(n=Count("groups")).filter(n=0)),
        ("union", lambda: Label.objects.filter(code="1").union(Label.objects.filter(code="2"))),
    ],
)
def test_what_cannot_be_locked_is_refused_and_the_way_out_works(
    reason: str, make: Callable[[], Any]
) -> None:
    with pytest.raises(NotCapturable, match=rf"{reason}.*Label\.objects\.filter\(pk__in="):
        make().update(name="new")
    assert not Label.objects.filter(name="new").exists()
    queryset = make()
    count = Label.objects.filter(pk__in=queryset.values("pk")).update(name="new")
    assert count == Label.objects.filter(name="new").count() > 0
    assert len(told()) == 2 * count


def test_a_change_of_keys_is_refused() -> None:
    for name in ("pk", "id"):
        with pytest.raises(NotCapturable, match="another key is another row"):
            Label.objects.filter(code="1").update(**{name: f"{9:032d}"})


def test_a_failing_update_leaves_no_event() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.update(code="same")
    assert told() == []


def test_an_update_that_nobody_asks_for_is_djangos_own(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with telling(Label, "created", "deleted"), django_assert_num_queries(1):
        assert Label.objects.all().distinct().update(name="new") == 5
    assert told() == []


def test_an_update_costs_four_statements_a_chunk(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    # Lock, change, read, write; on SQLite the last are three.
    with transaction.atomic(), django_assert_num_queries(4 if POSTGRES else 6):
        Label.objects.update(name="new")


def test_nothing_is_captured_when_switched_off(settings: Any) -> None:
    settings.KAFKA_ENABLED = False
    Label.objects.update(name="new")
    Label.objects.bulk_update(Label.objects.all(), ["size"])
    Label.objects.all().delete()
    Label.objects.bulk_create([Label(code="a")])
    assert told() == []


def test_bulk_update_is_told_once_with_what_each_row_held() -> None:
    labels = list(Label.objects.order_by("-code"))
    for label in labels:
        label.name, label.size = f"name {label.code}", label.size + 100
    assert Label.objects.bulk_update(labels, ["name", "size"], batch_size=2) == 5
    found = [row for row in told("code", "name", "size", "previous_size") if "updated" in row[0]]
    assert sorted(found) == [("label.updated", str(n), f"name {n}", n + 100, n) for n in range(5)]


@pytest.mark.usefixtures("small_chunks")
def test_bulk_update_never_cuts_a_batch_into_chunks() -> None:
    labels = list(Label.objects.all())
    statements: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        Label.objects.bulk_update(labels, ["name"], batch_size=4)
    updates = [sql for sql in statements if sql.startswith("UPDATE")]
    assert [sql.count("WHEN") for sql in updates] == [2, 2, 1]


def test_the_foreign_keys_of_related_managers_are_told() -> None:
    shelf = Shelf.objects.create(name="high")
    one, two, three = Label.objects.order_by("code")[:3]
    shelf.labels.add(one, two)
    assert told("code", "shelf_id") == [("label.updated", n, shelf.pk) for n in "01"]
    shelf.labels.set([two, three])
    assert sorted(told("code", "shelf_id")) == [
        ("label.updated", "0", None),
        ("label.updated", "2", shelf.pk),
    ]
    shelf.labels.remove(Label.objects.get(code="1"))
    assert told("code", "shelf_id") == [("label.updated", "1", None)]
    shelf.labels.clear()
    assert told("code", "shelf_id") == [("label.updated", "2", None)]
    shelf.labels.update(name="nobody")
    assert told() == []


@pytest.mark.parametrize("field", ["shelf", "fallback"])
def test_keys_that_a_deletion_sets_are_told(field: str) -> None:
    shelf = Shelf.objects.create(name="high")
    Label.objects.filter(size__lt=2).update(**{field: shelf})
    forget()
    shelf.delete()
    assert told("code", f"{field}_id") == [
        ("label.updated", "0", None),
        ("label.updated", "1", None),
    ]


def test_more_rows_than_there_are_locks_for_take_one_lock(
    small_chunks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with telling(Sample, "updated", contract=SampleCreated, key=lane), transaction.atomic():
        Sample.objects.bulk_create(Sample(lane=str(number)) for number in range(5))
        Sample.objects.update(number=1)
        assert advisory_locks() == (1 if POSTGRES else 0)
        assert len(told()) == 5


def advisory_locks() -> int:
    if not POSTGRES:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        [(count,)] = cursor.fetchall()
    return int(count)


@pytest.mark.django_db(transaction=True)
def test_a_bare_update_and_its_events_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bulk_update, "record", fail)
    with pytest.raises(ZeroDivisionError):
        Label.objects.update(name="new")
    assert not Label.objects.filter(name="new").exists()
    assert not OutboxEvent.objects.exists()


def test_a_further_declaration_is_heeded_at_once() -> None:
    with telling(Label, "created"):
        Label.objects.update(name="a")
        assert told() == []
        tell(Label, "updated")
        Label.objects.update(name="b")
        assert len(told()) == 5
