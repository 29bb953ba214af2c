"""The outbox in the admin."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from kafka_integration.admin import actions
from kafka_integration.models import (
    EventStatus,
    OutboxDelivery,
    OutboxEvent,
    OutboxHold,
    OutboxQueue,
    Outcome,
)

from .site import (
    EVENTS,
    TOPIC,
    act,
    hold,
    listed,
    make_event,
    messages,
)

pytestmark = pytest.mark.django_db


def test_event_list_says_how_far_each_event_is_and_where_it_landed(boss: Client) -> None:
    for status in EventStatus:
        make_event(status, key=status)
    page = boss.get(EVENTS).content.decode()
    for status in EventStatus:
        assert f'<span class="kafka-status kafka-{status}">{status}</span>' in page
    assert "created.<wbr>json<wbr>[2]@41" in page
    assert "CampaignCreated" in page
    assert "Kafka says no" in page


def test_event_that_was_sent_again_shows_its_latest_place(boss: Client) -> None:
    event = make_event(EventStatus.SENT)
    OutboxDelivery.objects.create(event=event, outcome=Outcome.SENT, partition=0, offset=99)
    page = boss.get(EVENTS).content.decode()
    assert "[0]@99" in page
    assert "[2]@41" not in page


def test_event_behind_a_held_key_says_what_it_waits_for(boss: Client) -> None:
    make_event(EventStatus.HELD)
    make_event(EventStatus.PENDING)
    assert "waits behind a held key" in boss.get(EVENTS).content.decode()


@pytest.mark.parametrize("status", EventStatus.values)
def test_status_filter_agrees_with_the_status_shown(boss: Client, status: str) -> None:
    for made in EventStatus:
        make_event(made, key=made)
    replayed = make_event(EventStatus.SENT, key="again")
    OutboxQueue.objects.create(event=replayed, shard=0, key_hash=replayed.key_hash)
    shown = listed(boss.get(EVENTS, {"status": status}))
    events = OutboxEvent.objects.with_status()
    assert shown == {event for event in events if vars(event)["status"] == status}
    assert shown


def test_topic_filter_offers_what_the_table_has(boss: Client) -> None:
    mine = make_event(topic="asset.updated.json")
    for _ in range(3):
        make_event(topic=TOPIC)
    assert OutboxEvent.objects.topics() == ["asset.updated.json", TOPIC]
    response = boss.get(EVENTS, {"topic": "asset.updated.json"})
    assert listed(response) == {mine}
    assert "?topic=campaign.created.json" in response.content.decode()


@pytest.mark.parametrize("spell", [str, lambda event_id: event_id.hex, lambda i: f" {i} "])
def test_search_by_event_id(boss: Client, spell: Callable[[UUID], str]) -> None:
    wanted = make_event()
    make_event()
    assert listed(boss.get(EVENTS, {"q": spell(wanted.event_id)})) == {wanted}


def test_search_by_key_even_if_it_looks_like_an_id(boss: Client) -> None:
    key = str(uuid4())
    wanted = {make_event(key=key), make_event(key=key, topic="asset.updated.json")}
    make_event(key=key + "1")
    assert listed(boss.get(EVENTS, {"q": key})) == wanted


def test_event_page_shows_payload_headers_deliveries_and_hold(boss: Client) -> None:
    event = make_event(EventStatus.SENT, value=b'{"name":"<script>alert(1)</script>","n":[1.10]}')
    hold(event, "too <big>")
    page = boss.get(f"{EVENTS}{event.pk}/change/").content.decode()
    assert "&quot;name&quot;: &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;,\n" in page
    assert "<script>alert" not in page
    assert "1.10" in page
    assert '<td>ce_type</td><td><code class="kafka-code">CampaignCreated</code></td>' in page
    assert "[2]@41" in page
    assert "too &lt;big&gt;" in page


def test_retry_releases_the_key_and_says_what_it_left_alone(boss: Client) -> None:
    rows = [
        make_event(EventStatus.HELD, key="a"),
        make_event(EventStatus.PENDING, key="a"),
        make_event(EventStatus.PENDING, key="b"),
        make_event(EventStatus.SENT, key="c"),
    ]
    response = act(boss, EVENTS, "retry", rows)
    assert not OutboxHold.objects.exists()
    assert not OutboxQueue.objects.filter(blocked=True).exists()
    done, left = messages(response)
    assert done == "2 outbox events retried."
    assert left.startswith("2 outbox events not retried: ")
    assert "1 not held, the relay sends it by itself" in left
    assert "1 already sent" in left


def test_retry_writes_an_audit_line_for_each_event(boss: Client) -> None:
    held, sent = make_event(EventStatus.HELD, key="a"), make_event(EventStatus.SENT, key="b")
    act(boss, EVENTS, "retry", [held, sent])
    line = LogEntry.objects.get()
    assert line.object_id == str(held.pk)
    assert line.user.username == "boss"
    assert line.get_change_message() == "Retried. The key was held: Kafka says no"


def test_discard_asks_first(boss: Client) -> None:
    event = make_event(EventStatus.HELD)
    page = act(boss, EVENTS, "discard", [event]).content.decode()
    assert "Discard 1 outbox event" in page
    assert "This cannot be undone." in page
    assert str(event.event_id) in page
    assert OutboxQueue.objects.filter(event=event).exists()
    assert not LogEntry.objects.exists()


def test_discard_takes_out_what_is_unsent_and_leaves_a_trace(boss: Client) -> None:
    poison, behind = make_event(EventStatus.HELD, key="a"), make_event(key="a")
    sent = make_event(EventStatus.SENT, key="b")
    response = act(boss, EVENTS, "discard", [poison, sent], confirmed="yes")
    assert [row.event for row in OutboxQueue.objects.filter(blocked=False)] == [behind]
    assert OutboxDelivery.objects.get(event=poison).outcome == Outcome.DISCARDED
    assert messages(response) == [
        "1 outbox event discarded.",
        "1 outbox event not discarded: 1 already sent.",
    ]
    line = LogEntry.objects.get()
    assert line.object_id == str(poison.pk)
    assert line.get_change_message() == "Discarded unsent. Last error: Kafka says no"


def test_too_many_rows_are_refused_and_none_is_touched(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MOST", 1)
    rows = [make_event(EventStatus.HELD, key="a"), make_event(EventStatus.HELD, key="b")]
    for action in ("retry", "discard"):
        (text,) = messages(act(boss, EVENTS, action, rows, confirmed="yes"))
        assert text == "More than 1 rows are chosen, so nothing was done. Filter, and take fewer."
    assert OutboxHold.objects.count() == 2
    assert OutboxQueue.objects.count() == 2
