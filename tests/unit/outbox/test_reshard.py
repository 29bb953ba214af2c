"""How many shards there are, and how that is changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kafka_integration.errors import ConfigurationError, OutboxNotEmpty
from kafka_integration.models import OutboxLease, OutboxQueue, OutboxSetup
from kafka_integration.outbox.leases import Leases
from kafka_integration.outbox.reshard import reshard
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.store import append
from tests.unit.outbox.conftest import new_event

pytestmark = pytest.mark.django_db


def test_writers_use_the_new_count() -> None:
    assert reshard(3) == 16
    assert reshard(5) == 3
    assert OutboxSetup.objects.get().shard_count == 5
    events = [new_event(key) for key in "abcdefgh"]
    append("default", events)
    shards = OutboxQueue.objects.order_by("position").values_list("shard", flat=True)
    assert list(shards) == [event.key_hash % 5 for event in events]


def test_it_is_refused_while_events_wait_and_says_how_many(
    queued: Callable[..., list[QueueRow]],
) -> None:
    queued("a", "b", "c")
    OutboxQueue.objects.filter(event__key="a").block()
    with pytest.raises(OutboxNotEmpty, match=r"wait \(3\).*kafka_relay --drain") as caught:
        reshard(4)
    assert caught.value.waiting == 3
    assert OutboxSetup.objects.shards() == 16


@pytest.mark.parametrize("shards", [0, -1, 1_025])
def test_a_count_that_cannot_be(shards: int) -> None:
    with pytest.raises(ConfigurationError, match="1 to 1,024 shards"):
        reshard(shards)


def test_relays_lose_the_shards_that_are_gone_and_nothing_else() -> None:
    relay = Leases("default", 30)
    relay.acquire()
    reshard(4)
    assert relay.renew(), "it is no loss"
    assert relay.shards == [0, 1, 2, 3]
    assert relay.surplus() == []


def test_relays_take_the_shards_that_are_new() -> None:
    relay = Leases("default", 30)
    relay.acquire()
    reshard(20)
    assert relay.renew()
    assert relay.acquire()
    assert relay.shards == list(range(20))


def test_epochs_never_go_back() -> None:
    relay = Leases("default", 30)
    relay.acquire()
    reshard(4)
    assert set(OutboxLease.objects.filter(shard__gte=4).values_list("owner", "epoch")) == {("", 2)}
    assert relay.renew()
    reshard(16)
    assert relay.renew()
    assert relay.acquire()
    assert set(OutboxLease.objects.filter(shard__gte=4).values_list("epoch", flat=True)) == {3}
