"""Taking personal data out of outbox and inbox."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from kafka_integration.errors import NotOutYet
from kafka_integration.events.envelope import headers_to_json
from kafka_integration.models import InboxRecord, InboxStatus, OutboxEvent, OutboxQueue
from kafka_integration.outbox.erasure import Erasure, pseudonym
from kafka_integration.outbox.selection import Selection

Stored = Callable[..., list[OutboxQueue]]
HEADERS = {
    "ce_id": "1",
    "ce_source": "shop",
    "ce_type": "Paid",
    "ce_subject": "shop.Customer/ada",
    "customer": "ada",
}
SECRET = b'{"name": "Ada"}'


@pytest.fixture
def out(stored: Stored) -> list[OutboxEvent]:
    """Two events of one key and one of another, all out."""
    events = [row.event for row in stored("ada", "ada", "bob", value=SECRET, headers=HEADERS)]
    OutboxQueue.objects.all().delete()
    return events


def record(event_id: str, status: InboxStatus, key: str = "ada", **more: Any) -> InboxRecord:
    kept = status != InboxStatus.DONE
    given = {
        "group": "mail",
        "source": "shop",
        "event_id": event_id,
        "status": status,
        "topic": "customer.paid.json",
        "partition": 0,
        "offset": 0,
        "key": key.encode() if kept else None,
        "value": SECRET if kept else None,
        "headers": headers_to_json((n, t.encode()) for n, t in HEADERS.items()) if kept else [],
        "last_error": "no such customer: Ada" if kept else "",
    }
    return InboxRecord.objects.create(**(given | more))


def run(**given: Any) -> int:
    return max((step.done for step in Erasure(Selection(**given)).run()), default=0)


def secrets_left() -> int:
    events = OutboxEvent.objects.all()
    texts = [f"{bytes(e.value)!r} {e.headers} {e.key}" for e in events]
    for r in InboxRecord.objects.all():
        texts.append(f"{r.value!r} {r.headers} {bytes(r.key or b'')!r} {r.last_error}")
    return sum("ada" in text.lower() for text in texts)


def test_a_key_leaves_no_trace_but_the_envelope(out: list[OutboxEvent]) -> None:
    record("1", InboxStatus.DEAD)
    assert run(keys=("ada",)) == 3
    assert secrets_left() == 1  # bob's payload names Ada, and nobody asked for that
    event = OutboxEvent.objects.get(pk=out[0].pk)
    assert event.headers == {"ce_id": "1", "ce_source": "shop", "ce_type": "Paid"}
    assert event.key == pseudonym("ada")
    assert bytes(OutboxEvent.objects.get(pk=out[2].pk).value) == SECRET
    found = InboxRecord.objects.get()
    assert bytes(found.key or b"") == pseudonym("ada").encode()
    assert found.status == InboxStatus.DISCARDED


def test_an_event_keeps_its_key(out: list[OutboxEvent]) -> None:
    dead = record(str(out[0].event_id), InboxStatus.DEAD)
    assert run(event_ids=(out[0].event_id,)) == 2
    event = OutboxEvent.objects.get(pk=out[0].pk)
    assert (event.key, bytes(event.value)) == ("ada", b"")
    assert bytes(OutboxEvent.objects.get(pk=out[1].pk).value) == SECRET
    dead.refresh_from_db()
    assert (bytes(dead.key or b""), dead.value, dead.last_error) == (b"ada", None, "")


def test_the_inbox_of_one_who_only_reads_is_erased_too(db: None) -> None:
    record("1", InboxStatus.DISCARDED)
    done = record("2", InboxStatus.DONE)
    assert run(keys=("ada",)) == 1
    assert secrets_left() == 0
    done.refresh_from_db()
    assert done.status == InboxStatus.DONE


def test_only_in_one_topic(out: list[OutboxEvent]) -> None:
    record("1", InboxStatus.DEAD)
    assert run(keys=("ada",), topics=("customer.paid.json",)) == 1
    assert bytes(OutboxEvent.objects.get(pk=out[0].pk).value) == SECRET


def test_what_is_unsent_is_refused_and_nothing_erased(
    out: list[OutboxEvent], stored: Stored
) -> None:
    [waits] = stored("ada", value=SECRET)
    with pytest.raises(NotOutYet, match="discard") as caught:
        run(keys=("ada",))
    assert caught.value.events == (str(waits.event.event_id),)
    assert bytes(OutboxEvent.objects.get(pk=out[0].pk).value) == SECRET
    waits.event.discard()
    assert run(keys=("ada",)) == 3


def test_what_waits_to_be_handled_is_refused_with_its_event(out: list[OutboxEvent]) -> None:
    record(str(out[0].event_id), InboxStatus.PARKED)
    with pytest.raises(NotOutYet):
        run(event_ids=(out[0].event_id,))
    with pytest.raises(NotOutYet):
        run(keys=("ada",))
    assert bytes(OutboxEvent.objects.get(pk=out[0].pk).value) == SECRET


def test_twice_is_once(out: list[OutboxEvent]) -> None:
    assert run(event_ids=(out[0].event_id,)) == 1
    assert run(event_ids=(out[0].event_id,)) == 0


def test_an_audit_line_names_events_and_no_key(
    out: list[OutboxEvent], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "kafka_integration.erasure"):
        run(keys=("ada",))
    [line] = caplog.messages
    assert str(out[0].event_id) in line
    assert str(out[1].event_id) in line
    assert "ada" not in line


def test_a_pseudonym_depends_on_the_projects_secret(settings: Any) -> None:
    before = pseudonym("ada")
    assert before == pseudonym("ada") != pseudonym("bob")
    settings.SECRET_KEY = "another"
    assert pseudonym("ada") != before
