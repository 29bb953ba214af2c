"""An event that kills every relay is found; relays that are killed from outside hold nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from kafka_integration.models import OutboxHold, OutboxLease, OutboxManifest, OutboxQueue
from kafka_integration.models.queue import HANDED_OVER
from tests.integration.conftest import ROOT
from tests.integration.outbox.conftest import (
    SHORT_LEASE,
    Exactly,
    Watched,
    each_once,
    numbers_by_key,
)
from tests.integration.outbox.deadly import DEADLY

KEYS = [f"key-{number}" for number in range(6)]
EACH = 40


@pytest.fixture
def deadly_relay(environment: dict[str, str]) -> Callable[..., int]:
    """Run a relay, whose client dies of some events, to its end; return its exit code."""

    def run(env: dict[str, str] | None = None) -> int:
        command = [sys.executable, "-m", "tests.integration.outbox.deadly", "kafka_relay"]
        ended = subprocess.run(
            [*command, "--drain", "--timeout", "90"],
            cwd=ROOT,
            env=environment | SHORT_LEASE | (env or {}),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return ended.returncode

    return run


def test_an_event_that_kills_is_held_after_so_many_starts_and_all_others_go(
    topic: str,
    send: Callable[..., None],
    deadly_relay: Callable[..., int],
    read_topic: Callable[..., Any],
) -> None:
    send(topic, [(key, number) for number in range(EACH) for key in KEYS])
    send(topic, [(DEADLY, 1), (DEADLY, 2)])
    send(topic, [(key, EACH + number) for number in range(EACH) for key in KEYS])

    codes = [deadly_relay()]
    while codes[-1] == -signal.SIGKILL and len(codes) < 10:
        codes.append(deadly_relay())

    # Two deaths raise the suspicion, a third is of a group that it was in, and three more with that
    # one event under way prove it.
    assert codes == [-signal.SIGKILL] * 6 + [0]
    hold = OutboxHold.objects.get()
    assert (hold.topic, hold.key) == (topic, DEADLY)
    assert "3 relays died" in hold.reason
    assert "retry the event, or discard it" in hold.reason
    first, second = OutboxQueue.objects.order_by("position")
    assert (first.attempts, first.last_error, first.blocked) == (3, hold.reason, True)
    assert (second.attempts, second.last_error, second.blocked) == (0, "", True)
    assert numbers_by_key(read_topic(topic)) == {key: list(range(2 * EACH)) for key in KEYS}


def test_exactly_once_it_is_found_too(
    topic: str,
    send: Callable[..., None],
    deadly_relay: Callable[..., int],
    exactly: Exactly,
    read_published: Callable[..., Any],
) -> None:
    send(topic, [(key, number) for number in range(5) for key in KEYS])
    send(topic, [(DEADLY, 1), (DEADLY, 2)])
    send(topic, [(key, 5 + number) for number in range(5) for key in KEYS])

    codes = [deadly_relay(exactly.env)]
    while codes[-1] == -signal.SIGKILL and len(codes) < 10:
        codes.append(deadly_relay(exactly.env))

    # One more where its key has a shard together with others, and it was first tried among them.
    assert codes in ([-signal.SIGKILL] * 5 + [0], [-signal.SIGKILL] * 6 + [0])
    assert OutboxHold.objects.get().key == DEADLY
    first, second = OutboxQueue.objects.order_by("position")
    assert (first.attempts, "3 relays died" in first.last_error) == (3, True)
    assert (second.attempts, second.last_error, second.blocked) == (0, "", True)
    assert each_once(read_published(topic)) == {key: list(range(10)) for key in KEYS}


def test_exactly_once_kills_hold_nothing(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    exactly: Exactly,
    read_published: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, [(key, number) for number in range(20) for key in KEYS])
    for _ in range(4):
        with transaction.atomic():
            # Batches are begun, and none can be recorded: who comes next finds them under way.
            list(OutboxManifest.objects.select_for_update())
            list(OutboxQueue.objects.select_for_update().order_by("position"))
            running = relay("--batch-size", "5", env=exactly.env)
            eventually(lambda: OutboxLease.objects.taken().exists(), 60, what="it leads")
            eventually(lambda: OutboxManifest.objects.exists(), 60, what="a batch is begun")
            time.sleep(0.5)
            running.end(signal.SIGKILL)
        eventually(lambda: not OutboxLease.objects.taken().exists(), 60, what="the leases' end")
    assert OutboxLease.objects.filter(crashes__gte=3).exists()
    ended = manage("kafka_relay", "--drain", "--timeout", "90", env=exactly.env)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not OutboxHold.objects.exists()
    assert each_once(read_published(topic)) == {key: list(range(20)) for key in KEYS}


def test_three_kills_at_random_hold_nothing(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    chance = random.Random(4)
    send(topic, [(key, number) for number in range(EACH) for key in KEYS])
    for _ in range(3):
        with transaction.atomic():
            # They send, and cannot record: none is done before it dies.
            list(OutboxQueue.objects.select_for_update().order_by("position"))
            running = relay()
            eventually(lambda: OutboxLease.objects.taken().exists(), 60, what="it leads")
            time.sleep(chance.random())
            running.end(signal.SIGKILL)
        eventually(lambda: not OutboxLease.objects.taken().exists(), 60, what="the leases' end")
    assert OutboxQueue.objects.count() == EACH * len(KEYS)

    ended = manage("kafka_relay", "--drain", "--timeout", "60", env=SHORT_LEASE)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not OutboxHold.objects.exists()
    assert not OutboxLease.objects.filter(crashes__gte=2).exists()
    assert numbers_by_key(read_topic(topic)) == {key: list(range(EACH)) for key in KEYS}


def test_kills_while_one_event_is_tried_after_the_other_hold_nothing(
    topic: str,
    send: Callable[..., None],
    relay: Callable[..., Watched],
    manage: Callable[..., Any],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    send(topic, [(key, number) for number in range(EACH) for key in KEYS])
    OutboxLease.objects.ensure(16)
    OutboxLease.objects.update(crashes=2)
    marked: set[int] = set()
    for _ in range(3):
        before = OutboxQueue.objects.count()
        running = relay()
        eventually(lambda at=before: OutboxQueue.objects.count() < at, 60, what="one is out")
        running.end(signal.SIGKILL)
        marked |= set(
            OutboxQueue.objects.filter(last_error=HANDED_OVER).values_list("attempts", flat=True)
        )
    assert OutboxQueue.objects.exists(), "they were killed before they were done"
    assert marked <= {1}

    ended = manage("kafka_relay", "--drain", "--timeout", "60", env=SHORT_LEASE)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not OutboxHold.objects.exists()
    assert not OutboxLease.objects.filter(crashes__gte=2).exists()
    assert numbers_by_key(read_topic(topic)) == {key: list(range(EACH)) for key in KEYS}
