"""Contracts of topics in Avro and Protobuf, and a Schema Registry in memory."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated
from uuid import UUID

from pydantic import Base64Bytes, BaseModel, Field

from kafka_integration import EventData
from tests.sample.proto import order_message

AVRO = "order.placed.avro"
PROTOBUF = "order.placed.protobuf"
ID = UUID("664f2b69-5be1-4464-a641-28bc8847b9a2")
TIME = datetime(2024, 1, 2, 3, 4, 5, 678_901, tzinfo=timezone.utc)

Money = Annotated[Decimal, Field(max_digits=8, decimal_places=2)]


class Way(str, Enum):
    """Text, so that Avro knows it."""

    SHOP = "shop"


class Line(BaseModel):
    sku: str
    price: Money


class Ordered(EventData):
    """A customer ordered."""

    order_id: UUID
    number: int
    placed_at: datetime
    lines: list[Line]
    way: Way = Way.SHOP
    tags: set[str] = Field(default_factory=set)
    sum: Money | None = None
    blob: bytes = b""


class ProtoLine(BaseModel):
    sku: str


class ProtoOrdered(EventData):
    """A customer ordered."""

    protobuf_message = order_message()

    order_id: UUID
    number: int = 0
    lines: list[ProtoLine] = Field(default_factory=list)
    placed_at: datetime | None = None
    blob: Base64Bytes = b""
    note: str | None = None


def ordered() -> Ordered:
    """Return an order with something in every field."""
    line = Line(sku="cup", price=Decimal("1.50"))
    return Ordered(
        order_id=ID,
        number=2**40,
        placed_at=TIME,
        lines=[line],
        tags={"new"},
        sum=Decimal("3.10"),
        blob=b"\x00\xff",
    )


def proto_ordered() -> ProtoOrdered:
    """Return an order with something in every field."""
    return ProtoOrdered(
        order_id=ID,
        number=2**40,
        lines=[ProtoLine(sku="cup")],
        placed_at=TIME,
        blob=b"AP8=",
        note="soon",
    )
