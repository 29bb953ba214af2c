"""What a dead letter says of its failure."""

from __future__ import annotations

import pytest

from kafka_integration.broker.producer import Delivery
from kafka_integration.errors import (
    DeadLetterRefused,
    DeliveryFailed,
    InvalidMessage,
    ProducerFailed,
)
from kafka_integration.inbox import dead_letters
from kafka_integration.inbox.dead_letters import DeadLetters, Failure, headers

from .messages import message


def failure(error: Exception) -> Failure:
    try:
        raise error
    except type(error) as raised:
        return Failure("things", "attempts-exhausted", 3, raised)


def said(found: list[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in found if name.startswith("dlq_")}


def test_it_says_where_and_why() -> None:
    found = said(headers(message(), failure(InvalidMessage("no name"))))
    trace = found.pop("dlq_trace")
    assert found == {
        "dlq_reason": "attempts-exhausted",
        "dlq_group": "things",
        "dlq_attempts": "3",
        "dlq_topic": "thing.made.json",
        "dlq_partition": "1",
        "dlq_offset": "7",
        "dlq_timestamp": "1700000000000",
        "dlq_exception_class": "kafka_integration.errors.InvalidMessage",
        "dlq_exception_message": "no name",
    }
    assert trace.endswith("InvalidMessage: no name\n")
    assert "in failure" in trace


def test_own_headers_stay_and_earlier_failures_go() -> None:
    own = [("a", b"\xff"), ("dlq_reason", b"old"), ("dlq_other", b"old"), ("a", b"2")]
    found = headers(message(headers=own), failure(ValueError()))
    assert found[:2] == [("a", b"\xff"), ("a", b"2")]
    assert [name for name, _ in found].count("dlq_reason") == 1
    assert "dlq_other" not in dict(found)


def test_headers_do_not_grow_from_one_failure_to_the_next() -> None:
    once = headers(message(), failure(ValueError("x")))
    twice = headers(message(headers=once), failure(ValueError("x")))
    assert said(once) == said(twice)


@pytest.mark.parametrize("text", ["ü" * 9000, "\ud800" * 9000, "a" + "€" * 9000])
def test_long_and_odd_texts_are_cut_between_characters(text: str) -> None:
    found = dict(headers(message(), failure(ValueError(text))))
    assert len(found["dlq_trace"]) <= 4096
    assert 1000 < len(found["dlq_exception_message"]) <= 1024
    assert found["dlq_trace"].decode()


class Failing:
    """A producer that cannot go on."""

    closed = 0

    def __init__(self, **overrides: object) -> None:
        self.overrides = overrides

    def send_and_wait(self, *args: object) -> Delivery:
        raise ProducerFailed("fenced")

    def close(self) -> None:
        Failing.closed += 1


def test_a_producer_that_failed_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Failing] = []

    def make(**overrides: object) -> Failing:
        made.append(Failing(**overrides))
        return made[-1]

    monkeypatch.setattr(dead_letters, "EventProducer", make)
    letters = DeadLetters()
    for _ in range(2):
        with pytest.raises(ProducerFailed):
            letters.send(message(), failure(ValueError()))
    assert len(made) == 2


class Narrow:
    """A producer to a topic that takes no header as long as ``longest`` bytes."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.tried: list[dict[str, bytes]] = []

    def send_and_wait(
        self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]], timeout: float
    ) -> Delivery:
        self.tried.append(dict(headers))
        if max(len(value) for _, value in headers) >= self.longest:
            raise DeliveryFailed(topic, "too large")
        return Delivery(topic, 0, 0)


@pytest.mark.parametrize("longest", [200, 1])
def test_what_is_too_large_goes_without_trace_and_message(
    longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Narrow(longest)
    monkeypatch.setattr(dead_letters, "EventProducer", lambda **_: narrow)
    letters, why = DeadLetters(), failure(ValueError("x" * 500))
    if longest > 1:
        assert letters.send(message(), why).error is None
    else:
        with pytest.raises(
            DeadLetterRefused, match=r"topic thing\.made\.json\.dlq refused.*too large"
        ):
            letters.send(message(), why)
    full, brief = narrow.tried
    assert full.keys() - brief.keys() == {"dlq_trace", "dlq_exception_message"}
    assert brief["dlq_exception_class"] == b"builtins.ValueError"
