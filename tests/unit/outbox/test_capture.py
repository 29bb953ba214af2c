"""Capture: what a save, a change and a deletion leave in the outbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db import connection, transaction
from django.db.models import F
from django.db.models.signals import post_save
from pytest_django import DjangoAssertNumQueries, Settings

from kafka_integration import Change, EventData, created, publish, publishes, satisfies
from kafka_integration.broker.formats import FormatUnavailable
from kafka_integration.errors import (
    EventTooLarge,
    NotAnEvent,
    NotInTransaction,
    TopicNameError,
    UnknownTopic,
    UnusableKey,
)
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent, OutboxQueue
from kafka_integration.outbox import capture
from mediajira.assets.models import Asset
from mediajira.campaigns.models import Campaign
from mediajira.retrospectives.models import Retrospective
from tests.sample.models import Sample


class Note(EventData):
    """An event without a model."""

    text: str


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("ada")


@pytest.fixture
def campaign(owner: User) -> Campaign:
    made = Campaign.objects.create(name="Spring", owner=owner, budget=Decimal("10.00"))
    clear()
    return made


def clear() -> None:
    OutboxQueue.objects.all().delete()
    OutboxEvent.objects.all().delete()


def topics() -> list[str]:
    return list(OutboxEvent.objects.order_by("queued__position").values_list("topic", flat=True))


def payload(topic: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(bytes(OutboxEvent.objects.get(topic=topic).value))
    return loaded


def test_creation_is_published_with_its_envelope(owner: User) -> None:
    campaign = Campaign.objects.create(name="Spring", owner=owner)
    event = OutboxEvent.objects.get()
    assert (event.topic, event.key) == ("campaign.created.json", str(campaign.pk))
    assert json.loads(bytes(event.value))["name"] == "Spring"
    assert UUID(event.headers["ce_id"]) == event.event_id
    assert event.event_id.version == 7
    assert event.headers["ce_type"] == "CampaignCreated"
    assert event.headers["ce_source"] == "mediajira"
    assert event.headers["ce_specversion"] == "1.0"
    assert event.headers["ce_subject"] == f"campaigns.Campaign/{campaign.pk}"
    assert event.headers["content-type"] == "application/json"
    queued = OutboxQueue.objects.get()
    assert queued.event_id == event.pk
    assert queued.key_hash == event.key_hash
    assert 0 <= queued.shard < 16
    assert (queued.attempts, queued.blocked) == (0, False)


def test_a_save_that_changes_nothing_of_interest_is_not_published(campaign: Campaign) -> None:
    campaign.save()
    assert topics() == []


def test_an_update_is_published_once_for_each_matching_declaration(campaign: Campaign) -> None:
    campaign.name, campaign.status = "Summer", "active"
    campaign.save()
    assert sorted(topics()) == ["campaign.status_changed.json", "campaign.updated.json"]
    assert payload("campaign.status_changed.json")["previous_status"] == "draft"


def test_old_values_come_from_the_row_and_not_from_a_stale_instance(campaign: Campaign) -> None:
    stale = Campaign.objects.get(pk=campaign.pk)
    campaign.name = "Summer"
    campaign.save()
    clear()
    stale.name = "Summer"
    stale.save()
    assert topics() == []
    stale.status = "active"
    stale.save()
    assert topics() == ["campaign.status_changed.json"]


def test_old_values_survive_a_savepoint_that_rolled_back(campaign: Campaign) -> None:
    campaign.name = "Summer"
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        campaign.save()
        raise ZeroDivisionError
    assert topics() == []
    campaign.save()
    assert topics() == ["campaign.updated.json"]


def test_update_fields_publishes_the_row_and_not_the_instance(campaign: Campaign) -> None:
    campaign.name, campaign.description = "Summer", "never saved"
    campaign.save(update_fields=["name"])
    assert payload("campaign.updated.json")["name"] == "Summer"
    assert payload("campaign.updated.json")["description"] == ""


def test_an_expression_is_published_as_the_database_computed_it(campaign: Campaign) -> None:
    campaign.budget = F("budget") + 5
    campaign.save()
    assert Decimal(payload("campaign.updated.json")["budget"]) == Decimal("15.00")
    assert isinstance(campaign.budget, Decimal) or hasattr(campaign.budget, "resolve_expression")


def test_a_value_that_the_database_converts_is_published_converted(campaign: Campaign) -> None:
    campaign.budget = "10"
    campaign.save()
    assert topics() == []
    campaign.budget = Decimal("10.005")
    campaign.name = "Summer"
    campaign.save()
    row = Campaign.objects.get(pk=campaign.pk)
    assert Decimal(payload("campaign.updated.json")["budget"]) == row.budget


def test_a_deferred_instance_publishes_the_whole_row(campaign: Campaign) -> None:
    partial = Campaign.objects.only("name").get(pk=campaign.pk)
    partial.name = "Summer"
    partial.save()
    assert payload("campaign.updated.json")["description"] == ""


def test_a_status_reached_is_published_once(campaign: Campaign, owner: User) -> None:
    retro = Retrospective.objects.create(campaign=campaign, owner=owner)
    clear()
    retro.status = "completed"
    retro.completed_at = campaign.created_at
    retro.save()
    assert sorted(topics()) == ["retrospective.completed.json", "retrospective.updated.json"]
    clear()
    retro.save()
    assert topics() == []


def test_deletion_is_published_with_what_the_row_held(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(name="Renamed elsewhere")
    clear()
    campaign.delete()
    assert payload("campaign.deleted.json")["name"] == "Renamed elsewhere"


def test_deleting_a_row_that_is_gone_publishes_nothing(campaign: Campaign) -> None:
    again = Campaign.objects.get(pk=campaign.pk)
    campaign.delete()
    clear()
    again.delete()
    assert topics() == []


def test_a_cascade_and_a_queryset_deletion_publish_each_row(campaign: Campaign) -> None:
    for name in ("one", "two"):
        Asset.objects.create(campaign=campaign, name=name, url="x", owner=campaign.owner)
    clear()
    Campaign.objects.filter(pk=campaign.pk).delete()
    assert sorted(topics()) == ["asset.deleted.json", "asset.deleted.json", "campaign.deleted.json"]


def test_a_fixture_publishes_nothing(campaign: Campaign) -> None:
    text = serializers.serialize("json", [campaign])
    Campaign.objects.all().delete()
    clear()
    for item in serializers.deserialize("json", text):
        item.save()
    assert Campaign.objects.count() == 1
    assert topics() == []


def test_nothing_is_captured_when_switched_off(owner: User, settings: Any) -> None:
    settings.KAFKA_ENABLED = False
    campaign = Campaign.objects.create(name="Spring", owner=owner)
    campaign.name = "Summer"
    campaign.save()
    campaign.delete()
    assert topics() == []


def test_a_save_costs_one_statement_for_both_tables(
    campaign: Campaign, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # PostgreSQL: row, event and queue at once. SQLite: the row, shard count, event, queue.
    expected = 1 if connection.vendor == "postgresql" else 4
    with transaction.atomic(), django_assert_num_queries(expected):
        Campaign.objects.create(name="Autumn", owner=campaign.owner)


class BrokenError(Exception):
    """The test's own."""


@pytest.fixture
def broken_capture() -> Iterator[None]:
    def fail(change: object) -> bool:
        raise BrokenError

    with registry.isolated():
        publishes(Sample, Note, topic="sample.created.json", when=satisfies(fail))
        capture.connect()
        yield


@pytest.fixture(autouse=True)
def _note_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafka_integration.events.registry.missing_fields", lambda *_: [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broken_capture")
def test_an_error_in_the_capture_of_a_bare_save_takes_the_row_with_it() -> None:
    assert connection.get_autocommit()
    with pytest.raises(BrokenError):
        Sample(lane="a").save()
    assert not Sample.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("broken_capture")
def test_an_error_in_capture_rolls_the_callers_transaction_back() -> None:
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        with pytest.raises(BrokenError):
            Sample(lane="a").save()
        Sample.objects.count()
    assert not Sample.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_rollback_takes_the_event_with_it() -> None:
    owner = User.objects.create_user("ada")
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Campaign.objects.create(name="Spring", owner=owner)
        assert OutboxEvent.objects.count() == 1
        raise ZeroDivisionError
    assert not OutboxEvent.objects.exists()
    assert not OutboxQueue.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_publish_outside_a_transaction_is_refused_with_the_cure() -> None:
    with pytest.raises(NotInTransaction, match=r"with transaction\.atomic\(using='default'\)"):
        publish(Note(text="x"), topic="campaign.created.json", key=1)


@pytest.mark.django_db
@pytest.mark.parametrize("given", [{"a": 1}, Note])
def test_publish_refuses_what_is_no_event(given: Any) -> None:
    with pytest.raises(NotAnEvent, match="an instance of a subclass of EventData, and was given"):
        publish(given, topic="campaign.created.json", key=1)


@pytest.mark.django_db
def test_publish_stores_the_event_and_returns_its_id() -> None:
    event_id = publish(
        Note(text="x"), topic="campaign.created.json", key=1, headers={"tenant": "7"}
    )
    event = OutboxEvent.objects.get()
    assert event.event_id == event_id
    assert (event.key, event.headers["tenant"]) == ("1", "7")
    assert event.headers["ce_type"] == "Note"


@pytest.mark.django_db
def test_headers_of_the_caller_cannot_replace_the_envelope() -> None:
    publish(Note(text="x"), topic="campaign.created.json", key=1, headers={"ce_id": "mine"})
    event = OutboxEvent.objects.get()
    assert event.headers["ce_id"] == str(event.event_id)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("topic", "key", "error"),
    [
        ("Campaign.created.json", "1", TopicNameError),
        ("campaign.invented.json", "1", UnknownTopic),
        ("campaign.created.json", "", UnusableKey),
        ("campaign.created.json", None, UnusableKey),
        ("campaign.created.json", "a\x00b", UnusableKey),
        ("campaign.created.json", "k" * 1_001, UnusableKey),
    ],
)
def test_publish_refuses_what_could_never_be_sent(
    topic: str, key: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        publish(Note(text="x"), topic=topic, key=key)
    assert not OutboxEvent.objects.exists()


@pytest.mark.django_db
def test_an_event_too_large_for_kafka_is_refused_when_it_is_written(settings: Any) -> None:
    settings.KAFKA_MAX_MESSAGE_BYTES = 1_000
    with pytest.raises(EventTooLarge, match="limit is 1,000"):
        publish(Note(text="x" * 1_000), topic="campaign.created.json", key=1)


@pytest.mark.django_db
def test_connecting_again_does_not_capture_twice(owner: User) -> None:
    capture.connect()
    capture.connect()
    Campaign.objects.create(name="Spring", owner=owner)
    assert topics() == ["campaign.created.json"]


@pytest.mark.django_db
def test_positions_follow_the_order_of_saving(owner: User) -> None:
    campaign = Campaign.objects.create(name="0", owner=owner)
    for number in range(1, 4):
        campaign.name = str(number)
        campaign.save()
    events = OutboxEvent.objects.order_by("queued__position")
    assert [json.loads(bytes(event.value))["name"] for event in events] == ["0", "1", "2", "3"]


@pytest.fixture
def saves_again() -> Iterator[None]:
    """An application's receiver that saves the row again, connected before ours."""

    def touch(instance: Campaign, **_: Any) -> None:
        if not instance.description:
            instance.description = "touched"
            instance.save()

    post_save.connect(touch, sender=Campaign, weak=False, dispatch_uid="touch")
    with post_save.lock:
        post_save.receivers.insert(0, post_save.receivers.pop())
        post_save.sender_receivers_cache.clear()
    disconnect = capture._connect_first
    post_save.disconnect(sender=Campaign, dispatch_uid="kafka_integration:campaigns.Campaign")
    disconnect(Campaign, "kafka_integration:campaigns.Campaign")
    yield
    post_save.disconnect(sender=Campaign, dispatch_uid="touch")


@pytest.mark.usefixtures("saves_again")
def test_a_receiver_that_saves_again_neither_breaks_the_save_nor_turns_the_order(
    owner: User,
) -> None:
    campaign = Campaign.objects.create(name="Spring", owner=owner)
    assert topics() == ["campaign.created.json", "campaign.updated.json"]
    clear()
    campaign.name, campaign.description = "Summer", ""
    campaign.save()
    events = OutboxEvent.objects.order_by("queued__position")
    told = [json.loads(bytes(event.value)) for event in events]
    assert [(data["name"], data["description"]) for data in told] == [
        ("Summer", ""),
        ("Summer", "touched"),
    ]


def test_an_update_of_a_row_that_was_never_loaded(campaign: Campaign, owner: User) -> None:
    unloaded = Campaign(pk=campaign.pk, name="Summer", owner=owner, created_at=campaign.created_at)
    unloaded.save(force_update=True)
    assert "campaign.updated.json" in topics()


@pytest.mark.parametrize("key", [7, UUID(int=7)])
def test_a_key_of_any_kind_becomes_text(db: None, key: object) -> None:
    with registry.isolated():
        publishes(Sample, Note, topic="sample.created.json", when=created, key=lambda _: key)
        capture.connect()
        change = Change("created", Sample(lane="a"), {})
        assert registry.publications[0].key_for(change) == str(key)


def test_a_value_is_written_in_the_format_of_its_topic(db: None, settings: Settings) -> None:
    settings.KAFKA_SCHEMA_REGISTRY_URL = "mock://capture"
    settings.KAFKA_TOPICS_FILE = ""
    with transaction.atomic():
        publish(Note(text="hello"), topic="note.written.avro", key=1)
        publish(Note(text="hello"), topic="note.written.json", key=1)
    avro, plain = OutboxEvent.objects.order_by("pk")
    assert avro.headers["content-type"] == "application/avro"
    assert bytes(avro.value) == b"\x00\x00\x00\x00\x01\x0ahello"
    assert plain.headers["content-type"] == "application/json"
    assert bytes(plain.value) == b'{"text":"hello"}'


def test_without_the_registry_nothing_is_saved(campaign: Campaign, settings: Settings) -> None:
    settings.KAFKA_SCHEMA_REGISTRY_URL = "http://127.0.0.1:1"
    settings.KAFKA_TOPICS_FILE = ""
    with pytest.raises(FormatUnavailable), transaction.atomic():
        Campaign.objects.filter(pk=campaign.pk).update(description="x")
        publish(Note(text="hello"), topic="note.gone.avro", key=1)
    campaign.refresh_from_db()
    assert campaign.description == ""
