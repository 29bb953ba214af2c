"""What waits with other relays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from kafka_integration.errors import OutboxBusy
from kafka_integration.models import OutboxLease, OutboxQueue
from kafka_integration.outbox import elsewhere as module
from kafka_integration.outbox.elsewhere import Elsewhere
from kafka_integration.outbox.scan import QueueRow
from tests.unit.outbox.conftest import TOPIC

Queued = Callable[..., list[QueueRow]]


class Clock:
    """Stands for the module ``time``."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def test_only_what_others_could_send_counts(queued: Queued) -> None:
    watched = Elsewhere("default", 10)
    assert watched.is_empty([], [])
    [row] = queued("a")
    queued("later", available_at=timezone.now() + timedelta(hours=1))
    assert not watched.is_empty([], [])
    assert watched.is_empty([row.shard], [])
    assert watched.is_empty([], [TOPIC])
    OutboxQueue.objects.filter(pk=row.position).block()
    assert watched.is_empty([], [])


def test_who_stands_still_is_named(queued: Queued, clock: Clock) -> None:
    [row] = queued("a")
    expiry = timezone.now() + timedelta(days=1)
    OutboxLease.objects.create(shard=row.shard, owner="host:7:x", expires_at=expiry)
    watched = Elsewhere("default", 10)
    assert not watched.is_empty([], [])
    clock.now += 9
    assert not watched.is_empty([], [])
    clock.now += 2
    with pytest.raises(OutboxBusy, match="Another relay, host:7, holds"):
        watched.is_empty([], [])


def test_who_gets_on_is_waited_for(queued: Queued, clock: Clock) -> None:
    rows = queued("a", "b", "c")
    watched = Elsewhere("default", 10)
    for row in rows:
        assert not watched.is_empty([], [])
        clock.now += 9
        OutboxQueue.objects.filter(pk=row.position).delete()
    assert watched.is_empty([], [])
