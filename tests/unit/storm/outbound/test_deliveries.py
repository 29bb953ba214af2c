"""What the outbox recorded is compared with what stands in the topics."""

from __future__ import annotations

from tests.storm.outbound.checker import Record
from tests.storm.outbound.deliveries import Delivery, misrecorded

TOPIC = "storm.note_x.json"
RECORDS = [Record(TOPIC, 0, n, "a", n, f"event-{n}", f"{n:019d}") for n in (1, 2)]
TRUE: list[Delivery] = [("event-1", TOPIC, 0, 1), ("event-2", TOPIC, 0, 2)]


def test_true_deliveries_are_not_named() -> None:
    assert list(misrecorded(TRUE, RECORDS)) == []


def test_one_without_a_place_is_believed() -> None:
    assert list(misrecorded([("event-1", TOPIC, None, None)], RECORDS)) == []


def test_one_that_is_recorded_twice_is_named() -> None:
    [found] = misrecorded([*TRUE, TRUE[0]], RECORDS)
    assert found == f"event event-1 of {TOPIC} is recorded as sent twice: somebody had no lease"


def test_one_that_does_not_stand_there_is_named() -> None:
    swapped: list[Delivery] = [("event-1", TOPIC, 0, 2), ("event-2", TOPIC, 0, 9)]
    first, second = misrecorded(swapped, RECORDS)
    assert first == f"event event-1 is recorded at {TOPIC}[0]@2, where event-2 stands"
    assert second == f"event event-2 is recorded at {TOPIC}[0]@9, where nothing stands"
