"""Versions of a contract side by side."""

from __future__ import annotations

import pytest

from kafka_integration import Event, EventData, handles
from kafka_integration.errors import DuplicateHandler, NotAContract
from kafka_integration.events.registry import registry
from kafka_integration.events.upcasts import UnusableUpcast, Upcasts


class MovedOne(EventData):
    event_type = "Moved"

    place: str


class MovedTwo(EventData):
    event_type = "Moved"
    event_version = 2

    city: str


class Moved(EventData):
    event_version = 3

    city: str
    country: str


def to_two(old: MovedOne) -> MovedTwo:
    return MovedTwo(city=old.place)


def to_three(old: MovedTwo) -> Moved:
    return Moved(city=old.city, country="unknown")


def test_old_data_goes_up_step_by_step() -> None:
    upcasts = Upcasts.of({MovedOne: to_two, MovedTwo: to_three})
    assert upcasts.lift(MovedOne(place="Bern"), Moved) == Moved(city="Bern", country="unknown")
    assert upcasts.lift(MovedTwo(city="Bern"), Moved) == Moved(city="Bern", country="unknown")
    new = Moved(city="Bern", country="CH")
    assert upcasts.lift(new, Moved) is new


def test_steps_that_end_elsewhere_or_go_in_circles_are_named() -> None:
    with pytest.raises(UnusableUpcast, match="from MovedOne end at MovedTwo, not at Moved"):
        Upcasts.of({MovedOne: to_two}).lift(MovedOne(place="Bern"), Moved)
    circle = Upcasts.of({MovedOne: lambda old: old})
    with pytest.raises(UnusableUpcast, match="end at MovedOne"):
        circle.lift(MovedOne(place="Bern"), Moved)


def test_one_handler_reads_all_versions_and_no_other_may() -> None:
    with registry.isolated():

        @handles("person.moved.json", Moved, upcasts={MovedOne: to_two, MovedTwo: to_three})
        def follow(event: Event[Moved]) -> None:
            """Follow."""

        [handler] = registry.handlers
        assert handler.contracts() == {3: Moved, 1: MovedOne, 2: MovedTwo}
        with pytest.raises(DuplicateHandler, match="version 2"):
            handles("person.moved.json", MovedTwo)(lambda event: None)


def test_an_upcast_begins_at_another_version_of_the_same_type() -> None:
    class Other(EventData):
        city: str

    def refused(*contracts: type[EventData]) -> None:
        handles("person.moved.json", Moved, upcasts=dict.fromkeys(contracts, to_three))(
            lambda event: None
        )

    class Twice(MovedTwo):
        pass

    with registry.isolated():
        with pytest.raises(UnusableUpcast, match="type 'Other'"):
            refused(Other)
        with pytest.raises(UnusableUpcast, match=r"version 2.*in two ways"):
            refused(MovedTwo, Twice)
        with pytest.raises(UnusableUpcast, match=r"version 3.*in two ways"):
            refused(Moved)
        with pytest.raises(NotAContract):
            refused(int)  # type: ignore[arg-type]  # what is to be refused
        assert registry.handlers == []
