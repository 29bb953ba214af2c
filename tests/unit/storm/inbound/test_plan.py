"""The inbound storm's plan depends on its seed alone."""

from __future__ import annotations

import pytest

from tests.storm.inbound.plan import PROCESSES, SERVICES, SESSION_SECONDS, draw


def test_a_seed_gives_the_same_storm_again() -> None:
    assert draw(7, 1_000, 30) == draw(7, 1_000, 30)
    assert draw(7, 1_000, 30) != draw(8, 1_000, 30)


@pytest.mark.parametrize("seed", range(20))
def test_thirty_faults_are_of_every_kind(seed: int) -> None:
    plan = draw(seed, 100_000, 30)
    assert {fault.kind for fault in plan.services} == set(SERVICES)
    assert {fault.kind for fault in plan.processes} == set(PROCESSES)


@pytest.mark.parametrize("seed", range(20))
def test_a_consumer_is_frozen_for_longer_than_its_session(seed: int) -> None:
    assert all(fault.seconds > SESSION_SECONDS for fault in draw(seed, 1_000, 30).processes)
