"""Contracts as Avro schemas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from kafka_integration import EventData
from kafka_integration.broker.avro_schema import avro_schema
from kafka_integration.broker.formats import UnusableContract

Money = Annotated[Decimal, Field(max_digits=8, decimal_places=2)]
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}


class Colour(str, Enum):
    RED = "red"


class Line(BaseModel):
    """A line."""

    sku: str


def types(contract: type[EventData]) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in avro_schema(contract)["fields"]}


def defaults(contract: type[EventData]) -> dict[str, Any]:
    fields = avro_schema(contract)["fields"]
    return {field["name"]: field["default"] for field in fields if "default" in field}


def test_every_type_that_contracts_are_made_of() -> None:
    class Whole(EventData):
        flag: bool
        number: int
        real: float
        raw: bytes
        text: str
        at: datetime
        day: date
        hour: time
        name: UUID
        colour: Colour
        word: Literal["a", "b"]
        price: Money
        prices: list[Money]
        pairs: tuple[int, ...]
        scores: dict[str, float]
        line: Line
        again: list[Line]

    assert types(Whole) == {
        "flag": "boolean",
        "number": "long",
        "real": "double",
        "raw": "bytes",
        "text": "string",
        "at": {"type": "long", "logicalType": "timestamp-micros"},
        "day": {"type": "int", "logicalType": "date"},
        "hour": {"type": "long", "logicalType": "time-micros"},
        "name": {"type": "string", "logicalType": "uuid"},
        "colour": "string",
        "word": "string",
        "price": MONEY,
        "prices": {"type": "array", "items": MONEY},
        "pairs": {"type": "array", "items": "long"},
        "scores": {"type": "map", "values": "double"},
        "line": {
            "type": "record",
            "name": "Line",
            "fields": [{"name": "sku", "type": "string"}],
            "doc": "A line.",
        },
        "again": {"type": "array", "items": "Line"},
    }


def test_a_default_lets_new_readers_read_old_data() -> None:
    class Whole(EventData):
        needed: str
        may_be: str | None
        none: str | None = None
        some: int | None = 3
        text: str = "x"
        rows: list[int] = []  # noqa: RUF012  # what is tried; pydantic copies it
        more: dict[str, int] = Field(default_factory=dict)
        tags: set[str] = Field(default_factory=set)
        odd: Money = Decimal("1.50")

    assert defaults(Whole) == {
        "none": None,
        "some": 3,
        "text": "x",
        "rows": [],
        "more": {},
        "tags": [],
    }
    assert types(Whole)["none"] == ["null", "string"]
    assert types(Whole)["some"] == ["long", "null"]


def test_what_a_contract_says_of_itself_goes_along() -> None:
    class Told(EventData):
        """Something was told."""

        who: str = Field(description="The teller.")

    schema = avro_schema(Told)
    assert (schema["name"], schema["doc"]) == ("Told", "Something was told.")
    assert schema["fields"][0]["doc"] == "The teller."

    class Silent(EventData):
        who: str

    assert "doc" not in avro_schema(Silent)


def test_a_schema_of_its_own_is_taken_as_it_is() -> None:
    class Own(EventData):
        avro_schema: ClassVar[Mapping[str, Any]] = {"type": "record", "name": "o", "fields": []}

        odd: complex

    assert avro_schema(Own) == {"type": "record", "name": "o", "fields": []}


class Number(int, Enum):
    ONE = 1


@pytest.mark.parametrize("annotation", [complex, Number, dict[int, str], tuple[int, str], Any])
def test_a_type_without_a_schema_is_named_with_the_cure(annotation: Any) -> None:
    class Odd(EventData):
        thing: annotation

    with pytest.raises(UnusableContract, match=r"Field thing of contract Odd.*avro_schema"):
        avro_schema(Odd)


def test_a_decimal_says_its_size() -> None:
    class Odd(EventData):
        price: Decimal

    with pytest.raises(UnusableContract, match=r"price.*max_digits=12"):
        avro_schema(Odd)


def test_two_models_of_one_name_are_refused() -> None:
    def other() -> type[BaseModel]:
        class Line(BaseModel):
            price: int

        return Line

    class Odd(EventData):
        one: Line
        two: other()  # type: ignore[valid-type]  # made in a function so that the names clash

    with pytest.raises(UnusableContract, match="two models named Line"):
        avro_schema(Odd)
