"""Sending events again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafka_integration.models import OutboxDelivery, OutboxEvent, OutboxQueue, Outcome
from kafka_integration.outbox.erasure import Erasure
from kafka_integration.outbox.replay import Forecast, forecast, replay
from kafka_integration.outbox.selection import Selection
from tests.unit.outbox.conftest import TOPIC

Stored = Callable[..., list[OutboxQueue]]
ALL = Selection(topics=(TOPIC,))


@pytest.fixture
def sent(stored: Stored) -> list[OutboxEvent]:
    """Five events that are out."""
    events = [row.event for row in stored(*"abcab")]
    OutboxQueue.objects.all().delete()
    for event in events:
        OutboxDelivery.objects.create(event=event, outcome=Outcome.SENT)
    return events


def waiting() -> list[int]:
    return list(OutboxQueue.objects.order_by("position").values_list("event_id", flat=True))


def test_in_the_order_of_their_storing_in_batches(sent: list[OutboxEvent]) -> None:
    steps = list(replay(ALL, batch_size=2))
    assert [step.done for step in steps] == [2, 4, 5]
    assert [step.last for step in steps] == [sent[1].pk, sent[3].pk, sent[4].pk]
    assert steps[-1].share == 1.0
    assert waiting() == [event.pk for event in sent]
    assert OutboxEvent.objects.count() == 5


def test_in_the_shard_and_unit_of_order_of_the_first_time(stored: Stored) -> None:
    [before] = stored("a")
    OutboxQueue.objects.all().delete()
    list(replay(ALL))
    after = OutboxQueue.objects.get()
    assert (after.shard, after.key_hash) == (before.shard, before.key_hash)
    assert not after.blocked
    assert after.attempts == 0


def test_what_waits_is_not_queued_twice(sent: list[OutboxEvent]) -> None:
    list(replay(Selection(event_ids=(sent[1].event_id,))))
    assert forecast(ALL) == Forecast(events=4, waiting=1, erased=0)
    [step] = replay(ALL)
    assert (step.done, step.left) == (4, 1)
    assert sorted(waiting()) == [event.pk for event in sent]


def test_what_is_erased_is_not_sent(sent: list[OutboxEvent]) -> None:
    list(Erasure(Selection(event_ids=(sent[0].event_id,))).run())
    assert forecast(ALL) == Forecast(events=4, waiting=0, erased=1)
    [step] = replay(ALL)
    assert (step.done, step.left) == (4, 1)
    assert waiting() == [event.pk for event in sent[1:]]


def test_as_new_makes_new_events_of_the_same_content_and_ends(sent: list[OutboxEvent]) -> None:
    steps = list(replay(ALL, as_new=True, batch_size=2))
    assert steps[-1].done == 5
    copies = list(OutboxEvent.objects.filter(pk__gt=sent[-1].pk).order_by("pk"))
    assert waiting() == [copy.pk for copy in copies]
    assert [(c.topic, c.key, bytes(c.value)) for c in copies] == [
        (e.topic, e.key, bytes(e.value)) for e in sent
    ]
    assert len({event.event_id for event in sent + copies}) == 10
    assert [copy.headers["ce_id"] for copy in copies] == [str(copy.event_id) for copy in copies]


def test_nothing_chosen_is_nothing_done(sent: list[OutboxEvent]) -> None:
    assert list(replay(Selection(topics=("sample.absent.json",)))) == []
    assert waiting() == []


def test_stopped_and_gone_on_it_sends_each_once(sent: list[OutboxEvent]) -> None:
    first = next(replay(ALL, batch_size=2))
    list(replay(Selection(topics=(TOPIC,), from_id=first.last + 1)))
    assert waiting() == [event.pk for event in sent]
