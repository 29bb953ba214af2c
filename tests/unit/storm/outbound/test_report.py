"""What the storm says of a verdict, and when it is content."""

from __future__ import annotations

import json

from tests.storm.outbound.checker import Difference, Verdict
from tests.storm.outbound.report import line, wrong
from tests.storm.voice import first


def difference(kind: str, number: int = 1) -> Difference:
    return Difference(kind, "a.b.json", "key", number, 0, 7, "because")


def test_the_line_has_the_figures() -> None:
    verdict = Verdict(10, 12, duplicates=[difference("duplicate")] * 2)
    assert json.loads(line(3, "at-least-once", 30, verdict, 12.34)) == {
        "storm": "outbound",
        "seed": 3,
        "mode": "at-least-once",
        "faults": 30,
        "committed": 10,
        "published": 12,
        "lost": 0,
        "duplicates": 2,
        "order_violations": 0,
        "phantoms": 0,
        "seconds": 12.3,
    }


def test_repeats_are_forbidden_exactly_once_only() -> None:
    verdict = Verdict(10, 11, duplicates=[difference("duplicate")])
    assert wrong(verdict, 10, exactly_once=False) == []
    assert wrong(verdict, 10, exactly_once=True) == [difference("duplicate")]


def test_every_other_difference_is_wrong() -> None:
    for kind in ("lost", "order_violations", "phantoms"):
        verdict = Verdict(10, 10)
        getattr(verdict, kind).append(difference(kind))
        assert wrong(verdict, 10, exactly_once=False) == [difference(kind)]


def test_too_few_events_prove_nothing() -> None:
    [found] = wrong(Verdict(9, 9), 10, exactly_once=False)
    assert "only 9 of 10" in str(found)


def test_the_first_of_each_kind_are_named() -> None:
    lost = [difference("lost", number) for number in range(1, 14)]
    texts = list(first([*lost, difference("phantom"), "the rest"]))
    assert texts[0] == "lost: a.b.json key number 1 at [0]@7: because"
    assert texts[10] == "… and 3 more of this kind"
    assert texts[11:] == ["phantom: a.b.json key number 1 at [0]@7: because", "the rest"]
