"""How an exactly-once relay tries the rows of shards whose last owners died."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from kafka_integration.errors import RelaysDied
from kafka_integration.models import OutboxLease, OutboxManifest, OutboxQueue
from kafka_integration.models.queue import HANDED_OVER, HANDED_OVER_TOGETHER
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.load import Load
from kafka_integration.outbox.probation import Probation
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.tenure import Stage, Tenure
from kafka_integration.outbox.tenures import Tenures

Queued = Callable[..., list[QueueRow]]


class Court:
    """A relay's shards, all of them ready, some of them suspected."""

    def __init__(self, *suspected: int, accused: int = 10**9) -> None:
        OutboxLease.objects.ensure(16)
        OutboxLease.objects.filter(shard__in=suspected).update(crashes=2)
        self.leases = Leases("default", 60)
        assert self.leases.acquire()
        self.tenures = Tenures("default", self.leases)
        self.tenures.keep_to_leases()
        self.probation = Probation(self.tenures, self.leases)
        for tenure in self.tenures:
            tenure.enter(Stage.READY)
            if accused and tenure.shard in suspected:
                tenure.manifest = OutboxManifest(shard=tenure.shard, batch=1, positions=[accused])

    def turn(self) -> list[int]:
        """Return the shards whose turn it is."""
        ready = self.tenures.at(Stage.READY)
        return [tenure.shard for tenure in self.probation.turn(ready)]

    def of(self, shard: int) -> Tenure:
        [tenure] = [tenure for tenure in self.tenures if tenure.shard == shard]
        return tenure


pytestmark = pytest.mark.django_db


def test_without_a_death_all_go_at_once_and_nothing_is_asked(
    django_assert_num_queries: Any,
) -> None:
    court = Court()
    with django_assert_num_queries(0):
        assert court.turn() == list(range(16))


def test_a_suspected_shard_and_the_others_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("kafka_integration.outbox.probation.time.monotonic", lambda: now)
    court = Court(3, 5)
    others = [shard for shard in range(16) if shard not in (3, 5)]
    assert [court.turn(), court.turn()] == [[3], [3]]
    now += 0.3
    assert [court.turn(), court.turn()] == [others, others]
    now += 0.3
    assert court.turn() == [3]


def test_what_had_nothing_under_way_when_its_owner_died_is_acquitted() -> None:
    court = Court(3, accused=0)
    assert court.turn() == list(range(16))
    assert court.leases.suspected() == []


def test_a_suspected_shard_without_work_holds_nobody_up() -> None:
    court = Court(3)
    court.of(3).enter(Stage.NEW)
    court.of(7).enter(Stage.SENDING)
    assert len(court.turn()) == 14


def test_nothing_is_begun_while_anything_is_on_its_way() -> None:
    court = Court(3)
    court.of(7).enter(Stage.SENDING)
    assert court.turn() == []


def test_where_nothing_waits_nothing_can_have_killed() -> None:
    court = Court(3, 5)
    court.turn()
    court.probation.acquit([court.of(3), court.of(4)])
    assert court.leases.suspected() == [5]
    assert OutboxLease.objects.get(shard=3).crashes == 0


def test_a_mark_is_taken_back_when_the_answer_is_there_or_late(queued: Queued) -> None:
    [row] = queued("a")
    court = Court(row.shard)
    tenure = court.of(row.shard)
    for stage, age in [(Stage.SENDING, 4.0), (Stage.NEW, 0.0)]:
        court.turn()
        court.probation.mark([tenure], {row.shard: Load([row])})
        tenure.tried = [row.position]
        tenure.enter(Stage.SENDING)
        court.turn()
        assert OutboxQueue.objects.get().last_error == HANDED_OVER, "it is on its way"
        tenure.enter(stage)
        tenure.since = time.monotonic() - age
        court.turn()
        assert (OutboxQueue.objects.get().attempts, tenure.tried) == (0, [])


def test_only_rows_of_suspected_shards_are_marked(queued: Queued) -> None:
    [row] = queued("a")
    court = Court()
    court.turn()
    court.probation.mark([court.of(row.shard)], {row.shard: Load([row])})
    assert OutboxQueue.objects.get().attempts == 0


def test_a_row_that_three_relays_died_of_is_refused(queued: Queued) -> None:
    [row] = queued("a")
    court = Court(row.shard)
    court.turn()
    tenure, probation = court.of(row.shard), court.probation
    queue = OutboxQueue.objects.filter(pk=row.position)
    for _ in range(2):
        queue.try_out()
    assert probation.verdict(tenure, Load([row])).rows == [row]
    queue.try_out()
    found = probation.verdict(tenure, Load([row]))
    [(refused, error)] = found.refused
    assert (found.rows, refused, found.behind) == ((), row, [row])
    assert isinstance(error, RelaysDied)
    assert error.deaths == 3


def test_attempts_of_another_kind_are_no_deaths(queued: Queued) -> None:
    [row] = queued("a")
    OutboxQueue.objects.update(attempts=9, last_error="too large")
    court = Court(row.shard)
    court.turn()
    assert court.probation.verdict(court.of(row.shard), Load([row])).rows == [row]


def test_after_the_rows_that_were_under_way_all_is_well(queued: Queued) -> None:
    rows = queued("a", "a")
    court = Court(rows[0].shard, accused=rows[0].position)
    court.turn()
    tenure = court.of(rows[0].shard)
    assert court.probation.narrow(tenure, [rows[0]]) == [rows[0]]
    assert tenure.on_trial
    assert court.probation.narrow(tenure, [rows[1]]) == [rows[1]]
    assert not tenure.on_trial
    assert court.leases.suspected() == []


def test_what_a_relay_died_of_together_goes_one_by_one(queued: Queued) -> None:
    rows = queued("a", "a", "a", "a")
    court = Court(rows[0].shard)
    court.turn()
    tenure, probation = court.of(rows[0].shard), court.probation
    assert probation.narrow(tenure, rows) == rows
    probation.mark([tenure], {tenure.shard: Load(rows[1:3])})
    marks = OutboxQueue.objects.order_by("position").values_list("attempts", "last_error")
    assert list(marks) == [(0, ""), (0, HANDED_OVER_TOGETHER), (0, HANDED_OVER_TOGETHER), (0, "")]
    assert probation.narrow(tenure, rows) == rows[:1]
    assert probation.narrow(tenure, rows[1:]) == rows[1:2]
    assert probation.narrow(tenure, rows[3:]) == rows[3:]


def test_groups_grow_while_they_are_survived_and_the_shard_is_suspected(queued: Queued) -> None:
    [row] = queued("a")
    court = Court(row.shard)
    court.turn()
    tenure = court.of(row.shard)
    sizes = []
    for _ in range(8):
        sizes.append(tenure.number)
        tenure.went_well()
    assert sizes == [1, 2, 4, 8, 16, 32, 64, 64]
    court.probation.acquit([tenure])
    tenure.went_well()
    assert tenure.number == 1
