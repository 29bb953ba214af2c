"""Which events are meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from kafka_integration.models import OutboxHold, OutboxQueue
from kafka_integration.outbox.selection import Selection

Stored = Callable[..., list[OutboxQueue]]
OTHER = "sample.updated.json"


def keys(selection: Selection) -> list[tuple[str, str]]:
    found = selection.events("default").order_by("pk")
    return list(found.values_list("topic", "key"))


def test_what_is_given_applies_together(stored: Stored) -> None:
    stored("a", "b")
    [here, there] = stored("a", "b", topic=OTHER)
    assert len(keys(Selection())) == 4
    assert [key for _, key in keys(Selection(keys=("a",)))] == ["a", "a"]
    assert keys(Selection(keys=("a",), topics=(OTHER,))) == [(OTHER, "a")]
    assert keys(Selection(topics=(OTHER,), from_id=there.event_id)) == [(OTHER, "b")]
    assert keys(Selection(topics=(OTHER,), to_id=here.event_id)) == [(OTHER, "a")]
    assert keys(Selection(event_ids=(here.event.event_id,))) == [(OTHER, "a")]
    assert keys(Selection(event_ids=(here.event.event_id,), keys=("b",))) == []


def test_time_is_half_open(stored: Stored) -> None:
    noon = timezone.now()
    stored("a", created_at=noon - timedelta(seconds=1))
    stored("b", created_at=noon)
    assert [key for _, key in keys(Selection(to_time=noon))] == ["a"]
    assert [key for _, key in keys(Selection(from_time=noon))] == ["b"]


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({}, {"a", "b"}),
        ({"keys": ("a",)}, {"a"}),
        ({"topics": (OTHER,)}, set()),
    ],
)
def test_holds_by_key_and_topic(stored: Stored, given: dict[str, Any], held: set[str]) -> None:
    for row in stored("a", "b"):
        hold(row)
    found = Selection(**given).holds("default")
    assert set(found.values_list("key", flat=True)) == held


def test_the_hold_of_an_event_is_that_of_its_key(stored: Stored) -> None:
    [first, later, other] = stored("a", "a", "b")
    hold(first)
    hold(other)
    found = Selection(event_ids=(later.event.event_id,)).holds("default")
    assert list(found.values_list("key", flat=True)) == ["a"]


def hold(row: OutboxQueue) -> OutboxHold:
    event = row.event
    OutboxQueue.objects.of_key(event.topic, row.key_hash).block()
    return OutboxHold.objects.create(
        topic=event.topic, key_hash=row.key_hash, key=event.key, reason="too large"
    )
