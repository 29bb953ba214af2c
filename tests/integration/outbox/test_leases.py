"""Two relays on one outbox, and the clean end of one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from kafka_integration.models import OutboxLease, OutboxQueue
from tests.integration.outbox.conftest import Watched, numbers_by_key


@pytest.fixture
def first(relay: Callable[..., Watched], eventually: Callable[..., None]) -> Watched:
    """A relay that holds the leases."""
    running = relay()
    eventually(lambda: holders() == {running.process.pid}, what="the first relay leads")
    return running


@pytest.fixture
def second(first: Watched, relay: Callable[..., Watched]) -> Watched:
    """A relay that waits for the first."""
    running = relay()
    line = running.says("Waiting: another relay")
    assert f":{first.process.pid}, holds the outbox's leases; taking over when it ends" in line
    return running


def holders() -> set[int]:
    """Return the process ids that hold leases."""
    owners = OutboxLease.objects.exclude(owner="").values_list("owner", flat=True)
    return {int(owner.split(":")[-2]) for owner in owners}


def test_the_second_takes_over_at_once_when_the_first_ends(
    first: Watched, second: Watched, eventually: Callable[..., None]
) -> None:
    assert first.end(signal.SIGTERM) == 0
    started = time.monotonic()
    eventually(lambda: holders() == {second.process.pid}, timeout=1.5, what="taken over")
    assert time.monotonic() - started < 1.5
    assert OutboxLease.objects.filter(epoch=2).count() == OutboxLease.objects.count() == 16


def test_the_second_takes_over_when_the_leases_of_a_killed_one_run_out(
    first: Watched,
    second: Watched,
    topic: str,
    send: Callable[..., None],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    first.end(signal.SIGKILL)
    assert holders() == {first.process.pid}
    send(topic, [("a", 1), ("b", 2), ("a", 3)])
    eventually(lambda: holders() == {second.process.pid}, timeout=4, what="taken over")
    eventually(lambda: not OutboxQueue.objects.exists(), what="sent")
    assert numbers_by_key(read_topic(topic)) == {"a": [1, 3], "b": [2]}


def test_a_paused_relay_changes_nothing_once_its_successor_leads(
    first: Watched,
    second: Watched,
    topic: str,
    send: Callable[..., None],
    read_topic: Callable[..., Any],
    eventually: Callable[..., None],
) -> None:
    first.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: holders() == {second.process.pid}, timeout=4, what="taken over")
    finally:
        first.process.send_signal(signal.SIGCONT)
    first.says("our leases have run out")
    first.says("Waiting: another relay")
    send(topic, [("a", number) for number in range(100)])
    eventually(lambda: not OutboxQueue.objects.exists(), what="sent")
    assert holders() == {second.process.pid}
    assert len(read_topic(topic)) == 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_relay_with_success_and_frees_its_leases(
    first: Watched, number: signal.Signals
) -> None:
    assert first.end(number, timeout=15) == 0
    assert holders() == set()
    assert "Relay ended." in first.lines[-1]
