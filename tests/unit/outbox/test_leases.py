"""Leases: who holds which shard, by whose clock."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from kafka_integration.models import OutboxLease, OutboxRelay, OutboxSetup
from kafka_integration.models.lease import OutboxLeaseQuerySet
from kafka_integration.outbox import leases as module
from kafka_integration.outbox.leases import Leases, fair_share

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
    past = timezone.now() - timedelta(seconds=1)
    OutboxLease.objects.update(expires_at=past)
    OutboxRelay.objects.update(expires_at=past)


def settle(*relays: Leases, clock: Clock) -> list[int]:
    """Let relays that have nothing under way do what they do between batches, a few times."""
    for _ in range(3):
        clock.now += 1
        for relay in relays:
            assert not relay.shards or relay.renew()
            relay.give_up(relay.surplus())
            relay.acquire()
    return [len(relay.shards) for relay in relays]


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


class TestFairness:
    @pytest.mark.parametrize("shards", [1, 5, 16])
    @pytest.mark.parametrize("relays", [1, 2, 3, 7, 20])
    def test_shares_make_up_all_shards_and_differ_by_one_at_most(
        self, shards: int, relays: int
    ) -> None:
        shares = [fair_share(shards, relays, rank) for rank in range(relays)]
        assert sum(shares) == shards
        assert max(shares) - min(shares) <= 1

    def test_relays_come_and_go(self, clock: Clock) -> None:
        first, second, third = (Leases("default", 30) for _ in range(3))
        assert settle(first, clock=clock) == [16]
        assert settle(first, second, clock=clock) == [8, 8]
        assert settle(first, second, third, clock=clock) == [6, 5, 5]
        second.release()
        assert settle(first, third, clock=clock) == [8, 8]
        third.release()
        assert settle(first, clock=clock) == [16]

    def test_what_is_fair_stays_as_it_is(self, clock: Clock) -> None:
        relays = [Leases("default", 30) for _ in range(3)]
        settle(*relays, clock=clock)
        before = dict(OutboxLease.objects.values_list("shard", "epoch"))
        settle(*relays, clock=clock)
        assert dict(OutboxLease.objects.values_list("shard", "epoch")) == before

    def test_one_too_many_stands_by(self, clock: Clock) -> None:
        OutboxSetup.objects.create(shard_count=2)
        first, second, third = (Leases("default", 30) for _ in range(3))
        assert settle(first, second, third, clock=clock) == [1, 1, 0]
        assert not third.acquire()
        first.release()
        assert third.acquire()

    def test_the_dead_have_no_share(self, clock: Clock) -> None:
        first, second = Leases("default", 30), Leases("default", 30)
        settle(first, second, clock=clock)
        past = timezone.now() - timedelta(seconds=1)
        OutboxLease.objects.filter(owner=second.owner).update(expires_at=past)
        OutboxRelay.objects.filter(owner=second.owner).update(expires_at=past)
        assert settle(first, clock=clock) == [16]
        assert OutboxRelay.objects.get().owner == first.owner
        assert not second.renew()

    def test_it_hands_over_the_highest_and_keeps_the_rest(self, clock: Clock) -> None:
        first, second = Leases("default", 30), Leases("default", 30)
        first.acquire()
        second.acquire()
        assert first.surplus() == [], "not before it has seen the other"
        first.renew()
        assert first.surplus() == list(range(8, 16))
        first.give_up(first.surplus())
        assert first.shards == list(range(8))
        assert first.surplus() == []
        assert first.renew()
        assert first.valid()

    def test_it_looks_for_more_only_now_and_then(self, clock: Clock) -> None:
        first, second = Leases("default", 30), Leases("default", 30)
        settle(first, second, clock=clock)
        first.release()
        assert second.acquire()
        assert len(second.shards) == 8
        clock.now += 0.3
        assert second.acquire()
        assert len(second.shards) == 16

    def test_a_presence_that_was_wiped_is_announced_anew(self, clock: Clock) -> None:
        first = Leases("default", 30)
        first.acquire()
        OutboxRelay.objects.all().delete()
        assert first.renew()
        assert OutboxRelay.objects.get().owner == first.owner

    def test_a_new_tenure_leaves_no_second_presence(self) -> None:
        first = Leases("default", 30)
        first.acquire()
        first.lose()
        first.acquire()
        assert OutboxRelay.objects.get().owner == first.owner
        first.release()
        assert not OutboxRelay.objects.exists()


class TestFences:
    @pytest.mark.parametrize(
        "tampered",
        [{"owner": "other:1:x"}, {"epoch": 7}, {"expires_at": None}],
        ids=["owner", "epoch", "expiry"],
    )
    def test_a_lock_compares_owner_epoch_and_expiry(self, tampered: dict[str, object]) -> None:
        first = Leases("default", 30)
        first.acquire()
        OutboxLease.objects.filter(shard=3).update(**tampered)
        with transaction.atomic():
            assert first.lock() == [shard for shard in range(16) if shard != 3]
        assert first.due(), "what it lost is to be noticed now"
        assert not first.valid()
        assert not first.renew()

    def test_what_is_handed_over_while_it_is_locked_is_no_loss(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = Leases("default", 30)
        first.acquire()
        lock = OutboxLeaseQuerySet.lock

        def hand_over(leases: OutboxLeaseQuerySet) -> list[int]:
            monkeypatch.undo()
            first.give_up([3])
            return lock(leases)

        monkeypatch.setattr(OutboxLeaseQuerySet, "lock", hand_over)
        with transaction.atomic():
            assert 3 not in first.lock()
        assert first.valid()

    def test_ours_that_ran_out_is_not_taken_again_unnoticed(self, clock: Clock) -> None:
        first, second = Leases("default", 30), Leases("default", 30)
        settle(first, second, clock=clock)
        past = timezone.now() - timedelta(seconds=1)
        OutboxLease.objects.filter(shard=first.shards[0]).update(expires_at=past)
        second.release()
        clock.now += 1
        first.acquire()
        assert len(first.shards) == 16
        assert not first.renew()

    def test_epochs_grow_with_each_change_of_owner(self, clock: Clock) -> None:
        first, second = Leases("default", 30), Leases("default", 30)
        settle(first, second, clock=clock)
        epochs = dict(OutboxLease.objects.values_list("shard", "epoch"))
        assert epochs == {shard: 1 if shard < 8 else 2 for shard in range(16)}
        first.release()
        assert dict(OutboxLease.objects.values_list("shard", "epoch")) == epochs
