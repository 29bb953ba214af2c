"""Conditions, asked of changes that hypothesis makes up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kafka_integration.events.conditions import (
    Change,
    Kind,
    becomes,
    changed,
    created,
    deleted,
    satisfies,
    updated,
)
from mediajira.campaigns.models import Campaign
from tests.sample.models import Sample

KINDS: tuple[Kind, ...] = ("created", "updated", "deleted")
TEXTS = st.sampled_from(["", "a", "b"])
ROWS = st.builds(Sample, lane=TEXTS, number=st.integers(0, 2), note=TEXTS)


def change(kind: Kind, after: Sample, before: Sample | None = None) -> Change:
    """Return a change as capture makes it: old values by attribute name, of updates only."""
    old = {"lane": before.lane, "number": before.number, "note": before.note} if before else {}
    return Change(kind, after, old)


@given(row=ROWS)
def test_the_plain_conditions_look_at_the_kind_alone(row: Sample) -> None:
    for condition in (created, updated, deleted):
        matching = [kind for kind in KINDS if condition.matches(change(kind, row, row))]
        assert matching == [str(condition)]


@given(before=ROWS, after=ROWS)
def test_changed_means_that_one_of_the_fields_differs(before: Sample, after: Sample) -> None:
    differs = before.lane != after.lane or before.number != after.number
    assert changed("lane", "number").matches(change("updated", after, before)) is differs


@given(row=ROWS)
def test_an_update_to_the_same_values_is_no_change(row: Sample) -> None:
    update = change("updated", row, row)
    assert not changed("lane", "number", "note").matches(update)
    assert not becomes(lane=row.lane, number=row.number).matches(update)


@given(row=ROWS)
def test_only_an_update_changes(row: Sample) -> None:
    assert not changed("lane").matches(change("created", row))
    assert not changed("lane").matches(change("deleted", row))


@given(before=ROWS, after=ROWS, lane=TEXTS, number=st.integers(0, 2))
def test_becomes_means_so_now_and_not_so_before(
    before: Sample, after: Sample, lane: str, number: int
) -> None:
    condition = becomes(lane=lane, number=number)
    now = (after.lane, after.number) == (lane, number)
    then = (before.lane, before.number) == (lane, number)
    assert condition.matches(change("updated", after, before)) is (now and not then)
    assert condition.matches(change("created", after)) is now
    assert not condition.matches(change("deleted", after))


@given(rows=st.lists(ROWS, min_size=1, max_size=8), lane=TEXTS)
def test_becomes_fires_once_for_each_time_that_the_value_is_reached(
    rows: list[Sample], lane: str
) -> None:
    condition = becomes(lane=lane)
    pairs = list(pairwise(rows))
    fired = [condition.matches(change("created", rows[0]))]
    fired += [condition.matches(change("updated", after, before)) for before, after in pairs]
    states = [False, *(row.lane == lane for row in rows)]
    rises = [now and not then for then, now in pairwise(states)]
    assert fired == rises


def test_a_foreign_key_may_be_named_either_way() -> None:
    after = Campaign(owner_id=2)
    update = Change("updated", after, {"owner_id": 1})
    assert changed("owner").matches(update)
    assert changed("owner_id").matches(update)
    assert not changed("owner").matches(Change("updated", after, {"owner_id": 2}))


def test_a_question_of_ones_own_is_asked_of_every_kind() -> None:
    def is_large(change: Change) -> bool:
        return bool(change.instance.number > 10)

    condition = satisfies(is_large, fields=("lane",))
    assert [condition.matches(change(kind, Sample(number=11))) for kind in KINDS] == [True] * 3
    assert not condition.matches(change("created", Sample(number=1)))
    assert (condition.fields, str(condition)) == (("lane",), "is_large")
    assert str(satisfies(is_large, name="large")) == "large"


def test_conditions_read_as_they_were_written() -> None:
    assert str(changed("lane", "note")) == "changed(lane, note)"
    assert str(becomes(status="done")) == "becomes(status=done)"


def test_conditions_say_which_old_values_they_need() -> None:
    assert created.fields == ()
    assert changed("lane", "note").fields == ("lane", "note")
    assert becomes(lane="a").fields == ("lane",)
