"""The formats of topics: what bytes become of an event's data, and what data of bytes.

A topic's format is the last part of its name. JSON is at hand; the others need the Schema Registry
and further packages, which are imported when the first message of such a topic comes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from ..errors import BrokerError, DeclarationError, PublishError
from ..events.contract import EventData
from ..events.serialisation import decode
from ..events.topics import format_of


class FormatUnavailable(BrokerError):
    """Raised when a format cannot be written or read here and now, whatever the message.

    A package or a setting is missing, or the Schema Registry does not answer. It is an outage, not
    a failure of the message: consumers wait, and a publishing transaction fails.
    """


class FormatRefused(PublishError):
    """Raised when an event cannot be written in its topic's format."""


class UnusableContract(DeclarationError):
    """Raised when a contract cannot stand for the messages of a topic's format."""


class Format(Protocol):
    """How the data of a topic's events is written and read."""

    def check(self, contract: type[EventData]) -> None:
        """Check that the contract can stand for messages of this format.

        Raises:
            UnusableContract: it cannot; the message says what it lacks.
        """
        ...

    def encode(self, data: EventData, topic: str) -> bytes:
        """Return the value of the message that tells of ``data``.

        Raises:
            FormatRefused: this data cannot be written so.
            FormatUnavailable: nothing can, for now.
            UnusableContract: no data of this contract can.
        """
        ...

    def decode(self, value: bytes | None, topic: str, contract: type[EventData]) -> Any:
        """Return what a message's value says, for ``contract`` to validate.

        Raises:
            UndecodableMessage: the bytes are not what the format promises.
            FormatUnavailable: no message can be read for now.
            UnusableContract: none can ever be read for this contract.
        """
        ...


class JsonFormat:
    """JSON, as pydantic writes it; a reader needs nothing but the message."""

    def check(self, contract: type[EventData]) -> None:
        """Every contract has a JSON form, or pydantic says otherwise when it is written."""

    def encode(self, data: EventData, topic: str) -> bytes:
        """Return the data as JSON."""
        return data.model_dump_json().encode()

    def decode(self, value: bytes | None, topic: str, contract: type[EventData]) -> Any:
        """Return what the JSON says."""
        return decode(value)


def topic_format(topic: str) -> Format:
    """Return the format of a topic by its name.

    Raises:
        FormatUnavailable: its packages are not installed; the message says which extra has them.
    """
    return _loaded(format_of(topic))


@lru_cache(maxsize=8)
def _loaded(name: str) -> Format:
    try:
        return _LOADERS[name]()
    except ImportError as error:
        raise FormatUnavailable(
            f"Topics that end in .{name} need packages that are not installed ({error}). Run: "
            f"pip install 'django-kafka-integration[{name}]'"
        ) from error


def _avro() -> Format:
    from .avro import AvroFormat

    return AvroFormat()


def _protobuf() -> Format:
    from .protobuf import ProtobufFormat

    return ProtobufFormat()


_LOADERS: dict[str, Callable[[], Format]] = {
    "json": JsonFormat,
    "avro": _avro,
    "protobuf": _protobuf,
}
