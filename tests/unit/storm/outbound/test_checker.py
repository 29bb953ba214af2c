"""The storm's checker: fed what must not be, it names each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.storm.outbound.checker import Checker, Record, Verdict

TOPIC = "storm.note_x.json"
COMMITTED = {(TOPIC, "a"): 4, (TOPIC, "b"): 3}


def record(key: str, number: int, offset: int, **changes: object) -> Record:
    sequence = f"{offset:019d}"
    found = Record(TOPIC, 0, offset, key, number, f"{key}{number}", sequence)
    return replace(found, **changes)  # type: ignore[arg-type]  # each test knows its fields


def log() -> list[Record]:
    """Everything that was committed, in order; ``b`` lies between ``a``."""
    keys = [("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2), ("b", 3), ("a", 4)]
    return [record(key, number, offset) for offset, (key, number) in enumerate(keys, 10)]


def judge(records: list[Record], *, exactly_once: bool = False) -> Verdict:
    return Checker(COMMITTED, exactly_once).judge(records)


def faults(verdict: Verdict) -> list[tuple[str, str, int, int | None]]:
    found = [*verdict.lost, *verdict.duplicates, *verdict.order_violations, *verdict.phantoms]
    return [(one.kind, one.key, one.number, one.offset) for one in found]


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_correct_log_has_no_difference(exactly_once: bool) -> None:
    verdict = judge(log(), exactly_once=exactly_once)
    assert (verdict.committed, verdict.published) == (7, 7)
    assert faults(verdict) == []


@pytest.mark.parametrize("dropped", range(7))
def test_a_dropped_event_is_lost_and_nothing_else(dropped: int) -> None:
    records = log()
    gone = records.pop(dropped)
    verdict = judge(records)
    assert faults(verdict) == [("lost", gone.key, gone.number, None)]
    assert verdict.published == 6


def test_a_key_of_which_nothing_came_is_lost_whole() -> None:
    verdict = judge([one for one in log() if one.key == "a"])
    assert faults(verdict) == [("lost", "b", number, None) for number in (1, 2, 3)]


def test_a_doubled_event_is_a_duplicate_at_its_second_place() -> None:
    doubled = replace(log()[2], offset=17)
    verdict = judge([*log(), doubled])
    assert faults(verdict) == [("duplicate", "a", 2, 17)]
    assert verdict.duplicates[0].why == "first seen at [0]@12"
    assert verdict.published == 8


def test_exactly_once_a_late_repeat_breaks_the_order_too() -> None:
    doubled = replace(log()[2], offset=17)
    verdict = judge([*log(), doubled], exactly_once=True)
    assert faults(verdict) == [("duplicate", "a", 2, 17), ("order", "a", 2, 17)]


def test_swapped_events_break_the_order_at_the_later_one() -> None:
    records = log()
    records[2] = replace(records[2], offset=13)
    records[3] = replace(records[3], offset=12)
    verdict = judge(records)
    assert faults(verdict) == [("order", "a", 2, 13)]
    assert verdict.order_violations[0].why == "number 3 came before it"


def test_an_event_that_was_never_committed_is_a_phantom() -> None:
    assert faults(judge([*log(), record("a", 5, 17)])) == [("phantom", "a", 5, 17)]
    assert faults(judge([*log(), record("c", 1, 17)])) == [("phantom", "c", 1, 17)]
    assert faults(judge([*log(), record("a", -1, 17)])) == [("phantom", "a", -1, 17)]


def test_rolled_back_work_is_a_phantom_though_its_number_was_used_again() -> None:
    doomed = record("a", 4, 9, id="other", doomed=True)
    assert faults(judge([doomed, *log()])) == [("phantom", "a", 4, 9)]


def test_a_number_under_two_event_ids_is_a_phantom() -> None:
    other = record("a", 4, 17, id="other")
    assert faults(judge([*log(), other])) == [("phantom", "a", 4, 17)]


def test_a_key_on_two_partitions_has_no_order() -> None:
    records = [*log()[:-1], replace(log()[-1], partition=1)]
    assert faults(judge(records)) == [("order", "a", 4, 16)]


def test_a_sequence_that_does_not_grow_breaks_the_order() -> None:
    records = log()
    records[3] = replace(records[3], sequence=records[0].sequence)
    assert faults(judge(records)) == [("order", "a", 3, 13)]


def test_a_repeat_with_another_sequence_breaks_the_order() -> None:
    doubled = replace(log()[2], offset=17, sequence=f"{17:019d}")
    assert faults(judge([*log(), doubled])) == [("duplicate", "a", 2, 17), ("order", "a", 2, 17)]


def test_a_repeat_in_the_midst_of_first_appearances_breaks_no_order() -> None:
    """Numbers 1 and 2 come again, as after a relay's death, and then 3 and 4 for the first time."""
    records = [record("a", number, number) for number in (1, 2)]
    again = [replace(one, offset=one.offset + 10) for one in records]
    rest = [record("a", number, number + 20) for number in (3, 4)]
    verdict = Checker({(TOPIC, "a"): 4}, False).judge([*records, *again, *rest])
    assert [kind for kind, *_ in faults(verdict)] == ["duplicate", "duplicate"]


def test_a_difference_names_its_place() -> None:
    [lost] = judge(log()[1:]).lost
    assert str(lost) == f"lost: {TOPIC} a number 1: committed, and in no record"
    [phantom] = judge([*log(), record("a", 5, 17)]).phantoms
    assert str(phantom).startswith(f"phantom: {TOPIC} a number 5 at [0]@17: ")
