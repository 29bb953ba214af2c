"""The Schema Registry: one client a process, and its errors in our words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from confluent_kafka.schema_registry import (
    SchemaRegistryClient,
    SchemaRegistryError,
    record_subject_name_strategy,
    topic_record_subject_name_strategy,
    topic_subject_name_strategy,
)

from ..conf import settings
from ..errors import ConfigurationError, UndecodableMessage
from .formats import FormatRefused, FormatUnavailable

# An event is written inside the application's transaction, whose locks others wait for.
_PATIENCE = {"timeout": 5, "max.retries": 1, "retries.wait.ms": 200}
_NOT_THERE = 404
_REFUSALS = (404, 409, 422)
_TRANSPORT = ("httpx", "httpx2", "requests", "authlib")

_SUBJECTS: dict[str, Callable[..., str | None]] = {
    "topic": topic_subject_name_strategy,
    "record": record_subject_name_strategy,
    "topic_record": topic_record_subject_name_strategy,
}


def registry_client() -> Any:
    """Return this process's client; an address that begins with ``mock://`` means one in memory.

    Raises:
        FormatUnavailable: ``KAFKA_SCHEMA_REGISTRY_URL`` is not set.
    """
    if not settings.schema_registry_url:
        raise FormatUnavailable(
            "KAFKA_SCHEMA_REGISTRY_URL is not set, and topics in Avro and Protobuf need a Schema "
            "Registry. Set it to its address, such as http://localhost:8081."
        )
    config: dict[str, Any] = {"url": settings.schema_registry_url, **_PATIENCE}
    if settings.schema_registry_username:
        user = settings.schema_registry_username, settings.schema_registry_password
        config["basic.auth.user.info"] = ":".join(user)
    config |= {name: _typed(value) for name, value in settings.schema_registry_options.items()}
    # A client that another process made shares its connections with it.
    return _client(os.getpid(), tuple(sorted(config.items())))


def serializer_options() -> Mapping[str, Any]:
    """Return what our serializers are set to: how subjects are called, and who registers schemas.

    Raises:
        ConfigurationError: ``KAFKA_SCHEMA_SUBJECT`` is none that there is.
    """
    return {
        "subject.name.strategy": _subject(settings.schema_subject),
        "auto.register.schemas": settings.schema_auto_register,
    }


def deserializer_options() -> Mapping[str, Any]:
    """Return what our deserializers are set to: a message's schema is found by its id alone."""
    return {"subject.name.strategy": topic_subject_name_strategy}


@contextmanager
def writing(topic: str, contract: str) -> Iterator[None]:
    """Turn whatever goes wrong while an event is written into errors of ours.

    Raises:
        FormatRefused: the registry refuses the schema, or the data does not fit it.
        FormatUnavailable: the registry does not answer.
    """
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code not in _REFUSALS:
            raise _unavailable(error) from error
        raise FormatRefused(
            f"The Schema Registry refuses the schema of {contract} for {topic}: {error}. Make the "
            "change compatible (a new field needs a default), register the schema, or let "
            "KAFKA_SCHEMA_SUBJECT keep the schemas of a topic's contracts apart."
        ) from error
    except Exception as error:
        if _is_transport(error):
            raise _unavailable(error) from error
        raise FormatRefused(
            f"Data of {contract} cannot be written to {topic}: {error}. Give the field a type that "
            "the schema has, or a schema of your own to the contract."
        ) from error


@contextmanager
def reading(topic: str) -> Iterator[None]:
    """Turn whatever goes wrong while a message is read into errors of ours.

    Raises:
        UndecodableMessage: the bytes are not what they should be, or of a schema nobody knows.
        FormatUnavailable: the registry does not answer.
    """
    try:
        yield
    except SchemaRegistryError as error:
        if error.http_status_code != _NOT_THERE:
            raise _unavailable(error) from error
        raise UndecodableMessage(
            f"The Schema Registry does not know the schema that a message of {topic} names: {error}"
        ) from error
    except Exception as error:
        if _is_transport(error):
            raise _unavailable(error) from error
        # Bytes that are something else lead the libraries to errors of every kind.
        raise UndecodableMessage(
            f"The value is not what {topic} promises: {type(error).__name__}: {error}."
        ) from error


@lru_cache(maxsize=8)
def _client(process: int, config: tuple[tuple[str, Any], ...]) -> Any:
    return SchemaRegistryClient.new_client(dict(config))


def _subject(name: str) -> Callable[..., str | None]:
    if name not in _SUBJECTS:
        raise ConfigurationError(
            f"KAFKA_SCHEMA_SUBJECT is {name!r}. Set it to one of {', '.join(_SUBJECTS)}."
        )
    return _SUBJECTS[name]


def _typed(value: str) -> str | float:
    # The client insists on numbers where it wants numbers, and our options are text.
    try:
        return float(value)
    except ValueError:
        return value


def _is_transport(error: BaseException) -> bool:
    homes = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    return isinstance(error, OSError) or bool(homes.intersection(_TRANSPORT))


def _unavailable(error: Exception) -> FormatUnavailable:
    return FormatUnavailable(
        f"The Schema Registry at {_shown(settings.schema_registry_url)} does not answer as it "
        f"should: {error}. Is it running, and are KAFKA_SCHEMA_REGISTRY_URL, _USERNAME and "
        "_PASSWORD right?"
    )


def _shown(url: str) -> str:
    """Return addresses without the user and password that they may hold."""
    return ",".join(part.rpartition("@")[2] for part in url.split(","))
