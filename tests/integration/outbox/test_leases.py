"""Several relays on one outbox: how they share it, and how they end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.utils import timezone

from kafka_integration.database import is_outage
from kafka_integration.models import (
    OutboxDelivery,
    OutboxLease,
    OutboxQueue,
    OutboxRelay,
    OutboxSetup,
)
from kafka_integration.models.queue import key_hash
from kafka_integration.outbox.leases import Leases
from tests.integration.outbox.conftest import Watched, numbers_by_key

Relays = Callable[..., Watched]
Send = Callable[..., None]
Read = Callable[..., Any]
Eventually = Callable[..., None]

# Long enough that a busy machine loses none by accident.
STEADY = {"KAFKA_RELAY_LEASE_SECONDS": "6"}
# So long that whatever happens sooner did not wait for it.
LONG = {"KAFKA_RELAY_LEASE_SECONDS": "90"}
LANES = [f"lane-{number}" for number in range(30)]


def shares() -> dict[int, list[int]]:
    """Return the shards that each process holds, by its id."""
    held: dict[int, list[int]] = {}
    leases = OutboxLease.objects.exclude(owner="").order_by("shard")
    for owner, shard in leases.values_list("owner", "shard"):
        held.setdefault(process_of(owner), []).append(shard)
    return held


def process_of(owner: str) -> int:
    return int(owner.split(":")[-2])


def sizes(*relays: Watched) -> list[int]:
    """Return how many shards each of these relays holds, or nothing if others hold some too."""
    held = shares()
    if not held.keys() <= {relay.process.pid for relay in relays}:
        return []
    return [len(held.get(relay.process.pid, ())) for relay in relays]


@pytest.fixture
def first(relay: Relays, eventually: Eventually) -> Watched:
    """A relay that holds every shard."""
    running = relay(env=STEADY)
    eventually(lambda: sizes(running) == [16], what="the first relay holds all")
    return running


@pytest.fixture
def second(first: Watched, relay: Relays, eventually: Eventually) -> Watched:
    """A relay that shares with the first."""
    running = relay(env=STEADY)
    eventually(lambda: sizes(first, running) == [8, 8], what="two relays share")
    return running


@contextmanager
def frozen(relay: Watched) -> Iterator[None]:
    """Stop a process in its tracks for a while."""
    relay.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        relay.process.send_signal(signal.SIGCONT)


def test_shares_are_fair_whoever_comes_and_goes_and_then_stay(
    first: Watched, second: Watched, relay: Relays, eventually: Eventually
) -> None:
    third = relay(env=STEADY)
    eventually(lambda: sizes(first, second, third) == [6, 5, 5], what="three relays share")
    before = dict(OutboxLease.objects.values_list("shard", "epoch"))
    time.sleep(5)  # two renewals
    assert dict(OutboxLease.objects.values_list("shard", "epoch")) == before
    assert second.end(signal.SIGTERM) == 0
    eventually(lambda: sizes(first, third) == [8, 8], what="two are left")
    first.end(signal.SIGKILL)
    eventually(lambda: sizes(third) == [16], what="one is left")
    assert third.end(signal.SIGTERM) == 0
    assert shares() == {}
    # That of the killed one has run out, or the next relay forgets it.
    assert OutboxRelay.objects.living().count() == 0


def test_every_event_arrives_in_order_while_relays_come_leave_and_die(
    topic: str, send: Send, relay: Relays, read_topic: Read, eventually: Eventually
) -> None:
    over, written = threading.Event(), [0]

    def write() -> None:
        try:
            while not over.is_set():
                send(topic, [(lane, written[0]) for lane in LANES])
                written[0] += 1
                over.wait(0.05)
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        running = [relay("--batch-size", "40") for _ in range(3)]
        eventually(lambda: sorted(sizes(*running)) == [5, 5, 6], 60, "three relays share")
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            running.append(relay("--batch-size", "40"))
            eventually(lambda: len(shares()) >= 3, 60, "the next one has its share")
            running.pop(0).end(number, timeout=60)
            eventually(lambda: sorted(sizes(*running)) == [5, 5, 6], 60, "three share again")
    finally:
        over.set()
        writer.join(60)
    eventually(lambda: not OutboxQueue.objects.exists(), 60, "all of it is sent")
    records = read_topic(topic)
    assert numbers_by_key(records) == {lane: list(range(written[0])) for lane in LANES}
    assert written[0] > 20
    assert all(one.end(signal.SIGTERM, timeout=60) == 0 for one in running)


def test_after_a_clean_end_others_take_over_without_waiting_for_the_lease(
    relay: Relays, eventually: Eventually
) -> None:
    OutboxSetup.objects.create(shard_count=1)
    leading = relay(env=LONG)
    eventually(lambda: sizes(leading) == [1], what="it leads")
    standing_by = relay(env=LONG)
    line = standing_by.says("hold every shard; taking our share as soon as one is free")
    assert f":{leading.process.pid} among them" in line
    started = time.monotonic()
    assert leading.end(signal.SIGTERM) == 0
    eventually(lambda: sizes(standing_by) == [1], timeout=60, what="taken over")
    assert time.monotonic() - started < float(LONG["KAFKA_RELAY_LEASE_SECONDS"]) / 2


def test_what_a_killed_one_held_is_taken_over_when_its_leases_run_out(
    first: Watched,
    second: Watched,
    topic: str,
    send: Send,
    read_topic: Read,
    eventually: Eventually,
) -> None:
    epochs = dict(OutboxLease.objects.values_list("shard", "epoch"))
    lost = shares()[first.process.pid]
    first.end(signal.SIGKILL)
    send(topic, [("a", 1), ("b", 2), ("a", 3)])
    eventually(lambda: sizes(second) == [16], what="taken over")
    eventually(lambda: not OutboxQueue.objects.exists(), what="sent")
    assert numbers_by_key(read_topic(topic)) == {"a": [1, 3], "b": [2]}
    grown = dict(OutboxLease.objects.values_list("shard", "epoch"))
    assert grown == {s: epoch + (s in lost) for s, epoch in epochs.items()}


def test_a_paused_relay_changes_nothing_once_its_successor_leads(
    first: Watched,
    second: Watched,
    topic: str,
    send: Send,
    read_topic: Read,
    eventually: Eventually,
) -> None:
    with frozen(first):
        eventually(lambda: sizes(second) == [16], what="taken over")
        send(topic, [(lane, 0) for lane in LANES])
        eventually(lambda: not OutboxQueue.objects.exists(), what="sent")
    first.says("our leases have run out")
    eventually(lambda: sorted(sizes(first, second)) == [8, 8], what="they share again")
    assert len(read_topic(topic)) == len(LANES), "nobody sent anything twice"
    send(topic, [(lane, number) for number in range(1, 20) for lane in LANES])
    eventually(lambda: not OutboxQueue.objects.exists(), what="sent")
    assert numbers_by_key(read_topic(topic)) == {lane: list(range(20)) for lane in LANES}


@pytest.mark.parametrize("tampered", ["owner", "epoch"])
def test_a_relay_whose_lease_was_tampered_with_leaves_that_shard_alone(
    first: Watched,
    topic: str,
    send: Send,
    read_topic: Read,
    eventually: Eventually,
    tampered: str,
) -> None:
    stolen = key_hash(topic, LANES[0]) % 16
    lease = OutboxLease.objects.filter(shard=stolen)
    change: dict[str, Any] = {"owner": "thief:1:x"} if tampered == "owner" else {}
    lease.update(epoch=F("epoch") + 1, expires_at=timezone.now() + timedelta(days=1), **change)
    first.says("our leases have run out")
    send(topic, [(lane, number) for number in range(5) for lane in LANES])
    left = OutboxQueue.objects.exclude(shard=stolen)
    eventually(lambda: not left.exists(), what="the other shards go on")
    assert OutboxQueue.objects.count() % 5 == 0
    assert OutboxQueue.objects.filter(shard=stolen).count() >= 5
    held = {lane for lane in LANES if key_hash(topic, lane) % 16 == stolen}
    assert held.isdisjoint(numbers_by_key(read_topic(topic)))
    assert not OutboxDelivery.objects.filter(event__key__in=held).exists()

    lease.update(expires_at=timezone.now())
    eventually(lambda: not OutboxQueue.objects.exists(), what="nothing is lost")
    records = read_topic(topic)
    assert numbers_by_key(records) == {lane: list(range(5)) for lane in LANES}


def test_a_drain_beside_living_relays_ends_when_the_whole_outbox_is_empty(
    first: Watched, second: Watched, topic: str, send: Send, manage: Callable[..., Any]
) -> None:
    nothing = manage("kafka_relay", "--drain", "--timeout", "60", env=LONG)
    assert nothing.returncode == 0, nothing.stdout + nothing.stderr
    send(topic, [(lane, number) for number in range(100) for lane in LANES])
    drained = manage("kafka_relay", "--drain", "--timeout", "60", env=LONG)
    assert not OutboxQueue.objects.exists()
    assert drained.returncode == 0, drained.stdout + drained.stderr


def test_a_drain_says_which_relay_does_not_empty_its_shards(
    topic: str, send: Send, manage: Callable[..., Any]
) -> None:
    send(topic, [(lane, 0) for lane in LANES])
    shard = key_hash(topic, LANES[0]) % 16
    expiry = timezone.now() + timedelta(days=1)
    OutboxLease.objects.create(shard=shard, owner="idler:1:x", epoch=1, expires_at=expiry)
    drained = manage(
        "kafka_relay", "--drain", "--timeout", "90", env={"KAFKA_RELAY_LEASE_SECONDS": "2"}
    )
    assert drained.returncode == 1
    assert "Another relay, idler:1, holds shards of this outbox" in drained.stderr
    assert set(OutboxQueue.objects.values_list("shard", flat=True)) == {shard}
    assert OutboxQueue.objects.first() is not None
    assert OutboxLease.objects.exclude(owner="").count() == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_relay_with_success_and_frees_its_leases(
    first: Watched, number: signal.Signals
) -> None:
    assert first.end(number, timeout=15) == 0
    assert shares() == {}
    assert not OutboxRelay.objects.exists()
    assert "Relay ended." in first.lines[-1]


@pytest.mark.django_db(transaction=True)
def test_a_relay_that_is_paused_in_a_transaction_keeps_its_locks_for_a_while_only(
    eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka_integration.models.lease._MOST_IDLE", 1.0)
    paused, goes_on = Leases("default", 0.5), threading.Event()
    locked = threading.Event()
    outcome: list[bool] = []

    def pause() -> None:
        try:
            paused.acquire()
            with transaction.atomic():
                paused.lock()
                locked.set()
                goes_on.wait(60)
                OutboxLease.objects.exists()
        except DatabaseError as error:
            outcome.append(is_outage(error))
        finally:
            connections.close_all()

    thread = threading.Thread(target=pause)
    thread.start()
    try:
        assert locked.wait(30)
        successor = Leases("default", 30)
        eventually(lambda: successor.acquire() and len(successor.shards) == 16, what="taken over")
    finally:
        goes_on.set()
        thread.join(30)
    assert outcome == [True], "it takes that for an outage, and begins anew"
