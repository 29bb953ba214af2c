"""What a purge deletes, and what it must not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import Settings

from kafka_integration.models import (
    OutboxDelivery,
    OutboxEvent,
    OutboxQueue,
    Outcome,
)
from kafka_integration.outbox import purge as room
from kafka_integration.outbox.purge import purge
from kafka_integration.outbox.replay import replay
from kafka_integration.outbox.selection import Selection
from kafka_integration.outbox.store import append
from kafka_integration.step import Step
from kafka_integration.tasks import purge_outbox
from tests.unit.outbox.conftest import new_event

Stored = Callable[..., list[OutboxQueue]]
WEEK = timedelta(days=7)
# No closer to a week than the test may take.
DAYS = st.sampled_from([0.0, 1.0, 6.9, 7.0, 7.1, 20.0])


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def send(*rows: OutboxQueue, days: float = 8) -> None:
    for row in rows:
        OutboxQueue.objects.filter(pk=row.pk).delete()
        OutboxDelivery.objects.create(event=row.event, outcome=Outcome.SENT, at=days_ago(days))


def kept() -> list[str]:
    return list(OutboxEvent.objects.order_by("pk").values_list("key", flat=True))


def run() -> Step:
    steps = list(purge(WEEK))
    return steps[-1] if steps else Step(0)


def test_old_and_out_goes_with_its_deliveries(stored: Stored) -> None:
    old, young = stored("old", created_at=days_ago(8)), stored("young", created_at=days_ago(6))
    send(*old)
    send(*young, days=6)
    assert run().done == 1
    assert kept() == ["young"]
    assert [d.event.key for d in OutboxDelivery.objects.all()] == ["young"]


def test_the_unsent_stay_however_old(stored: Stored) -> None:
    stored("waits", created_at=days_ago(400))
    assert (run().done, run().left) == (0, 1)
    assert kept() == ["waits"]


def test_what_is_queued_again_stays(stored: Stored) -> None:
    send(*stored("again", created_at=days_ago(8)))
    list(replay(Selection(keys=("again",))))
    assert run().done == 0
    assert kept() == ["again"]
    assert OutboxDelivery.objects.count() == 1


def test_what_went_out_lately_stays_though_it_is_old(stored: Stored) -> None:
    send(*stored("late", created_at=days_ago(30)), days=1)
    assert run().done == 0
    assert kept() == ["late"]


def test_what_no_delivery_speaks_for_stays(stored: Stored) -> None:
    stored("lost", created_at=days_ago(8))
    OutboxQueue.objects.all().delete()
    assert run().done == 0
    assert kept() == ["lost"]


def test_the_unsent_do_not_stop_a_purge_in_small_batches(stored: Stored) -> None:
    rows = stored(*"abcdefgh", created_at=days_ago(8))
    send(*rows[1::2])
    steps = list(purge(WEEK, batch_size=3))
    assert [(step.done, step.left) for step in steps] == [(1, 2), (3, 3), (4, 4)]
    assert kept() == ["a", "c", "e", "g"]


def test_a_replay_between_the_choice_and_the_deletion_is_seen(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(*stored("again", created_at=days_ago(8)))
    choose = room._locked

    def choose_and_lose(using: str, pks: list[int], cutoff: datetime) -> list[int]:
        chosen = choose(using, pks, cutoff)
        list(replay(Selection(keys=("again",))))
        return chosen

    monkeypatch.setattr(room, "_locked", choose_and_lose)
    assert run().done == 0
    assert kept() == ["again"]
    assert OutboxDelivery.objects.count() == 1


def test_the_task_goes_by_the_setting(stored: Stored, settings: Settings) -> None:
    send(*stored("old", created_at=days_ago(8)))
    settings.KAFKA_OUTBOX_RETENTION_DAYS = 9
    assert purge_outbox() == 0
    settings.KAFKA_OUTBOX_RETENTION_DAYS = 7
    assert purge_outbox() == 1
    assert purge_outbox() == 0


class Anything(TestCase):
    """Whatever is in the outbox."""

    @given(
        st.lists(
            st.tuples(
                DAYS,  # since it was created
                st.booleans(),  # whether it is in the queue
                st.none() | DAYS,  # since its delivery
            ),
            max_size=12,
        ),
        st.integers(1, 5),
    )
    def test_exactly_what_is_old_and_out_goes(
        self, events: list[tuple[float, bool, float | None]], batch: int
    ) -> None:
        OutboxEvent.objects.all().delete()
        OutboxQueue.objects.all().delete()
        stay = set()
        for number, (created, waits, delivered) in enumerate(events):
            append("default", [new_event(str(number), created_at=days_ago(created))])
            row = OutboxQueue.objects.latest("position")
            if delivered is not None:
                OutboxDelivery.objects.create(
                    event=row.event, outcome=Outcome.SENT, at=days_ago(delivered)
                )
            if not waits:
                row.delete()
            if waits or delivered is None or delivered < 7 or created < 7:
                stay.add(str(number))
        list(purge(WEEK, batch_size=batch))
        assert set(kept()) == stay
