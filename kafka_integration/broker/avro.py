"""Avro with Confluent's framing: a schema's id in the registry, and then the data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Set
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from django.utils import timezone

from ..errors import UndecodableMessage
from ..events.contract import EventData
from .avro_schema import avro_schema
from .schema_registry import (
    deserializer_options,
    reading,
    registry_client,
    serializer_options,
    writing,
)


class AvroFormat:
    """Avro; the writer's schema is the contract's, and a reader finds it in the registry."""

    def check(self, contract: type[EventData]) -> None:
        """Check that the contract has a schema."""
        avro_schema(contract)

    def encode(self, data: EventData, topic: str) -> bytes:
        """Return the data with the id of its schema, which is registered if it is not yet."""
        contract, client = type(data), registry_client()
        serializer = _serializer(client, contract, tuple(serializer_options().items()))
        with writing(topic, contract.__name__):
            return serializer(_plain(data.model_dump()), _context(topic))

    def decode(self, value: bytes | None, topic: str, contract: type[EventData]) -> Any:
        """Return the data as its writer's schema says; the contract then takes what it knows."""
        if value is None:
            raise UndecodableMessage("The message has a null value where Avro is due.")
        deserializer = _deserializer(registry_client())
        with reading(topic):
            return deserializer(value, _context(topic))


@lru_cache(maxsize=1024)
def _serializer(
    client: Any, contract: type[EventData], options: tuple[tuple[str, Any], ...]
) -> Callable[..., bytes]:
    schema = json.dumps(avro_schema(contract))
    with writing("its topic", contract.__name__):
        made: Callable[..., bytes] = AvroSerializer(client, schema, conf=dict(options))
    return made


@lru_cache(maxsize=8)
def _deserializer(client: Any) -> Callable[..., Any]:
    made: Callable[..., Any] = AvroDeserializer(client, conf=dict(deserializer_options()))
    return made


def _context(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)


def _plain(value: Any) -> Any:
    """Return a value as the Avro library takes it."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, Set)):
        return [_plain(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime) and timezone.is_naive(value):
        return timezone.make_aware(value)  # Avro's times are instants; Django's zone is meant
    return value
