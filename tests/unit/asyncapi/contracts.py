"""A project of every shape that a document must take."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, Field

from kafka_integration import Event, EventData, created
from kafka_integration.events.registry import Handler, Publication, Registry
from tests.sample.models import Sample


class Line(BaseModel):
    """One line of an order."""

    sku: str
    price: Decimal


class Ordered(EventData):
    """A customer ordered."""

    order_id: UUID
    note: str | None = Field(None, description="What the customer wrote.")
    lines: list[Line]


class OrderedAnew(Ordered):
    """The next version of it."""

    event_type = "Ordered"
    event_version = 2

    channel: str = "web"


class Bare(EventData):
    lane: str


def other_bare() -> type[EventData]:
    """Return a contract of another module that has the name of one of ours."""

    class Bare(EventData):
        number: int

    return Bare


def take(event: Event[Ordered]) -> None:
    """Write the order down."""


def project() -> Registry:
    """Return what such a project declares."""
    return Registry(
        publications=[
            Publication(Sample, Bare, "sample.created.json", created),
            Publication(Sample, Ordered, "order.placed.json", created),
        ],
        handlers=[
            Handler("order.placed.json", Ordered, "books", take),
            Handler("order.placed.json", OrderedAnew, "books", take),
            Handler("order.gone.json", other_bare(), "books", take),
        ],
    )
