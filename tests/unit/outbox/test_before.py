"""What a row held before a save, whoever asked for it: a question of its own, or the update."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.signals import post_save, pre_save
from pytest_django import DjangoAssertNumQueries

from kafka_integration import Change, EventData, publishes, satisfies
from kafka_integration.events.registry import registry
from kafka_integration.outbox import capture
from kafka_integration.outbox.before import Before
from mediajira.campaigns.models import Campaign


class Seen(EventData):
    """Which campaign it was."""

    name: str


Changes = list[Change]


@pytest.fixture
def campaign(db: None) -> Campaign:
    owner = User.objects.create_user("ada")
    return Campaign.objects.create(name="Spring", owner=owner, budget=Decimal("10.00"))


@pytest.fixture
def changes(campaign: Campaign) -> Iterator[Changes]:
    """What a condition is asked about; it asks for a name and a budget."""
    seen: Changes = []

    def look(change: Change) -> bool:
        seen.append(change)
        return True

    with registry.isolated():
        when = satisfies(look, fields=("name", "budget"))
        publishes(Campaign, Seen, topic="sample.seen.json", when=when)
        capture.connect()
        yield seen


@pytest.fixture
def receiving() -> Iterator[Callable[..., None]]:
    """Connect receivers of the application's own, for one test."""
    found: list[tuple[Any, Any]] = []

    def connect(signal: Any, receiver: Callable[..., None]) -> None:
        signal.connect(receiver, sender=Campaign, weak=False)
        found.append((signal, receiver))

    yield connect
    for signal, receiver in found:
        signal.disconnect(receiver, sender=Campaign)


def test_an_update_costs_one_statement_more(
    campaign: Campaign, changes: Changes, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    postgresql = connection.vendor == "postgresql"
    campaign.name = "Summer"
    with transaction.atomic(), django_assert_num_queries(2 if postgresql else 5):
        campaign.save()
    assert [change.before for change in changes] == [{"name": "Spring", "budget": Decimal(10)}]


def test_the_fields_own_conversions_are_done(campaign: Campaign, changes: Changes) -> None:
    campaign.save()
    [change] = changes
    assert isinstance(change.before["budget"], Decimal)
    assert not change.differs("budget")


def test_what_a_receiver_writes_first_does_not_hide_the_old_value(
    campaign: Campaign, changes: Changes, receiving: Callable[..., None]
) -> None:
    def write(instance: Campaign, **_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE campaigns_campaign SET name = %s", ["by hand"])

    receiving(pre_save, write)
    campaign.name = "Summer"
    campaign.save()
    assert [change.before["name"] for change in changes] == ["Spring"]


def test_a_receiver_that_saves_another_row_first_is_told_apart(
    campaign: Campaign, changes: Changes, receiving: Callable[..., None]
) -> None:
    other = Campaign.objects.create(name="Other", owner=campaign.owner)
    changes.clear()

    def save_other(instance: Campaign, **_: Any) -> None:
        if instance is campaign:
            other.name = "Another"
            other.save()

    receiving(pre_save, save_other)
    campaign.name = "Summer"
    campaign.save()
    found = [(change.before["name"], change.instance.name) for change in changes]
    assert found == [("Other", "Another"), ("Spring", "Summer")]


def test_a_receiver_that_saves_the_same_row_first_is_told_as_well(
    campaign: Campaign, changes: Changes, receiving: Callable[..., None]
) -> None:
    def save_same(instance: Campaign, **_: Any) -> None:
        if instance is campaign:
            same = Campaign.objects.get(pk=campaign.pk)
            same.name = "In between"
            same.save()

    receiving(pre_save, save_same)
    campaign.name = "Summer"
    campaign.save()
    found = [(change.before["name"], change.instance.name) for change in changes]
    assert found == [("Spring", "In between"), ("Spring", "Summer")]


def test_an_instance_can_be_pickled_and_copied_while_it_is_saved(
    campaign: Campaign, changes: Changes, receiving: Callable[..., None]
) -> None:
    copies: list[Campaign] = []

    def keep(instance: Campaign, **_: Any) -> None:
        if instance is campaign:
            copies.append(pickle.loads(pickle.dumps(instance)))
            copies.append(copy.deepcopy(instance))

    receiving(pre_save, keep)
    receiving(post_save, keep)
    campaign.name = "Summer"
    campaign.save()
    changes.clear()
    for number, found in enumerate(copies):
        found.name = str(number)
        found.save()
    assert [change.before["name"] for change in changes] == ["Summer", "0", "1", "2"]


def test_a_row_that_is_gone_is_told_as_created(campaign: Campaign, changes: Changes) -> None:
    Campaign.objects.filter(pk=campaign.pk)._raw_delete("default")
    changes.clear()
    campaign.save()
    assert [(change.kind, dict(change.before)) for change in changes] == [("created", {})]


def test_without_an_update_the_row_is_asked(campaign: Campaign, changes: Changes) -> None:
    with transaction.atomic():
        before = Before(campaign, "default")
        with before:
            pass
        assert before.of(Campaign) == {"name": "Spring", "budget": Decimal(10)}
