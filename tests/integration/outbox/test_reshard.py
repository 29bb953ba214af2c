"""The shard count is changed beside writers and relays, on real PostgreSQL."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from kafka_integration.database import is_contention
from kafka_integration.errors import OutboxInUse
from kafka_integration.models import OutboxLease, OutboxQueue, OutboxSetup
from kafka_integration.models.queue import key_hash
from kafka_integration.outbox import reshard as room
from kafka_integration.outbox.replay import replay
from kafka_integration.outbox.reshard import reshard
from kafka_integration.outbox.selection import Selection
from tests.integration.outbox.conftest import Watched, numbers_by_key
from tests.integration.outbox.test_leases import LANES, sizes

pytestmark = pytest.mark.django_db(transaction=True)

Send = Callable[..., None]
Eventually = Callable[..., None]


class Aside:
    """Something that another connection does meanwhile, with what became of it."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.error: Exception | None = None
        self._act = act
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._act()
        except Exception as error:  # noqa: BLE001  # the test's own thread looks at it
            self.error = error
        finally:
            connections.close_all()


@pytest.fixture
def while_it_is_locked(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> Iterator[Callable[[Callable[[], Any]], list[Aside]]]:
    """Let something else begin, and wait for us, between the lock and the change of the count."""
    begun: list[Aside] = []

    def arrange(act: Callable[[], Any]) -> list[Aside]:
        lock = room._lock

        def lock_then_act(using: str) -> None:
            lock(using)
            begun.append(Aside(act))
            eventually(waits_for_the_queue, 30, "it waits for the lock")

        monkeypatch.setattr(room, "_lock", lock_then_act)
        return begun

    yield arrange
    for aside in begun:
        aside.join()


def waits_for_the_queue() -> bool:
    # Not pg_stat_activity, which shows the same all through a transaction.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks "
            "WHERE relation = 'kafka_outbox_queue'::regclass AND NOT granted"
        )
        return bool(cursor.fetchone()[0])


def homes(topic: str, shards: int) -> bool:
    """Tell whether all that is queued for a topic is in the shard of its key."""
    rows = OutboxQueue.objects.filter(event__topic=topic).values_list("shard", "event__key")
    return all(shard == key_hash(topic, key) % shards for shard, key in rows)


@pytest.mark.parametrize("before", [16, 64])
def test_a_writer_that_waits_for_it_uses_the_new_count(
    topic: str, send: Send, while_it_is_locked: Any, before: int
) -> None:
    OutboxSetup.objects.create(shard_count=before)
    begun = while_it_is_locked(lambda: send(topic, [(lane, 0) for lane in LANES]))
    assert reshard(31) == before
    begun[0].join()
    assert begun[0].error is None
    assert OutboxQueue.objects.count() == len(LANES)
    assert homes(topic, 31)


def test_a_replay_that_waits_for_it_uses_the_new_count(
    topic: str, send: Send, while_it_is_locked: Any
) -> None:
    send(topic, [(lane, 0) for lane in LANES])
    OutboxQueue.objects.all().delete()
    begun = while_it_is_locked(lambda: list(replay(Selection(topics=(topic,)))))
    reshard(31)
    begun[0].join()
    assert begun[0].error is None
    assert OutboxQueue.objects.count() == len(LANES)
    assert homes(topic, 31)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_writer_that_sees_the_past_fails_and_succeeds_when_tried_again(
    topic: str, send: Send, level: str
) -> None:
    OutboxSetup.objects.create()
    seen, changed = threading.Event(), threading.Event()

    def write(level: str, wait: Callable[[], object]) -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
                cursor.execute("SELECT count(*) FROM kafka_outbox_queue")
            wait()
            send(topic, [(lane, 0) for lane in LANES])

    def wait() -> None:
        seen.set()
        assert changed.wait(60)

    writer = Aside(lambda: write(level, wait))
    assert seen.wait(60)
    reshard(31)
    changed.set()
    writer.join()
    assert isinstance(writer.error, OperationalError)
    assert is_contention(writer.error)
    assert not OutboxQueue.objects.exists()
    write(level, lambda: None)
    assert OutboxQueue.objects.count() == len(LANES)
    assert homes(topic, 31)


def test_it_does_not_wait_long_for_a_transaction_that_has_queued_events(
    topic: str, send: Send
) -> None:
    queued, over = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            send(topic, [("a", 0)])
            queued.set()
            assert over.wait(60)

    writer = Aside(write)
    try:
        assert queued.wait(60)
        with pytest.raises(OutboxInUse, match="kafka_outbox stats"):
            reshard(4)
    finally:
        over.set()
        writer.join()
    assert writer.error is None
    assert OutboxSetup.objects.shards() == 16


def test_relays_that_run_share_the_new_shards_and_events_stay_in_order(
    topic: str,
    send: Send,
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
    eventually: Eventually,
) -> None:
    # Whoever renews waits for a reshard, which may wait for two seconds itself.
    patient = {"KAFKA_RELAY_LEASE_SECONDS": "20"}
    first, second = relay(env=patient), relay(env=patient)
    eventually(lambda: sorted(sizes(first, second)) == [8, 8], 60, "they share")
    for turn, shards in enumerate((4, 20, 16)):
        send(topic, [(lane, 10 * turn + n) for n in range(10) for lane in LANES])
        eventually(lambda: not OutboxQueue.objects.exists(), 60, "sent")
        done = manage("kafka_outbox", "reshard", str(shards))
        assert done.returncode == 0, done.stderr
        half = [shards // 2] * 2
        eventually(lambda want=half: sizes(first, second) == want, 60, "they share anew")
        assert OutboxLease.objects.exclude(owner="").filter(shard__gte=shards).count() == 0
    send(topic, [(lane, 30) for lane in LANES])
    eventually(lambda: not OutboxQueue.objects.exists(), 60, "sent")
    assert numbers_by_key(read_topic(topic)) == {lane: list(range(31)) for lane in LANES}
    assert not any("run out" in line for one in (first, second) for line in one.lines)
    assert first.end(signal.SIGTERM) == second.end(signal.SIGTERM) == 0


def test_what_was_queued_for_a_shard_that_is_not_there_is_found_and_sent(
    topic: str,
    send: Send,
    relay: Callable[..., Watched],
    read_topic: Callable[..., Any],
    eventually: Eventually,
) -> None:
    running = relay()
    eventually(lambda: sizes(running) == [16], 60, "it leads")
    OutboxSetup.objects.create(shard_count=1_000)
    send(topic, [(lane, n) for n in range(3) for lane in LANES])
    OutboxSetup.objects.all().delete()
    eventually(lambda: not OutboxQueue.objects.exists(), 60, "sent")
    assert numbers_by_key(read_topic(topic)) == {lane: [0, 1, 2] for lane in LANES}
