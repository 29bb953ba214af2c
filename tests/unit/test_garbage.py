"""The garbage collector is slowed down for a block, and works on inside it."""

from __future__ import annotations

import gc
import weakref

import pytest

from kafka_integration.garbage import collecting_rarely


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def test_what_exists_is_left_alone_inside_and_looked_at_afterwards() -> None:
    with collecting_rarely():
        assert gc.get_freeze_count() > 0

    assert gc.get_freeze_count() == 0


def test_an_error_inside_leaves_nothing_behind() -> None:
    with pytest.raises(KeyError), collecting_rarely():
        raise KeyError

    assert gc.get_freeze_count() == 0


def test_new_cycles_are_still_freed() -> None:
    with collecting_rarely():
        seen = weakref.ref(Cycle())
        kept: list[list[int]] = [[] for _ in range(3_000)]

    assert kept
    assert seen() is None
