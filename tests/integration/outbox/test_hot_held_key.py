"""A held key with a hundred thousand events behind it does not slow the others of its shard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.models import Min

from kafka_integration.models import OutboxDelivery, OutboxHold, OutboxQueue
from kafka_integration.models.queue import key_hash
from kafka_integration.outbox import reader, scan
from kafka_integration.outbox.reader import Reader, Wanted
from kafka_integration.outbox.relay import Relay
from kafka_integration.outbox.scan import QueueRow

pytestmark = pytest.mark.django_db(transaction=True)

BEHIND = 100_000
HELD = "held"

_FILL = """
WITH event AS (
    INSERT INTO kafka_outbox_event (event_id, topic, key, value, headers, created_at)
    SELECT gen_random_uuid(), %(topic)s, %(key)s, '{}', '{"ce_id": "1"}', now()
    FROM generate_series(1, %(count)s)
    RETURNING id
)
INSERT INTO kafka_outbox_queue (event_id, shard, key_hash, blocked, attempts, last_error)
SELECT id, %(hash)s %% 16, %(hash)s, false, 0, '' FROM event ORDER BY id
"""


class Reads:
    """How many rows of held keys the relay was given to look at."""

    def __init__(self, put_out_of_sight: Callable[[str, Sequence[QueueRow]], None]) -> None:
        self.held: list[int] = []
        self._put_out_of_sight = put_out_of_sight

    def __call__(self, using: str, rows: Sequence[QueueRow]) -> None:
        self.held.append(len(rows))
        self._put_out_of_sight(using, rows)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    found = Reads(scan.put_out_of_sight)
    monkeypatch.setattr(reader, "put_out_of_sight", found)
    return found


def neighbours(topic: str, count: int) -> list[str]:
    """Return keys of the shard of the held one."""
    shard = key_hash(topic, HELD) % 16
    keys = (f"key-{number}" for number in range(10_000))
    return [key for key in keys if key_hash(topic, key) % 16 == shard][:count]


def hold_and_fill(topic: str) -> None:
    hashed = key_hash(topic, HELD)
    OutboxHold.objects.create(topic=topic, key_hash=hashed, key=HELD, reason="too large")
    values: dict[str, str | int] = {"topic": topic, "key": HELD, "hash": hashed, "count": BEHIND}
    with connection.cursor() as cursor:
        cursor.execute(_FILL, values)


def test_other_keys_of_its_shard_go_out_past_it(
    topic: str, send: Callable[..., None], reads: Reads
) -> None:
    before, after = neighbours(topic, 10)[:5], neighbours(topic, 10)[5:]
    send(topic, [(key, 1) for key in before])
    hold_and_fill(topic)
    send(topic, [(key, 1) for key in after])

    Relay().drain()

    assert OutboxDelivery.objects.count() == 10
    assert OutboxQueue.objects.filter(blocked=True).count() == BEHIND
    assert OutboxQueue.objects.count() == BEHIND
    # Of each read's rows the relay is given a batch at most: the rest is blocked unread.
    assert sum(reads.held) <= 10 * 500

    reads.held.clear()
    send(topic, [(key, 2) for key in before])
    Relay().drain()
    assert OutboxDelivery.objects.count() == 15
    assert sum(reads.held) == 0, "what was met once is not met again"


def test_released_all_of_it_follows_in_order(topic: str, settings: Any) -> None:
    settings.KAFKA_TOPICS_FILE = ""
    hold_and_fill(topic)
    found = Reader("default")
    assert found.read(Wanted(range(16), 500)) == []
    first = OutboxQueue.objects.aggregate(first=Min("position"))["first"]
    OutboxHold.objects.all().release()
    assert not OutboxQueue.objects.filter(blocked=True).exists()
    rows = found.read(Wanted(range(16), 500))
    assert [row.position for row in rows] == list(range(first, first + 500))
