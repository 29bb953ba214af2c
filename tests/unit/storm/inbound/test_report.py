"""What the inbound storm says of a verdict, and when it is content."""

from __future__ import annotations

import json

import pytest

from tests.storm.inbound.checker import Difference, Verdict
from tests.storm.inbound.report import line, wrong

ONE = Difference("kind", ("t", "a", 1), "because")


def test_the_line_has_the_figures() -> None:
    verdict = Verdict(10, 12, handled=8, poison=2, dead_lettered=2, repeated=3, lost=[ONE])
    assert json.loads(line(3, 30, 17, verdict, 12.34)) == {
        "storm": "inbound",
        "seed": 3,
        "faults": 30,
        "guests": 17,
        "events": 10,
        "sent": 12,
        "handled": 8,
        "lost": 1,
        "duplicates": 0,
        "order_violations": 0,
        "phantoms": 0,
        "poison": 2,
        "dead_lettered": 2,
        "missing_letters": 0,
        "wrong_letters": 0,
        "repeated_letters": 3,
        "seconds": 12.3,
    }


@pytest.mark.parametrize(
    "kind",
    ["lost", "duplicates", "order_violations", "phantoms", "missing_letters", "wrong_letters"],
)
def test_every_difference_is_wrong(kind: str) -> None:
    verdict = Verdict(10, 10)
    getattr(verdict, kind).append(ONE)
    assert wrong(verdict, 10) == [ONE]


def test_repeated_letters_are_no_fault() -> None:
    assert wrong(Verdict(10, 10, repeated=5), 10) == []


def test_too_few_events_prove_nothing() -> None:
    assert wrong(Verdict(9, 9), 10) == ["only 9 of 10 events were sent in time"]
