"""How a contract is filled from a model's instance."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from typing_extensions import Self

from kafka_integration.errors import ContractMismatch
from kafka_integration.events.conditions import Change
from kafka_integration.events.contract import EventData, missing_fields, previous_fields
from mediajira.campaigns.models import Campaign
from tests.sample.models import Sample


class SampleMoved(EventData):
    """What most tests publish."""

    sample_id: int
    lane: str
    previous_lane: str
    comment: str = "none"


def moved(**before: Any) -> Change:
    return Change("updated", Sample(pk=7, lane="b", number=3), before)


def test_fields_are_filled_by_name_key_and_old_value() -> None:
    found = SampleMoved.from_instance(moved(lane="a"))
    assert found.model_dump() == {
        "sample_id": 7,
        "lane": "b",
        "previous_lane": "a",
        "comment": "none",
    }


def test_an_old_value_that_nobody_has_is_an_error() -> None:
    with pytest.raises(ContractMismatch, match="no attribute for previous_lane") as caught:
        SampleMoved.from_instance(moved())
    assert (caught.value.contract, caught.value.model) == ("SampleMoved", "sample.Sample")


def test_an_old_value_of_none_is_a_value() -> None:
    class Noted(EventData):
        previous_note: str | None

    assert Noted.from_instance(moved(note=None)).previous_note is None


def test_a_foreign_keys_old_value_is_found_by_either_name() -> None:
    class Handed(EventData):
        owner_id: int
        previous_owner: int
        previous_owner_id: int

    change = Change("updated", Campaign(pk=uuid4(), owner_id=2), {"owner_id": 1})
    found = Handed.from_instance(change)
    assert (found.owner_id, found.previous_owner, found.previous_owner_id) == (2, 1, 1)


def test_a_value_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValidationError, match="previous_lane"):
        SampleMoved.from_instance(moved(lane=object()))


def test_a_contract_of_its_own_mind_is_asked() -> None:
    class Counted(EventData):
        total: int

        @classmethod
        def from_instance(cls, change: Change) -> Self:
            return cls(total=change.instance.number * 2)

    assert Counted.from_instance(moved()).total == 6
    assert missing_fields(Counted, Sample) == []


def test_required_fields_without_a_source_are_found_at_once() -> None:
    class Wrong(SampleMoved):
        campaign_id: int
        previous_colour: str
        optional: str = ""

    assert missing_fields(SampleMoved, Sample) == []
    assert missing_fields(Wrong, Sample) == ["campaign_id", "previous_colour"]


def test_old_values_are_asked_for_by_their_fields_names() -> None:
    assert previous_fields(SampleMoved) == ("lane",)


def test_type_and_version_have_defaults() -> None:
    class Other(EventData):
        event_type = "sample.moved"
        event_version = 3

    assert (SampleMoved.type_name(), SampleMoved.event_version) == ("SampleMoved", 1)
    assert (Other.type_name(), Other.event_version) == ("sample.moved", 3)


def test_readers_ignore_what_they_do_not_know_and_change_nothing() -> None:
    data = SampleMoved.model_validate(
        {"sample_id": 1, "lane": "b", "previous_lane": "a", "new_field": 1}
    )
    with pytest.raises(ValidationError, match="frozen"):
        data.lane = "c"  # type: ignore[misc]  # that is the point
