"""Lists: what they cost, whatever the table."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from kafka_integration.admin import paginator
from kafka_integration.models import (
    EventStatus,
    InboxRecord,
    InboxStatus,
    OutboxEvent,
)

from .site import (
    EVENTS,
    RECORDS,
    TOPIC,
    make_event,
    make_record,
)

pytestmark = pytest.mark.django_db


def test_no_rows_give_no_choices() -> None:
    assert OutboxEvent.objects.topics() == []
    assert InboxRecord.objects.groups() == []


@pytest.mark.parametrize("url", [EVENTS, RECORDS])
def test_list_asks_as_often_for_many_rows_as_for_few(boss: Client, url: str) -> None:
    def fill() -> None:
        for status in EventStatus:
            make_event(status, key=str(uuid4()), topic=TOPIC)
        for state in InboxStatus:
            make_record(state, key=b"k", value=b"{}", headers=[["a", "b"]])

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert boss.get(url).status_code == 200
        return len(captured)

    fill()
    few = queries()
    for _ in range(8):
        fill()
    assert queries() == few


def test_list_reads_no_payload(boss: Client) -> None:
    make_event()
    with CaptureQueriesContext(connection) as captured:
        boss.get(EVENTS)
    assert not [query for query in captured if '"value"' in query["sql"]]


def test_list_counts_no_further_than_it_pages(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paginator, "MOST", 3)
    for _ in range(3):
        make_event()
    assert "There are more" not in boss.get(EVENTS).content.decode()
    for _ in range(2):
        make_event()
    response = boss.get(EVENTS)
    assert response.context["cl"].result_count == 3
    assert "There are more than these 3" in response.content.decode()
