"""Models of the sample app that tell of everything that happens to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from kafka_integration import EventData, changed, created, deleted, publishes, updated
from kafka_integration.events.registry import registry
from kafka_integration.models import OutboxEvent, OutboxQueue
from kafka_integration.outbox import capture
from tests.sample.models import Label, Membership, Place, Restaurant


class LabelTold(EventData):
    """All that a label is, and what its name was."""

    label_id: UUID
    code: str
    name: str
    size: int
    colour: str
    loud: str
    shelf_id: int | None
    fallback_id: int | None
    previous_name: str | None = None
    previous_size: int | None = None


class PlaceTold(EventData):
    """All that a place is, and what its name was."""

    place_id: int
    name: str
    visits: int
    previous_name: str | None = None


class RestaurantTold(EventData):
    """What a restaurant is besides."""

    restaurant_id: int
    name: str
    stars: int
    previous_name: str | None = None


class MembershipTold(EventData):
    """Who belongs to what."""

    label_id: UUID
    group_id: int


KINDS = {"created": created, "updated": updated, "deleted": deleted, "renamed": changed("name")}
CONTRACTS: dict[type[Any], type[EventData]] = {
    Label: LabelTold,
    Place: PlaceTold,
    Restaurant: RestaurantTold,
    Membership: MembershipTold,
}


@contextmanager
def telling(model: type[Any], *kinds: str, **options: Any) -> Iterator[None]:
    """Let a model tell of some kinds of changes, and no other model of anything."""
    with registry.isolated():
        tell(model, *kinds, **options)
        yield


def tell(model: type[Any], *kinds: str, contract: Any = None, **options: Any) -> None:
    """Let a model tell of some kinds of changes, besides what is told already."""
    for kind in kinds:
        topic = f"{model._meta.model_name}.{kind}.json"
        found = contract or CONTRACTS[model]
        publishes(model, found, topic=topic, when=KINDS[kind], **options)
    capture.connect()


def told(*fields: str, using: str = "default") -> list[tuple[Any, ...]]:
    """Return each event's topic without its suffix, and some of its fields; then forget all."""
    events = OutboxEvent.objects.using(using).order_by("queued__position")
    found = []
    for event in events:
        data = json.loads(bytes(event.value))
        found.append((event.topic.removesuffix(".json"), *(data[name] for name in fields)))
    forget(using)
    return found


def forget(using: str = "default") -> None:
    """Empty the outbox."""
    OutboxQueue.objects.using(using).all().delete()
    OutboxEvent.objects.using(using).all().delete()
