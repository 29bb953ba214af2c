"""Messages, contracts and handlers that the inbox's tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka_integration import Event, EventData
from kafka_integration.events.envelope import Headers, Message
from kafka_integration.events.registry import Handler
from kafka_integration.inbox.store import Identity, identity

TOPIC = "thing.made.json"
GROUP = "things"


class Made(EventData):
    """A thing was made."""

    name: str
    number: int = 0


class MadeAnew(Made):
    """The next version of its contract."""

    event_type = "Made"
    event_version = 2


class Broken(EventData):
    """Another type on the same topic."""

    why: str


def message(
    value: bytes | None = b'{"name": "cup"}',
    *,
    key: bytes | None = b"k",
    offset: int = 7,
    headers: Headers | None = None,
    **ce: str,
) -> Message:
    """Return a message of :data:`TOPIC` with these CloudEvents headers."""
    named = [(f"ce_{name}", text.encode()) for name, text in ce.items()]
    return Message(TOPIC, 1, offset, key, value, [*named, *(headers or [])], 1_700_000_000_000)


def handler(
    function: Callable[[Any], object], contract: type[EventData] = Made, **more: Any
) -> Handler:
    """Return a handler of :data:`TOPIC` in :data:`GROUP`."""
    return Handler(TOPIC, contract, GROUP, function, **more)


def ignore(event: Event[Any]) -> None:
    """Do nothing."""


def origin(message: Message) -> str:
    """Stand in for Kafka's ids."""
    return "cluster/topic"


def name_of(found: Message) -> Identity:
    """Return the identity of a message."""
    return identity(GROUP, found, origin)
