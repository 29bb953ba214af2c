"""What was taken from a partition that has gone is no progress of the one that comes back."""

from __future__ import annotations

from kafka_integration.broker.assignment import Assignment
from kafka_integration.events.envelope import Message

PLACE = ("a.b.json", 0)


def message(offset: int) -> Message:
    return Message(*PLACE, offset, b"k", b"{}")


def assigned() -> Assignment:
    found = Assignment()
    found.add([PLACE])
    return found


def test_progress_is_contiguous() -> None:
    ours = assigned()
    one, two = ours.take(message(1)), ours.take(message(2))
    assert ours.finish(two) is None
    assert ours.positions == {}
    assert ours.finish(one) == 3
    assert ours.positions == {PLACE: 3}


def test_what_ends_after_its_partition_has_gone_is_no_progress() -> None:
    ours = assigned()
    taken = ours.take(message(1))
    ours.remove([PLACE])
    assert ours.finish(taken) is None
    assert not ours.places


def test_nor_after_the_partition_has_come_back() -> None:
    ours = assigned()
    old = ours.take(message(1))
    ours.remove([PLACE])
    ours.add([PLACE])
    new = ours.take(message(1))
    assert ours.finish(old) is None
    assert ours.positions == {}
    assert ours.finish(new) == 2


def test_offsets_that_start_anew_are_another_generation() -> None:
    ours = assigned()
    old = ours.take(message(7))
    new = ours.take(message(0))
    assert new.generation != old.generation
    assert ours.finish(old) is None
    assert ours.finish(new) == 1


def test_the_end_of_a_partition_counts_once_nothing_is_open() -> None:
    ours = assigned()
    ours.reach(PLACE, 5)
    assert ours.positions == {PLACE: 5}
    taken = ours.take(message(5))
    ours.reach(PLACE, 8)
    assert ours.positions == {PLACE: 5}
    assert ours.finish(taken) == 8
    assert ours.positions == {PLACE: 8}
