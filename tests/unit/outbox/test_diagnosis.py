"""Why events wait: a pure question."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pytest_django import Settings

from kafka_integration.errors import BrokerUnavailable
from kafka_integration.outbox import diagnosis
from kafka_integration.outbox.backlog_report import BacklogReport, Count, HeldKey, Lease, Waiting
from kafka_integration.outbox.diagnosis import Kafka, ask_kafka, diagnose, ranges
from kafka_integration.outbox.sessions import Holder, Session, Sessions

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
TOPIC = "a.b.json"
EMPTY = BacklogReport(Count(0), (), (), None, (), Count(0), (), Count(0), Count(0), Count(0))
SESSION = Session(7, "ada", "psql", "idle in transaction", 3, "SELECT 1", [], False, None)


def waiting(**more: Any) -> BacklogReport:
    """Two events of one topic that a relay is there for."""
    by_topic = Waiting(TOPIC, 2, 0, 0, NOW)
    found = replace(
        EMPTY,
        queued=Count(2),
        by_topic=(by_topic,),
        by_shard=(replace(by_topic, name=3),),
        leases=(Lease(3, "host:1", 1, 10.0), Lease(4, "", 0, None)),
    )
    return replace(found, **more)


def kinds(report: BacklogReport, found: Sessions | None = None, kafka: Kafka | None = None) -> Any:
    return [item.kind for item in diagnose(report, found, kafka or Kafka(), NOW)]


def test_nothing_to_say_of_an_empty_outbox_or_one_that_is_being_sent() -> None:
    assert kinds(EMPTY) == []
    assert kinds(waiting()) == []


def test_nobody_leads_the_shard_of_what_waits() -> None:
    alone = waiting(leases=(Lease(3, "", 1, None), Lease(4, "host:1", 1, 9.0)))
    [found] = diagnose(alone, None, Kafka(), NOW)
    assert found.kind == "no-relay"
    assert "shard 3, where 2 events wait" in found.what


def test_a_topic_that_is_missing() -> None:
    [found] = diagnose(waiting(), None, Kafka(frozenset({TOPIC})), NOW)
    assert found.kind == "topic-missing"
    assert "kafka_topics apply" in found.cure


def test_kafka_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def __init__(self, patience: float) -> None:
            assert patience < 5

        def missing(self, topics: list[str]) -> set[str]:
            assert topics == [TOPIC]
            raise BrokerUnavailable("nowhere:1")

    monkeypatch.setattr(diagnosis, "TopicAdmin", Away)
    assert ask_kafka(EMPTY) == Kafka()
    assert kinds(waiting(), kafka=ask_kafka(waiting())) == ["broker"]


def test_held_keys_and_what_is_for_later() -> None:
    hold = HeldKey(TOPIC, "k", "too large", NOW, 2)
    later = (Waiting(TOPIC, 2, 0, 1, NOW),)
    report = waiting(holds=(hold,), held_keys=Count(1), by_topic=later)
    report = replace(report, next_due=NOW + timedelta(seconds=90))
    [held, due] = diagnose(report, None, Kafka(), NOW)
    assert held.kind == "hold"
    assert "too large" in held.what
    assert due.kind == "later"
    assert "due in 90 s" in due.what


@pytest.mark.parametrize(
    ("session", "told"),
    [
        (SESSION, False),
        (replace(SESSION, seconds=11), True),
        (replace(SESSION, blocks=[9]), True),
        (replace(SESSION, seconds=None), False),
    ],
)
def test_sessions_that_are_old_or_block_others(session: Session, told: bool) -> None:
    found = diagnose(EMPTY, Sessions((session,), (), 0), Kafka(), NOW)
    assert bool(found) == told
    for item in found:
        assert "session 7 (ada, psql)" in item.what
        assert "SELECT 1" in item.what
        assert "pg_terminate_backend(7)" in item.cure


def test_what_keeps_dead_rows_and_what_cannot_be_seen() -> None:
    found = Sessions((), (Holder("replication slot old", 200_000), Holder("session 1", 5)), 2)
    assert kinds(EMPTY, found) == ["horizon", "hidden"]


def test_ranges() -> None:
    assert ranges([7, 0, 1, 2]) == "0-2, 7"
    assert ranges([]) == ""


def test_no_relay_is_asked_for_where_none_may_start(settings: Settings) -> None:
    settings.KAFKA_ENABLED = False
    assert kinds(waiting(leases=())) == ["disabled", "no-relay"]
    assert kinds(waiting()) == []


def test_no_relay_is_asked_for_to_send_what_is_held() -> None:
    held = waiting(by_shard=(Waiting("3", 2, 2, 0, NOW),), leases=())
    assert kinds(held) == []
    some = waiting(by_shard=(Waiting(3, 3, 2, 0, NOW),), leases=())
    [found] = diagnose(some, None, Kafka(), NOW)
    assert "where 1 event waits" in found.what
