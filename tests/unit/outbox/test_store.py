"""What append() writes, and what it refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries, Settings

from kafka_integration.errors import EventTooLarge, UnusableKey
from kafka_integration.models import OutboxEvent, OutboxQueue, OutboxSetup
from kafka_integration.models.queue import key_hash
from kafka_integration.outbox.new_event import check
from kafka_integration.outbox.scan import QueueRow
from kafka_integration.outbox.store import MANY_KEYS, append, lock_keys
from tests.unit.outbox.conftest import TOPIC, new_event

Queued = Callable[..., list[QueueRow]]


@given(topic=st.text(), key=st.text(min_size=1))
def test_a_hash_fits_the_column_and_belongs_to_topic_and_key(topic: str, key: str) -> None:
    found = key_hash(topic, key)
    assert 0 <= found < 2**63
    assert found == key_hash(topic, key)
    assert found != key_hash(f"{topic}x", key)
    assert found != key_hash(topic, f"{key}x")


def test_hashes_never_change() -> None:
    # Rows of a running outbox hold them: another hash would put one key on two shards.
    assert key_hash("campaign.created.json", "42") == 5378075035846999145


def test_keys_spread_over_the_shards() -> None:
    counts = Counter(key_hash(TOPIC, str(number)) % 16 for number in range(16_000))
    assert len(counts) == 16
    assert all(800 < count < 1_200 for count in counts.values())


def test_rows_keep_the_order_given(queued: Queued) -> None:
    keys = [f"key {number % 7}" for number in range(100)]
    rows = queued(*keys)
    assert [row.key for row in rows] == keys
    assert [row.shard for row in rows] == [row.key_hash % 16 for row in rows]
    assert [row.key_hash for row in rows] == [key_hash(row.topic, row.key) for row in rows]


def test_everything_is_stored_as_it_was(queued: Queued) -> None:
    later = timezone.now() + timedelta(hours=1)
    value = bytes(range(256))
    queued("ключ", value=value, headers={"a": "ü", "b": ""}, available_at=later)
    row = OutboxQueue.objects.select_related("event").get()
    assert row.event.key == "ключ"
    assert bytes(row.event.value) == value
    assert row.event.headers == {"a": "ü", "b": ""}
    assert row.available_at == later
    assert (row.attempts, row.blocked, row.last_error) == (0, False, "")


SHARED = {"ce_type": "T", "content-type": "application/json"}


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    "value",
    [b"{}", b'{"a": "\\\\ \\" ' + "ключ".encode() + b'"}', b"a\x00b", bytes(range(256)), b"a\x1eb"],
)
@pytest.mark.parametrize("key", ["a", 'a"b\\,{}', "a\x1eb", "NULL"])
@pytest.mark.parametrize("subject", [None, "", "a.B/1", "a\x1eb'"])
def test_what_is_stored_together_stays_apart(
    queued: Queued, many: bool, value: bytes, key: str, subject: str | None
) -> None:
    event = new_event(key, value=value, headers=SHARED, subject=subject)
    plain = [new_event("plain", "sample.updated.json", headers={"ce_id": "7"}) for _ in range(2)]
    append("default", [event, *(plain if many else [])])
    rows = list(OutboxEvent.objects.order_by("queued__position"))
    assert (rows[0].event_id, rows[0].key, bytes(rows[0].value)) == (event.event_id, key, value)
    assert rows[0].headers == event.all_headers()
    assert rows[0].created_at == event.created_at
    assert [row.topic for row in rows[1:]] == ["sample.updated.json"] * (2 if many else 0)
    assert all(row.headers == {"ce_id": "7"} for row in rows[1:])


def test_headers_that_are_shared_still_name_each_event() -> None:
    event = new_event("a", headers=SHARED, subject="a.B/1")
    assert event.all_headers() == SHARED | {"ce_id": str(event.event_id), "ce_subject": "a.B/1"}
    assert new_event("a", headers=SHARED, subject="").all_headers().keys() == {*SHARED, "ce_id"}


def test_each_event_of_a_statement_waits_for_its_own_time(queued: Queued) -> None:
    times = [None, *(timezone.now() + timedelta(hours=n) for n in range(3)), None]
    append("default", [new_event(available_at=time, headers=SHARED) for time in times])
    found = OutboxQueue.objects.order_by("position").values_list("available_at", flat=True)
    assert list(found) == times


def test_shared_headers_count_for_each_event(db: None, settings: Settings) -> None:
    events = [new_event("a", value=b"x", headers={"big": "ü" * 50}) for _ in range(2)]
    settings.KAFKA_MAX_MESSAGE_BYTES = 1 + 1 + 3 + 100
    append("default", events[:1])
    settings.KAFKA_MAX_MESSAGE_BYTES -= 1
    with pytest.raises(EventTooLarge):
        append("default", events[1:])


def test_the_number_of_shards_is_the_databases(queued: Queued) -> None:
    OutboxSetup.objects.create(shard_count=3)
    rows = queued(*(str(number) for number in range(50)))
    assert {row.shard for row in rows} == {0, 1, 2}
    assert all(row.shard == row.key_hash % 3 for row in rows)


def test_nothing_to_store_needs_no_query(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        append("default", [])


@pytest.mark.parametrize("key", ["", "a\x00b"])
def test_one_unusable_key_stores_nothing(db: None, key: str) -> None:
    with pytest.raises(UnusableKey, match=TOPIC):
        append("default", [new_event("good"), new_event(key)])
    assert not OutboxEvent.objects.exists()


def test_size_counts_bytes_of_key_value_and_headers() -> None:
    event = new_event("ü", value=b"12345", headers={"ab": "ö"})
    assert event.size() == 2 + 5 + 2 + 2


def test_the_limit_itself_is_taken(db: None, settings: Settings) -> None:
    event = new_event("a", value=b"x" * 100, headers={})
    check([event], 101)
    settings.KAFKA_MAX_MESSAGE_BYTES = 100
    with pytest.raises(EventTooLarge) as caught:
        append("default", [event])
    assert (caught.value.size, caught.value.limit) == (101, 100)


@pytest.mark.django_db
def test_key_locks_end_with_the_transaction() -> None:
    with transaction.atomic():
        lock_keys("default", [new_event("b"), new_event("a"), new_event("a")])
        # One for each key, and a share of the one for all keys.
        assert _locks() == (3 if connection.vendor == "postgresql" else 0)


@pytest.mark.django_db
def test_more_keys_than_there_is_room_for_take_one_lock_for_all() -> None:
    with transaction.atomic():
        lock_keys("default", [new_event(str(number)) for number in range(MANY_KEYS + 1)])
        assert _locks() == (1 if connection.vendor == "postgresql" else 0)


@pytest.mark.django_db
def test_all_keys_are_locked_in_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    events = [new_event(str(number)) for number in range(100)]
    with transaction.atomic(), django_assert_num_queries(connection.vendor == "postgresql"):
        lock_keys("default", events)


def _locks() -> int:
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        [(count,)] = cursor.fetchall()
    return int(count)
