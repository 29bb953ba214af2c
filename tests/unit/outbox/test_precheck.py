"""Rows are sorted by what their topics take, before they are handed over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from kafka_integration.broker.limits import TopicLimits
from kafka_integration.errors import BrokerError, DeliveryFailed, MessageTooLarge
from kafka_integration.outbox import gate as gates
from kafka_integration.outbox.batch import Batch, Sent
from kafka_integration.outbox.gate import TopicGate
from kafka_integration.outbox.precheck import Precheck
from kafka_integration.outbox.scan import QueueRow

NARROW, WIDE = "narrow.made.json", "wide.made.json"


class FakeAdmin:
    """Knows every topic, and what they take."""

    def __init__(self) -> None:
        self.limits_: dict[str, TopicLimits | BrokerError] = {
            NARROW: TopicLimits(1_000, 10),
            WIDE: TopicLimits(1_000_000, 10),
        }
        self.asked: list[str] = []

    def __call__(self, timeout: float) -> FakeAdmin:
        return self

    def missing(self, topics: Iterable[str]) -> set[str]:
        return set()

    def limits(self, topic: str, producer: object) -> TopicLimits | None:
        self.asked.append(topic)
        found = self.limits_.get(topic)
        if isinstance(found, BrokerError):
            raise found
        return found


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch, settings: Any) -> FakeAdmin:
    found = FakeAdmin()
    settings.KAFKA_BROKER = "broker"
    monkeypatch.setattr(gates, "TopicAdmin", found)
    return found


@pytest.fixture
def gate(admin: FakeAdmin) -> TopicGate:
    found = TopicGate(lambda reason: None)
    for topic in (NARROW, WIDE):
        assert found.lets_through(topic)
    admin.asked.clear()
    return found


def rows(*sizes: int, topic: str = NARROW, key: str = "") -> list[QueueRow]:
    """Return rows with values of these sizes, each under a key of its own unless one is given."""
    return [
        QueueRow(
            position=number,
            shard=0,
            key_hash=hash(key or str(number)),
            event_pk=number,
            topic=topic,
            key=key or str(number),
            value=bytes(size),
            headers={},
            is_held=False,
        )
        for number, size in enumerate(sizes, 1)
    ]


def positions(found: Iterable[QueueRow]) -> list[int]:
    return [row.position for row in found]


def test_what_fits_goes_as_it_is_and_nobody_is_asked(admin: FakeAdmin, gate: TopicGate) -> None:
    found, precheck = rows(10, 20, 800), Precheck(gate)
    assert not precheck.finds(found)
    assert precheck.sort(found).swift is found
    assert admin.asked == []


def test_what_cannot_fit_is_refused_with_the_cure(gate: TopicGate) -> None:
    found, precheck = rows(10, 20_000, 10), Precheck(gate)
    assert precheck.finds(found)
    [(row, error)] = precheck.sort(found).refused
    assert row is found[1]
    assert list(precheck.refusals(found)) == [2]
    assert isinstance(error, MessageTooLarge)
    assert (error.topic, error.limit) == (NARROW, 1_000)
    assert "max.message.bytes is 1,000" in str(error)
    assert "kafka_topics apply" in str(error)
    assert positions(precheck.sort(found).swift) == [1, 3]


def test_what_only_kafka_can_tell_goes_apart(gate: TopicGate) -> None:
    found = Precheck(gate).sort(rows(10, 5_000, 10))
    assert (positions(found.swift), positions(found.apart), found.refused) == ([1, 3], [2], [])


def test_what_follows_under_the_same_key_goes_with_it_and_what_precedes_does_not(
    gate: TopicGate,
) -> None:
    found = Precheck(gate).sort(rows(10, 20_000, 10, 5_000, key="a"))
    assert (positions(found.swift), positions(found.apart)) == ([1], [2, 3, 4])
    batch = found.batch()
    assert positions(row for row, _ in batch.rejected()) == [2]
    assert all(batch.withholds(row) for row in found.apart)


def test_each_topic_has_a_limit_of_its_own(gate: TopicGate) -> None:
    assert not Precheck(gate).finds(rows(20_000, 900_000, topic=WIDE))


def test_a_limit_that_was_raised_meanwhile_holds_nothing(admin: FakeAdmin, gate: TopicGate) -> None:
    admin.limits_[NARROW] = TopicLimits(100_000, 10)
    found = rows(20_000, 20_000)
    assert Precheck(gate).sort(found).swift == found
    assert admin.asked == [NARROW], "once a batch, however many rows there are"


@pytest.mark.parametrize("answer", [None, BrokerError("no right to describe")])
def test_without_the_right_to_ask_everything_goes_as_it_is(
    admin: FakeAdmin, answer: BrokerError | None
) -> None:
    admin.limits_ = {} if answer is None else {NARROW: answer}
    gate = TopicGate(lambda reason: None)
    assert gate.lets_through(NARROW)
    assert not Precheck(gate).finds(rows(10**6))
    assert Precheck(gate).refusals(rows(10**6)) == {}


def test_what_compresses_well_is_trusted_after_a_while(gate: TopicGate) -> None:
    found, precheck = rows(5_000), Precheck(gate)
    for _ in range(20):
        assert precheck.finds(found)
        precheck.learn(taken(found))
    assert not precheck.finds(found)
    assert precheck.finds(rows(20_000)), "but not what no compression can help"
    precheck.learn(Batch(found, failed=[(found[0], DeliveryFailed(NARROW, "too large"))]))
    assert precheck.finds(found), "one rejection ends that"


def test_small_events_earn_no_trust(gate: TopicGate) -> None:
    precheck = Precheck(gate)
    precheck.learn(taken(rows(*[10] * 30)))
    assert precheck.finds(rows(5_000))


def test_a_rejection_that_was_not_foreseen_makes_us_ask_anew(
    admin: FakeAdmin, gate: TopicGate
) -> None:
    [row], precheck = rows(500), Precheck(gate)
    admin.limits_[NARROW] = TopicLimits(400, 10)
    precheck.learn(Batch([row], failed=[(row, DeliveryFailed(NARROW, "too large"))]))
    assert admin.asked == [NARROW]
    assert precheck.finds([row])


def test_one_that_was_foreseen_does_not(admin: FakeAdmin, gate: TopicGate) -> None:
    [row] = rows(20_000)
    error = MessageTooLarge(NARROW, 20_000, 1_000)
    Precheck(gate).learn(Batch([row], failed=[(row, error)]))
    assert admin.asked == []


def taken(found: Sequence[QueueRow]) -> Batch:
    return Batch(found, sent=[Sent(row, 0, 0) for row in found])
