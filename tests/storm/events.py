"""What the storms' models publish and handle; ``STORM_RUN`` gives each storm its topics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kafka_integration import EventData, created, publishes, satisfies
from kafka_integration.events.conditions import Change

from .models import Card, Note
from .names import topics

if TYPE_CHECKING:
    from typing_extensions import Self

TOPICS = topics(os.environ.get("STORM_RUN", "none"))


class Told(EventData):
    """What the checker needs."""

    key: str
    number: int
    doomed: bool


class CardTold(Told):
    """A card was created, changed or deleted; the deletion has the number after the last."""

    ballast: str

    @classmethod
    def from_instance(cls, change: Change) -> Self:
        """Take the number from the row."""
        card: Card = change.instance
        number = card.number + (change.kind == "deleted")
        ballast = "x" * card.weight
        return cls(key=card.pk, number=number, doomed=card.doomed, ballast=ballast)


def key(note: Note) -> str:
    """Return the key of a note's event."""
    return note.key


def anything(change: Change) -> bool:
    """Tell of every change."""
    return True


publishes(Card, CardTold, topic=TOPICS["card"], when=satisfies(anything))
publishes(Note, Told, topic=TOPICS["note"], when=created, key=key)

if os.environ.get("STORM_INBOUND"):
    from .inbound import handlers  # noqa: F401  # it declares them, for consumers of that storm
