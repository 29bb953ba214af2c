"""The inbox in the admin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test import Client

from kafka_integration import Event, EventData
from kafka_integration.events.registry import Handler, Registry, registry
from kafka_integration.models import InboxRecord, InboxStatus
from tests.sample.models import Effect

from .site import (
    RECORDS,
    TOPIC,
    act,
    listed,
    make_record,
    messages,
)

pytestmark = pytest.mark.django_db(databases=["default", "other"])


class CampaignCreated(EventData):
    name: str


def take(event: Event[CampaignCreated]) -> None:
    """Leave an effect, and fail if the campaign is to fail."""
    Effect.objects.create(lane="", number=1, event_id=event.id)
    transaction.on_commit(lambda: None)
    if event.data.name == "bad":
        raise ValueError("<still> broken")


@pytest.fixture(autouse=True)
def declared() -> Iterator[Registry]:
    """Groups whose handler is :func:`take`."""
    with registry.isolated() as empty:
        empty.handlers += [Handler(TOPIC, CampaignCreated, group, take) for group in "abg"]
        yield empty


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


def test_record_retry_asks_first(boss: Client) -> None:
    dead, done = make_record(InboxStatus.DEAD), make_record(InboxStatus.DONE)
    page = act(boss, RECORDS, "retry", [dead, done]).content.decode()
    assert "Other groups do not hear of it." in page
    dead.refresh_from_db()
    assert (dead.status, LogEntry.objects.count()) == (InboxStatus.DEAD, 0)
    response = act(boss, RECORDS, "retry", [dead, done], confirmed="yes")
    dead.refresh_from_db()
    assert dead.status == InboxStatus.PARKED
    assert messages(response) == [
        "1 inbox record will be tried again by kafka_consume --group g.",
        "1 inbox record not retried: 1 already done.",
    ]
    assert LogEntry.objects.get().get_change_message() == "Retried. It was dead: ValueError: no"


def test_a_retry_names_the_consumer_of_each_group(boss: Client) -> None:
    records = [make_record(InboxStatus.DEAD, group=group) for group in ("b", "a", "b")]
    assert messages(act(boss, RECORDS, "retry", records, confirmed="yes")) == [
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


def test_a_retry_in_a_group_that_nobody_handles_is_refused(boss: Client) -> None:
    record = make_record(InboxStatus.DEAD, group="gone")
    assert messages(act(boss, RECORDS, "retry", [record], confirmed="yes")) == [
        "1 inbox record not retried: 1 in a group that this project has no handler of."
    ]
    record.refresh_from_db()
    assert record.status == InboxStatus.DEAD


def values(record: InboxRecord) -> dict[str, Any]:
    return dict(InboxRecord.objects.filter(pk=record.pk).values().get())


def test_a_dry_run_shows_how_each_would_go_and_leaves_only_audit_lines(boss: Client) -> None:
    good = make_record(value=b'{"name": "good"}')
    bad = make_record(value=b'{"name": "bad"}')
    before = [values(good), values(bad)]
    page = act(boss, RECORDS, "dry_run", [good, bad]).content.decode()
    assert page.count("would be handled</span>") == 1
    assert page.count("would fail again</span>") == 1
    assert "ValueError: &lt;still&gt; broken" in page
    assert "Traceback" in page
    assert "1 <code>on_commit</code> hook registered" in page
    assert [values(good), values(bad)] == before
    assert not Effect.objects.exists()
    lines = {entry.object_id: entry.get_change_message() for entry in LogEntry.objects.all()}
    assert lines[str(good.pk)] == "Dry run: would be handled."
    assert lines[str(bad.pk)].startswith("Dry run: would fail again. ValueError")


def test_what_would_be_handled_can_be_retried_from_there(boss: Client) -> None:
    good, bad = make_record(value=b'{"name": "good"}'), make_record(value=b'{"name": "bad"}')
    page = act(boss, RECORDS, "dry_run", [good, bad]).content.decode()
    assert 'name="action" value="retry"' in page
    assert f'name="_selected_action" value="{good.pk}"' in page
    assert f'name="_selected_action" value="{bad.pk}"' not in page


def test_a_dry_run_takes_no_more_than_a_browser_waits_for(boss: Client) -> None:
    records = [make_record(value=b'{"name": "good"}') for _ in range(21)]
    [text] = messages(act(boss, RECORDS, "dry_run", records))
    assert "at most 20" in text
    assert not LogEntry.objects.exists()


def test_a_dry_run_works_where_a_request_is_a_transaction(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    good = make_record(value=b'{"name": "good"}')
    assert b"would be handled</span>" in act(boss, RECORDS, "dry_run", [good]).content
    assert LogEntry.objects.count() == 1
    assert not Effect.objects.exists()


def test_the_page_of_a_record_has_a_button_for_what_can_be_done(
    boss: Client, staff: Callable[..., Client]
) -> None:
    dead, done = make_record(InboxStatus.DEAD), make_record(InboxStatus.DONE)
    parked = make_record(InboxStatus.PARKED)

    def buttons(browser: Client, record: InboxRecord) -> list[str]:
        page = browser.get(f"{RECORDS}{record.pk}/change/").content.decode()
        return re.findall(r'name="action" value="(\w+)"', page)

    assert buttons(boss, dead) == ["dry_run", "retry", "discard"]
    assert buttons(boss, parked) == ["dry_run"]
    assert buttons(boss, done) == []
    assert buttons(staff("view_inboxrecord", "discard_inboxrecord"), dead) == ["discard"]


def test_a_dry_run_needs_the_permission_to_retry(staff: Callable[..., Client]) -> None:
    record = make_record(value=b'{"name": "good"}')
    browser = staff("view_inboxrecord", "discard_inboxrecord")
    response = act(browser, RECORDS, "dry_run", [record])
    assert "would be handled" not in response.content.decode()
    assert not LogEntry.objects.exists()
