"""A storm's plan depends on its seed alone."""

from __future__ import annotations

import pytest

from tests.storm.outbound.plan import PROCESSES, SERVICES, draw
from tests.storm.plan import Plan
from tests.storm.tracks import BEAT_SECONDS, allowed


def test_a_seed_gives_the_same_storm_again() -> None:
    assert draw(7, 1_000, 30) == draw(7, 1_000, 30)
    assert draw(7, 1_000, 30) != draw(8, 1_000, 30)


@pytest.mark.parametrize("count", [0, 1, 2, 8, 30, 41])
def test_it_has_as_many_faults_as_asked_for(count: int) -> None:
    plan = draw(1, 1_000, count)
    assert len(plan.faults) == count
    assert [fault.at for fault in plan.faults] == sorted(fault.at for fault in plan.faults)
    assert all(fault.at < plan.seconds for fault in plan.faults)


@pytest.mark.parametrize("seed", range(20))
def test_thirty_faults_are_of_every_kind(seed: int) -> None:
    plan = draw(seed, 100_000, 30)
    assert {fault.kind for fault in plan.services} == set(SERVICES)
    assert {fault.kind for fault in plan.processes} == set(PROCESSES)


@pytest.mark.parametrize("seed", range(20))
def test_a_relay_is_frozen_for_longer_than_a_lease(seed: int) -> None:
    assert all(fault.seconds > 3.0 for fault in draw(seed, 1_000, 30).faults)


def test_a_hundred_thousand_events_take_minutes() -> None:
    plan = draw(1, 100_000, 30)
    assert 100 < plan.seconds < 240
    assert plan.deadline > plan.seconds
    assert plan.burst(4) * plan.beats * 4 >= plan.events


def test_writers_may_write_a_burst_at_each_beat() -> None:
    plan = Plan(1, 400, (), (), beats=5)
    assert plan.burst(4) == 22
    begins = [allowed(beat * BEAT_SECONDS, plan.burst(4)) for beat in range(3)]
    assert begins == [22, 44, 66]
    assert allowed(BEAT_SECONDS * 0.9, plan.burst(4)) == 22
