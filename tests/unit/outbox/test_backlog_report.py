"""What waits, and who sends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from kafka_integration.models import OutboxDelivery, OutboxQueue, OutboxSetup, Outcome
from kafka_integration.outbox import backlog_report as room
from kafka_integration.outbox.backlog_report import Count, backlog_report
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.reshard import reshard
from tests.unit.outbox.conftest import TOPIC
from tests.unit.outbox.test_selection import hold

Stored = Callable[..., list[OutboxQueue]]
OTHER = "sample.updated.json"


def test_by_topic_with_what_is_held_and_what_is_for_later(stored: Stored) -> None:
    old = timezone.now() - timedelta(hours=3)
    due = timezone.now() + timedelta(hours=1)
    [first, *_] = stored("a", "a", "b", created_at=old)
    stored("c", topic=OTHER, available_at=due)
    hold(first)
    report = backlog_report()
    assert report.queued == Count(4)
    [one, other] = report.by_topic
    assert (one.name, one.events, one.held, one.later, one.oldest) == (TOPIC, 3, 2, 0, old)
    assert (other.name, other.events, other.held, other.later) == (OTHER, 1, 0, 1)
    assert report.next_due == due
    [held] = report.holds
    assert (held.key, held.reason, held.behind) == ("a", "too large", 2)


def test_by_shard(stored: Stored) -> None:
    rows = stored(*"abcdefgh")
    found = {group.name: group.events for group in backlog_report().by_shard}
    assert found == {s: sum(r.shard == s for r in rows) for s in {r.shard for r in rows}}


def test_who_holds_which_lease_until_when(db: None) -> None:
    assert backlog_report().leases == ()
    leases = Leases("default", 30)
    leases.acquire()
    found = backlog_report().leases
    assert {lease.owner for lease in found} == {leases.holder()}
    assert all(lease.seconds is not None and 20 < lease.seconds <= 30 for lease in found)
    leases.release()
    assert {(lease.owner, lease.seconds) for lease in backlog_report().leases} == {("", None)}


def test_which_relays_are_alive_with_their_shards(db: None) -> None:
    OutboxSetup.objects.create(shard_count=1)
    first, second = Leases("default", 30), Leases("default", 30)
    first.acquire()
    second.acquire()
    assert [relay.shards for relay in backlog_report().relays] == [(0,), ()]
    assert backlog_report().relays[0].name == first.holder()
    first.release()
    second.release()
    assert backlog_report().relays == ()


def test_shards_that_a_smaller_outbox_no_longer_has_are_left_out(db: None) -> None:
    Leases("default", 30).acquire()
    reshard(2)
    assert [lease.shard for lease in backlog_report().leases] == [0, 1]


def test_what_became_of_events(stored: Stored) -> None:
    outcomes = (Outcome.SENT, Outcome.SENT, Outcome.DISCARDED)
    for row, outcome in zip(stored(*"abc"), outcomes, strict=True):
        OutboxDelivery.objects.create(event=row.event, outcome=outcome)
    report = backlog_report()
    assert (report.sent, report.discarded, report.events) == (Count(2), Count(1), Count(3))


def test_nothing_is_counted_past_the_bound(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BOUND", 3)
    for row in stored(*"abcde"):
        OutboxDelivery.objects.create(event=row.event, outcome=Outcome.SENT)
    report = backlog_report()
    assert report.queued.kind != "exact"
    assert sum(group.events for group in report.by_topic) == 3
    assert report.sent.kind == "at least"


def test_an_empty_outbox(db: None) -> None:
    report = backlog_report()
    assert report.queued == Count(0)
    assert (report.by_topic, report.by_shard, report.holds, report.next_due) == ((), (), (), None)
