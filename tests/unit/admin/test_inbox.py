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
        "1 inbox record will be tried again by kafka_consume --group g.",
        "1 inbox record not retried: 1 already done.",
    ]
    assert LogEntry.objects.get().get_change_message() == "Retried. It was dead: ValueError: no"


def test_a_retry_names_the_consumer_of_each_group(boss: Client) -> None:
    records = [make_record(InboxStatus.DEAD, group=group) for group in ("b", "a", "b")]
    assert messages(act(boss, RECORDS, "retry", records)) == [
        "1 inbox record will be tried again by kafka_consume --group a.",
        "2 inbox records will be tried again by kafka_consume --group b.",
    ]


def test_a_record_that_waits_for_its_retry_says_so(boss: Client) -> None:
    make_record(InboxStatus.PARKED)
    page = boss.get(RECORDS).content.decode()
    assert '<span class="kafka-status kafka-parked">waiting for retry</span>' in page


def test_a_handled_messages_key_is_not_shown_as_if_it_had_none(boss: Client) -> None:
    done, dead = make_record(InboxStatus.DONE), make_record(InboxStatus.DEAD, key=b"cup")
    page = boss.get(RECORDS).content.decode()
    assert page.count("Kept only while it is not handled.") == 1
    assert 'title="cup"' in page
    for record, said in ((done, "not kept"), (dead, "cup")):
        assert said in boss.get(f"{RECORDS}{record.pk}/change/").content.decode()


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
