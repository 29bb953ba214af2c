"""Commits stop before the first message that is not finished."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.broker.open_offsets import OpenOffsets


def test_out_of_order_it_goes_on_at_the_first_that_is_open() -> None:
    opened = OpenOffsets()
    for offset in (4, 5, 9):
        opened.take(offset)
    assert opened.following == 4
    assert opened.finish(5) is None
    assert opened.finish(4) == 9
    assert opened.finish(9) == 10
    assert opened.following == 10


def test_what_is_not_open_moves_nothing() -> None:
    opened = OpenOffsets()
    assert opened.following is None
    opened.take(4)
    assert opened.finish(3) is None
    assert opened.finish(4) == 5
    assert opened.finish(4) is None
    assert opened.following == 5


def test_the_end_of_a_partition_may_be_past_its_last_message() -> None:
    opened = OpenOffsets()
    opened.take(4)
    opened.reach(7)
    assert opened.following == 4
    assert opened.finish(4) == 7


def test_offsets_must_grow() -> None:
    opened = OpenOffsets()
    opened.take(4)
    with pytest.raises(ValueError, match="Offset 4 comes after 5"):
        opened.take(4)


@given(
    gaps=st.lists(st.integers(1, 5), min_size=1, max_size=40),
    choices=st.lists(st.integers(0, 10_000), max_size=200),
)
def test_it_never_goes_past_what_is_open_and_always_up_to_it(
    gaps: list[int], choices: list[int]
) -> None:
    """Whatever the order of taking and finishing: checked against the plain definition."""
    opened, waiting = OpenOffsets(), list(accumulate(gaps))
    taken: list[int] = []
    unfinished: list[int] = []
    moved: list[int] = []
    for choice in choices:
        if unfinished and choice % 2:
            offset = unfinished.pop(choice % len(unfinished))
            following = opened.finish(offset)
            moved += [] if following is None else [following]
        elif waiting:
            offset = waiting.pop(0)
            opened.take(offset)
            taken.append(offset)
            unfinished.append(offset)
        expected = min(unfinished) if unfinished else (taken[-1] + 1 if taken else None)
        assert opened.following == expected
        assert len(opened) == len(unfinished)
    assert moved == sorted(set(moved))
