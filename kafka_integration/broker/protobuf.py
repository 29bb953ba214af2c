"""Protobuf with Confluent's framing: a schema's id in the registry, and then the message.

The contract names the class that ``protoc`` generated: a field's number is part of what others rely
on, so it is written down in a ``.proto`` file and never guessed. Contract and message meet by the
names of their fields, in the JSON that Protobuf defines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.json_format import MessageToDict, ParseDict

from ..errors import UndecodableMessage
from ..events.contract import EventData
from .formats import UnusableContract
from .schema_registry import (
    deserializer_options,
    reading,
    registry_client,
    serializer_options,
    writing,
)


class ProtobufFormat:
    """Protobuf; the schema is that of the contract's ``protobuf_message``."""

    def check(self, contract: type[EventData]) -> None:
        """Check that the contract names its message."""
        _message_class(contract)

    def encode(self, data: EventData, topic: str) -> bytes:
        """Return the data with the id of its schema, which is registered if it is not yet."""
        contract, client = type(data), registry_client()
        message_class = _message_class(contract)
        serializer = _serializer(client, message_class, tuple(serializer_options().items()))
        with writing(topic, contract.__name__):
            message = ParseDict(data.model_dump(mode="json"), message_class())
            return serializer(message, _context(topic))

    def decode(self, value: bytes | None, topic: str, contract: type[EventData]) -> Any:
        """Return the message's fields by name; those without a value are absent if they may be."""
        if value is None:
            raise UndecodableMessage("The message has a null value where Protobuf is due.")
        deserializer = _deserializer(registry_client(), _message_class(contract))
        with reading(topic):
            return MessageToDict(
                deserializer(value, _context(topic)),
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
            )


@lru_cache(maxsize=1024)
def _message_class(contract: type[EventData]) -> Any:
    found = contract.protobuf_message
    if found is None:
        raise UnusableContract(
            f"Contract {contract.__name__} has no Protobuf message. Set its protobuf_message to "
            "the class that protoc generated."
        )
    if '"format": "binary"' in json.dumps(contract.model_json_schema()):
        raise UnusableContract(
            f"Contract {contract.__name__} has a field of type bytes, which Protobuf's JSON writes "
            "in base64. Declare it as pydantic's Base64Bytes."
        )
    return found


@lru_cache(maxsize=1024)
def _serializer(
    client: Any, message_class: Any, options: tuple[tuple[str, Any], ...]
) -> Callable[..., bytes]:
    made: Callable[..., bytes] = ProtobufSerializer(message_class, client, conf=dict(options))
    return made


@lru_cache(maxsize=1024)
def _deserializer(client: Any, message_class: Any) -> Callable[..., Any]:
    options = dict(deserializer_options())
    made: Callable[..., Any] = ProtobufDeserializer(message_class, options, client)
    return made


def _context(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)
