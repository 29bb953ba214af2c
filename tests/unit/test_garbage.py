"""The garbage collector is slowed down for a block, and works on inside it."""

from __future__ import annotations

import gc
import weakref

import pytest

from kafka_integration.garbage import collecting_rarely


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_it_collects_less_often_inside_and_as_before_afterwards() -> None:
    before = gc.get_threshold()

    with collecting_rarely():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 0

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_an_error_inside_leaves_nothing_behind() -> None:
    before = gc.get_threshold()

    with pytest.raises(KeyError), collecting_rarely():
        raise KeyError

    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_new_cycles_are_still_freed() -> None:
    with collecting_rarely():
        seen = weakref.ref(Cycle())
        kept: list[list[int]] = [[] for _ in range(30_000)]

    assert kept
    assert seen() is None
