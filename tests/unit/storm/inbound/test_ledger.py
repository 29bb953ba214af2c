"""What the inbox recorded is compared with what was sent."""

from __future__ import annotations

from tests.storm.inbound.checker import Place
from tests.storm.inbound.ledger import Recorded, misrecorded

from .messages import SENT

GARBLED, FATAL = SENT[1], SENT[2]
PLACES = [one.wire.place for one in SENT]
TRUE: dict[Place, Recorded] = {
    one.wire.place: ("dead", one.wire.value) if one.poison else ("done", None)
    for one in [*SENT[:3], *SENT[4:7]]
}


def found(records: dict[Place, Recorded]) -> list[str]:
    return list(misrecorded(records, SENT))


def test_true_records_are_not_named() -> None:
    assert found(TRUE) == []


def test_an_event_without_a_record_or_with_two_is_named() -> None:
    less = {place: one for place, one in TRUE.items() if place != GARBLED.wire.place}
    assert found(less) == [f"{GARBLED.event} has 0 inbox records"]
    assert found(TRUE | {PLACES[7]: ("done", None)}) == [f"{SENT[0].event} has 2 inbox records"]


def test_poison_that_is_recorded_as_done_or_without_its_bytes_is_named() -> None:
    [text] = found(TRUE | {FATAL.wire.place: ("done", None)})
    assert text == f"{FATAL.event} is recorded as done with None"
    [text] = found(TRUE | {FATAL.wire.place: ("dead", b"less")})
    assert text == f"{FATAL.event} is recorded as dead with b'less'"


def test_a_record_of_nothing_is_named() -> None:
    [text] = found(TRUE | {("t", 0, 9): ("done", None)})
    assert text == "an inbox record is about ('t', 0, 9), where nothing stands"
