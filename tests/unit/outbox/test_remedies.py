"""What operators do about events that do not go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxQueue, Outcome
from kafka_integration.outbox import remedies
from kafka_integration.outbox.remedies import culprits, discard, retry, unsent
from kafka_integration.outbox.selection import Selection
from kafka_integration.step import Step
from tests.unit.outbox.conftest import TOPIC
from tests.unit.outbox.test_selection import hold

Stored = Callable[..., list[OutboxQueue]]


def run(steps: Iterable[Step]) -> int:
    return max((step.done for step in steps), default=0)


def left() -> list[str]:
    return list(OutboxQueue.objects.order_by("position").values_list("event__key", flat=True))


def blocked() -> list[str]:
    rows = OutboxQueue.objects.filter(blocked=True).order_by("position")
    return list(rows.values_list("event__key", flat=True))


@pytest.fixture
def held(stored: Stored) -> list[OutboxQueue]:
    """Two keys of three events each that are held, and one that is not."""
    rows = stored(*"abcabcabc")
    hold(rows[0])
    hold(rows[1])
    return rows


def test_retry_releases_what_is_meant_and_nothing_else(held: list[OutboxQueue]) -> None:
    assert run(retry(Selection(keys=("a",)))) == 1
    assert blocked() == ["b", "b", "b"]
    assert run(retry(Selection(keys=("a",)))) == 0
    assert run(retry(Selection())) == 1
    assert blocked() == []


def test_discarding_culprits_lets_what_is_behind_them_go(held: list[OutboxQueue]) -> None:
    assert run(discard(culprits(Selection()))) == 2
    assert left() == list("cabcabc")
    assert blocked() == []
    assert not OutboxHold.objects.exists()
    outcomes = OutboxDelivery.objects.values_list("event", "outcome")
    assert dict(outcomes) == {row.event_id: Outcome.DISCARDED for row in held[:2]}


def test_discarding_a_key_takes_all_of_it_and_its_hold(held: list[OutboxQueue]) -> None:
    assert run(discard(unsent(Selection(topics=(TOPIC,), keys=("a",))))) == 3
    assert left() == list("bcbcbc")
    assert [found.key for found in OutboxHold.objects.all()] == ["b"]
    assert blocked() == ["b", "b", "b"]


def test_discarding_an_event_behind_a_held_one_keeps_the_hold(held: list[OutboxQueue]) -> None:
    assert run(discard(unsent(Selection(event_ids=(held[3].event.event_id,))))) == 1
    assert blocked() == list("abbab")
    assert OutboxHold.objects.count() == 2


def test_a_key_stays_held_until_all_of_it_is_gone(
    held: list[OutboxQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedies, "_BATCH", 1)
    held_after = []
    for _ in discard(unsent(Selection(keys=("a",)))):
        held_after.append(OutboxHold.objects.filter(key="a").exists())
        assert not OutboxQueue.objects.sendable().filter(event__key="a").exists()
    assert held_after == [True, True, False]


def test_an_event_that_is_out_is_not_discarded(held: list[OutboxQueue]) -> None:
    out = held[2]
    out.delete()
    assert run(discard(unsent(Selection(event_ids=(out.event.event_id,))))) == 0
    assert not OutboxDelivery.objects.exists()
