"""Bulk writes are captured whichever way they come: by any manager, queryset, alias or model."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import IntegrityError, models, transaction
from django.db.models import F, QuerySet
from django.db.models.deletion import Collector

from kafka_integration import EventData, changed, created, deleted, publishes
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent
from kafka_integration.outbox import bulk, capture
from tests.sample.models import Group, Label, Membership, Shelf
from tests.unit.outbox.telling import forget, tell, telling, told

pytestmark = pytest.mark.django_db
KINDS = ("created", "updated", "deleted")


@pytest.fixture(autouse=True)
def label(db: None) -> Iterator[Label]:
    with telling(Label, *KINDS):
        made = Label.objects.create(code="a", name="first")
        forget()
        yield made


def test_installing_again_captures_no_more_than_once() -> None:
    before = QuerySet.update, QuerySet.bulk_create, Collector.delete
    bulk.install()
    assert before == (QuerySet.update, QuerySet.bulk_create, Collector.delete)
    assert QuerySet.update.__name__ == "update"
    assert QuerySet.update.alters_data  # type: ignore[attr-defined]  # templates must not call it


class PlainQuerySet(models.QuerySet[Any]):
    """Made after capture was installed."""

    def update(self, **values: Any) -> int:
        """Update as ever."""
        return super().update(**values)


WAYS: dict[str, Callable[[], QuerySet[Any]]] = {
    "manager": lambda: Label.objects.all(),
    "as_manager": lambda: Label.objects.filter(),
    "from_queryset": lambda: Label.built.all(),
    "custom manager": lambda: Label.hiding.all(),
    "base manager": lambda: Label._base_manager.all(),
    "default manager": lambda: Label._default_manager.all(),
    "bare queryset": lambda: QuerySet(Label),
    "own queryset": lambda: PlainQuerySet(Label),
    "using": lambda: Label.objects.using("default"),
    "pickled": lambda: pickle.loads(pickle.dumps(Label.objects.all())),
    "pickled query": lambda: requeried(pickle.dumps(Label.objects.all().query)),
    "related manager": lambda: Shelf.objects.get().labels.all(),
    "named related manager": lambda: Shelf.objects.get().labels(manager="built").all(),
    "many to many": lambda: Group.objects.get().labels.all(),  # type: ignore[attr-defined]  # a name that Django adds
    "values": lambda: Label.objects.values("code"),
    "either": lambda: Label.objects.filter(code="a") | Label.objects.filter(code="b"),
}


def requeried(query: bytes) -> QuerySet[Any]:
    queryset = Label.objects.all()
    queryset.query = pickle.loads(query)
    return queryset


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_a_queryset_is_captured(way: str, label: Label) -> None:
    shelf = Shelf.objects.create(name="x")
    Label.objects.update(shelf=shelf)
    label.groups.add(Group.objects.create(name="g"))
    forget()
    assert WAYS[way]().update(name="second") == 1
    assert told("name", "previous_name") == [("label.updated", "second", "first")]


def test_a_method_of_the_projects_own_is_captured() -> None:
    assert Label.objects.rename("second") == 1
    assert Label.built.rename("third") == 1
    assert told("previous_name") == [("label.updated", "first"), ("label.updated", "second")]


def test_what_a_default_manager_hides_is_captured() -> None:
    QuerySet(Label).update(name="hidden")
    assert told("name") == [("label.updated", "hidden")]
    QuerySet(Label).update(size=F("size") + 1)
    assert told("size") == [("label.updated", 1)]
    QuerySet(Label).delete()
    assert told("name") == [("label.deleted", "hidden")]


def test_one_save_is_one_event(label: Label) -> None:
    label.name = "second"
    label.save()
    label.save(update_fields=["name"])
    assert told("previous_name") == [("label.updated", "first"), ("label.updated", "second")]


def test_created_or_found_or_updated(label: Label) -> None:
    Label.objects.get_or_create(code="a", defaults={"name": "x"})
    Label.objects.get_or_create(code="b", defaults={"name": "x"})
    Label.objects.update_or_create(code="b", defaults={"name": "y"})
    Label.objects.update_or_create(code="c", defaults={"name": "y"})
    assert told("code", "name", "previous_name") == [
        ("label.created", "b", "x", None),
        ("label.updated", "b", "y", "x"),
        ("label.created", "c", "y", None),
    ]


def test_a_creation_that_came_too_late_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process makes the row between the look and the INSERT."""
    missed: list[bool] = []
    get = QuerySet.get

    def too_early(self: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        if not missed:
            missed.append(True)
            raise Label.DoesNotExist
        return get(self, *args, **kwargs)

    monkeypatch.setattr(QuerySet, "get", too_early)
    _, made = Label.objects.get_or_create(code="a")
    assert missed
    assert not made
    assert told() == []


async def every_async_form() -> None:
    await Label.objects.aget_or_create(code="b")
    await Label.objects.aupdate_or_create(code="b", defaults={"name": "x"})
    await Label.objects.acreate(code="c")
    await Label.objects.abulk_create([Label(code="d")])
    found = await Label.objects.aget(code="d")
    found.name = "y"
    await found.asave()
    await Label.objects.abulk_update([found], ["name"])
    await Label.objects.filter(code="d").aupdate(name="z")
    await found.adelete()
    await Label.objects.filter(code="c").adelete()


@pytest.mark.django_db(transaction=True)
def test_the_async_forms_are_captured() -> None:
    forget()
    async_to_sync(every_async_form)()
    assert told("code", "name") == [
        ("label.created", "b", ""),
        ("label.updated", "b", "x"),
        ("label.created", "c", ""),
        ("label.created", "d", ""),
        ("label.updated", "d", "y"),
        ("label.updated", "d", "y"),
        ("label.updated", "d", "z"),
        ("label.deleted", "d", "z"),
        ("label.deleted", "c", ""),
    ]


def test_a_table_between_two_others_that_is_a_model_is_captured(label: Label) -> None:
    with telling(Membership, "created", "deleted"):
        group = Group.objects.create(name="g")
        group.through.add(label)
        group.through.add(label)
        assert told("label_id") == [("membership.created", str(label.pk))]
        group.through.set([])
        assert told("label_id") == [("membership.deleted", str(label.pk))]
        label.member_of.add(group)
        label.member_of.clear()
        assert [row[0] for row in told()] == ["membership.created", "membership.deleted"]


class UserTold(EventData):
    """A model that is not ours."""

    user_id: int
    username: str
    previous_email: str | None = None


def test_a_model_that_is_not_ours() -> None:
    with registry.isolated():
        publishes(User, UserTold, topic="user.created.json", when=created)
        publishes(User, UserTold, topic="user.mailed.json", when=changed("email"))
        publishes(User, UserTold, topic="user.deleted.json", when=deleted)
        capture.connect()
        user = User.objects.create_user("ada", email="a@x")
        User.objects.bulk_create([User(username="bob")])
        User.objects.filter(pk=user.pk).update(email="b@x")
        User.objects.all().delete()
        assert told("username", "previous_email") == [
            ("user.created", "ada", None),
            ("user.created", "bob", None),
            ("user.mailed", "ada", "a@x"),
            ("user.deleted", "ada", None),
            ("user.deleted", "bob", None),
        ]


@pytest.mark.django_db(databases=["default", "other"])
def test_events_go_to_the_database_of_their_rows() -> None:
    labels = Label.objects.using("other")
    labels.bulk_create([Label(code="a"), Label(code="b")])
    labels.filter(code="a").update(name="x")
    labels.bulk_update([Label(pk=row.pk, name="y") for row in labels.all()], ["name"])
    labels.all().delete()
    assert not OutboxEvent.objects.exists()
    found = told("code", "name", using="other")
    assert [row[0] for row in found] == [
        *["label.created"] * 2,
        *["label.updated"] * 3,
        *["label.deleted"] * 2,
    ]


@pytest.mark.django_db(databases=["default", "other"])
def test_the_router_says_where_a_write_goes(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.unit.outbox.test_bulk.ToOther"]
    Label.objects.bulk_create([Label(code="x")])
    Label.objects.filter(code="x").update(name="y")
    Label(code="z").save()
    Label.objects.filter(code__in="xz").delete()
    found = [row[0] for row in told(using="other")]
    assert found == ["label.created", "label.updated", "label.created", *["label.deleted"] * 2]


class ToOther:
    """Reads come from one database, writes go to the other."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        """Return where to read."""
        return "default" if model is Label else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        """Return where to write."""
        return "other" if model is Label else None


def test_order_is_kept_between_all_these_ways(label: Label) -> None:
    label.name = "1"
    label.save()
    Label.objects.update(name="2")
    Label.objects.bulk_update([Label(pk=label.pk, name="3")], ["name"])
    Label.objects.update_or_create(code="a", defaults={"name": "4"})
    assert told("name") == [("label.updated", str(number)) for number in range(1, 5)]


def test_a_savepoint_takes_its_events_along() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Label.objects.update(name="x")
        Label.objects.bulk_create([Label(code="a")])
    Label.objects.update(name="y")
    assert told("name") == [("label.updated", "y")]


def test_conditions_of_every_kind_are_asked() -> None:
    tell(Label, "renamed")
    Label.objects.update(size=1)
    Label.objects.update(name="x")
    assert [row[0] for row in told()] == ["label.updated", "label.updated", "label.renamed"]
