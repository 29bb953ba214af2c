"""The Celery tasks, without Celery's and Kafka's servers."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from kafka_integration import tasks
from kafka_integration.models import OutboxLease
from kafka_integration.tasks import relay_tick
from mediajira.celery import app


class PatientRelay:
    """Stands for a relay whose Kafka is away: it waits until it is told to stop."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.published = 2
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def drain(self) -> None:
        assert self._stopped.wait(20), "nobody stopped the relay"


def test_celery_finds_the_task() -> None:
    app.loader.import_default_modules()
    assert "kafka_integration.tasks.relay_tick" in app.tasks


def test_task_is_a_plain_function_where_celery_is_not_installed() -> None:
    script = """
import sys
sys.modules["celery"] = None  # what an import finds that cannot be
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["kafka_integration"], DATABASES={})
django.setup()
from kafka_integration.tasks import relay_tick
print(type(relay_tick).__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "function", done.stderr


@pytest.mark.django_db
def test_tick_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "Relay", PatientRelay)
    assert relay_tick(seconds=0.05) == 2


@pytest.mark.django_db
def test_tick_leaves_the_outbox_to_a_relay_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "Relay", PatientRelay)
    expiry = timezone.now() + timedelta(minutes=1)
    lease = OutboxLease.objects.create(shard=0, owner="host:1:abc", expires_at=expiry)
    assert relay_tick(seconds=0.05) == 0
    OutboxLease.objects.filter(pk=lease.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert relay_tick(seconds=0.05) == 2


@pytest.mark.django_db
def test_tick_of_an_empty_outbox_needs_no_broker() -> None:
    assert relay_tick() == 0
