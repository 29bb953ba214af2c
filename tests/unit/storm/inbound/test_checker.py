"""The inbound storm's checker: fed what must not be, it names each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.storm.inbound.checker import Checker, Effect, Verdict, Wire

from .messages import EFFECTS, GROUP, LETTERS, SENT, TOPIC, effect, letter

Named = tuple[str, str, int]


def judge(effects: Sequence[Effect] = EFFECTS, letters: Sequence[Wire] = LETTERS) -> Verdict:
    return Checker(SENT, GROUP).judge(effects, letters)


def named(verdict: Verdict) -> list[Named]:
    return [(one.kind, *(one.event or ("", "", 0))[1:]) for one in verdict.differences]


def test_a_correct_storm_has_no_difference() -> None:
    verdict = judge()
    assert named(verdict) == []
    assert (verdict.events, verdict.sent, verdict.handled) == (6, 8, 4)
    assert (verdict.poison, verdict.dead_lettered, verdict.repeated) == (2, 2, 0)


def test_the_order_in_which_rows_and_letters_are_read_does_not_matter() -> None:
    assert named(judge(EFFECTS[::-1], LETTERS[::-1])) == []


@pytest.mark.parametrize("dropped", range(4))
def test_a_dropped_effect_is_lost_and_nothing_else(dropped: int) -> None:
    gone = EFFECTS[dropped]
    # The next of its key saw what there was.
    seen = [
        replace(one, before=gone.before)
        if (one.key, one.before) == (gone.key, gone.number)
        else one
        for one in EFFECTS
        if one is not gone
    ]
    verdict = judge(seen)
    assert named(verdict) == [("lost", gone.key, gone.number)]
    assert verdict.handled == 3


def test_a_doubled_effect_is_a_duplicate_and_nothing_else() -> None:
    verdict = judge([*EFFECTS, effect(6, "a", 3, 4)])
    assert named(verdict) == [("duplicate", "a", 3)]
    assert verdict.duplicates[0].why == "row 6 after row 4"
    assert verdict.handled == 4


def test_swapped_effects_break_the_order() -> None:
    swapped = [*EFFECTS[:2], effect(4, "a", 4, 1), effect(5, "a", 3, 4)]
    assert named(judge(swapped)) == [("order", "a", 4), ("order", "a", 3)]


def test_an_effect_that_did_not_see_the_one_before_it_breaks_the_order() -> None:
    """Its row was made later, but the transaction of the one before was still open."""
    overtaken = [*EFFECTS[:3], effect(5, "a", 4, 1)]
    verdict = judge(overtaken)
    assert named(verdict) == [("order", "a", 4)]
    assert verdict.order_violations[0].why == "number 1 was the last then, not 3"


@pytest.mark.parametrize(
    ("key", "number", "why"),
    [("a", 2, "it is poison"), ("a", 5, "it was never sent"), ("c", 1, "it was never sent")],
)
def test_an_effect_of_poison_or_of_nothing_is_a_phantom(key: str, number: int, why: str) -> None:
    verdict = judge([*EFFECTS, effect(6, key, number, 4)])
    assert named(verdict) == [("phantom", key, number)]
    assert verdict.phantoms[0].why == why


def test_a_missing_letter_is_named() -> None:
    verdict = judge(letters=LETTERS[1:])
    assert named(verdict) == [("missing letter", "b", 1)]
    assert verdict.dead_lettered == 1


def test_a_letter_of_a_repeat_is_as_good_as_one_of_the_first() -> None:
    assert named(judge(letters=[LETTERS[0], letter(SENT[3], 1)])) == []


def test_a_repeated_letter_is_counted_and_no_fault() -> None:
    for again in (letter(SENT[2], 2), letter(SENT[3], 2)):
        verdict = judge(letters=[*LETTERS, again])
        assert named(verdict) == []
        assert (verdict.dead_lettered, verdict.repeated) == (2, 1)


def test_a_letter_of_an_event_that_is_no_poison_is_wrong() -> None:
    verdict = judge(letters=[*LETTERS, letter(SENT[4], 2)])
    assert named(verdict) == [("wrong letter", "a", 3)]


def without(name: str) -> Wire:
    kept = tuple(one for one in LETTERS[0].headers if one[0] != name)
    return replace(LETTERS[0], headers=kept)


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(LETTERS[0], value=b"\xff"),
        replace(LETTERS[0], value=None),
        replace(LETTERS[0], key=b"c"),
        replace(LETTERS[0], key=None),
        replace(LETTERS[0], place=("storm.batch_x.json.dlq", 0, 0)),
        replace(LETTERS[0], headers=LETTERS[0].headers[::-1]),
        without("ce_id"),
        without("dlq_group"),
        without("dlq_reason"),
    ],
)
def test_a_letter_that_is_not_as_its_message_is_wrong_and_is_missing(spoilt: Wire) -> None:
    verdict = judge(letters=[spoilt, LETTERS[1]])
    assert named(verdict) == [("missing letter", "b", 1), ("wrong letter", "b", 1)]


@pytest.mark.parametrize("name", ["dlq_topic", "dlq_partition", "dlq_offset"])
def test_a_letter_that_does_not_say_where_it_comes_from_is_wrong(name: str) -> None:
    verdict = judge(letters=[*LETTERS, without(name)])
    assert named(verdict) == [("wrong letter", "", 0)]


def test_a_difference_names_its_event() -> None:
    [lost] = judge(EFFECTS[:-1]).lost
    assert str(lost) == f"lost: {TOPIC} a number 4: sent, and without an effect"
