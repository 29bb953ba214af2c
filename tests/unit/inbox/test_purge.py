"""Which inbox records a purge deletes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from kafka_integration.inbox.purge import purge
from kafka_integration.models import InboxRecord, InboxStatus
from kafka_integration.tasks import purge_inbox


def record(event_id: str, days: float, status: InboxStatus = InboxStatus.DONE) -> None:
    InboxRecord.objects.create(
        group="g",
        source="s",
        event_id=event_id,
        status=status,
        topic="a.b.json",
        partition=0,
        offset=0,
        created_at=timezone.now() - timedelta(days=days),
    )


def left() -> set[str]:
    return set(InboxRecord.objects.values_list("event_id", flat=True))


@pytest.mark.django_db
def test_what_is_finished_and_old_goes() -> None:
    for status in InboxStatus:
        record(f"old {status}", 36, status)
        record(f"young {status}", 34, status)
    steps = list(purge(timedelta(days=35), batch_size=1))
    assert [step.done for step in steps] == [1, 2]
    assert left() == {
        "old parked",
        "old dead",
        "young done",
        "young parked",
        "young dead",
        "young discarded",
    }


@pytest.mark.django_db
def test_the_task_goes_by_the_setting(settings: Settings) -> None:
    record("old", 36)
    settings.KAFKA_INBOX_RETENTION_DAYS = 40
    assert purge_inbox() == 0
    settings.KAFKA_INBOX_RETENTION_DAYS = 35
    assert purge_inbox() == 1
