"""Declarations: what is taken, what is refused, and what is found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pytest_django import Settings

from kafka_integration import (
    Change,
    Event,
    EventData,
    changed,
    created,
    deleted,
    handles,
    publishes,
)
from kafka_integration.errors import (
    ContractMismatch,
    DeclarationError,
    DuplicateHandler,
    TopicNameError,
    UnknownGroup,
    UnknownOrder,
)
from kafka_integration.events.registry import Registry, registry
from mediajira.campaigns.models import Campaign
from tests.sample.models import Effect, Sample


class Moved(EventData):
    """What the sample publishes."""

    sample_id: int
    lane: str


class MovedFrom(Moved):
    """The same with an old value."""

    previous_note: str


class MovedAgain(Moved):
    """A second version."""

    event_type = "Moved"
    event_version = 2


@pytest.fixture(autouse=True)
def _empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def one(event: Event[Moved]) -> None:
    """Do nothing."""


def two(event: Event[Moved]) -> None:
    """Do nothing either."""


def test_a_publication_is_found_by_its_model_and_no_other() -> None:
    publishes(Sample, Moved, topic="a.b.json", when=created)
    [found] = registry.publications_of(Sample)
    assert (found.contract, found.topic, str(found.when)) == (Moved, "a.b.json", "created")
    assert registry.publications_of(Effect) == []


def test_a_subclass_publishes_as_its_base_does() -> None:
    class Proxy(Sample):
        class Meta:
            proxy = True
            app_label = "sample"

    publishes(Sample, Moved, topic="a.b.json", when=created)
    assert len(registry.publications_of(Proxy)) == 1
    Sample._meta.apps.all_models["sample"].pop("proxy")
    Sample._meta.apps.clear_cache()


def test_the_key_is_the_primary_key_or_what_is_asked_for() -> None:
    publishes(Sample, Moved, topic="a.b.json", when=created)
    publishes(Sample, Moved, topic="a.c.json", when=created, key=lambda sample: sample.lane)
    change = Change("created", Sample(pk=7, lane="left"), {})
    keys = [found.key_for(change) for found in registry.publications]
    assert keys == ["7", "left"]


def test_old_values_are_those_of_condition_and_contract_once_each() -> None:
    publishes(Sample, MovedFrom, topic="a.b.json", when=changed("lane", "note"))
    assert registry.publications[0].old_fields() == ("lane", "note")


@pytest.mark.parametrize("topic", ["created", "A.b.json", "a.b.xml", "a.b.c.json", "a..json"])
def test_a_bad_topic_name_is_refused_both_ways(topic: str) -> None:
    with pytest.raises(TopicNameError, match=r"domain\.action\.format"):
        publishes(Sample, Moved, topic=topic, when=created)
    with pytest.raises(TopicNameError):
        handles(topic, Moved)(one)


def test_a_contract_that_does_not_match_its_model_is_refused() -> None:
    with pytest.raises(ContractMismatch, match=r"campaigns\.Campaign: no attribute for sample_id"):
        publishes(Campaign, Moved, topic="a.b.json", when=created)


def test_a_condition_on_no_column_is_refused_with_the_columns() -> None:
    with pytest.raises(DeclarationError, match=r"names colour, .* Its columns: id, lane"):
        publishes(Sample, Moved, topic="a.b.json", when=changed("colour"))


class Loose(BaseModel):
    """A model that is no contract."""


@pytest.mark.parametrize(("given", "name"), [(Loose, "Loose"), ("x", "'x'"), (EventData, "Ev")])
def test_a_contract_is_a_subclass_of_event_data(given: Any, name: str) -> None:
    wanted = f"needs a contract, a subclass of EventData; {name}"
    with pytest.raises(DeclarationError, match=rf"publishes\(sample\.Sample, …\) {wanted}"):
        publishes(Sample, given, topic="a.b.json", when=created)
    with pytest.raises(DeclarationError, match=rf"@handles\('a\.b\.json', …\) {wanted}"):
        handles("a.b.json", given)(one)
    assert not registry.topics()


def test_a_handler_takes_the_event_and_nothing_else() -> None:
    def more(event: Event[Moved], second: int) -> None:
        """Ask for too much."""

    def optional(event: Event[Moved], second: int = 1) -> None:
        """Ask for no more than there is."""

    with pytest.raises(DeclarationError, match=r"more must take one argument, the event\."):
        handles("a.b.json", Moved)(more)  # type: ignore[type-var]  # that is the point
    with pytest.raises(DeclarationError, match="must take one argument"):
        handles("a.b.json", Moved)(lambda: None)  # type: ignore[type-var]  # the same
    handles("a.b.json", Moved)(optional)
    assert len(registry.handlers) == 1


@pytest.mark.parametrize("group", ["", " ", "two words", "é", "a" * 250, "a/b"])
def test_a_group_needs_a_name_that_travels(group: str) -> None:
    with pytest.raises(DeclarationError, match="1 to 249 letters"):
        handles("a.b.json", Moved, group=group)(one)
    assert not registry.handlers


def test_the_prefix_counts_towards_the_length_of_a_group(settings: Settings) -> None:
    settings.KAFKA_GROUP_PREFIX = "staging-"
    handles("a.b.json", Moved, group="a" * 241)(one)
    with pytest.raises(DeclarationError, match="KAFKA_GROUP_PREFIX"):
        handles("a.b.json", Moved, group="a" * 242)(one)


def test_one_declaration_twice_is_refused() -> None:
    publishes(Sample, Moved, topic="a.b.json", when=created)
    publishes(Sample, Moved, topic="a.c.json", when=created)
    with pytest.raises(DeclarationError, match=r"already publishes Moved to a\.b\.json"):
        publishes(Sample, Moved, topic="a.b.json", when=deleted)
    assert len(registry.publications) == 2


def test_two_handlers_for_the_same_are_refused_by_name() -> None:
    handles("a.b.json", Moved, group="g")(one)
    with pytest.raises(DuplicateHandler) as caught:
        handles("a.b.json", Moved, group="g")(two)
    assert "type 'Moved' version 1 of topic a.b.json in group 'g'" in str(caught.value)
    assert f"{__name__}.one" in str(caught.value)
    assert f"{__name__}.two" in str(caught.value)


def test_another_group_version_or_topic_is_no_duplicate() -> None:
    handles("a.b.json", Moved, group="g")(one)
    handles("a.b.json", Moved, group="h")(one)
    handles("a.b.json", MovedAgain, group="g")(one)
    handles("a.c.json", Moved, group="g")(one)
    assert {group: len(found) for group, found in registry.groups().items()} == {"g": 3, "h": 1}


def test_without_a_group_it_is_the_settings(settings: Settings) -> None:
    settings.KAFKA_DEFAULT_GROUP = "ours"
    handles("a.b.json", Moved)(one)
    assert [found.function for found in registry.handlers_of("ours")] == [one]


def test_an_order_that_there_is_not_is_refused_with_the_known() -> None:
    with pytest.raises(UnknownOrder, match=r"order='keys'\. Write one of key, partition, none\."):
        handles("a.b.json", Moved, order="keys")(one)  # type: ignore[arg-type]  # that is the point
    assert registry.handlers == []


def test_a_handler_stays_a_function() -> None:
    assert handles("a.b.json", Moved, group="g")(one) is one


def test_an_unknown_group_is_refused_with_the_known() -> None:
    with pytest.raises(UnknownGroup, match=r"none: no events\.py declares a handler"):
        registry.handlers_of("x")
    handles("a.b.json", Moved, group="g")(one)
    handles("a.b.json", Moved, group="f")(one)
    with pytest.raises(UnknownGroup, match=r"'x'\. Known groups: f, g"):
        registry.handlers_of("x")


def test_topics_are_those_of_both_directions() -> None:
    publishes(Sample, Moved, topic="a.b.json", when=created)
    handles("a.c.json", Moved, group="g")(one)
    assert registry.topics() == {"a.b.json", "a.c.json"}


def test_isolation_gives_back_what_was_there_even_after_an_error() -> None:
    found = Registry()
    with registry.isolated():
        publishes(Sample, Moved, topic="a.b.json", when=created)
        found.publications = registry.publications
    with pytest.raises(ZeroDivisionError), found.isolated() as inner:
        assert inner.publications == []
        raise ZeroDivisionError
    assert len(found.publications) == 1
