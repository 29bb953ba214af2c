"""Held keys and leases in the admin."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from kafka_integration.models import (
    EventStatus,
    OutboxHold,
    OutboxLease,
    OutboxQueue,
)

from .site import (
    HOLDS,
    LEASES,
    act,
    make_event,
    messages,
)

pytestmark = pytest.mark.django_db


def test_hold_and_lease_lists(boss: Client) -> None:
    make_event(EventStatus.HELD)
    soon = timezone.now() + timedelta(minutes=1)
    OutboxLease.objects.create(shard=3, owner="host:7:abc", epoch=2, expires_at=soon)
    OutboxLease.objects.create(shard=4, owner="host:6:gone", epoch=2, expires_at=timezone.now())
    assert "Kafka says no" in boss.get(HOLDS).content.decode()
    page = boss.get(LEASES).content.decode()
    assert "host:7:abc" in page
    assert "host:6:gone" not in page


def test_release_of_a_hold(boss: Client) -> None:
    make_event(EventStatus.HELD)
    (text,) = messages(act(boss, HOLDS, "release", [OutboxHold.objects.get()]))
    assert text == "1 held key released."
    assert not OutboxHold.objects.exists()
    assert not OutboxQueue.objects.get().blocked
    assert LogEntry.objects.get().get_change_message() == "Released. It was held: Kafka says no"
