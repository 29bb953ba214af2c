"""Events that go along with the statement that writes their row, and those that do not."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.db.models import Value
from django.db.models.functions import Lower
from django.db.models.signals import ModelSignal, post_save, pre_save
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from typing_extensions import Self

from kafka_integration import Change, EventData, changed, created, publishes
from kafka_integration.events.conditions import Condition
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent, OutboxQueue
from kafka_integration.outbox import capture, function
from kafka_integration.outbox.joint import joinable
from kafka_integration.outbox.writing import Writing
from mediajira.campaigns.models import Campaign

TOPIC = "sample.told.json"
POSTGRES = connection.vendor == "postgresql"
pytestmark = pytest.mark.django_db


class Told(EventData):
    """What a campaign is."""

    campaign_id: UUID
    name: str


class Counted(EventData):
    """How many campaigns there are, this one among them."""

    count: int

    @classmethod
    def from_instance(cls, change: Change) -> Self:
        return cls(count=Campaign.objects.count())


class Owned(EventData):
    """What needs another row."""

    owner: Any

    @classmethod
    def type_name(cls) -> str:
        return "Owned"


class Renamed(EventData):
    """What a campaign was called."""

    name: str
    previous_name: str


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("ada")


@contextmanager
def publishing(contract: type[EventData], when: Condition, **options: Any) -> Iterator[None]:
    with registry.isolated():
        publishes(Campaign, contract, topic=TOPIC, when=when, **options)
        capture.connect()
        yield


def told() -> list[dict[str, Any]]:
    queued = OutboxQueue.objects.order_by("position").select_related("event")
    assert all(row.key_hash == row.event.key_hash for row in queued)
    assert all(row.shard == row.key_hash % 16 for row in queued)
    return [json.loads(bytes(row.event.value)) for row in queued]


def test_a_creation_and_an_update_are_one_statement_each(
    owner: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    one = django_assert_num_queries(1 if POSTGRES else 4)
    with publishing(Told, created), transaction.atomic(), one:
        campaign = Campaign.objects.create(name="Spring", owner=owner)
    campaign.name = "Summer"
    one = django_assert_num_queries(1 if POSTGRES else 5)
    with publishing(Told, changed("name", "budget")), transaction.atomic(), one:
        campaign.save()
    assert [event["name"] for event in told()] == ["Spring", "Summer"]
    assert {event["campaign_id"] for event in told()} == {str(campaign.pk)}
    event = OutboxEvent.objects.latest("pk")
    assert event.headers["ce_subject"] == f"campaigns.Campaign/{campaign.pk}"
    assert event.headers["ce_id"] == str(event.event_id)
    assert event.key == str(campaign.pk)


def test_an_update_that_changes_nothing_tells_nothing(owner: User) -> None:
    with publishing(Told, changed("name")):
        campaign = Campaign.objects.create(name="Spring", owner=owner)
        campaign.description = "Else."
        campaign.save()
        Campaign.objects.get(pk=campaign.pk).save()
        assert told() == []
        campaign.name = "Summer"
        campaign.save()
        campaign.save()
        assert [event["name"] for event in told()] == ["Summer"]


def test_a_payload_that_looks_into_the_database_waits_for_its_row(owner: User) -> None:
    with publishing(Counted, created):
        assert joinable(Campaign, "created") == []
        Campaign.objects.create(name="Spring", owner=owner)
    assert told() == [{"count": 1}]


@pytest.mark.parametrize(
    ("contract", "when", "options"),
    [
        (Owned, created, {}),
        (Renamed, changed("name"), {}),
        (Told, created, {"key": lambda campaign: campaign.owner_id}),
        (Counted, changed("name"), {}),
    ],
)
def test_what_needs_more_than_the_row_does_not_go_along(
    contract: type[EventData], when: Condition, options: dict[str, Any]
) -> None:
    with publishing(contract, when, **options):
        assert joinable(Campaign, "created") == []
        assert joinable(Campaign, "updated") == []


def test_what_the_row_alone_tells_goes_along() -> None:
    for kind, when in {"created": created, "updated": changed("name")}.items():
        with publishing(Told, when):
            assert len(joinable(Campaign, kind)) == 1  # type: ignore[arg-type]  # both are kinds


def test_without_the_function_events_are_stored_all_the_same(owner: User) -> None:
    with connection.cursor() as cursor:
        if POSTGRES:
            cursor.execute("DROP FUNCTION kafka_outbox_capture")
    function.forget()
    try:
        with publishing(Told, created):
            Campaign.objects.create(name="Spring", owner=owner)
        with publishing(Told, changed("name")):
            Campaign.objects.update(name="Summer")
            campaign = Campaign.objects.get()
            campaign.name = "Autumn"
            campaign.save()
        assert not POSTGRES or not function.is_usable("default")
    finally:
        function.forget()
    assert [event["name"] for event in told()] == ["Spring", "Summer", "Autumn"]


def test_a_save_within_a_save_is_told_once(owner: User) -> None:
    def save_first(instance: Campaign, **_: Any) -> None:
        if instance._state.adding and instance.name == "Spring":
            instance.name = "Early"
            instance.save()

    pre_save.connect(save_first, sender=Campaign)
    try:
        with publishing(Told, created):
            Campaign(name="Spring", owner=owner).save()
    finally:
        pre_save.disconnect(save_first, sender=Campaign)
    assert [event["name"] for event in told()] == ["Early"]


@contextmanager
def received(signal: ModelSignal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, sender=Campaign)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=Campaign)


@pytest.mark.parametrize("is_copy", [True, False])
def test_a_save_of_the_same_row_by_another_instance_is_told_first(
    owner: User, is_copy: bool
) -> None:
    with publishing(Told, changed("name")):
        campaign = Campaign.objects.create(name="old", owner=owner)
        loaded = Campaign.objects.get()

        def save_twin(instance: Campaign, **_: Any) -> None:
            if instance.name == "final":
                twin = copy.copy(instance) if is_copy else loaded
                twin.name = "draft"
                twin.save()

        with received(pre_save, save_twin):
            campaign.name = "final"
            campaign.save()
    assert Campaign.objects.get().name == "final"
    assert [event["name"] for event in told()] == ["draft", "final"]


def test_a_save_that_fails_leaves_nothing_under_way(owner: User) -> None:
    def fail(instance: Campaign, **_: Any) -> None:
        raise ValueError(instance.name)

    with publishing(Told, created), transaction.atomic():
        refused = pytest.raises(ValueError, match="Spring")
        with received(pre_save, fail), refused, transaction.atomic():
            Campaign.objects.create(name="Spring", owner=owner)
        assert connections["default"].__dict__["_kafka_writings"] == []
        with CaptureQueriesContext(connection) as queries:
            Campaign.objects.create(name="Summer", owner=owner)
    assert not POSTGRES or len(queries) == 1


@pytest.mark.parametrize(
    "second",
    [
        {"name": "second"},
        {"name": "second", "budget": Decimal(5)},  # the database makes 5.00 of it
        {"name": Lower(Value("SECOND"))},  # another statement
    ],
)
def test_a_creation_that_is_tried_again_is_told_once(
    owner: User, monkeypatch: pytest.MonkeyPatch, second: dict[str, Any]
) -> None:
    insert = Campaign._do_insert  # type: ignore[attr-defined]  # the hook of Django's save

    def insert_again(self: Campaign, *arguments: Any) -> Any:
        with pytest.raises(DatabaseError), transaction.atomic():
            insert(self, *arguments)
            raise DatabaseError
        vars(self).update(second)
        return insert(self, *arguments)

    monkeypatch.setattr(Campaign, "_do_insert", insert_again)
    with publishing(Told, created):
        Campaign.objects.create(name="first", owner=owner)
    assert [event["name"] for event in told()] == ["second"]


def test_a_creation_that_failed_and_is_tried_again_is_told_once(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.isolated():
        taken = Campaign.objects.create(name="taken", owner=owner)
    insert = Campaign._do_insert  # type: ignore[attr-defined]  # the hook of Django's save

    def insert_again(self: Campaign, *arguments: Any) -> Any:
        free, self.pk = self.pk, taken.pk
        with pytest.raises(IntegrityError), transaction.atomic():
            insert(self, *arguments)
        self.pk, self.budget = free, Decimal(5)  # the database makes 5.00 of it
        return insert(self, *arguments)

    monkeypatch.setattr(Campaign, "_do_insert", insert_again)
    with publishing(Told, created):
        Campaign.objects.create(name="free", owner=owner)
    assert [event["name"] for event in told()] == ["free"]


def test_a_savepoint_after_the_creation_does_not_undo_it(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Campaign._do_insert  # type: ignore[attr-defined]  # the hook of Django's save

    def insert_and_fail(self: Campaign, *arguments: Any) -> Any:
        found = insert(self, *arguments)
        with pytest.raises(DatabaseError), transaction.atomic():
            raise DatabaseError
        return found

    monkeypatch.setattr(Campaign, "_do_insert", insert_and_fail)
    with publishing(Told, created):
        Campaign.objects.create(name="Spring", owner=owner)
    assert [event["name"] for event in told()] == ["Spring"]


def test_an_update_that_is_undone_and_done_again_is_told_once(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Campaign._do_update
    before = ""

    def update_again(self: Campaign, *arguments: Any) -> Any:
        update(self, *arguments)
        transaction.savepoint_rollback(before)
        return update(self, *arguments)

    with publishing(Told, changed("name")), transaction.atomic():
        campaign = Campaign.objects.create(name="old", owner=owner)
        campaign.name = "new"
        before = transaction.savepoint()
        monkeypatch.setattr(Campaign, "_do_update", update_again)
        campaign.save()
    assert [event["name"] for event in told()] == ["new"]


def test_what_a_receiver_copies_or_shows_is_not_the_save_itself(owner: User) -> None:
    public: list[str] = []
    copies: list[Campaign] = []

    def look(instance: Campaign, **_: Any) -> None:
        public.extend(name for name in vars(instance) if not name.startswith("_"))
        copies.extend([pickle.loads(pickle.dumps(instance)), copy.copy(instance)])

    with publishing(Told, created):
        with received(post_save, look):
            Campaign.objects.create(name="Spring", owner=owner)
        assert not [name for name in public if "kafka" in name]
        with publishing(Told, changed("name")):
            for number, twin in enumerate(copies):
                twin.name = f"Summer {number}"
                twin.save()
    assert [event["name"] for event in told()] == ["Spring", "Summer 0", "Summer 1"]


def test_a_copy_made_by_a_receiver_has_no_save_under_way(owner: User) -> None:
    copies: list[Campaign] = []

    def look(instance: Campaign, **_: Any) -> None:
        assert Writing.of_instance(instance) is not None
        copies.extend([pickle.loads(pickle.dumps(instance)), copy.copy(instance)])

    with publishing(Told, created), received(post_save, look):
        Campaign.objects.create(name="Spring", owner=owner)
    assert [Writing.of_instance(twin) for twin in copies] == [None, None]


@pytest.mark.django_db(transaction=True)
def test_rows_that_cannot_be_created_in_bulk_take_their_events_with_them() -> None:
    owner = User.objects.create_user("ada")
    with publishing(Told, created):
        first = Campaign.objects.create(name="Spring", owner=owner)
        with pytest.raises(IntegrityError):
            Campaign.objects.bulk_create(
                [Campaign(name="Summer", owner=owner), Campaign(pk=first.pk, name="x", owner=owner)]
            )
        assert [event["name"] for event in told()] == ["Spring"]
        assert Campaign.objects.count() == 1
        Campaign.objects.bulk_create(Campaign(name=str(n), owner=owner) for n in range(600))
        assert [event["name"] for event in told()[1:]] == [str(n) for n in range(600)]
