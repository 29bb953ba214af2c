"""What to do next about a letter."""

from __future__ import annotations

import pytest

from kafka_integration.inbox.advice import advice
from kafka_integration.models import InboxStatus


def commands(status: str, *, is_handled_here: bool = True) -> list[str]:
    found = advice(17, status, "g", is_handled_here=is_handled_here)
    assert all(step.text for step in found)
    return [step.command.removeprefix("manage.py ") for step in found if step.command]


def test_a_dead_letter_is_tried_dry_first() -> None:
    assert commands(InboxStatus.DEAD) == [
        "kafka_dead_letters redrive 17 --dry-run",
        "kafka_dead_letters redrive 17",
        "kafka_dead_letters discard 17",
    ]


def test_nobody_here_can_handle_it() -> None:
    found = commands(InboxStatus.DEAD, is_handled_here=False)
    assert found == ["kafka_dead_letters discard 17"]


def test_a_parked_letter_waits_for_its_consumer() -> None:
    assert commands(InboxStatus.PARKED) == ["kafka_consume --group g"]


@pytest.mark.parametrize("status", [InboxStatus.DONE, InboxStatus.DISCARDED])
def test_what_is_over_is_over(status: str) -> None:
    assert commands(status) == []
