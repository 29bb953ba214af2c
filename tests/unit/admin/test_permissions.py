"""Who may see and do what."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from kafka_integration.models import (
    EventStatus,
    InboxStatus,
    OutboxHold,
    OutboxLease,
    OutboxQueue,
)

from .site import (
    EVENTS,
    HOLDS,
    LEASES,
    RECORDS,
    act,
    make_event,
    make_record,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("url", [EVENTS, HOLDS, LEASES, RECORDS])
def test_nothing_can_be_added_changed_or_deleted(boss: Client, url: str) -> None:
    event, record = make_event(EventStatus.HELD), make_record()
    lease = OutboxLease.objects.create(shard=0)
    held = OutboxHold.objects.get()
    row = {EVENTS: event, HOLDS: held, LEASES: lease, RECORDS: record}[url]
    assert boss.get(f"{url}add/").status_code == 403
    assert boss.post(f"{url}{row.pk}/change/", {"topic": "x"}).status_code == 403
    assert boss.post(f"{url}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    act(boss, url, "delete_selected", [row], post="yes")
    assert type(row)._default_manager.get(pk=row.pk) == row


@pytest.mark.parametrize("url", [EVENTS, HOLDS, LEASES, RECORDS])
def test_staff_without_permission_see_nothing(staff: Callable[..., Client], url: str) -> None:
    assert staff().get(url).status_code == 403


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_seeing_is_not_acting(staff: Callable[..., Client], action: str) -> None:
    browser = staff("view_outboxevent", "view_inboxrecord")
    event, record = make_event(EventStatus.HELD), make_record()
    for url, row in ((EVENTS, event), (RECORDS, record)):
        assert browser.get(url).status_code == 200
        act(browser, url, action, [row], confirmed="yes")
    assert OutboxHold.objects.exists()
    assert OutboxQueue.objects.exists()
    record.refresh_from_db()
    assert record.status == InboxStatus.DEAD


def test_each_action_has_a_permission_of_its_own(staff: Callable[..., Client]) -> None:
    browser = staff("view_outboxevent", "retry_outboxevent")
    event = make_event(EventStatus.HELD)
    act(browser, EVENTS, "discard", [event], confirmed="yes")
    assert OutboxQueue.objects.exists()
    act(browser, EVENTS, "retry", [event])
    assert not OutboxHold.objects.exists()


def test_release_needs_the_permission_to_retry(staff: Callable[..., Client]) -> None:
    browser = staff("view_outboxhold")
    make_event(EventStatus.HELD)
    act(browser, HOLDS, "release", [OutboxHold.objects.get()])
    assert OutboxHold.objects.exists()
