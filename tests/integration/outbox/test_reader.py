"""Reading the queue on PostgreSQL, beside transactions that end when they please."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import transaction

from kafka_integration import EventData, publish
from kafka_integration.models import OutboxHold, OutboxQueue
from kafka_integration.outbox import reader as module
from kafka_integration.outbox.batch import Batch, Sent, record
from kafka_integration.outbox.reader import Reader, Wanted
from kafka_integration.outbox.scan import QueueRow, transaction_id
from tests.integration.outbox.sessions import Session

pytestmark = pytest.mark.django_db(transaction=True)

TOPIC = "test.reader.json"
ALL = range(16)


class Told(EventData):
    """An event without a model."""

    text: str = ""


class Relaying:
    """A reader, and what is under way of what it returned, as the relay's pipeline has it."""

    def __init__(self) -> None:
        self.reader = Reader("default")
        self.under_way: list[QueueRow] = []

    def keys(self, limit: int = 100, shards: Sequence[int] = ALL) -> list[str]:
        """Read on, and return the keys of what was found."""
        positions = [row.position for row in self.under_way]
        rows = self.reader.read(Wanted(shards, limit, under_way=positions))
        self.under_way += rows
        return [row.key for row in rows]

    def record(self) -> None:
        """Record all that is under way as out."""
        batch = Batch(self.under_way)
        batch.sent = [Sent(row, 0, row.position) for row in self.under_way]
        seen = self.reader.seen()
        with transaction.atomic():
            self.reader.note_own(transaction_id("default"), seen)
            record("default", batch, ALL)
        self.under_way = []


@pytest.fixture(autouse=True)
def _without_a_catalogue(settings: Any) -> None:
    settings.KAFKA_TOPICS_FILE = ""


@pytest.fixture
def relaying(monkeypatch: pytest.MonkeyPatch) -> Relaying:
    """A reader that never begins anew because some time has passed."""
    monkeypatch.setattr(module, "_RESTART_SECONDS", 3_600.0)
    return Relaying()


@pytest.fixture
def begin() -> Iterator[Callable[[], Session]]:
    """Begin transactions in sessions of their own; those still open at the end are rolled back."""
    begun: list[Session] = []

    def make() -> Session:
        begun.append(Session())
        return begun[-1]

    yield make
    for session in begun:
        session.close()


def tell(*keys: str) -> None:
    for key in keys:
        publish(Told(), topic=TOPIC, key=key)


def tell_and_commit(*keys: str) -> None:
    with transaction.atomic():
        tell(*keys)


def test_what_is_committed_late_below_is_read_next(
    relaying: Relaying, begin: Callable[[], Session]
) -> None:
    slow, quick = begin(), begin()
    slow.do(tell, "slow")
    quick.do(tell, "quick")
    quick.commit()
    assert relaying.keys() == ["quick"]
    assert relaying.keys() == []
    slow.commit()
    assert relaying.keys() == ["slow"]
    assert relaying.keys() == []


@pytest.mark.parametrize("recorded", [False, True], ids=["under way", "recorded"])
def test_so_is_what_a_transaction_commits_that_no_snapshot_named(
    relaying: Relaying, begin: Callable[[], Session], recorded: bool
) -> None:
    # It has a higher number than all that had ended, so that no snapshot counts it as running.
    quick, slow = begin(), begin()
    quick.do(tell, "first")
    slow.do(tell, "slow")
    quick.do(tell, "second")
    quick.commit()
    assert relaying.keys() == ["first", "second"]
    if recorded:
        relaying.record()
        tell_and_commit("third")
        assert relaying.keys() == ["third"]
    slow.commit()
    assert relaying.keys() == ["slow"]


def test_what_is_under_way_is_not_read_again(
    relaying: Relaying, begin: Callable[[], Session]
) -> None:
    slow = begin()
    slow.do(tell, "slow")
    tell_and_commit("a", "b", "c")
    assert relaying.keys(limit=2) == ["a", "b"]
    slow.commit()
    assert relaying.keys(limit=1) == ["slow"], "it begins below what is under way"
    relaying.reader.restart()
    assert relaying.keys() == ["c"]


def test_a_row_that_was_rolled_back_is_never_read(
    relaying: Relaying, begin: Callable[[], Session]
) -> None:
    given_up = begin()
    given_up.do(tell, "never")
    tell_and_commit("a")
    assert relaying.keys() == ["a"]
    given_up.roll_back()
    assert relaying.keys() == []


def test_only_our_shards_are_read(relaying: Relaying) -> None:
    tell_and_commit(*"abcdef")
    rows = OutboxQueue.objects.order_by("position").values_list("event__key", "shard")
    mine = rows[0][1]
    expected = [key for key, shard in rows if shard == mine]
    assert 0 < len(expected) < 6
    assert relaying.keys(shards=[mine]) == expected


def hold(key: str) -> Any:
    row = OutboxQueue.objects.filter(event__key=key).earliest("position")
    return OutboxHold.objects.create(topic=TOPIC, key_hash=row.key_hash, key=key, reason="test")


def test_a_held_key_waits_and_is_put_out_of_sight(relaying: Relaying) -> None:
    tell_and_commit("a", "b", "a")
    hold("a")
    assert relaying.keys() == ["b"]
    assert OutboxQueue.objects.filter(blocked=True, event__key="a").count() == 2


def test_released_it_is_read_in_order_though_it_was_passed(relaying: Relaying) -> None:
    tell_and_commit("a", "b", "a")
    held = hold("a")
    assert relaying.keys() == ["b"]
    # From here on, the reader knows that new transactions take positions above what it passed.
    relaying.record()
    tell_and_commit("c")
    assert relaying.keys() == ["c"]
    OutboxHold.objects.filter(pk=held.pk).release()
    tell_and_commit("a")
    assert relaying.keys() == ["a", "a", "a"]
    positions = [row.position for row in relaying.under_way if row.key == "a"]
    assert positions == sorted(positions)
