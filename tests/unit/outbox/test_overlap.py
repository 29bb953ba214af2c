"""Errors of statements whose answers nobody waited for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError, connection, transaction
from typing_extensions import Self

from kafka_integration import Change, EventData, created, publishes, satisfies
from kafka_integration.events.conditions import Condition
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent
from kafka_integration.outbox import bulk_insert, capture
from kafka_integration.outbox.overlap import overlapping
from mediajira.campaigns.models import Campaign

# On SQLite there is nothing to overlap, and nothing divides by zero.
_LATE = "SELECT 1 / length(pg_sleep(0.2)::text)"


@pytest.mark.django_db(transaction=True)
def test_an_error_that_comes_late_is_djangos_and_ends_the_transaction() -> None:
    if connection.vendor != "postgresql":
        with transaction.atomic(), overlapping("default") as does_overlap:
            assert not does_overlap
        return
    with pytest.raises(DataError), transaction.atomic():
        with overlapping("default"), connection.cursor() as cursor:
            cursor.execute(_LATE)
        pytest.fail("the block ended as if nothing had happened")


def number_of_campaigns(*_: object) -> int:
    """Ask by a server-side cursor, which psycopg has not in its pipeline mode."""
    return len(list(Campaign.objects.order_by("pk").iterator()))


class Told(EventData):
    """What a campaign is called."""

    name: str


class Counted(EventData):
    """How many campaigns there are."""

    count: int

    @classmethod
    def from_instance(cls, change: Change) -> Self:
        return cls(count=number_of_campaigns())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("contract", "when", "options"),
    [
        (Counted, created, {}),
        (Told, satisfies(lambda change: number_of_campaigns() == 3), {}),
        (Told, created, {"key": number_of_campaigns}),
    ],
)
def test_code_of_the_projects_own_may_ask_what_a_pipeline_refuses(
    contract: type[EventData], when: Condition, options: dict[str, Any]
) -> None:
    create_three(contract, when, **options)
    assert OutboxEvent.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_field_of_the_projects_own_may_ask_what_a_pipeline_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = Campaign._meta.get_field("name")

    class Numbered(type(name)):  # type: ignore[misc]  # whatever field it is
        def pre_save(self, model_instance: Any, add: bool) -> Any:
            return f"{number_of_campaigns()} before"

    monkeypatch.setattr(name, "__class__", Numbered)
    create_three(Told, created)
    assert set(Campaign.objects.values_list("name", flat=True)) == {"0 before"}


@pytest.mark.django_db
def test_what_the_rows_alone_tell_is_stored_in_a_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    @contextmanager
    def watched(using: str) -> Iterator[bool]:
        with overlapping(using) as does_overlap:
            seen.append(does_overlap)
            yield does_overlap

    monkeypatch.setattr(bulk_insert, "overlapping", watched)
    create_three(Told, created)
    assert seen == [connection.vendor == "postgresql"]


def create_three(contract: type[EventData], when: Condition, **options: Any) -> None:
    owner = User.objects.create_user("ada")
    with registry.isolated():
        publishes(Campaign, contract, topic="sample.told.json", when=when, **options)
        capture.connect()
        Campaign.objects.bulk_create(Campaign(name=str(n), owner=owner) for n in range(3))
