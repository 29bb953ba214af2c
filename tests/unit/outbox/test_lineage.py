"""Rows that stand in several tables, and classes that share one: each change is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from kafka_integration import EventData
from kafka_integration.errors import NotCapturable
from kafka_integration.models import OutboxEvent
from tests.sample.models import Label, Place, QuietPlace, Restaurant
from tests.unit.outbox.telling import forget, tell, telling, told

pytestmark = pytest.mark.django_db
KINDS = ("created", "updated", "renamed", "deleted")


@pytest.fixture
def inn(db: None) -> Restaurant:
    with telling(Place):
        return Restaurant.objects.create(name="Inn", stars=1)


class TestTheParentPublishes:
    """A row of the heir is a row of the parent."""

    @pytest.fixture(autouse=True)
    def _telling(self, inn: Restaurant) -> Iterator[None]:
        with telling(Place, *KINDS):
            yield

    def test_a_new_heir_is_one_new_parent(self) -> None:
        made = Restaurant.objects.create(name="Bar", stars=2)
        assert OutboxEvent.objects.get().headers["ce_subject"] == f"sample.Place/{made.pk}"
        assert told("place_id", "name") == [("place.created", made.pk, "Bar")]

    def test_saving_the_heir_tells_the_parents_change(self, inn: Restaurant) -> None:
        inn.name = "Pub"
        inn.save()
        assert told("name", "previous_name") == [
            ("place.updated", "Pub", "Inn"),
            ("place.renamed", "Pub", "Inn"),
        ]

    @pytest.mark.parametrize("model", [Place, Restaurant, QuietPlace])
    def test_updating_by_any_class_tells_the_parents_change(
        self, model: type[Any], inn: Restaurant
    ) -> None:
        assert model.objects.filter(name="Inn").update(name="Pub") == 1
        assert told("place_id", "previous_name") == [
            ("place.updated", inn.pk, "Inn"),
            ("place.renamed", inn.pk, "Inn"),
        ]

    def test_bulk_update_of_the_heir(self, inn: Restaurant) -> None:
        inn.name, inn.stars = "Pub", 3
        assert Restaurant.objects.bulk_update([inn], ["name", "stars"]) == 1
        assert told("name", "previous_name") == [
            ("place.updated", "Pub", "Inn"),
            ("place.renamed", "Pub", "Inn"),
        ]

    @pytest.mark.parametrize(
        "delete",
        [
            lambda inn: inn.delete(),
            lambda inn: Place.objects.get(pk=inn.pk).delete(),
            lambda inn: Restaurant.objects.all().delete(),
            lambda inn: Place.objects.all().delete(),
            lambda inn: QuietPlace.objects.all().delete(),
        ],
    )
    def test_deleting_by_any_class_is_one_deletion(
        self, inn: Restaurant, delete: Callable[[Any], Any]
    ) -> None:
        key = inn.pk
        delete(inn)
        assert told("place_id", "name") == [("place.deleted", key, "Inn")]

    def test_a_parent_that_is_kept_is_not_told_as_deleted(self, inn: Restaurant) -> None:
        inn.delete(keep_parents=True)
        assert told() == []
        assert Place.objects.count() == 1


class TestTheHeirPublishes:
    """A row of the parent may be a row of the heir."""

    @pytest.fixture(autouse=True)
    def _telling(self, inn: Restaurant) -> Iterator[None]:
        with telling(Restaurant, *KINDS):
            Place.objects.create(name="Park")
            assert told() == []
            yield

    def test_saving_the_parent_tells_the_heirs_change(self, inn: Restaurant) -> None:
        place = Place.objects.get(pk=inn.pk)
        place.name = "Pub"
        place.save()
        assert told("restaurant_id", "name", "stars", "previous_name") == [
            ("restaurant.updated", inn.pk, "Pub", 1, "Inn"),
            ("restaurant.renamed", inn.pk, "Pub", 1, "Inn"),
        ]

    def test_updating_parents_tells_the_change_of_those_that_are_heirs(self) -> None:
        assert Place.objects.update(name="Pub") == 2
        assert told("name", "previous_name") == [
            ("restaurant.updated", "Pub", "Inn"),
            ("restaurant.renamed", "Pub", "Inn"),
        ]

    def test_both_may_publish(self) -> None:
        tell(Place, "renamed")
        Place.objects.update(name="Pub")
        assert sorted(told("previous_name")) == [
            ("place.renamed", "Inn"),
            ("place.renamed", "Park"),
            ("restaurant.renamed", "Inn"),
            ("restaurant.updated", "Inn"),
        ]

    def test_deleting_the_parent_deletes_the_heir(self, inn: Restaurant) -> None:
        Place.objects.all().delete()
        assert told("restaurant_id", "stars") == [("restaurant.deleted", inn.pk, 1)]

    def test_upserting_parents_is_refused(self, inn: Restaurant) -> None:
        with pytest.raises(NotCapturable, match="inherits from it"):
            Place.objects.bulk_create(
                [Place(pk=inn.pk, name="Pub")],
                update_conflicts=True,
                update_fields=["name"],
                unique_fields=["pk"],
            )

    def test_a_parent_without_publishing_heirs_costs_nothing(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with telling(Restaurant, "created"), django_assert_num_queries(1):
            Place.objects.update(name="Pub")


class Whispered(EventData):
    """What only the proxy can say."""

    quietplace_id: int
    name: str
    visits: int
    whispered: str


class TestAProxyPublishes:
    """A proxy stands for its table, whoever writes it."""

    @pytest.fixture(autouse=True)
    def _telling(self) -> Iterator[None]:
        with telling(QuietPlace, *KINDS, contract=Whispered):
            yield

    @pytest.mark.parametrize("model", [Place, QuietPlace, Restaurant])
    def test_every_class_of_the_table_is_told(self, model: type[Any]) -> None:
        place = model.objects.create(name="Inn")
        key = place.pk
        place.name = "Pub"
        place.save()
        model.objects.filter(pk=key).update(visits=1)
        place.delete()
        assert told("name", "whispered", "visits") == [
            ("quietplace.created", "Inn", "inn", 0),
            ("quietplace.updated", "Pub", "pub", 0),
            ("quietplace.renamed", "Pub", "pub", 0),
            ("quietplace.updated", "Pub", "pub", 1),
            ("quietplace.deleted", "Pub", "pub", 1),
        ]

    def test_the_callers_instance_keeps_its_class(self) -> None:
        place = Place(name="Inn")
        place.save()
        assert type(place) is Place

    def test_many_at_once(self) -> None:
        Place.objects.bulk_create([Place(name="a"), Place(name="b")])
        assert told("whispered") == [("quietplace.created", "a"), ("quietplace.created", "b")]


def test_a_forced_update_of_an_instance_with_a_default_key_reads_what_was() -> None:
    with telling(Label, "created", "renamed"):
        made = Label.objects.create(code="a", name="old")
        forget()
        Label(pk=made.pk, code="a", name="new").save(force_update=True)
        assert told("previous_name") == [("label.renamed", "old")]
