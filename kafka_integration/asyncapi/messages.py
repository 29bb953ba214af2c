"""Contracts as AsyncAPI messages: their payload, their headers, their key."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from ..conf import settings
from ..errors import DeclarationError
from ..events.contract import EventData
from ..events.topics import content_type_of, format_of

BINDING_VERSION = "0.5.0"
"""The version of the AsyncAPI bindings for Kafka that the document follows."""

_REF = "#/components/schemas/{model}"


class Undescribable(DeclarationError):
    """Raised when a contract has a field that no JSON schema can describe."""

    def __init__(self, contract: str, reason: str) -> None:
        self.contract = contract
        self.reason = reason
        super().__init__(
            f"Contract {contract} cannot be described: {reason}. Annotate the field with "
            "pydantic's WithJsonSchema, or give it a type that JSON has."
        )


Kind = tuple[type[EventData], str]
"""A message: a contract, and a topic's format, which its values are written in."""


@dataclass(frozen=True)
class Use:
    """A contract as the project uses it on one topic.

    Args:
        contract: the contract.
        topic: where its events travel.
        is_published: whether this project sends them, and not only reads them.
    """

    contract: type[EventData]
    topic: str
    is_published: bool

    @property
    def kind(self) -> Kind:
        """The message that it is a use of."""
        return self.contract, format_of(self.topic)


class Messages:
    """The messages of a document, and the schemas that they refer to.

    Args:
        uses: every use of a contract; what is published anywhere is described as it is sent.

    Raises:
        Undescribable: a contract has no JSON schema.
    """

    def __init__(self, uses: Sequence[Use]) -> None:
        published = {use.contract for use in uses if use.is_published}
        modes = {use.contract: _mode(use.contract in published) for use in uses}
        self._names = _names(dict.fromkeys(use.kind for use in uses))
        self._payloads, self.schemas = _schemas(modes)
        self.components = {
            self._names[use.kind]: self._message(use, use.contract in published) for use in uses
        }

    def name(self, contract: type[EventData], topic: str) -> str:
        """Return the name under which the message of a contract stands among the components."""
        return self._names[contract, format_of(topic)]

    def _message(self, use: Use, is_published: bool) -> dict[str, Any]:
        contract, content_type = use.contract, content_type_of(use.topic)
        return {
            "name": contract.type_name(),
            "title": contract.__name__,
            "summary": summary(contract),
            "contentType": content_type,
            "headers": _headers(contract, content_type, is_published),
            "payload": dict(self._payloads[contract]),
            "bindings": {"kafka": _binding(use)},
        }


def summary(described: object) -> str:
    """Return the first line of what a class or function says of itself, else its name."""
    text = inspect.getdoc(described) or ""
    if isinstance(described, type) and text == inspect.getdoc(EventData):
        text = ""  # said of the base, not of this one
    return text.partition("\n")[0] or str(getattr(described, "__name__", described))


def _mode(is_published: bool) -> JsonSchemaMode:
    return "serialization" if is_published else "validation"


def _binding(use: Use) -> dict[str, Any]:
    key = {"key": {"type": "string"}, "bindingVersion": BINDING_VERSION}
    if format_of(use.topic) == "json":
        return key
    return {**key, "schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}


def _names(kinds: Iterable[Kind]) -> dict[Kind, str]:
    kinds = list(kinds)
    often = Counter(contract.__name__ for contract in {contract for contract, _ in kinds})
    return {kind: _name(*kind, is_alone=often[kind[0].__name__] == 1) for kind in kinds}


def _name(contract: type[EventData], format: str, *, is_alone: bool) -> str:
    full = f"{contract.__module__}.{contract.__qualname__}"
    name = _allowed(contract.__name__ if is_alone else full)
    return name if format == "json" else f"{name}.{format}"


def _allowed(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _schemas(
    modes: Mapping[type[EventData], JsonSchemaMode],
) -> tuple[dict[type[EventData], dict[str, Any]], dict[str, Any]]:
    """Return each contract's payload, and all schemas by name."""
    if not modes:
        return {}, {}
    _require_schemas(modes)
    payloads, rest = models_json_schema(list(modes.items()), ref_template=_REF)
    definitions: dict[str, Any] = rest.get("$defs", {})
    by_contract = {contract: payloads[contract, mode] for contract, mode in modes.items()}
    return by_contract, definitions


def _require_schemas(modes: Mapping[type[EventData], JsonSchemaMode]) -> None:
    for contract, mode in modes.items():
        try:
            contract.model_json_schema(mode=mode)
        except PydanticInvalidForJsonSchema as error:
            raise Undescribable(contract.__name__, error.message) from error


def _headers(contract: type[EventData], content_type: str, is_published: bool) -> dict[str, Any]:
    """Return the schema of the CloudEvents headers; a bare message has none of them."""
    source = {"const": settings.source} if is_published else {}
    properties = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "Unique within the source."},
        "ce_source": {"type": "string", "description": "Who sent it.", **source},
        "ce_type": {"type": "string", "const": contract.type_name()},
        "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
        "ce_dataversion": {"type": "string", "const": str(contract.event_version)},
        "ce_subject": {"type": "string", "description": "What it is about."},
        "ce_sequence": {"type": "string", "description": "Grows within a key; sorts as text."},
        "content-type": {"type": "string", "const": content_type},
    }
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if is_published:
        optional = {"ce_subject", "ce_sequence"}
        schema["required"] = [name for name in properties if name not in optional]
    return schema
