"""Leases: who holds which shard, by whose clock."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from kafka_integration.models import OutboxLease, OutboxSetup
from kafka_integration.outbox import leases as module
from kafka_integration.outbox.leases import Leases

pytestmark = pytest.mark.django_db


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "_now", found)
    return found


def let_all_expire() -> None:
    OutboxLease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def test_the_first_takes_every_shard_and_the_second_none() -> None:
    first, second = Leases("default", 30), Leases("default", 30)
    assert first.acquire()
    assert first.shards == list(range(16))
    assert not second.acquire()
    assert second.shards == []
    assert second.holder() == first.owner.rpartition(":")[0]


def test_there_are_as_many_leases_as_shards() -> None:
    OutboxSetup.objects.create(shard_count=3)
    first = Leases("default", 30)
    first.acquire()
    assert first.shards == [0, 1, 2]


def test_a_holder_is_named_by_host_and_process() -> None:
    first = Leases("default", 30)
    assert first.holder() == ""
    first.acquire()
    host, _, pid = first.holder().rpartition(":")
    assert host
    assert pid.isdecimal()


def test_each_tenure_has_its_own_name_and_epoch() -> None:
    first = Leases("default", 30)
    first.acquire()
    name = first.owner
    let_all_expire()
    assert not first.renew()
    first.lose()
    assert first.acquire()
    assert first.owner != name
    assert set(OutboxLease.objects.values_list("epoch", flat=True)) == {2}


def test_released_leases_are_free_at_once() -> None:
    first, second = Leases("default", 30), Leases("default", 30)
    first.acquire()
    first.release()
    assert not first.valid()
    assert second.acquire()
    assert len(second.shards) == 16


def test_expired_leases_are_free_and_no_longer_renewed() -> None:
    first, second = Leases("default", 30), Leases("default", 30)
    first.acquire()
    let_all_expire()
    assert not first.renew()
    assert first.holder() == ""
    assert second.acquire()
    first.release()
    assert second.renew(), "a late release of the first changes nothing of the second"


def test_renewal_extends_by_the_databases_clock() -> None:
    first = Leases("default", 30)
    first.acquire()
    OutboxLease.objects.update(expires_at=timezone.now() + timedelta(seconds=1))
    assert first.renew()
    least = timezone.now() + timedelta(seconds=25)
    assert OutboxLease.objects.filter(expires_at__gt=least).count() == 16


def test_one_lost_shard_fails_the_renewal() -> None:
    first = Leases("default", 30)
    first.acquire()
    OutboxLease.objects.filter(shard=3).update(owner="other:1:x")
    assert not first.renew()


def test_lock_returns_only_what_is_still_ours() -> None:
    first = Leases("default", 30)
    first.acquire()
    OutboxLease.objects.filter(shard=3).update(owner="other:1:x")
    OutboxLease.objects.filter(shard=5).update(expires_at=timezone.now() - timedelta(seconds=1))
    with transaction.atomic():
        assert first.lock() == [shard for shard in range(16) if shard not in (3, 5)]


def test_the_holder_gives_up_before_the_database_does(clock: Clock) -> None:
    first = Leases("default", 10)
    first.acquire()
    clock.now += 7.9
    assert first.valid()
    clock.now += 0.2
    assert not first.valid()


def test_renewal_is_due_after_a_third(clock: Clock) -> None:
    first = Leases("default", 9)
    first.acquire()
    assert not first.due()
    clock.now += 2.9
    assert not first.due()
    clock.now += 0.2
    assert first.due()
    first.renew()
    assert not first.due()


def test_the_deadline_counts_from_before_the_question(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Leases("default", 10)
    first.acquire()
    take_part = first._take_part

    def slow() -> None:
        take_part()
        clock.now += 9

    monkeypatch.setattr(first, "_take_part", slow)
    assert first.renew()
    assert not first.valid(), "the answer took longer than the lease"


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    assert module._now() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)
