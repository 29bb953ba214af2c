"""The inbox in the admin."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from kafka_integration.models import (
    InboxStatus,
)

from .site import (
    RECORDS,
    act,
    listed,
    make_record,
    messages,
)

pytestmark = pytest.mark.django_db


def test_record_page_shows_payload_headers_and_error(boss: Client) -> None:
    record = make_record(
        key=b"\xff\x00",
        value=b"\x80no text",
        headers=[["trace", "abc"], ["raw", {"base64": "/w=="}], ["none", None]],
    )
    page = boss.get(f"{RECORDS}{record.pk}/change/").content.decode()
    assert "0xff00" in page
    assert "gG5vIHRleHQ=" in page
    assert "<td>raw</td><td><code" in page
    assert "0xff<" in page
    assert "ValueError: no" in page
    assert "created.<wbr>json<wbr>[1]@7" in page


def test_record_page_says_when_no_bytes_were_kept(boss: Client) -> None:
    done = make_record(InboxStatus.DONE)
    tombstone = make_record(InboxStatus.DEAD)
    assert "Not kept" in boss.get(f"{RECORDS}{done.pk}/change/").content.decode()
    assert "null (no value" in boss.get(f"{RECORDS}{tombstone.pk}/change/").content.decode()


def test_record_filters_and_search(boss: Client) -> None:
    wanted = make_record(InboxStatus.DEAD, group="a", topic="asset.updated.json")
    other = make_record(InboxStatus.DONE, group="b", event_id=wanted.event_id)
    make_record(InboxStatus.DONE, group="b")
    assert listed(boss.get(RECORDS, {"group": "a"})) == {wanted}
    assert listed(boss.get(RECORDS, {"topic": "asset.updated.json"})) == {wanted}
    assert listed(boss.get(RECORDS, {"status__exact": "dead"})) == {wanted}
    assert listed(boss.get(RECORDS, {"q": wanted.event_id})) == {wanted, other}


def test_record_retry(boss: Client) -> None:
    dead, done = make_record(InboxStatus.DEAD), make_record(InboxStatus.DONE)
    response = act(boss, RECORDS, "retry", [dead, done])
    dead.refresh_from_db()
    assert dead.status == InboxStatus.PARKED
    assert messages(response) == [
        "1 inbox record retried.",
        "1 inbox record not retried: 1 already done.",
    ]
    assert LogEntry.objects.get().get_change_message() == "Retried. It was dead: ValueError: no"


def test_record_discard_asks_and_then_gives_up(boss: Client) -> None:
    dead, parked = make_record(InboxStatus.DEAD), make_record(InboxStatus.PARKED)
    assert b"This cannot be undone." in act(boss, RECORDS, "discard", [dead, parked]).content
    dead.refresh_from_db()
    assert dead.status == InboxStatus.DEAD
    response = act(boss, RECORDS, "discard", [dead, parked], confirmed="yes")
    dead.refresh_from_db()
    assert dead.status == InboxStatus.DISCARDED
    assert messages(response) == [
        "1 inbox record discarded.",
        "1 inbox record not discarded: 1 already waiting for the consumer.",
    ]
    assert LogEntry.objects.get().object_id == str(dead.pk)
